"""Estimate birth years and sexes of people from a model's estimates for single faces.

Each face on a dated photo gives a birth year: that of the photo less the age that the face looks. A model
errs by years, and some faces are another person's or on photos with a wrong date: so the median counts, and
the spread is that of the middle half.

References
----------
Rousseeuw and Croux, "Alternatives to the median absolute deviation", JASA 1993.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.vectors import Float64, Int64

MAD_TO_SPREAD = 1.4826
"""Factor from median absolute deviation to standard deviation for a normal distribution."""

MIN_FACES = 5
"""Minimum dated faces of a person to judge a single one of them."""

MIN_SPREAD_YEARS = 5.0
"""Minimum error of models: faces of one person that agree better do so by chance."""

CONTRADICTS_SPREADS = 3.0
"""Number of spreads beyond which a face is unlikely to be the person."""

MAX_SPREAD_YEARS = 10.0
"""Maximum spread of birth years; beyond it the faces do not agree on any."""

_SUREST = 0.99
"""Maximum confidence of a single face: networks are overconfident."""

_LIKELY = (0.2, 0.8)
_PER_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Births:
    """Estimated birth years of people.

    Attributes
    ----------
    year, spread : float64 arrays of shape (p,)
        NaN for people without a face with age and date.
    faces : int64 array of shape (p,)
        Faces with both.
    """

    year: Float64
    spread: Float64
    faces: Int64


@dataclass(frozen=True, slots=True)
class Contradictions:
    """Faces with an age that contradicts the person's year of birth.

    Attributes
    ----------
    row : int64 array of shape (m,)
    expected : float64 array of shape (m,)
        How old the person is on that photo.
    spread : float64 array of shape (m,)
        What it was measured by, in years.
    likely : float64 array of shape (m,)
        How likely they are another person.
    """

    row: Int64
    expected: Float64
    spread: Float64
    likely: Float64


def estimate_births(person: Int64, taken: Float64, age: Float64, people: int) -> Births:
    """Estimate when each person was born, from their faces.

    Parameters
    ----------
    person : int64 array of shape (n,)
        Person of each face, from 0 to `people` - 1.
    taken, age : float64 arrays of shape (n,)
        The year of the photo and the age that the face looks; NaN if unknown.
    """
    rows = np.flatnonzero(np.isfinite(taken) & np.isfinite(age))
    year = taken[rows] - age[rows]
    middle = _medians(person[rows], year, people)
    spread = MAD_TO_SPREAD * _medians(person[rows], np.abs(year - middle[person[rows]]), people)
    return Births(middle, spread, np.bincount(person[rows], minlength=people))


def contradicting_faces(person: Int64, taken: Float64, age: Float64, birth_year: Float64) -> Contradictions:
    """Find faces that look older or younger than their person was, by more than three spreads.

    Parameters
    ----------
    person, taken, age
        As `estimate_births` takes them.
    birth_year : float64 array of shape (p,)
        Each person's birth year as the user set it; NaN if they did not. It counts for more than
        the faces, which still give the spread.
    """
    off, known, spread = _off(person, taken, age, birth_year)
    spreads = np.abs(off) / spread[person]
    row = np.flatnonzero(spreads > CONTRADICTS_SPREADS)
    least, most = _LIKELY
    return Contradictions(
        row=row,
        expected=taken[row] - known[person[row]],
        spread=spread[person[row]],
        likely=np.clip(least + _PER_SPREAD * (spreads[row] - CONTRADICTS_SPREADS), least, most),
    )


def spreads_off(person: Int64, taken: Float64, age: Float64, people: int) -> Float64:
    """Measure by how many spreads each face looks older or younger than its person, by all their faces.

    Parameters are those of `estimate_births`.

    Returns
    -------
    float64 array of shape (n,)
        NaN if age or date is unknown, and for people with too few faces.
    """
    off, _, spread = _off(person, taken, age, np.full(people, np.nan))
    spreads: Float64 = np.abs(off) / spread[person]
    return spreads


def _off(
    person: Int64, taken: Float64, age: Float64, birth_year: Float64
) -> tuple[Float64, Float64, Float64]:
    """Return the years by which each face is off, each person's birth year, and the spread around it."""
    births = estimate_births(person, taken, age, len(birth_year))
    enough = births.faces >= MIN_FACES
    known = np.where(np.isfinite(birth_year), birth_year, np.where(enough, births.year, np.nan))
    off = taken - age - known[person]
    rows = np.flatnonzero(np.isfinite(off))
    around = MAD_TO_SPREAD * _medians(person[rows], np.abs(off[rows]), len(birth_year))
    return off, known, np.fmax(np.where(enough, around, np.nan), MIN_SPREAD_YEARS)


def likely_men(person: Int64, male: Float64, people: int) -> Float64:
    """Estimate how likely each person is a man, by the log-odds of their faces, which count little each.

    Parameters
    ----------
    person : int64 array of shape (n,)
    male : float64 array of shape (n,)
        How likely each face is a man's; NaN if unknown.

    Returns
    -------
    float64 array of shape (people,)
        NaN for people without a face for which that is known.
    """
    rows = np.flatnonzero(np.isfinite(male))
    likely = np.clip(male[rows], 1 - _SUREST, _SUREST)
    log_odds = np.bincount(person[rows], np.log(likely / (1 - likely)), minlength=people)
    counts = np.bincount(person[rows], minlength=people)
    men: Float64 = np.where(counts > 0, 1 / (1 + np.exp(-np.clip(log_odds, -500, 500))), np.nan)
    return men


def _medians(group: Int64, values: Float64, groups: int) -> Float64:
    """Return the median of each group's values; NaN for none."""
    order = np.lexsort((values, group))
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    filled = count > 0
    medians = np.full(groups, np.nan)
    ordered = values[order]
    low = ordered[(start + (count - 1) // 2)[filled]]
    high = ordered[(start + count // 2)[filled]]
    medians[filled] = (low + high) / 2
    return medians
