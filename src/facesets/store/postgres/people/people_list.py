"""People as lists and grids show them, with totals that are cached until faces change.

With a million faces, counting the photos of the hundred people of a page and finding their dates takes 0.6 s
of processor time, 0.8 s for all people, and comparing the numbers of faces with the cached ones takes 0.2 s.
Detecting that nothing changed takes almost no time. A trigger removes cached dates that change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.people_state import due_since_computed, note_computed, replacing_computed
from facesets.store.postgres.people.prototypes import refresh_prototypes

_QUICK = 1000
"""Maximum faces for prototypes that are remade at once, which takes a tenth of a second or two."""


def refresh_totals(connection: Connection, *, quick: int = _QUICK) -> None:
    """Recount faces and photos of all people whose faces changed.

    Parameters
    ----------
    quick : int
        Their prototypes are remade, too, if they have at most this many faces.
    """
    due = due_since_computed(connection, "totals")
    changed = refresh_totals_of(connection, due.persons)
    note_computed(connection, "totals", due)
    detector = usual_detector(connection)
    if changed and detector is not None and sum(changed.values()) <= quick:
        refresh_prototypes(connection, detector, list(changed))


def refresh_totals_of(connection: Connection, persons: Sequence[UUID] | None) -> dict[UUID, int]:
    """Recount faces and photos of some people, or of all regardless of changes.

    Returns
    -------
    dict of UUID to int
        People whose faces changed, and how many they have.
    """
    if persons is not None and not persons:
        return {}
    changed = connection.execute(_CHANGED, {"persons": None if persons is None else list(persons)}).fetchall()
    if changed:
        connection.execute(_COUNT, {"persons": [person for person, _ in changed]})
        without_faces = [person for person, faces in changed if not faces]
        with replacing_computed(connection):
            connection.execute(
                "DELETE FROM person_totals WHERE person_id = ANY(%s::uuid[])", (without_faces,)
            )
    return dict(changed)


_CHANGED: LiteralString = """
    WITH now AS (
        SELECT person_id, count(*) AS faces, bit_xor(hashint8extended(id, 0)) AS fingerprint
        FROM present_faces
        WHERE person_id IS NOT NULL AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
        GROUP BY person_id),
    stored AS (
        SELECT person_id, faces, fingerprint FROM person_totals
        WHERE %(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
    SELECT person_id, coalesce(now.faces, 0) FROM now FULL JOIN stored USING (person_id)
    WHERE now.faces IS DISTINCT FROM stored.faces OR now.fingerprint IS DISTINCT FROM stored.fingerprint"""
_COUNT: LiteralString = """
    INSERT INTO person_totals (person_id, faces, fingerprint, photos, taken_from, taken_until)
    SELECT f.person_id, count(*), bit_xor(hashint8extended(f.id, 0)), count(DISTINCT f.image_id),
        min(i.taken), max(i.taken)
    FROM present_faces f JOIN images i ON i.id = f.image_id
    WHERE f.person_id = ANY(%(persons)s::uuid[]) GROUP BY f.person_id ORDER BY f.person_id
    ON CONFLICT (person_id) DO UPDATE SET faces = excluded.faces, fingerprint = excluded.fingerprint,
        photos = excluded.photos, taken_from = excluded.taken_from, taken_until = excluded.taken_until"""
Status = Literal["active", "merged", "hidden", "all"]
Sort = Literal["faces", "name", "new"]

_ORDER: dict[Sort, LiteralString] = {
    "faces": "faces DESC, p.id",
    "name": "lower(names[1]) NULLS LAST, p.id",
    "new": "p.created_at DESC, p.id",
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person.

    Attributes
    ----------
    first, last : str
        Days of the first and last photo by the camera's clock; empty if no photo is dated.
    """

    id: str
    names: list[str]
    status: str
    faces: int
    photos: int
    prototypes: int
    first: str
    last: str


def list_people(
    connection: Connection,
    *,
    status: Status = "active",
    unnamed: bool = False,
    sort: Sort = "faces",
    person: UUID | None = None,
) -> list[PersonLine]:
    """Return people with cached totals (`refresh_totals`); only unnamed ones, or one person."""
    statement = sql.SQL("""SELECT p.id::text, names, p.status, coalesce(t.faces, 0) AS faces,
            coalesce(t.photos, 0), coalesce(q.prototypes, 0),
            coalesce(to_char(t.taken_from, 'YYYY-MM-DD'), ''),
            coalesce(to_char(t.taken_until, 'YYYY-MM-DD'), '')
        FROM persons p
        CROSS JOIN LATERAL (SELECT array(SELECT n.name FROM person_names n
            WHERE n.person_id = p.id ORDER BY n.id) AS names) n
        LEFT JOIN person_totals t ON t.person_id = p.id
        LEFT JOIN (SELECT person_id, count(*) AS prototypes FROM person_prototypes
            WHERE %(person)s::uuid IS NULL OR person_id = %(person)s GROUP BY person_id) q
            ON q.person_id = p.id
        WHERE (%(person)s::uuid IS NULL OR p.id = %(person)s)
            AND (%(status)s = 'all' OR p.status = %(status)s)
            AND NOT (%(unnamed)s AND cardinality(names) > 0)
            AND (cardinality(names) > 0 OR t.faces > 0 OR %(person)s::uuid IS NOT NULL
                OR NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id))
        ORDER BY {order}""").format(order=sql.SQL(_ORDER[sort]))
    rows = connection.execute(statement, {"person": person, "status": status, "unnamed": unnamed})
    return [PersonLine(*row) for row in rows]


def cluster_line(connection: Connection, cluster: str) -> PersonLine:
    """Return the totals of the unassigned faces of a cluster."""
    row = connection.one(
        """SELECT count(*), count(DISTINCT f.image_id), coalesce(to_char(min(i.taken), 'YYYY-MM-DD'), ''),
                coalesce(to_char(max(i.taken), 'YYYY-MM-DD'), '')
            FROM present_faces f JOIN images i ON i.id = f.image_id
            WHERE f.cluster = %s AND f.person_id IS NULL""",
        (cluster,),
    )
    return PersonLine(cluster, [], "cluster", int(row[0]), int(row[1]), 0, row[2], row[3])


@dataclass(frozen=True, slots=True)
class PersonCard(PersonLine):
    """One person in a grid.

    Attributes
    ----------
    rank : int
        The first sort key: 0 for people with a name and 1 for others, or how well the name matches.
    face : int or None
        The face that shows the person; `sha256` is its photo's, empty without a face.
    """

    rank: int
    created_at: datetime
    updated_at: datetime
    face: int | None
    sha256: str

    @property
    def name(self) -> str:
        """The main name; empty without one."""
        return self.names[0] if self.names else ""

    @property
    def first_year(self) -> str:
        """The year of the first photo; empty if no photo is dated."""
        return self.first[:4]

    @property
    def last_year(self) -> str:
        """The year of the last photo."""
        return self.last[:4]


@dataclass(frozen=True, slots=True)
class PeopleWanted:
    """The people to show.

    Attributes
    ----------
    named : bool or None
        Only those with a name, or without one.
    found : mapping of UUID to int, or None
        Only these, each with its rank.
    empty : bool
        Also those without name and faces, left behind by a correction.
    """

    status: Status = "active"
    named: bool | None = None
    found: Mapping[UUID, int] | None = None
    empty: bool = True


@dataclass(frozen=True, slots=True)
class PeoplePlace:
    """The position after which a page begins: rank, number of faces and id of the last person."""

    rank: int
    faces: int
    person: UUID


def people_cards(
    connection: Connection,
    wanted: PeopleWanted,
    *,
    limit: int,
    after: PeoplePlace | None = None,
    offset: int = 0,
) -> list[PersonCard]:
    """Return people by rank and number of faces, with cached totals."""
    statement = sql.SQL(_CARDS).format(
        some=_some(wanted),
        after=sql.SQL("(rank, -faces, id) > (%(rank)s, -%(faces)s, %(person)s)" if after else "true"),
    )
    values = {**_values(wanted), "limit": limit, "offset": offset}
    if after is not None:
        values |= {"rank": after.rank, "faces": after.faces, "person": after.person}
    return [PersonCard(*row) for row in connection.execute(statement, values)]


def cards_of(connection: Connection, persons: Sequence[UUID]) -> list[PersonCard]:
    """Return these people in this order, whatever their status; missing ones are omitted."""
    wanted = PeopleWanted("all", found={person: place for place, person in enumerate(persons)})
    return people_cards(connection, wanted, limit=len(persons))


def count_people(connection: Connection, wanted: PeopleWanted) -> tuple[int, int]:
    """Return how many people there are, and how many of them are unnamed."""
    statement = sql.SQL("SELECT count(*), count(*) FILTER (WHERE NOT named) FROM ({}) AS every").format(
        _some(wanted)
    )
    row = connection.one(statement, _values(wanted))
    return int(row[0]), int(row[1])


def _values(wanted: PeopleWanted) -> dict[str, object]:
    found = wanted.found or {}
    return {
        "status": wanted.status,
        "found": list(found),
        "ranks": list(found.values()),
    }


def _some(wanted: PeopleWanted) -> sql.Composed:
    return sql.SQL(_SOME).format(
        rank=sql.SQL("CASE WHEN named THEN 0 ELSE 1 END" if wanted.found is None else "found.rank"),
        found=sql.SQL(
            ""
            if wanted.found is None
            else "JOIN unnest(%(found)s::uuid[], %(ranks)s::int[]) AS found (id, rank) ON found.id = p.id"
        ),
        named=sql.SQL("true" if wanted.named is None else "named" if wanted.named else "NOT named"),
        # A person requested by id is shown even if the totals are out of date.
        empty=sql.SQL(
            "true" if wanted.found is not None else _VISIBLE if wanted.empty else "(named OR t.faces > 0)"
        ),
    )


# Excludes people all of whose photos are missing.
_VISIBLE: LiteralString = """(named OR t.faces > 0
    OR NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id))"""
_SOME: LiteralString = """
    SELECT p.id, p.status, p.created_at, p.updated_at, coalesce(t.faces, 0) AS faces,
        coalesce(t.photos, 0) AS photos, t.taken_from, t.taken_until, named, {rank} AS rank
    FROM persons p {found}
    LEFT JOIN person_totals t ON t.person_id = p.id
    LEFT JOIN (SELECT DISTINCT person_id, true AS has FROM person_names) n ON n.person_id = p.id
    CROSS JOIN LATERAL (SELECT coalesce(n.has, false) AS named) AS has
    WHERE (%(status)s = 'all' OR p.status = %(status)s) AND {named} AND {empty}"""
_CARDS: LiteralString = """
    SELECT p.id::text, array(SELECT n.name FROM person_names n WHERE n.person_id = p.id ORDER BY n.id),
        p.status, p.faces, p.photos,
        (SELECT count(*) FROM person_prototypes q WHERE q.person_id = p.id),
        coalesce(to_char(p.taken_from, 'YYYY-MM-DD'), ''), coalesce(to_char(p.taken_until, 'YYYY-MM-DD'), ''),
        p.rank, p.created_at, p.updated_at, best.id, coalesce(i.sha256, '')
    FROM (SELECT * FROM ({some}) AS every WHERE {after}
        ORDER BY rank, faces DESC, id LIMIT %(limit)s OFFSET %(offset)s) AS p
    -- Chosen by a user, else the first exemplar; both may be another person's by now, which is seen face by
    -- face. Only where there is neither, all faces are read.
    LEFT JOIN LATERAL (SELECT s.face_id AS id FROM prototype_corrections s
        WHERE s.person_id = p.id AND s.pinned
            AND (SELECT f.person_id FROM present_faces f WHERE f.id = s.face_id) = p.id
        ORDER BY s.corrected_at DESC, s.face_id LIMIT 1) AS chosen ON true
    LEFT JOIN LATERAL (SELECT q.face_id AS id FROM person_prototypes q
        WHERE q.person_id = p.id AND q.kind = 'exemplar' AND chosen.id IS NULL
            AND (SELECT f.person_id FROM present_faces f WHERE f.id = q.face_id) = p.id
        ORDER BY q.id LIMIT 1) AS exemplar ON true
    LEFT JOIN LATERAL (SELECT f.id FROM present_faces f
        WHERE f.person_id = p.id AND chosen.id IS NULL AND exemplar.id IS NULL
        ORDER BY f.quality DESC, f.id LIMIT 1) AS any_face ON true
    LEFT JOIN face_detections best ON best.id = coalesce(chosen.id, exemplar.id, any_face.id)
    LEFT JOIN images i ON i.id = best.image_id
    ORDER BY p.rank, p.faces DESC, p.id"""
