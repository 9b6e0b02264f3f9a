"""Every change of who is who as one step that can be taken back exactly.

Whoever changes rows names them to the step first (`touch_faces`, `touch_rows`), or has the step change faces
(`change_faces`); at its end the step compares them with what they became. A step can be taken back while
everything that it changed still is as it left it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, Literal, LiteralString, ParamSpec, TypeVar
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection, Database


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A small table whose rows steps keep whole: its columns, those of its primary key first."""

    name: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    of_faces: tuple[str, ...] = ()
    """Columns that refer to faces, which may be gone when the rows come back."""

    def query(self, text: LiteralString) -> sql.Composed:
        """A statement on the table as `t` and its kept rows as `k`, with names in braces filled in."""
        names = [name for name, _ in self.key]
        parts = [
            sql.SQL("t.{} = {}::{}").format(
                sql.Identifier(name),
                # A text that is the whole key may hold spaces.
                sql.SQL("k.key")
                if len(self.key) == 1
                else sql.SQL("split_part(k.key, ' ', {})").format(sql.Literal(place)),
                sql.SQL(kind),
            )
            for place, (name, kind) in enumerate(self.key, start=1)
        ]
        there = [
            sql.SQL(
                " AND EXISTS (SELECT FROM face_detections f WHERE f.id = split_part(k.key, ' ', {})::bigint)"
            ).format(sql.Literal(names.index(column) + 1))
            for column in self.of_faces
        ]
        every = [*names, *self.columns]
        return sql.SQL(text).format(
            table=sql.Identifier(self.name),
            name=sql.Literal(self.name),
            same=sql.SQL(" AND ").join(parts),
            faces_exist=sql.SQL("").join(there),
            columns=sql.SQL(", ").join(map(sql.Identifier, every)),
            primary=sql.SQL(", ").join(map(sql.Identifier, names)),
            updates=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in self.columns
            ),
        )


P = ParamSpec("P")
T = TypeVar("T")

Table = Literal[
    "persons",
    "person_names",
    "said_people",
    "said_faces",
    "said_of_faces",
    "said_of_people",
    "said_exemplars",
    "said_births",
    "imported_names",
    "clusters",
]

_LOCK = 0x66616365_70656F70
"""Key of the advisory lock that lets one step be made at a time: `facepeop` in ASCII."""
TABLES: dict[Table, KeptTable] = {
    table.name: table  # type: ignore[misc]
    for table in (
        KeptTable("persons", (("id", "uuid"),), ("status", "merged_into_id", "created_at", "updated_at")),
        KeptTable("person_names", (("id", "bigint"),), ("person_id", "name", "created_at")),
        KeptTable("said_people", (("person_id", "uuid"),), ("names", "status", "said_at")),
        KeptTable(
            "said_faces",
            (("face_id", "bigint"), ("person_id", "uuid")),
            ("is_person", "said_at"),
            of_faces=("face_id",),
        ),
        KeptTable(
            "said_of_faces",
            (("face_a", "bigint"), ("face_b", "bigint")),
            ("same", "said_at"),
            of_faces=("face_a", "face_b"),
        ),
        KeptTable("said_of_people", (("person_a", "uuid"), ("person_b", "uuid")), ("said_at",)),
        KeptTable(
            "said_exemplars",
            (("face_id", "bigint"), ("person_id", "uuid")),
            ("pinned", "said_at"),
            of_faces=("face_id",),
        ),
        KeptTable("said_births", (("person_id", "uuid"),), ("year", "born_on", "said_at")),
        KeptTable(
            "imported_names",
            (("id", "bigint"),),
            ("image_id", "program", "name", "box", "face_id", "person_id", "read_at"),
        ),
        KeptTable(
            "clusters",
            (("id", "text"),),
            (
                "model_id",
                "hdbscan_run_id",
                "birth_lambda",
                "persistence",
                "stability",
                "epsilon",
                "hidden",
                "verified_at",
                "verified_by",
                "created_at",
            ),
        ),
    )
}
"""Those that others refer to come first."""


@dataclass
class Step:
    """A step that is being made, within one transaction."""

    connection: Connection
    id: int
    persons: set[UUID]
    faces_may_differ: bool = False
    """Whether faces may have changed since they were noted: by name, or as people were deleted."""

    def touch_rows(self, table: Table, keys: Sequence[str]) -> None:
        """Note how rows of a table are now, before they are changed, deleted or made.

        A key is the text of the primary key; of several columns, with a space between.
        """
        self.faces_may_differ |= table == "persons"
        statement = TABLES[table].query(
            """INSERT INTO step_rows (step_id, in_table, key, before) SELECT %s, {name}, k.key, to_jsonb(t)
                FROM (SELECT DISTINCT unnest(%s::text[]) AS key) k LEFT JOIN {table} t ON {same}
                ON CONFLICT DO NOTHING"""
        )
        self.connection.execute(statement, (self.id, list(keys)))

    def touch_faces(self, face_ids: Sequence[int]) -> None:
        """Note whose faces are now and in which clusters, before any of that changes."""
        self.faces_may_differ = True
        self.connection.execute(
            """INSERT INTO step_faces (step_id, face_id, person_before, by_before, at_before, cluster_before)
                SELECT %s, id, person_id, assigned_by, assigned_at, cluster FROM face_detections
                WHERE id = ANY(%s::bigint[]) ON CONFLICT DO NOTHING""",
            (self.id, list(face_ids)),
        )

    def change_faces(self, update: LiteralString, parameters: Mapping[str, object]) -> int:
        """Change faces and note how they were and are, each row written once; returns how many changed.

        Of many faces that takes half as long as to note them before.

        Parameters
        ----------
        update : str
            What follows `UPDATE face_detections f`: it has `face_detections o` in FROM, which are the same
            faces as they were, and ends with WHERE.
        parameters : mapping
            Those of `update`; `step` is this step.
        """
        statement = _CHANGE_FACES[0] + update + _CHANGE_FACES[1]
        if self.connection.scalar(_HAS_FACES, (self.id,)):
            statement += _CHANGED_BEFORE
        return self.connection.execute(statement, {**parameters, "step": self.id}).rowcount

    def about(self, *persons: UUID) -> None:
        """Say whom the step is about, besides those whose faces change."""
        self.persons.update(persons)


# That `o` is the same row still, somebody may change it while this waits for them. CASE: of rows that may be
# distinct PostgreSQL expects that hardly any are not, and looks up a million faces one by one.
_CHANGE_FACES: tuple[LiteralString, LiteralString] = (
    "WITH changed AS (UPDATE face_detections f ",
    """ AND o.id = f.id AND CASE WHEN (o.person_id, o.assigned_by, o.assigned_at, o.cluster)
                IS NOT DISTINCT FROM (f.person_id, f.assigned_by, f.assigned_at, f.cluster)
                THEN true ELSE false END
            RETURNING f.id, o.person_id, o.assigned_by, o.assigned_at, o.cluster,
                f.person_id, f.assigned_by, f.assigned_at, f.cluster)
        INSERT INTO step_faces (step_id, face_id, person_before, by_before, at_before, cluster_before,
            person_after, by_after, at_after, cluster_after)
        SELECT %(step)s, changed.* FROM changed""",
)
# Costs a seventh of the whole where there is nothing to conflict with.
_CHANGED_BEFORE: LiteralString = """
        ON CONFLICT (step_id, face_id) DO UPDATE SET person_after = excluded.person_after,
            by_after = excluded.by_after, at_after = excluded.at_after,
            cluster_after = excluded.cluster_after"""
_HAS_FACES: LiteralString = "SELECT EXISTS (SELECT FROM step_faces WHERE step_id = %s)"


@contextmanager
def making_step(
    connection: Connection,
    kind: str,
    who: str,
    what: str,
    *,
    run_id: int | None = None,
    undoes: int | None = None,
) -> Iterator[Step]:
    """Make one step of all that the block changes; one that changes nothing leaves no trace.

    But for one that takes another back, say of photos that are gone: it is what can be taken back next.
    """
    one_at_a_time(connection)
    number = connection.scalar(
        "INSERT INTO steps (kind, who, what, run_id, undoes) VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (kind, who, what, run_id, undoes),
    )
    step = Step(connection, number, set())
    _note_makes_step(connection, makes=True)
    yield step
    _note_makes_step(connection, makes=False)
    _close(step, keep=undoes is not None)


def _note_makes_step(connection: Connection, *, makes: bool) -> None:
    """Tell triggers whether a step notes what changes, until the transaction ends."""
    connection.execute("SELECT set_config('facesets.makes_step', %s, true)", ["yes" if makes else ""])


def _close(step: Step, *, keep: bool) -> None:
    connection = step.connection
    for table in TABLES.values():
        statement = table.query(
            """UPDATE step_rows k SET after = to_jsonb(t) FROM {table} t
                WHERE k.step_id = %s AND k.in_table = {name} AND {same}"""
        )
        connection.execute(statement, (step.id,))
    connection.execute(
        "DELETE FROM step_rows WHERE step_id = %s AND before IS NOT DISTINCT FROM after", (step.id,)
    )
    if step.faces_may_differ:
        connection.execute(_NOTE_FACES_AFTER, (step.id,))
    connection.execute(
        """DELETE FROM step_faces WHERE step_id = %s AND person_before IS NOT DISTINCT FROM person_after
            AND by_before IS NOT DISTINCT FROM by_after
            AND cluster_before IS NOT DISTINCT FROM cluster_after""",
        (step.id,),
    )
    if not keep and connection.scalar(_IS_EMPTY, {"step": step.id}):
        connection.execute("DELETE FROM steps WHERE id = %s", (step.id,))
        return
    connection.execute(
        """INSERT INTO step_persons (person_id, step_id)
            SELECT person, %(step)s FROM (
                SELECT person_before AS person FROM step_faces WHERE step_id = %(step)s
                UNION SELECT person_after FROM step_faces WHERE step_id = %(step)s
                UNION SELECT key::uuid FROM step_rows WHERE step_id = %(step)s AND in_table = 'persons'
                UNION SELECT unnest(%(also)s::uuid[])
            ) AS about WHERE person IS NOT NULL""",
        {"step": step.id, "also": list(step.persons)},
    )


# Takes seconds where a run gave a million faces away, of which each was noted as it changed.
_NOTE_FACES_AFTER: LiteralString = """
    UPDATE step_faces s
    SET person_after = f.person_id, by_after = f.assigned_by, at_after = f.assigned_at,
        cluster_after = f.cluster
    FROM face_detections f WHERE s.step_id = %s AND f.id = s.face_id
        AND (s.person_after, s.by_after, s.at_after, s.cluster_after)
            IS DISTINCT FROM (f.person_id, f.assigned_by, f.assigned_at, f.cluster)"""
_IS_EMPTY: LiteralString = """SELECT NOT EXISTS (SELECT FROM step_faces WHERE step_id = %(step)s)
    AND NOT EXISTS (SELECT FROM step_rows WHERE step_id = %(step)s)"""


def one_at_a_time(connection: Connection) -> None:
    """Wait until no other step is being made, and let none be made until this transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def changing(
    database: Database, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """As `Database.run`, in a transaction in which nobody else makes a step: what it reads stays true."""

    def alone(connection: Connection) -> T:
        one_at_a_time(connection)
        return work(connection, *args, **kwargs)

    return database.run(alone)
