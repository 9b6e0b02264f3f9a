"""Plan what `immich-push` changes, from our people and the server's.

An unnamed person of the server becomes one of ours only if almost all of its faces are ours. What
a user decided on the server stays: a name, a face assigned to a named person, a hidden person.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from facesets.operations.immich.face_matches import FaceMatch, MatchCounts
from facesets.operations.immich.local_people import LocalPerson
from facesets.operations.immich.server import comparable
from facesets.operations.options.immich import PushOptions
from facesets.remote.immich_records import ServerFace, ServerPerson

Action = Literal["create", "name", "keep", "leave"]

_HIDDEN = "hidden on the server"
_SAME_NAME = "another of your people has this name; merge them or rename one"


@dataclass(frozen=True, slots=True)
class PlannedMerge:
    """A server person to merge into another; `known` of its photos are known to us."""

    source: ServerPerson
    photos: int
    known: int


@dataclass(slots=True)
class PersonPlan:
    """The plan for one of our people.

    Attributes
    ----------
    action : str
        Create the person, name the target, leave it as it is, or do nothing.
    target : ServerPerson or None
        The person on the server.
    in_place : int
        Faces that the target already has.
    give, add : list of FaceMatch
        Server faces to assign to the target, and faces to add.
    left : Counter
        Faces left alone, by reason.
    because : str
        Why all are left alone, if they are.
    """

    name: str
    action: Action
    target: ServerPerson | None
    in_place: int = 0
    give: list[FaceMatch] = field(default_factory=list)
    add: list[FaceMatch] = field(default_factory=list)
    merge: list[PlannedMerge] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    because: str = ""

    @property
    def changes(self) -> int:
        """The number of changes."""
        return (self.action in ("create", "name")) + len(self.give) + len(self.add) + len(self.merge)


class Planner:
    """Plans all people together, because no two may become the same person on the server."""

    def __init__(
        self,
        persons: Sequence[LocalPerson],
        seen: Sequence[FaceMatch],
        faces: Mapping[str, Sequence[ServerFace]],
        listed: Iterable[ServerPerson],
        pushed_names: Mapping[str, str],
        pushed_faces: Mapping[str, str],
        options: PushOptions,
    ) -> None:
        """Take the data of both sides.

        Parameters
        ----------
        faces : mapping of asset to sequence of ServerFace
            All faces of the assets that were requested.
        listed : iterable of ServerPerson
            All people that the server names, with or without a face here.
        pushed_names, pushed_faces : mapping of person to name, of face to person
            Set by earlier runs, and therefore not decided by the user.
        """
        self._persons = persons
        self._seen = seen
        self._faces = faces
        self._pushed_names = pushed_names
        self._pushed_faces = pushed_faces
        self._options = options
        self._counts = MatchCounts(seen)
        self._named: defaultdict[str, dict[str, ServerPerson]] = defaultdict(dict)
        for person in (*listed, *self._counts.people.values()):
            if person.name:
                self._named[comparable(person.name)][person.id] = person
        self._ours = [number for number, person in enumerate(persons) if person.name]
        self._names = frozenset(name for number in self._ours for name in persons[number].names)

    def merge_candidates(self) -> set[str]:
        """Return server people that could be named or merged."""
        found: set[str] = set()
        for number in self._ours:
            votes = self._counts.votes(number)
            namesakes = [person.id for person in self._namesakes(number)]
            candidates = {
                theirs
                for theirs, count in votes.items()
                if (self._is_enough(theirs, count) or theirs in namesakes)
                and self._may_become(number, self._counts.people[theirs])
            }
            # A person who already has the name needs neither a name nor a merge.
            if candidates - set(namesakes[:1]):
                found |= candidates | set(namesakes[:1])
        return found

    def plan(self, photos: Mapping[str, Set[str]]) -> list[PersonPlan]:
        """Plan for all named people, ordered by name.

        Parameters
        ----------
        photos : mapping of id to set of asset ids
            All photos of the candidates, and of the people they could be merged into.
        """
        plans: dict[int, PersonPlan] = {}
        taken: set[str] = set()
        made: set[str] = set()
        by_weight = sorted(
            self._ours, key=lambda n: (-self._counts.votes(n).total(), comparable(self._persons[n].name))
        )
        for number in by_weight:
            plans[number] = self._target(number, taken, photos)
            target = plans[number].target
            if plans[number].action == "create":
                names = self._persons[number].names
                if names & made:
                    plans[number] = PersonPlan(self._persons[number].name, "leave", None, because=_SAME_NAME)
                made |= names
            if target is not None:
                taken.add(target.id)
        for number in by_weight:
            self._plan_merges(number, plans[number], taken, photos)
        self._plan_faces(plans)
        for plan in plans.values():
            # A person without faces is useless, and the server would remove it.
            if plan.action == "create" and not (plan.give or plan.add):
                plan.action = "leave"
        return sorted(
            (plan for plan in plans.values() if plan.changes or plan.in_place or plan.left),
            key=lambda plan: comparable(plan.name),
        )

    def _namesakes(self, number: int) -> list[ServerPerson]:
        """Return the server people with one of this person's names, the most frequent match first."""
        votes = self._counts.votes(number)
        found = {p.id: p for name in self._persons[number].names for p in self._named[name].values()}
        return sorted(found.values(), key=lambda person: (-votes[person.id], person.id))

    def _may_change(self, theirs: ServerPerson) -> bool:
        return self._options.hidden or not theirs.is_hidden

    def _may_become(self, number: int, theirs: ServerPerson) -> bool:
        """Whether a server person may become this one, regardless of its faces."""
        if not self._may_change(theirs):
            return False
        name = comparable(theirs.name)
        if not name or name in self._persons[number].names:
            return True
        return not self._is_users_name(theirs) and name not in self._names

    def _is_users_name(self, theirs: ServerPerson) -> bool:
        """Whether a user gave this name on the server and it must stay."""
        is_ours = self._pushed_names.get(theirs.id) == theirs.name
        return bool(theirs.name) and not is_ours and not self._options.rename

    def _is_enough(self, theirs: str, votes: int) -> bool:
        """Whether enough faces match to decide about a person as a whole."""
        return votes >= self._options.min_faces or theirs in self._pushed_names

    def _is_pure(self, number: int, theirs: str) -> bool:
        return self._counts.purity(number, theirs) >= self._options.min_purity

    def _is_known(self, number: int, theirs: str, photos: Mapping[str, Set[str]]) -> bool:
        """Whether enough photos of a person are known to decide about the others."""
        everywhere = photos.get(theirs)
        known = len(self._counts.assets(number, theirs))
        return bool(everywhere) and known >= self._options.min_share * len(everywhere or ())

    def _target(self, number: int, taken: Set[str], photos: Mapping[str, Set[str]]) -> PersonPlan:
        name = self._persons[number].name
        namesakes = self._namesakes(number)
        for theirs in namesakes:
            if self._may_change(theirs) and theirs.id not in taken:
                return PersonPlan(name, "keep", theirs)
        if namesakes:
            is_taken = any(theirs.id in taken for theirs in namesakes)
            return PersonPlan(name, "leave", None, because=_SAME_NAME if is_taken else _HIDDEN)
        for theirs_id, votes in sorted(
            self._counts.votes(number).items(), key=lambda item: (-item[1], item[0])
        ):
            theirs = self._counts.people[theirs_id]
            if theirs_id in taken or not self._may_become(number, theirs):
                continue
            is_known = theirs_id in self._pushed_names or self._is_known(number, theirs_id, photos)
            if is_known and self._is_enough(theirs_id, votes) and self._is_pure(number, theirs_id):
                return PersonPlan(name, "name", theirs)
        return PersonPlan(name, "create", None)

    def _plan_merges(
        self, number: int, plan: PersonPlan, taken: Set[str], photos: Mapping[str, Set[str]]
    ) -> None:
        if plan.target is None:
            return
        together = set(photos.get(plan.target.id, ()))
        for theirs_id, votes in sorted(
            self._counts.votes(number).items(), key=lambda item: (-item[1], item[0])
        ):
            theirs = self._counts.people[theirs_id]
            name = comparable(theirs.name)
            is_namesake = name in self._persons[number].names
            if theirs_id in taken or not self._may_change(theirs) or (name and not is_namesake):
                continue
            enough = self._is_enough(theirs_id, votes) or is_namesake
            if not enough or not self._is_pure(number, theirs_id):
                continue
            everywhere = photos.get(theirs_id, frozenset())
            # People in the same photo are different people.
            if not self._is_known(number, theirs_id, photos) or together & everywhere:
                continue
            together |= everywhere
            known = len(self._counts.assets(number, theirs_id))
            plan.merge.append(PlannedMerge(theirs, len(everywhere), known))

    def _plan_faces(self, plans: Mapping[int, PersonPlan]) -> None:
        by_asset: defaultdict[str, list[FaceMatch]] = defaultdict(list)
        for each in self._seen:
            by_asset[each.asset].append(each)
        owners = {
            theirs: number
            for number, plan in plans.items()
            for theirs in (
                *((plan.target.id,) if plan.target else ()),
                *(merge.source.id for merge in plan.merge),
            )
        }
        for asset, group in by_asset.items():
            self._plan_photo(group, self._faces.get(asset, ()), plans, owners)

    def _plan_photo(
        self,
        group: Sequence[FaceMatch],
        faces: Sequence[ServerFace],
        plans: Mapping[int, PersonPlan],
        owners: Mapping[str, int],
    ) -> None:
        """Plan the faces of a photo; no person gets two faces in one photo."""
        moving = []
        for each in group:
            plan = plans.get(each.person)
            theirs = each.face.person if each.face else None
            if plan is None:
                continue
            if theirs is not None and owners.get(theirs.id) == each.person:
                plan.in_place += plan.target is not None and theirs.id == plan.target.id
            elif (reason := self._reason_to_leave(each, plan)) is not None:
                plan.left[reason] += 1
            else:
                moving.append(each)
        able = _movable(moving, faces, owners)
        for each in moving:
            plan = plans[each.person]
            if not any(each is other for other in able):
                plan.left["already in that photo"] += 1
            else:
                (plan.add if each.face is None else plan.give).append(each)

    def _reason_to_leave(self, each: FaceMatch, plan: PersonPlan) -> str | None:
        if plan.action == "leave":
            return plan.because
        if each.face is None:
            return None if self._options.new_faces else "not found by the server"
        theirs = each.face.person
        if theirs is None or self._pushed_faces.get(each.face.id) == theirs.id:
            return None
        if not self._may_change(theirs):
            return "a hidden person on the server"
        return f"{theirs.name} on the server" if self._is_users_name(theirs) else None


def _movable(
    moving: Sequence[FaceMatch], faces: Sequence[ServerFace], owners: Mapping[str, int]
) -> list[FaceMatch]:
    """Return the faces of a photo that can move."""
    while True:
        leaving = {each.face.id for each in moving if each.face is not None}
        present = {owners.get(face.person_id) for face in faces if face.id not in leaving}
        able = list[FaceMatch]()
        for each in moving:
            if each.person not in present:
                present.add(each.person)
                able.append(each)
        if len(able) == len(moving):
            return able
        moving = able
