"""Find the known person of each group of faces, from the faces of known people in it.

Confirmed people keep every face, and get those of the groups that are theirs.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.centroids import cluster_means
from facesets.clustering.constraints import Constraints
from facesets.clustering.membership import leave_clashing
from facesets.clustering.people.incremental import PersonMatches
from facesets.clustering.poor_faces import Clarities
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

_MAJORITY = 0.5
UNASSIGNED = -1
_PART_FACES = 4
"""Minimum faces of a person, grouped apart, that may be another person."""

_MARGIN = 0.05
"""Minimum lead in similarity of a fixed person over the next one for a face to join."""

_MIN_OF_SEVERAL = 2
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class _Owners:
    """Owners of groups.

    Attributes
    ----------
    owner : int64 array of shape (groups,)
        The known person whose faces the group's are; -1 for none, and for a disputed group.
    disputed : bool array of shape (groups,)
        Two confirmed people claim the group.
    claims : int64 array of shape (c, 2)
        Pairs of a disputed group and a person who claims it.
    main : int64 array of shape (persons,)
        The group that holds most of a person's faces; -1 for a person without faces here.
    """

    owner: Int64
    disputed: Bool
    claims: Int64
    main: Int64


def _find_owners(label: Int64, person: Int64, weight: Float64, fixed: Bool, whole: Bool) -> _Owners:
    """Find the owner of each group.

    A person whose faces stay together claims a group that holds most of their faces, or in which most faces
    are theirs: so one wrong face draws no group of strangers in, and the only photo of a person claims all
    others. Any other person claims the group with most of their faces. Of those who claim a group, the one
    who is fixed owns it, else the one with most faces in it, else the oldest, who has the first row.

    Parameters
    ----------
    label : int64 array of shape (n,)
        Group of each face, from 0; each number occurs.
    person : int64 array of shape (n,)
        Known person of each face; -1 for none.
    weight : float64 array of shape (n,)
        How many faces of the person a row stands for.
    fixed : bool array of shape (persons,)
        They are confirmed.
    whole : bool array of shape (persons,)
        Their faces stay together; fixed people's always do.
    """
    groups, persons = int(label.max(initial=-1)) + 1, len(fixed)
    theirs = np.flatnonzero(person >= 0)
    keys, first, place = np.unique(
        label[theirs] * max(persons, 1) + person[theirs], return_index=True, return_inverse=True
    )
    group, claimant = np.divmod(keys, max(persons, 1))
    held = np.bincount(place, weight[theirs], minlength=len(keys))
    age = np.full(persons, len(label), np.int64)
    np.minimum.at(age, claimant, theirs[first])
    main = _first_of(claimant, group, np.lexsort((group, -held, claimant)), persons)
    most = held >= _MAJORITY * np.bincount(claimant, held, minlength=persons)[claimant]
    most |= held >= _MAJORITY * np.bincount(label, weight, minlength=groups)[group]
    claims = np.where(fixed[claimant] | whole[claimant], most, main[claimant] == group)
    group, claimant, held = group[claims], claimant[claims], held[claims]
    disputed = np.bincount(group[fixed[claimant]], minlength=groups) > 1
    owner = _first_of(group, claimant, np.lexsort((age[claimant], -held, ~fixed[claimant], group)), groups)
    owner[disputed] = UNASSIGNED
    torn = disputed[group] & fixed[claimant]
    return _Owners(owner, disputed, np.stack([group[torn], claimant[torn]], axis=1), main)


def _first_of(key: Int64, value: Int64, order: Int64, count: int) -> Int64:
    """Return for each of `count` keys the first value in an order by key; -1 for a key without one."""
    result = np.full(count, UNASSIGNED, np.int64)
    result[key[order][::-1]] = value[order][::-1]
    return result


@dataclass(frozen=True, slots=True)
class KnownOwners:
    """Current people of a library's faces.

    Attributes
    ----------
    person : int64 array of shape (n,)
        From 0; -1 for unassigned ones.
    fixed : bool array of shape (persons,)
        Confirmed: they keep all faces.
    image : int64 array of shape (n,), optional
        Two faces in one image are two people. None if that does not hold.
    constraints : Constraints
        Corrections about pairs of faces.
    clarity : uint8 array of shape (n,), optional
        How much each face shows (`Clarity`): too little makes no person. Faces of confirmed people
        count in full if they show anything; else they stay theirs, and draw in no others.
    """

    person: Int64
    fixed: Bool
    image: Int64 | None
    constraints: Constraints
    clarity: Clarities | None = None


def _without_noise(labels: Int64) -> Int64:
    """Return labels in which each noise face is a group of its own."""
    alone = labels < 0
    result = labels.copy()
    result[alone] = int(labels.max(initial=-1)) + 1 + np.arange(int(alone.sum()))
    return result


class Settling:
    """Gives the groups to people; rows are those of the library, `some` of them were grouped."""

    def __init__(
        self, rows: Float32, known: KnownOwners, some: Int64, label: Int64, weight: Float64, large: Bool
    ) -> None:
        self._rows, self._known, self._some = rows, known, some
        self._is_noise, self._label = label < 0, _without_noise(label)
        self._before = known.person[some]
        self._large = large & ~known.fixed
        self._owners: _Owners = _find_owners(self._label, self._before, weight, known.fixed, large)
        self._after = known.person.copy()
        self._review: list[PersonMatches] = []

    def restless(self) -> Bool:
        """Return large unconfirmed people that would merge with others or fall apart."""
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
        """Decide the person of every face."""
        persons = len(self._known.fixed)
        owner, disputed = self._owners.owner[self._label], self._owners.disputed[self._label]
        unmoved = np.append(self._known.fixed | self._large, False)[self._before]
        # With only representatives of large people, some good faces look like junk.
        moves = ~unmoved & ~disputed & ~(self._is_noise & self._large.any())
        given = np.where(owner >= 0, owner, persons + self._label)
        self._after[self._some[moves]] = given[moves]
        self._check_joining(link, least)

    def keep_apart(self) -> None:
        """Let only one of two faces in one image join a person."""
        image = self._known.image
        if image is not None:
            leaving = leave_clashing(self._rows, image, self._known.person, self._after)
            self._after[leaving] = UNASSIGNED

    def drop_small(self, min_size: int) -> None:
        """Unassign the faces of people who have too few: new ones, and known ones who lost some."""
        persons = len(self._known.fixed)
        faces = np.bincount(self._after[self._after >= 0], minlength=persons)
        before = np.bincount(self._known.person[self._known.person >= 0], minlength=persons)
        least = np.full(len(faces), min_size)
        # A larger size than before applies to new people: it dissolves no existing person.
        least[:persons] = np.minimum(min_size, np.maximum(before, _MIN_OF_SEVERAL))
        least[:persons][self._known.fixed | self._large] = 0
        mine = self._after[self._some]
        few = (mine >= 0) & np.append(faces < least, False)[mine]
        self._after[self._some[few]] = UNASSIGNED

    def numbered(self) -> Int64:
        """Return the person of each face, with new people numbered by falling size."""
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
        """Return the faces for review, with the people they may be."""
        return PersonMatches.joined(self._review)

    def _check_joining(self, link: float, least: float) -> None:
        """Let no face join a person it is too dissimilar to, or a fixed one without a clear lead."""
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
        joined, own = modes.person[best], similarity[line, best]
        others = np.where((modes.person == joined[:, None]) | ~modes.is_typical, -np.inf, similarity)
        second = others.argmax(axis=1)
        rival = others[line, second]
        disputed = self._owners.disputed[self._label[some]]
        enough = (own >= least) & (~disputed | (own >= link))
        tied = enough & self._known.fixed[joined] & (rival >= np.maximum(link, own - _MARGIN))
        faces = self._some[some]
        self._after[faces] = np.where(enough & ~tied, joined, UNASSIGNED)
        self._review += [
            PersonMatches(faces[tied], joined[tied], own[tied]),
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
    is_typical : bool array of shape (m,)
        There are several faces, or the person has no others.
    """

    group: Int64
    person: Int64
    mean: Float32
    is_typical: Bool


def _modes(rows: Float32, some: Int64, label: Int64, person: Int64) -> _Modes:
    theirs = np.flatnonzero(person >= 0)
    persons = int(person.max(initial=-1)) + 1
    keys, place = np.unique(label[theirs] * max(persons, 1) + person[theirs], return_inverse=True)
    group, owner = np.divmod(keys, max(persons, 1))
    faces = np.bincount(place, minlength=len(keys))
    is_typical = (faces > 1) | (np.bincount(person[theirs], minlength=persons)[owner] == 1)
    return _Modes(group, owner, cluster_means(rows[some[theirs]], place.astype(np.int64)), is_typical)
