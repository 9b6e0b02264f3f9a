"""When people were born and of which sex they are: by their faces, and by what a human said.

What follows from the faces is kept for searches by age, and made again by whoever reads it where the faces
are others than they were. For everybody that takes 2 s of a million faces; to see whose are others, 0.2 s.
Ages and dates that change are forgotten by triggers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString
from uuid import UUID

import numpy as np

from facesets.ages import about
from facesets.face_attributes import SURE_OF_SEX, Sex
from facesets.records import Float64, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT8, copy_out, gathered
from facesets.store.postgres.copying import UUID as UUID_FIELD


@dataclass(frozen=True, slots=True)
class SaidBirth:
    """When a human said that somebody was born: in a year, or on a day of it."""

    year: int
    day: date | None = None

    def __str__(self) -> str:
        """The day, else the year."""
        return str(self.year) if self.day is None else self.day.isoformat()


@dataclass(frozen=True, slots=True)
class PersonAge:
    """What is known of when somebody was born, and of their sex.

    Attributes
    ----------
    birth_year : float or None
        By the faces; None where none has an age and a date.
    spread : float or None
        How far apart the birth years are that the faces give, in years, as a standard deviation.
    dated_faces : int
        That have both.
    said : str
        The day or year of birth that a human said, which counts for more; empty where nobody did.
    born : float or None
        The birth year to go by.
    sex : str
        `M`, `F`, or `U` where it is not known.
    sex_probability : float or None
        How likely that sex is; of `U`, the likelier one.
    made_at : str
        When it was worked out.
    """

    birth_year: float | None
    spread: float | None
    dated_faces: int
    said: str
    born: float | None
    sex: Sex
    sex_probability: float | None
    made_at: str

    @property
    def faces_agree(self) -> bool:
        """Whether enough faces say when the person was born, and say nearly the same."""
        from facesets.clustering.ages import LEAST_FACES, MOST_SPREAD_YEARS

        return self.dated_faces >= LEAST_FACES and (self.spread or 0.0) <= MOST_SPREAD_YEARS

    def at(self, taken: datetime | None) -> str:
        """How old the person was then, in words, and if that is a guess; empty where nothing says it."""
        if taken is None:
            return ""
        if self.said:
            year, _, day = self.said.partition("-")
            years = taken.year - int(year) - (bool(day) and f"{taken:%m-%d}" < day)
            return f"{years}" if years >= 0 else ""
        if self.birth_year is None or not self.faces_agree or taken.year < self.birth_year:
            return ""
        return f"{about(taken.year - self.birth_year)} by the faces"


@dataclass(frozen=True, slots=True)
class AgedFaces:
    """The faces of people that have an age.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Index into `persons`.
    face_id : int64 array of shape (n,)
    taken : float64 array of shape (n,)
        The year of the photo; NaN where that is not known.
    age, male : float64 arrays of shape (n,)
    """

    persons: list[UUID]
    person: Int64
    face_id: Int64
    taken: Float64
    age: Float64
    male: Float64


def ages_of(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, PersonAge]:
    """What is known of some people, whose faces are looked at again where they changed."""
    refresh_ages(connection, persons)
    rows = connection.execute(
        """SELECT p.id, a.birth_year, a.spread, coalesce(a.dated_faces, 0), s.year, s.born_on, a.male,
                coalesce(to_char(a.made_at, 'YYYY-MM-DD HH24:MI'), '')
            FROM persons p LEFT JOIN person_ages a ON a.person_id = p.id
                LEFT JOIN said_births s ON s.person_id = p.id
            WHERE p.id = ANY(%s::uuid[])""",
        (list(persons),),
    )
    return {
        person: PersonAge(
            birth_year=None if year is None else round(year, 1),
            spread=None if spread is None else round(spread, 1),
            dated_faces=faces,
            said="" if said is None else str(SaidBirth(said, day)),
            born=round(year, 1) if said is None and year is not None else said,
            sex=_sex(male),
            sex_probability=None if male is None else round(max(male, 1 - male), 4),
            made_at=made_at,
        )
        for person, year, spread, faces, said, day, male, made_at in rows
    }


def _sex(male: float | None) -> Sex:
    if male is None or max(male, 1 - male) < SURE_OF_SEX:
        return "U"
    return "M" if male > 0.5 else "F"


def refresh_ages(connection: Connection, persons: Sequence[UUID] | None = None) -> int:
    """Work out again when people were born whose faces changed, by default of all; returns of how many."""
    changed = connection.execute(_CHANGED, {"persons": None if persons is None else list(persons)}).fetchall()
    if not changed:
        return 0
    whose = {person: (faces, fingerprint) for person, faces, fingerprint in changed}
    connection.execute("DELETE FROM person_ages WHERE person_id = ANY(%s::uuid[])", (list(whose),))
    _make(connection, {person: facts for person, facts in whose.items() if facts[0]})
    return len(whose)


def _make(connection: Connection, sources: dict[UUID, tuple[int, int]]) -> None:
    # The package brings SciPy, which whoever finds nothing changed can do without.
    from facesets.clustering.ages import estimate_births, likely_men

    aged = aged_faces(connection, list(sources))
    persons = [*aged.persons, *(sources.keys() - set(aged.persons))]
    births = estimate_births(aged.person, aged.taken, aged.age, len(persons))
    men = likely_men(aged.person, aged.male, len(persons))
    # Several may look at the same people at once.
    connection.execute(
        """INSERT INTO person_ages (person_id, faces, fingerprint, birth_year, spread, dated_faces, male)
            SELECT p.id, m.faces, m.fingerprint, nullif(m.year, 'NaN'), nullif(m.spread, 'NaN'), m.dated,
                nullif(m.male, 'NaN')
            FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::real[], %s::real[], %s::int[], %s::real[])
                AS m (person, faces, fingerprint, year, spread, dated, male)
                JOIN persons p ON p.id = m.person ORDER BY p.id
            ON CONFLICT (person_id) DO NOTHING""",
        (
            persons,
            [sources[each][0] for each in persons],
            [sources[each][1] for each in persons],
            births.year.tolist(),
            births.spread.tolist(),
            births.faces.tolist(),
            men.tolist(),
        ),
    )


def aged_faces(
    connection: Connection,
    persons: Sequence[UUID] | None = None,
    detector_id: int | None = None,
    *,
    least_norm: float | None = None,
) -> AgedFaces:
    """The faces that have an age, of some people or of everybody; those of one detector, if it is given.

    With `least_norm` without those whose norm is known to be lower.
    """
    columns = gathered(
        copy_out(
            connection,
            """COPY (SELECT f.person_id, f.id, coalesce(extract(year FROM i.taken)::real, 'NaN'), f.age,
                    coalesce(f.male, 'NaN')
                FROM face_detections f JOIN images i ON i.id = f.image_id
                WHERE f.person_id IS NOT NULL AND f.age IS NOT NULL
                    AND (%(detector)s::smallint IS NULL OR f.detector_id = %(detector)s)
                    AND (%(persons)s::uuid[] IS NULL OR f.person_id = ANY(%(persons)s::uuid[]))
                    AND (f.norm < %(least)s::real) IS NOT TRUE)
                TO STDOUT (FORMAT BINARY)""",
            {
                "persons": None if persons is None else list(persons),
                "detector": detector_id,
                "least": least_norm,
            },
            {"person": UUID_FIELD, "id": INT8, "taken": FLOAT4, "age": FLOAT4, "male": FLOAT4},
        ),
        [("person", UUID_FIELD), ("id", np.int64), *((name, np.float64) for name in _NUMBERS)],
    )
    raw = columns["person"]
    names = raw.view("S16") if len(raw) else np.empty(0, "S16")
    _, first, person = np.unique(names, return_index=True, return_inverse=True)
    return AgedFaces(
        [UUID(bytes=bytes(raw[place])) for place in first.tolist()],
        person.astype(np.int64),
        columns["id"],
        *(columns[name] for name in _NUMBERS),
    )


_NUMBERS = ("taken", "age", "male")
_CHANGED: LiteralString = """
    WITH now AS (
        SELECT person_id, count(*)::int AS faces,
            bit_xor(hashint8extended(id, coalesce((age * 16)::bigint, -1))) AS fingerprint
        FROM face_detections
        WHERE person_id IS NOT NULL AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
        GROUP BY person_id),
    kept AS (
        SELECT person_id, faces, fingerprint FROM person_ages
        WHERE %(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
    SELECT person_id, coalesce(now.faces, 0), coalesce(now.fingerprint, 0)
    FROM now FULL JOIN kept USING (person_id)
    WHERE now.faces IS DISTINCT FROM kept.faces OR now.fingerprint IS DISTINCT FROM kept.fingerprint"""
