"""People as grids show them: some at a time, each with its best face, however many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.people_list import PersonLine, Status


@dataclass(frozen=True, slots=True)
class PersonCard(PersonLine):
    """One person in a grid.

    Attributes
    ----------
    rank : int
        People are shown by it first: 0 for those with a name and 1 for the others, or how well the name fits.
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
        """What the person goes by; empty without a name."""
        return self.names[0] if self.names else ""

    @property
    def first_year(self) -> str:
        """Of the first photo; empty where no photo says."""
        return self.first[:4]

    @property
    def last_year(self) -> str:
        """Of the last photo."""
        return self.last[:4]


@dataclass(frozen=True, slots=True)
class PeopleWanted:
    """Which people.

    Attributes
    ----------
    named : bool or None
        Only those with a name, or without one.
    found : mapping of UUID to int, or None
        Only these, each with its rank.
    empty : bool
        Also those without name and faces, whom a correction left behind.
    """

    status: Status = "active"
    named: bool | None = None
    found: Mapping[UUID, int] | None = None
    empty: bool = True


@dataclass(frozen=True, slots=True)
class PeoplePlace:
    """After whom a page begins: rank, number of faces and id of the last person of the page before."""

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
    """People by rank, those with most faces first, with totals as counted last."""
    statement = sql.SQL(_CARDS).format(
        some=_some(wanted),
        after=sql.SQL("(rank, -faces, id) > (%(rank)s, -%(faces)s, %(person)s)" if after else "true"),
    )
    values = {**_values(wanted), "limit": limit, "offset": offset}
    if after is not None:
        values |= {"rank": after.rank, "faces": after.faces, "person": after.person}
    return [PersonCard(*row) for row in connection.execute(statement, values)]


def cards_of(connection: Connection, persons: Sequence[UUID]) -> list[PersonCard]:
    """These people in this order, whatever their status; those that do not exist are left out."""
    wanted = PeopleWanted("all", found={person: place for place, person in enumerate(persons)})
    return people_cards(connection, wanted, limit=len(persons))


def count_people(connection: Connection, wanted: PeopleWanted) -> tuple[int, int]:
    """How many people there are, and how many of them have no name."""
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
        # Whoever is asked for by id is shown, though the totals may be out of date.
        empty=sql.SQL(
            "true" if wanted.found is not None else _ANYBODY if wanted.empty else "(named OR t.faces > 0)"
        ),
    )


# Nobody who has faces, but on photos that are missing.
_ANYBODY: LiteralString = """(named OR t.faces > 0
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
    -- Chosen by a human, else the first exemplar; both may be somebody else's by now, which is seen face by
    -- face. Only where there is neither, all faces are read.
    LEFT JOIN LATERAL (SELECT s.face_id AS id FROM said_exemplars s
        WHERE s.person_id = p.id AND s.pinned
            AND (SELECT f.person_id FROM present_faces f WHERE f.id = s.face_id) = p.id
        ORDER BY s.said_at DESC, s.face_id LIMIT 1) AS chosen ON true
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
