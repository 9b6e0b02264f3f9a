"""New faces among known people, by `cluster_auto`: what is near them is grouped again, together with them.

Unnamed people are what a run made of the faces that there were. Where new ones show that two of them are one,
or that one is two, they change; so the order in which faces come hardly matters. People whom a human vouches
for keep every face, and get those of the groups that are theirs.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.auto import cluster_auto
from facesets.clustering.calibration import Calibration
from facesets.clustering.centroids import cluster_means
from facesets.clustering.constraints import Constraints, among
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.neighbors import OnProgress
from facesets.clustering.neighbourhood import near_faces
from facesets.clustering.one_an_image import leave_clashing
from facesets.clustering.owners import Owners, find_owners
from facesets.clustering.person_matches import PersonMatches
from facesets.clustering.poor_faces import HowMuch, Shows
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

NOBODY = -1

_REPRESENTATIVES = 64
"""Of people with more faces so many stand for all, where too many faces are near the new ones."""

_PART_FACES = 4
"""So many of these that are grouped apart may be another person."""

_WHOLE_SHARE = 0.05
"""Where more of the faces are new, nearly all others are near one of them."""

_MARGIN = 0.05
"""By so much a face is more similar to a fixed person whom it joins than to the next one."""

_FEWEST_OF_SEVERAL = 2

_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class KnownOwners:
    """Whose the faces of a library are so far.

    Attributes
    ----------
    person : int64 array of shape (n,)
        From 0; -1 for unassigned ones.
    fixed : bool array of shape (persons,)
        A human vouches for these: they keep all faces.
    image : int64 array of shape (n,), optional
        Two faces in one image are two people. None where that is not so.
    constraints : Constraints
        What humans said of pairs of faces.
    shows : uint8 array of shape (n,), optional
        How much each face shows (`Shows`): nobody is made of too little. Those of people for whom a human
        vouches count as any if they show anything; else they stay theirs, and draw nobody.
    """

    person: Int64
    fixed: Bool
    image: Int64 | None
    constraints: Constraints
    shows: HowMuch | None = None


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Whose the faces are now.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Known people by their numbers, new ones by those that follow; -1 for nobody.
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
        """No face was looked at."""
        return cls(person.copy(), np.empty(0, np.int64), PersonMatches.joined([]))


def regroup(
    rows: Float32,
    known: KnownOwners,
    seeds: Int64,
    calibration: Calibration,
    *,
    min_size: int,
    least_similarity: float | None = None,
    most_faces: int = 30_000,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Regrouped:
    """Group new faces, and what is near them, again.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        All faces of the library, of unit length.
    seeds : int64 array of shape (m,)
        Rows of the faces that no run has seen.
    calibration : Calibration
        Of all faces.
    min_size : int
        Fewest faces of a new person; a known unnamed one who loses faces and has fewer then is gone.
    least_similarity : float, optional
        Mean similarity to a person's faces without which no face joins.
    most_faces : int
        Where more are near the new ones, few faces stand for each person with many.
    engine : Engine
        Who compares the pairs.
    """
    if not len(seeds):
        return Regrouped.nothing(known.person)
    # Of whom a human vouches for it is said whom their faces show, if they show anything.
    shows = known.shows
    if shows is not None:
        vouched = np.append(known.fixed, False)[known.person] & (shows > Shows.NOTHING)
        shows = np.where(vouched, Shows.ENOUGH, shows).astype(np.uint8)
    near, large = _concerned(rows, known, seeds, calibration, most_faces)
    while True:
        some, weight = _representatives(near, known.person, large)
        found = cluster_auto(
            rows[some],
            image_index=None if known.image is None else known.image[some],
            constraints=among(known.constraints, some, len(rows)),
            shows=None if shows is None else shows[some],
            calibration=calibration,
            on_progress=on_progress,
            engine=engine,
        )
        settling = _Settling(rows, known, some, found.labels, weight, large)
        restless = settling.restless()
        if not restless.any():
            break
        # Few faces may mislead: whether people with many merge or fall apart is for all of these to say.
        large &= ~restless
    settling.give(calibration.link, -1.0 if least_similarity is None else least_similarity)
    settling.keep_apart()
    settling.drop_small(min_size)
    return Regrouped(settling.numbered(), np.flatnonzero(near), settling.review(), found.reasons)


def _concerned(
    rows: Float32, known: KnownOwners, seeds: Int64, calibration: Calibration, most_faces: int
) -> tuple[Bool, Bool]:
    """Rows that new faces may change, and people for all of whose faces some stand."""
    near, large = np.ones(len(rows), bool), np.zeros(len(known.fixed), bool)
    if _is_local(len(seeds), len(rows), calibration):
        near = near_faces(rows, known.person, seeds, min_cosine_similarity=calibration.loose)
        if np.count_nonzero(near) > most_faces:
            large = np.bincount(known.person[known.person >= 0], minlength=len(large)) > _REPRESENTATIVES
    return near, large


def _is_local(seeds: int, faces: int, calibration: Calibration) -> bool:
    """Whether new faces concern those only that are near them."""
    if calibration.offset or calibration.pairs is not None:
        return False
    return seeds <= _WHOLE_SHARE * faces


def _representatives(near: Bool, person: Int64, large: Bool) -> tuple[Int64, Float64]:
    """Rows that are grouped, and how many faces each stands for: of large people's only some are taken."""
    rows = np.flatnonzero(near)
    whose = person[rows]
    many = np.flatnonzero(np.append(large, False)[whose])
    many = many[np.argsort(whose[many], kind="stable")]
    of = whose[many]
    first = np.searchsorted(of, of)
    faces, rank = np.searchsorted(of, of, side="right") - first, np.arange(len(of)) - first
    chosen = rank * _REPRESENTATIVES // np.maximum(faces, 1) > (rank - 1) * _REPRESENTATIVES // np.maximum(
        faces, 1
    )
    kept, weight = np.ones(len(rows), bool), np.ones(len(rows))
    kept[many] = chosen
    weight[many] = faces / _REPRESENTATIVES
    return rows[kept], weight[kept]


def _without_noise(labels: Int64) -> Int64:
    """Labels in which each face that is noise is a group of its own."""
    alone = labels < 0
    result = labels.copy()
    result[alone] = int(labels.max(initial=-1)) + 1 + np.arange(int(alone.sum()))
    return result


class _Settling:
    """Gives the groups to people; rows are those of the library, `some` of them were grouped."""

    def __init__(
        self, rows: Float32, known: KnownOwners, some: Int64, label: Int64, weight: Float64, large: Bool
    ) -> None:
        self._rows, self._known, self._some = rows, known, some
        self._is_noise, self._label = label < 0, _without_noise(label)
        self._before = known.person[some]
        self._large = large & ~known.fixed
        self._owners: Owners = find_owners(self._label, self._before, weight, known.fixed, large)
        self._after = known.person.copy()
        self._review: list[PersonMatches] = []

    def restless(self) -> Bool:
        """Large people for whom no human vouches, and who would merge with others or fall apart."""
        here = np.flatnonzero(np.append(self._large, False)[self._before])
        result = np.zeros(len(self._large), bool)
        result[self._before[here]] = True
        result &= self._owners.owner[self._owners.main] != np.arange(len(result))
        group, count = np.unique(
            np.stack([self._before[here], self._label[here]]), axis=1, return_counts=True
        )
        parts = np.bincount(group[0][count >= _PART_FACES], minlength=len(result))
        return result | (parts > 1)

    def give(self, link: float, least: float) -> None:
        """Decide whose every face is."""
        persons = len(self._known.fixed)
        owner, disputed = self._owners.owner[self._label], self._owners.disputed[self._label]
        kept = np.append(self._known.fixed | self._large, False)[self._before]
        # Beside representatives of large people junk shows where there is none.
        moves = ~kept & ~disputed & ~(self._is_noise & self._large.any())
        given = np.where(owner >= 0, owner, persons + self._label)
        self._after[self._some[moves]] = given[moves]
        self._check_joining(link, least)

    def keep_apart(self) -> None:
        """Of two faces in one image let only one join a person."""
        image = self._known.image
        if image is not None:
            leaving = leave_clashing(self._rows, image, self._known.person, self._after)
            self._after[leaving] = NOBODY

    def drop_small(self, min_size: int) -> None:
        """Leave alone the faces of people who have too few: new ones, and known ones who lost some."""
        persons = len(self._known.fixed)
        faces = np.bincount(self._after[self._after >= 0], minlength=persons)
        before = np.bincount(self._known.person[self._known.person >= 0], minlength=persons)
        least = np.full(len(faces), min_size)
        # A larger size than before is for who is new: it dissolves nobody who is there.
        least[:persons] = np.minimum(min_size, np.maximum(before, _FEWEST_OF_SEVERAL))
        least[:persons][self._known.fixed | self._large] = 0
        mine = self._after[self._some]
        few = (mine >= 0) & np.append(faces < least, False)[mine]
        self._after[self._some[few]] = NOBODY

    def numbered(self) -> Int64:
        """Whose the faces are, with new people numbered by falling size."""
        persons = len(self._known.fixed)
        new = np.flatnonzero(self._after >= persons)
        labels, first, place, size = np.unique(
            self._after[new], return_index=True, return_inverse=True, return_counts=True
        )
        number = np.empty(len(labels), np.int64)
        number[np.lexsort((first, -size))] = np.arange(len(labels))
        self._after[new] = persons + number[place]
        return self._after

    def review(self) -> PersonMatches:
        """Faces that a human must decide about, and whose they may be."""
        return PersonMatches.joined(self._review)

    def _check_joining(self, link: float, least: float) -> None:
        """Let no face join whom it is too little like, or a fixed person whom it is hardly more like."""
        owner, disputed = self._owners.owner[self._label], self._owners.disputed[self._label]
        asked = disputed | np.append(self._known.fixed, False)[owner] | ((owner >= 0) & (least > -1))
        joining = np.flatnonzero((self._before < 0) & asked)
        if not len(joining):
            return
        modes = _modes(self._rows, self._some, self._label, self._before)
        claims = self._owners.claims
        claimed = np.isin(
            modes.group * len(self._known.fixed) + modes.person,
            claims[:, 0] * len(self._known.fixed) + claims[:, 1],
        )
        for start in range(0, len(joining), _BLOCK_ROWS):
            some = joining[start : start + _BLOCK_ROWS]
            similarity = self._rows[self._some[some]] @ modes.mean.T
            may = modes.person == owner[some, None]
            may |= disputed[some, None] & claimed
            own = np.where(may & (modes.group == self._label[some, None]), similarity, -np.inf)
            best = own.argmax(axis=1)
            self._admit(some, similarity, best, modes, link, least)

    def _admit(
        self, some: Int64, similarity: Float32, best: Int64, modes: "_Modes", link: float, least: float
    ) -> None:
        line = np.arange(len(some))
        who, own = modes.person[best], similarity[line, best]
        others = np.where((modes.person == who[:, None]) | ~modes.tells, -np.inf, similarity)
        second = others.argmax(axis=1)
        rival = others[line, second]
        disputed = self._owners.disputed[self._label[some]]
        enough = (own >= least) & (~disputed | (own >= link))
        tied = enough & self._known.fixed[who] & (rival >= np.maximum(link, own - _MARGIN))
        faces = self._some[some]
        self._after[faces] = np.where(enough & ~tied, who, NOBODY)
        self._review += [
            PersonMatches(faces[tied], who[tied], own[tied]),
            PersonMatches(faces[tied], modes.person[second[tied]], similarity[tied, second[tied]]),
        ]


@dataclass(frozen=True, slots=True)
class _Modes:
    """Known people's faces by group: a person may look different ways.

    Attributes
    ----------
    group, person : int64 arrays of shape (m,)
    mean : float32 array of shape (m, d)
        Its product with a face is their mean similarity.
    tells : bool array of shape (m,)
        There are several faces, or the person has no others: it stands for the person.
    """

    group: Int64
    person: Int64
    mean: Float32
    tells: Bool


def _modes(rows: Float32, some: Int64, label: Int64, person: Int64) -> _Modes:
    theirs = np.flatnonzero(person >= 0)
    persons = int(person.max(initial=-1)) + 1
    keys, place = np.unique(label[theirs] * max(persons, 1) + person[theirs], return_inverse=True)
    group, who = np.divmod(keys, max(persons, 1))
    faces = np.bincount(place, minlength=len(keys))
    tells = (faces > 1) | (np.bincount(person[theirs], minlength=persons)[who] == 1)
    return _Modes(group, who, cluster_means(rows[some[theirs]], place.astype(np.int64)), tells)
