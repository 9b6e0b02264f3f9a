"""Birth and sex of people, estimated from faces or set by the user."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from facesets.ages import about
from facesets.face_attributes import SURE_OF_SEX, Sex
from facesets.records import Float64, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT8, copy_out, gathered
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.people.person_corrections import BirthDate

if TYPE_CHECKING:
    from facesets.clustering.people.ages import Births


@dataclass(frozen=True, slots=True)
class PersonAge:
    """A person's birth and sex, as far as known.

    Attributes
    ----------
    birth_year : float or None
        Estimated from faces; None if no face has both an age and a date.
    spread : float or None
        Standard deviation of the birth years estimated from the faces, in years.
    dated_faces : int
        Number of faces with both.
    set_by_user : str
        The day or year of birth that a user set, which counts for more; empty if none was set.
    born : float or None
        The birth year to use.
    sex : str
        `M`, `F`, or `U` if unknown.
    sex_probability : float or None
        Probability of that sex; for `U`, of the likelier one.
    made_at : str
        Time of the estimate.
    """

    birth_year: float | None
    spread: float | None
    dated_faces: int
    set_by_user: str = field(metadata={"key": "said"})
    born: float | None
    sex: Sex
    sex_probability: float | None
    made_at: str

    @property
    def faces_agree(self) -> bool:
        """Whether enough faces suggest a birth year, and agree on it."""
        from facesets.clustering.people.ages import MAX_SPREAD_YEARS, MIN_FACES

        return self.dated_faces >= MIN_FACES and (self.spread or 0.0) <= MAX_SPREAD_YEARS

    def at(self, taken: datetime | None) -> str:
        """Return the person's age then, in words, marked if estimated; empty if unknown."""
        if taken is None:
            return ""
        if self.set_by_user:
            year, _, day = self.set_by_user.partition("-")
            years = taken.year - int(year) - (bool(day) and f"{taken:%m-%d}" < day)
            return f"{years}" if years >= 0 else ""
        if self.birth_year is None or not self.faces_agree or taken.year < self.birth_year:
            return ""
        return f"{about(taken.year - self.birth_year)} (estimated)"


@dataclass(frozen=True, slots=True)
class AgedFaces:
    """Faces of people that have an age.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Index into `persons`.
    face_id : int64 array of shape (n,)
    taken : float64 array of shape (n,)
        The year of the photo; NaN if unknown.
    age, male : float64 arrays of shape (n,)
    """

    persons: list[UUID]
    person: Int64
    face_id: Int64
    taken: Float64
    age: Float64
    male: Float64


def ages_of(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, PersonAge]:
    """Return birth and sex of some people."""
    from facesets.clustering.people.ages import likely_men

    aged = aged_faces(connection, persons)
    births = _births(aged)
    years = dict(zip(aged.persons, zip(births.year, births.spread, births.faces, strict=True), strict=True))
    men = dict(zip(aged.persons, likely_men(aged.person, aged.male, len(aged.persons)), strict=True))
    rows = connection.execute(
        """SELECT p.id, s.year, s.born_on, to_char(now(), 'YYYY-MM-DD HH24:MI')
            FROM persons p LEFT JOIN birth_corrections s ON s.person_id = p.id
            WHERE p.id = ANY(%s::uuid[])""",
        (list(persons),),
    )
    found = {}
    for person, birth, day, made_at in rows:
        year, spread, faces = years.get(person, (np.nan, np.nan, 0))
        birth_year, male = _known(year, 1), _known(men.get(person, np.nan), 9)
        found[person] = PersonAge(
            birth_year=birth_year,
            spread=_known(spread, 1),
            dated_faces=int(faces),
            set_by_user="" if birth is None else str(BirthDate(birth, day)),
            born=birth_year if birth is None else birth,
            sex=_sex(male),
            sex_probability=None if male is None else round(max(male, 1 - male), 4),
            made_at=made_at,
        )
    return found


def births_by_faces(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, float]:
    """Return birth years of people for whom enough faces suggest one."""
    from facesets.clustering.people.ages import MIN_FACES

    aged = aged_faces(connection, persons)
    births = _births(aged)
    return {
        person: float(births.year[row])
        for row, person in enumerate(aged.persons)
        if births.faces[row] >= MIN_FACES
    }


def _births(aged: AgedFaces) -> "Births":
    # The package imports SciPy, which printing a table does not need.
    from facesets.clustering.people.ages import estimate_births

    return estimate_births(aged.person, aged.taken, aged.age, len(aged.persons))


def _known(number: float, digits: int) -> float | None:
    return None if np.isnan(number) else round(float(number), digits)


def _sex(male: float | None) -> Sex:
    if male is None or max(male, 1 - male) < SURE_OF_SEX:
        return "U"
    return "M" if male > 0.5 else "F"


def aged_faces(
    connection: Connection,
    persons: Sequence[UUID] | None = None,
    detector_id: int | None = None,
    *,
    min_norm: float | None = None,
) -> AgedFaces:
    """Return the faces that have an age, of some people or all; of one detector, if given.

    With `min_norm`, exclude those whose norm is known to be lower.
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
                "least": min_norm,
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
