"""Every change of people as one step that can be undone exactly.

Triggers record the first and last state of each changed row. A step can be undone while everything it
changed is still as it left it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, LiteralString, ParamSpec, TypeVar
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection, Database


@dataclass(frozen=True, slots=True)
class JournaledTable:
    """A small table whose whole rows are recorded by changes: its columns, those of its primary key first."""

    name: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    of_faces: tuple[str, ...] = ()
    """Columns that refer to faces, which may be missing when the rows are restored."""

    def query(self, text: LiteralString) -> sql.Composed:
        """Return a statement on the table as `t`, its recorded rows as `k`, with filled in names."""
        names = [name for name, _ in self.key]
        parts = [
            sql.SQL("t.{} = {}::{}").format(
                sql.Identifier(name),
                # A text that is the whole key may contain spaces.
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

_LOCK = 0x66616365_70656F70
"""Key of the advisory lock that serializes changes: `facepeop` in ASCII."""


TABLES = (
    JournaledTable("persons", (("id", "uuid"),), ("status", "merged_into_id", "created_at", "updated_at")),
    JournaledTable("person_names", (("id", "bigint"),), ("person_id", "name", "created_at")),
    JournaledTable("person_corrections", (("person_id", "uuid"),), ("names", "status", "corrected_at")),
    JournaledTable(
        "face_corrections",
        (("face_id", "bigint"), ("person_id", "uuid")),
        ("is_person", "corrected_at"),
        of_faces=("face_id",),
    ),
    JournaledTable(
        "face_pair_corrections",
        (("face_a", "bigint"), ("face_b", "bigint")),
        ("same", "corrected_at"),
        of_faces=("face_a", "face_b"),
    ),
    JournaledTable(
        "person_pair_corrections", (("person_a", "uuid"), ("person_b", "uuid")), ("corrected_at",)
    ),
    JournaledTable(
        "prototype_corrections",
        (("face_id", "bigint"), ("person_id", "uuid")),
        ("pinned", "corrected_at"),
        of_faces=("face_id",),
    ),
    JournaledTable("birth_corrections", (("person_id", "uuid"),), ("year", "born_on", "corrected_at")),
    JournaledTable(
        "imported_names",
        (("id", "bigint"),),
        ("image_id", "program", "name", "box", "face_id", "person_id", "read_at"),
    ),
    JournaledTable(
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
"""Triggers record changes of their rows. Tables that others refer to come first."""


@dataclass
class Step:
    """A change that is being made, within one transaction."""

    connection: Connection
    id: int
    persons: set[UUID]

    def about(self, *persons: UUID) -> None:
        """Note people that the change is about, besides those whose faces change."""
        self.persons.update(persons)


@contextmanager
def making_step(
    connection: Connection,
    kind: str,
    by: str,
    what: str,
    *,
    run_id: int | None = None,
    undoes: int | None = None,
) -> Iterator[Step]:
    """Make one change of everything in the block; one that changes nothing leaves no trace.

    An undo is recorded even if it changes nothing, as when its photos are missing, so that the change counts
    as undone.
    """
    one_at_a_time(connection)
    # A step that changed nothing leaves no trace and uses no number.
    connection.execute(
        """SELECT setval(pg_get_serial_sequence('steps', 'id'), coalesce(max(id), 0) + 1, false)
            FROM steps"""
    )
    number = connection.scalar(
        "INSERT INTO steps (kind, who, what, run_id, undoes) VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (kind, by, what, run_id, undoes),
    )
    step = Step(connection, number, set())
    _announce_step(connection, number)
    yield step
    _announce_step(connection, None)
    _close(step, keep=undoes is not None)


def _announce_step(connection: Connection, step: int | None) -> None:
    """Tell triggers which step is being made, until the transaction ends."""
    connection.execute(
        "SELECT set_config('facesets.step', %s, true), set_config('facesets.makes_step', %s, true)",
        ("", "") if step is None else (str(step), "yes"),
    )


def _close(step: Step, *, keep: bool) -> None:
    connection = step.connection
    connection.execute(
        "DELETE FROM step_rows WHERE step_id = %s AND before IS NOT DISTINCT FROM after", (step.id,)
    )
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


_IS_EMPTY: LiteralString = """SELECT NOT EXISTS (SELECT FROM step_faces WHERE step_id = %(step)s)
    AND NOT EXISTS (SELECT FROM step_rows WHERE step_id = %(step)s)"""


def one_at_a_time(connection: Connection) -> None:
    """Wait until no other change is being made, and block others until this transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def changing(
    database: Database, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run as `Database.run`, in a transaction without other changes."""

    def alone(connection: Connection) -> T:
        one_at_a_time(connection)
        return work(connection, *args, **kwargs)

    return database.run(alone)
