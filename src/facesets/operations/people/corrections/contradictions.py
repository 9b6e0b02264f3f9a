"""Check whether a new correction contradicts earlier ones.

Corrections tie faces and people together or keep them apart, also through others: a face is Anna, another
shows the same person, so it is Anna.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesets.errors import Command, WrongUsage
from facesets.store.postgres.people.corrections import Corrections, FaceCorrection, FacePair, PersonPair

if TYPE_CHECKING:
    from uuid import UUID

from uuid import UUID

from facesets.operations.people.corrections.lookup import called, short
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.persons import person_state

Correction = FaceCorrection | FacePair | PersonPair


@dataclass
class _Ties:
    """Faces and people tied together by corrections."""

    above: dict[Hashable, Hashable] = field(default_factory=dict)

    def root(self, node: Hashable) -> Hashable:
        """Return the same value for all that belong together."""
        path = []
        while (up := self.above.get(node, node)) != node:
            path.append(node)
            node = up
        self.above.update(dict.fromkeys(path, node))
        return node

    def tie(self, one: Hashable, other: Hashable) -> None:
        """Tie two together."""
        self.above[self.root(one)] = self.root(other)


class Settled:
    """What corrections imply about any two faces or people, also through others."""

    def __init__(self, corrections: Corrections) -> None:
        everything: list[Correction] = [
            *corrections.faces,
            *corrections.face_pairs,
            *corrections.person_pairs,
        ]
        self._ties = _Ties()
        for each in everything:
            if (ends := _tied(each)) is not None:
                self._ties.tie(*ends)
        apart = (ends for each in everything if (ends := _apart(each)) is not None)
        self._apart = {frozenset(map(self._ties.root, ends)) for ends in apart}

    def is_settled(self, one: "int | UUID", other: "int | UUID") -> bool:
        """Whether corrections imply that these are the same person, or different people."""
        roots = frozenset((self._ties.root(one), self._ties.root(other)))
        return len(roots) == 1 or roots in self._apart


def require_consistent(
    corrections: Corrections, new: Sequence[Correction], describe: Callable[[Correction], str]
) -> None:
    """Make sure that new corrections contradict neither one another nor earlier ones.

    Parameters
    ----------
    corrections : Corrections
        The earlier corrections, without those that the new ones replace.
    describe : callable
        Returns a correction in words.

    Raises
    ------
    WrongUsage
        They do; the message names the contradicting corrections.
    """
    everything = [*corrections.faces, *corrections.face_pairs, *corrections.person_pairs, *new]
    ties = _Ties()
    for each in everything:
        ends = _tied(each)
        if ends is not None:
            ties.tie(*ends)
    against = _broken(everything, ties)
    if not against:
        return
    old = [each for each in against if each not in new]
    raise contradiction(old or _tying(against[0], everything) or against, describe)


@dataclass
class _Accepted:
    """Corrections accepted one after another, with the ties and the pairs apart that follow."""

    ties: _Ties = field(default_factory=_Ties)
    apart: dict[Hashable, set[Hashable]] = field(default_factory=dict)
    person: "dict[Hashable, UUID]" = field(default_factory=dict)

    def take(self, each: Correction) -> bool:
        """Accept a correction, unless it contradicts earlier ones; return whether it was accepted."""
        tied, apart = _tied(each), _apart(each)
        if tied is not None:
            if isinstance(each, FaceCorrection):
                self.person.setdefault(self.ties.root(each.person), each.person)
            return self._tie(*map(self.ties.root, tied))
        if apart is None:
            return True
        one, other = map(self.ties.root, apart)
        if one == other:
            return False
        self.apart.setdefault(one, set()).add(other)
        self.apart.setdefault(other, set()).add(one)
        return True

    def _tie(self, one: Hashable, other: Hashable) -> bool:
        if one == other:
            return True
        people = {self.person[each] for each in (one, other) if each in self.person}
        if other in self.apart.get(one, ()) or len(people) > 1:
            return False
        if len(self.apart.get(one, ())) > len(self.apart.get(other, ())):
            one, other = other, one
        self.ties.tie(one, other)
        for third in self.apart.pop(one, set()):
            self.apart[third].discard(one)
            self.apart[third].add(other)
            self.apart.setdefault(other, set()).add(third)
        if people:
            self.person[other] = people.pop()
        return True


def without_contradictions(
    corrections: Corrections, new: Iterable[Correction]
) -> tuple[list[Correction], list[Correction]]:
    """Divide new corrections into acceptable ones and those that contradict others.

    Parameters
    ----------
    corrections : Corrections
        The earlier corrections, which take precedence.
    """
    earlier = _Accepted()
    before: list[Correction] = [*corrections.faces, *corrections.face_pairs, *corrections.person_pairs]
    for each in before:
        earlier.take(each)
    accepted: list[Correction] = []
    refused: list[Correction] = []
    for each in new:
        (accepted if earlier.take(each) else refused).append(each)
    return accepted, refused


def contradiction(against: Sequence[Correction], describe: Callable[[Correction], str]) -> WrongUsage:
    """Return an error that names the contradicted corrections."""
    listed = "; ".join(describe(each) for each in against[:3])
    return WrongUsage(
        f"This contradicts an earlier correction: {listed}. Undo that change first: find its number with "
        f"{Command('people log')}, then run {Command('people undo', 'NUMBER')}."
    )


def _tying(broken: Correction, corrections: Sequence[Correction]) -> list[Correction]:
    """Return the fewest corrections that tie together what one keeps apart."""
    ends = _apart(broken)
    if ends is None:
        return []
    near: dict[Hashable, list[tuple[Hashable, Correction]]] = {}
    for each in corrections:
        if tied := _tied(each):
            near.setdefault(tied[0], []).append((tied[1], each))
            near.setdefault(tied[1], []).append((tied[0], each))
    ways: dict[Hashable, list[Correction]] = {ends[0]: []}
    reached = [ends[0]]
    for node in reached:
        for other, each in near.get(node, []):
            if other not in ways:
                ways[other] = [*ways[node], each]
                reached.append(other)
    return ways.get(ends[1], [])


def _tied(each: Correction) -> tuple[Hashable, Hashable] | None:
    if isinstance(each, FaceCorrection):
        return (each.face, each.person) if each.is_person else None
    if isinstance(each, FacePair):
        return (each.first, each.second) if each.same else None
    return None


def _apart(each: Correction) -> tuple[Hashable, Hashable] | None:
    if isinstance(each, PersonPair):
        return each.first, each.second
    if isinstance(each, FacePair):
        return None if each.same else (each.first, each.second)
    return None if each.is_person else (each.face, each.person)


def _broken(everything: Sequence[Correction], ties: _Ties) -> list[Correction]:
    """Return corrections that keep apart what others tie together, or tie one face to two people."""
    broken: list[Correction] = []
    for each in everything:
        ends = _apart(each)
        if ends is not None and ties.root(ends[0]) == ties.root(ends[1]):
            broken.append(each)
    people: dict[Hashable, tuple[UUID, Correction]] = {}
    for each in everything:
        if isinstance(each, FaceCorrection) and each.is_person:
            first = people.setdefault(ties.root(each.person), (each.person, each))
            if first[0] != each.person:
                broken += [first[1], each]
    return broken


def describing(connection: Connection) -> Callable[[Correction], str]:
    """Return a function that words a correction and looks up each name once."""
    names: dict[UUID, str] = {}

    def name_of(person: UUID) -> str:
        if person not in names:
            state = person_state(connection, person)
            names[person] = short(person) if state is None else called(state)
        return names[person]

    def describe(given: Correction) -> str:
        if isinstance(given, FaceCorrection):
            return f"face {given.face} {'is' if given.is_person else 'is not'} {name_of(given.person)}"
        if isinstance(given, FacePair):
            return (
                f"faces {given.first} and {given.second} show {'one person' if given.same else 'two people'}"
            )
        return f"{name_of(given.first)} and {name_of(given.second)} are two people"

    return describe
