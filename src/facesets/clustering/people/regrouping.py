"""Group new faces among known people by `cluster_auto`, together with all faces near them.

Unnamed people are what a run made of the faces that there were. Where new ones show that two of them are one,
or that one is two, they change; so the order in which faces come hardly matters. Confirmed people
keep every face, and get those of the groups that are theirs.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.auto import cluster_auto
from facesets.clustering.calibration import Calibration
from facesets.clustering.centroids import unit_centers
from facesets.clustering.constraints import among
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.graph import OnProgress
from facesets.clustering.people.incremental import PersonMatches
from facesets.clustering.people.owners import KnownOwners, Settling
from facesets.clustering.poor_faces import Clarity
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

_REPRESENTATIVES = 64
"""Faces that represent a larger person if too many faces are near the new ones."""

_WHOLE_SHARE = 0.05
"""Share of new faces above which nearly all others are near one of them."""

_BLOCK_SEEDS = 2048
_BLOCK_UNITS = 8192


@dataclass(frozen=True, slots=True)
class Regrouped:
    """The person of each face after regrouping.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Known people by their numbers, new ones by those that follow; -1 for unassigned faces.
    looked_at : int64 array of shape (m,)
        Rows that were grouped again.
    review : PersonMatches
        Faces that are about as similar to another person as to the one that they would join.
    """

    person: Int64
    looked_at: Int64
    review: PersonMatches
    reasons: tuple[str, ...] = ()

    @classmethod
    def nothing(cls, person: Int64) -> "Regrouped":
        """Make a result for which no face was looked at."""
        return cls(person.copy(), np.empty(0, np.int64), PersonMatches.joined([]))


def regroup(
    rows: Float32,
    known: KnownOwners,
    seeds: Int64,
    calibration: Calibration,
    *,
    min_size: int,
    min_similarity: float | None = None,
    max_faces: int = 30_000,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Regrouped:
    """Group new faces, and what is near them, again.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        All faces of the library, of unit length.
    seeds : int64 array of shape (m,)
        Rows of the faces that are new to all runs.
    calibration : Calibration
        Of all faces.
    min_size : int
        Minimum faces of a new person; a known unnamed one who loses faces and then has fewer is removed.
    min_similarity : float, optional
        Minimum mean similarity to a person's faces for a face to join.
    max_faces : int
        If more are near the new ones, a few faces represent each person with many.
    engine : Engine
        What compares the pairs.
    """
    if not len(seeds):
        return Regrouped.nothing(known.person)
    # Faces of confirmed people count in full if they show anything.
    clarity = known.clarity
    if clarity is not None:
        confirmed = np.append(known.fixed, False)[known.person] & (clarity > Clarity.NOTHING)
        clarity = np.where(confirmed, Clarity.ENOUGH, clarity).astype(np.uint8)
    near, large = _concerned(rows, known, seeds, calibration, max_faces)
    while True:
        some, weight = _representatives(near, known.person, large)
        found = cluster_auto(
            rows[some],
            image_index=None if known.image is None else known.image[some],
            constraints=among(known.constraints, some, len(rows)),
            clarity=None if clarity is None else clarity[some],
            calibration=calibration,
            on_progress=on_progress,
            engine=engine,
        )
        settling = Settling(rows, known, some, found.labels, weight, large)
        restless = settling.restless()
        if not restless.any():
            break
        # Few faces may mislead: whether large people merge or fall apart depends on all of their faces.
        large &= ~restless
    settling.give(calibration.link, -1.0 if min_similarity is None else min_similarity)
    settling.keep_apart()
    settling.drop_small(min_size)
    return Regrouped(settling.numbered(), np.flatnonzero(near), settling.review(), found.reasons)


def _concerned(
    rows: Float32, known: KnownOwners, seeds: Int64, calibration: Calibration, max_faces: int
) -> tuple[Bool, Bool]:
    """Return rows that new faces may change, and people whose faces are represented by some."""
    near, large = np.ones(len(rows), bool), np.zeros(len(known.fixed), bool)
    if _is_local(len(seeds), len(rows), calibration):
        near = _near_faces(rows, known.person, seeds, min_cosine_similarity=calibration.loose)
        if np.count_nonzero(near) > max_faces:
            large = np.bincount(known.person[known.person >= 0], minlength=len(large)) > _REPRESENTATIVES
    return near, large


def _is_local(seeds: int, faces: int, calibration: Calibration) -> bool:
    """Whether new faces concern only the faces near them."""
    if calibration.offset or calibration.pairs is not None:
        return False
    return seeds <= _WHOLE_SHARE * faces


def _representatives(near: Bool, person: Int64, large: Bool) -> tuple[Int64, Float64]:
    """Return the rows to group, and how many faces each represents: large people have only some rows."""
    rows = np.flatnonzero(near)
    owner = person[rows]
    many = np.flatnonzero(np.append(large, False)[owner])
    many = many[np.argsort(owner[many], kind="stable")]
    of = owner[many]
    first = np.searchsorted(of, of)
    faces, rank = np.searchsorted(of, of, side="right") - first, np.arange(len(of)) - first
    chosen = rank * _REPRESENTATIVES // np.maximum(faces, 1) > (rank - 1) * _REPRESENTATIVES // np.maximum(
        faces, 1
    )
    selected, weight = np.ones(len(rows), bool), np.ones(len(rows))
    selected[many] = chosen
    weight[many] = faces / _REPRESENTATIVES
    return rows[selected], weight[selected]


def _near_faces(rows: Float32, person: Int64, seeds: Int64, *, min_cosine_similarity: float) -> Bool:
    """Find the faces without a person, and all faces of the people, that resemble one of some faces.

    A person is as similar as its centroid is.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    person : int64 array of shape (n,)
        Person of each face; negative for unassigned ones.
    seeds : int64 array of shape (m,)
        Rows to start from. A seed that is assigned stands for all faces of its person.

    Returns
    -------
    bool array of shape (n,)
        True for the seeds, too.
    """
    found = np.zeros(len(rows), bool)
    found[seeds] = True
    loose = np.flatnonzero((person < 0) & ~found)
    for start in range(0, len(loose), _BLOCK_UNITS):
        block = loose[start : start + _BLOCK_UNITS]
        found[block] = _resemble(rows, seeds, rows[block], min_cosine_similarity)
    persons = np.unique(person[person >= 0])
    touched = np.isin(persons, person[seeds])
    for start in range(0, len(persons), _BLOCK_UNITS):
        span = slice(start, start + _BLOCK_UNITS)
        center = unit_centers(rows, person, persons[span])
        touched[span] |= _resemble(rows, seeds, center, min_cosine_similarity)
    of_touched = np.zeros(int(person.max(initial=-1)) + 2, bool)
    of_touched[persons[touched]] = True
    return found | of_touched[person]


def _resemble(rows: Float32, seeds: Int64, units: Float32, least: float) -> Bool:
    """Whether each vector is similar to one of the seeds."""
    found = np.zeros(len(units), bool)
    for start in range(0, len(seeds), _BLOCK_SEEDS):
        found |= ((units @ rows[seeds[start : start + _BLOCK_SEEDS]].T) >= least).any(axis=1)
    return found
