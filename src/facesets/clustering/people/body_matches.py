"""Suggest people for bodies without a face: by position a moment before, and by clothes.

These are suggestions. People often dress alike, so clothes that several people of the day wear
identify no one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MIN_SIMILARITY = 0.94
"""Minimum similarity of colors of two bodies in the same clothes."""

_MARGIN = 0.03
"""Minimum lead in color similarity over the next person."""

_BURST_S = 10
_BURST_OVERLAP = 0.3
_MIN_BURST_SIMILARITY = 0.75
"""Minimum similarity of one person's colors at the same place a moment later."""

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class DayBodies:
    """The bodies on the photos of one day as columns, one row a body.

    Attributes
    ----------
    photo : int64 array of shape (n,)
    taken : int64 array of shape (n,)
        Seconds.
    box : float array of shape (n, 4)
        In widths and heights of the photo.
    colours : float array of shape (n, d)
        Of unit length; zeros if unknown.
    person : int64 array of shape (n,)
        Person of the body's face; -1 if unknown.
    open : bool array of shape (n,)
        Bodies without a face.
    present : frozenset of (photo, person)
        Which person is on which photo, with a body or without.
    """

    photo: NDArray[np.int64]
    taken: NDArray[np.int64]
    box: NDArray[np.floating]
    colours: NDArray[np.floating]
    person: NDArray[np.int64]
    open: NDArray[np.bool_]
    present: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class BodyMatch:
    """A person that a body may be.

    Attributes
    ----------
    body, like : int
        Rows: the body without a face, and the person's body that it is like.
    why : str
        `burst`: the same place, seconds apart. `colours`: the same clothes on the same day.
    similarity : float
        Of the colours; NaN where they are unknown.
    """

    body: int
    like: int
    person: int
    why: Literal["burst", "colours"]
    similarity: float


def match_bodies(day: DayBodies) -> list[BodyMatch]:
    """Suggest people for bodies without a face, each person once for a photo, by rows.

    A person is not suggested for a photo that shows their face.
    """
    known = np.flatnonzero(day.person >= 0)
    people = np.unique(day.person[known])
    if not len(known) or not day.open.any():
        return []
    # Imported here, as it takes longer to load than most commands run.
    from scipy.optimize import linear_sum_assignment

    matches: list[BodyMatch] = []
    for rows in _chunks(day):
        worth, like, by_place = _worth(day, rows, known, people)
        for photo in np.unique(day.photo[rows]):
            own = np.flatnonzero(day.photo[rows] == photo)
            for at, column in zip(*linear_sum_assignment(worth[own], maximize=True), strict=True):
                row = own[at]
                if worth[row, column] > 0:
                    body, source = int(rows[row]), int(like[row, column])
                    similarity = float(day.colours[body] @ day.colours[source]) or float("nan")
                    why: Literal["burst", "colours"] = "burst" if by_place[row, column] else "colours"
                    matches.append(BodyMatch(body, source, int(people[column]), why, similarity))
    return sorted(matches, key=lambda match: match.body)


def _chunks(day: DayBodies) -> Iterator[NDArray[np.int64]]:
    """Yield rows of bodies without a face, those of one photo together."""
    rows = np.flatnonzero(day.open)
    rows = rows[np.argsort(day.photo[rows], kind="stable")]
    photos = day.photo[rows]
    start = 0
    while start < len(rows):
        end = min(start + _AT_ONCE, len(rows))
        while end < len(rows) and photos[end] == photos[end - 1]:
            end += 1
        yield rows[start:end]
        start = end


def _worth(
    day: DayBodies, rows: NDArray[np.int64], known: NDArray[np.int64], people: NDArray[np.int64]
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.bool_]]:
    """Rate how well people suit rows, (rows, people), 0 for not at all; by which body; whether by place."""
    similarity = day.colours[rows] @ day.colours[known].T
    overlap = _overlap(day.box[rows], day.box[known])
    other = np.not_equal(day.photo[rows][:, None], day.photo[known][None])
    in_place = np.less_equal(np.abs(day.taken[rows][:, None] - day.taken[known][None]), _BURST_S)
    dressed = np.linalg.norm(day.colours, axis=1) > 0
    unknown = ~dressed[rows][:, None] | ~dressed[known][None]
    in_place &= other & (overlap >= _BURST_OVERLAP) & (unknown | (similarity >= _MIN_BURST_SIMILARITY))
    shape = len(rows), len(people)
    worth, like = np.zeros(shape), np.zeros(shape, np.int64)
    by_place = np.zeros(shape, bool)
    closest = np.zeros(shape)
    for column, person in enumerate(people):
        mine = np.flatnonzero(day.person[known] == person)
        # A person on this photo in such clothes counts against others in the same clothes.
        closest[:, column] = similarity[:, mine].max(axis=1)
        by_colour = np.where(other[:, mine] & (similarity[:, mine] >= MIN_SIMILARITY), similarity[:, mine], 0)
        # The same place counts more than the same clothes.
        each = np.where(in_place[:, mine], 1 + overlap[:, mine], by_colour)
        best = each.argmax(axis=1)
        worth[:, column] = each[np.arange(len(rows)), best]
        like[:, column] = known[mine[best]]
        by_place[:, column] = worth[:, column] >= 1 + _BURST_OVERLAP
    if len(people) > 1:
        ordered = np.sort(closest, axis=1)
        next_one = np.where(closest == ordered[:, -1:], ordered[:, -2:-1], ordered[:, -1:])
        worth[~by_place & (closest - next_one < _MARGIN)] = 0
    shown = [
        [(photo, person) in day.present for person in people.tolist()] for photo in day.photo[rows].tolist()
    ]
    worth[np.array(shown, bool)] = 0
    return worth, like, by_place


def _overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compute intersection over union of every box of `a` with every box of `b`."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(np.clip(each[:, 2:] - each[:, :2], 0, None), axis=1) for each in (a, b)]
    ratio: NDArray[np.floating] = shared / np.maximum(area[0][:, None] + area[1][None] - shared, 1e-12)
    return ratio
