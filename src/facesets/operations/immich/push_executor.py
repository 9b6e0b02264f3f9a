"""Carry out a plan of `immich-push`: each change is recorded before and after its request.

If a person or face changed on the server after the plan was made, it is left alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import TypeVar

from facesets.errors import FacesetsError, Unreachable
from facesets.operations.immich.face_matches import FaceMatch
from facesets.operations.immich.push_changes import (
    CreateFace,
    CreatePerson,
    GiveFace,
    MergePerson,
    NamePerson,
    Outcome,
    PushChange,
    face_of,
)
from facesets.operations.immich.push_journal import PushJournal
from facesets.operations.immich.push_plan import PersonPlan, PlannedMerge
from facesets.operations.immich.server import people_called
from facesets.remote.immich_answers import NotOnServer, RequestFailed
from facesets.remote.immich_people import ImmichPeople
from facesets.remote.immich_records import ServerFace, ServerPerson, Version
from facesets.remote.retry import Stopped
from facesets.work import Stop, Work

T = TypeVar("T")
R = TypeVar("R")


class Changes:
    """Makes and records changes, and counts their outcomes.

    Attributes
    ----------
    counts : Counter
        Changes made, by kind, and `changed_meanwhile`.
    failures : list of pairs of str
        What could not be changed (photos by id), and why.
    """

    def __init__(self, server: ImmichPeople, journal: PushJournal, *, is_undo: bool = False) -> None:
        """Prepare the changes; no request is sent yet."""
        self.server = server
        self.journal = journal
        self._is_undo = is_undo
        self.counts: Counter[str] = Counter()
        self.failures: list[tuple[str, str]] = []

    def resolve_open(self, *, give_up: bool = False) -> None:
        """Find out whether changes with an unknown outcome took effect.

        Raises
        ------
        Unreachable
            The server does not report it; with `give_up`, such a change counts as failed.
        """
        for entry in self.journal.open_changes:
            try:
                outcome = entry.change.found(self.server)
            except NotOnServer:
                outcome = None
            except RequestFailed as error:
                if give_up:
                    self.fail(f"what became of change {entry.number}", error)
                    self.journal.record_outcome(entry, None)
                    continue
                raise Unreachable(
                    f"{self.server.label} does not report the outcome of the last run: "
                    f"{error.reason}. Run the same command again later."
                ) from error
            self.journal.record_outcome(entry, outcome)

    def make(self, change: PushChange) -> Outcome:
        """Make a change. Raises `RequestFailed` and errors that end the run."""
        entry = self.journal.record_intent(change, is_undo=self._is_undo)
        try:
            outcome = change.do(self.server)
        except RequestFailed as error:
            if not error.transient:
                self.journal.record_outcome(entry, None)
            raise
        self.journal.record_outcome(entry, outcome)
        self.counts[change.kind] += 1
        return outcome

    def fail(self, what: str, error: RequestFailed) -> None:
        """Record that something could not be changed."""
        self.failures.append((what, error.reason))


@dataclass(frozen=True, slots=True)
class PlanExecutor:
    """Carries out plans on a server of this version."""

    changes: Changes
    version: Version
    workers: int
    work: Work

    def apply(self, plans: Sequence[PersonPlan]) -> None:
        """Apply people and names first, then faces, then merges.

        Raises
        ------
        Unreachable, WrongUsage, CannotWrite
            The run cannot continue; the journal has what was done.
        Stopped
            The run was asked to stop.
        """
        targets: dict[int, ServerPerson] = {}
        for number, plan in enumerate(plans):
            self._check_stop()
            try:
                target = self._target(plan)
            except RequestFailed as error:
                self.changes.fail(plan.name, error)
                continue
            if target is not None:
                targets[number] = target
        photos: defaultdict[str, list[tuple[FaceMatch, ServerPerson]]] = defaultdict(list)
        for number, target in targets.items():
            for each in (*plans[number].give, *plans[number].add):
                photos[each.asset].append((each, target))
        in_parallel(self._assign_faces, list(photos.items()), self.workers, self.work.stop)
        for number, target in targets.items():
            for merge in plans[number].merge:
                self._check_stop()
                try:
                    self._merge(merge, target)
                except RequestFailed as error:
                    self.changes.fail(plans[number].name, error)

    def _check_stop(self) -> None:
        if self.work.stop.requested:
            raise Stopped

    def _target(self, plan: PersonPlan) -> ServerPerson | None:
        """Return the id of the person on the server; None if it changed since the plan."""
        if plan.action == "create":
            if people_called(self.changes.server, [plan.name]):
                # No person had that name when this was planned.
                self.changes.counts["changed_meanwhile"] += plan.changes
                return None
            made = self.changes.make(CreatePerson(ServerPerson("", plan.name)))
            self.work.progress.advance()
            return ServerPerson(made["id"], plan.name)
        if plan.target is None:
            return None
        there = self.changes.server.person(plan.target.id)
        if there is None or there.name != plan.target.name:
            self.changes.counts["changed_meanwhile"] += plan.changes
            return None
        if plan.action == "name":
            self.changes.make(NamePerson(there, plan.name))
            self.work.progress.advance()
        return there

    def _assign_faces(self, item: tuple[str, list[tuple[FaceMatch, ServerPerson]]]) -> None:
        asset, wanted = item
        try:
            faces = self.changes.server.faces(asset)
            for each, target in wanted:
                if each.face is None:
                    self._add(each, target, faces)
                else:
                    self._give(each.asset, each.face, target, faces)
                self.work.progress.advance()
        except RequestFailed as error:
            self.changes.fail(asset, error)

    def _give(self, asset: str, planned: ServerFace, target: ServerPerson, faces: list[ServerFace]) -> None:
        there = face_of(faces, planned.id)
        if there is None or there.person_id != planned.person_id:
            self.changes.counts["changed_meanwhile"] += 1
            return
        self.changes.make(GiveFace(asset, there.id, target.id, there.person))

    def _add(self, each: FaceMatch, target: ServerPerson, faces: list[ServerFace]) -> None:
        if any(face.person_id == target.id for face in faces):
            self.changes.counts["changed_meanwhile"] += 1
            return
        others = tuple(face.id for face in faces)
        self.changes.make(CreateFace(each.asset, target.id, each.box, others))

    def _merge(self, merge: PlannedMerge, target: ServerPerson) -> None:
        source, into = self.changes.server.person(merge.source.id), self.changes.server.person(target.id)
        if source is None or into is None or source.name != merge.source.name:
            self.changes.counts["changed_meanwhile"] += 1
            return
        held: list[tuple[str, str]] = []
        assets = sorted(self.changes.server.photos_of(source.id))
        for asset, faces in in_parallel(self._faces_of, assets, self.workers, self.work.stop):
            if any(face.person_id == into.id for face in faces):
                self.changes.counts["changed_meanwhile"] += 1
                return
            held += [(asset, face.id) for face in faces if face.person_id == source.id]
        self.changes.make(MergePerson(source, into, tuple(held), astuple(self.version)))
        self.work.progress.advance()

    def _faces_of(self, asset: str) -> tuple[str, list[ServerFace]]:
        return asset, self.changes.server.faces(asset)


def in_parallel(work: Callable[[T], R], items: Iterable[T], workers: int, stop: Stop) -> list[R]:
    """Yield the results of parallel calls, in the order of the items.

    Raises
    ------
    FacesetsError
        The first error of a call, after those that had begun have ended.
    Stopped
        The run was asked to stop.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="push") as pool:
        futures = [pool.submit(_unless_stopped, work, item, stop) for item in items]
        try:
            return [future.result() for future in futures]
        except (FacesetsError, Stopped):
            pool.shutdown(cancel_futures=True)
            raise


def _unless_stopped(work: Callable[[T], R], item: T, stop: Stop) -> R:
    if stop.requested:
        raise Stopped
    return work(item)
