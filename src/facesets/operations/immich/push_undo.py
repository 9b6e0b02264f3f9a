"""Undo a run of `immich-push` from its journal.

What a user changed on the server since then stays as the user left it. People that a merge had removed
are made again, under new ids, because a server never reuses an id. A server has no call to unassign
a face, so such faces go to a temporary person, who is then removed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import FileLock, printable
from facesets.operations.immich.push_changes import (
    CreateFace,
    CreatePerson,
    DeleteFace,
    DeletePerson,
    DropBirthDate,
    GiveFace,
    MergePerson,
    NamePerson,
    face_of,
)
from facesets.operations.immich.push_executor import Changes, in_parallel
from facesets.operations.immich.push_journal import PushJournal, find_journal
from facesets.operations.immich.server import UNDO_PERMISSIONS, allows, check_server, people_called
from facesets.operations.immich.stage_state import with_paths
from facesets.remote.immich_answers import NotOnServer, RequestFailed
from facesets.remote.immich_people import ImmichPeople
from facesets.remote.immich_records import ServerFace, ServerPerson
from facesets.remote.retry import Stopped
from facesets.result import Result
from facesets.work import Work

_UNASSIGNED = ServerPerson("", "")
_MARK = "facesets undo "


@dataclass(slots=True)
class _MovedFace:
    """The person of a face before and after the run; `before` is None if it was unassigned."""

    asset: str
    face: str
    before: ServerPerson | None
    after: str


def immich_push_undo(
    server: ImmichPeople,
    folder: Path,
    run: str,
    confirm: Callable[[Result], bool],
    *,
    workers: int,
    dry_run: bool,
    give_up: bool = False,
    work: Work,
) -> Result:
    """Show what a run changed, and undo it if the user confirms.

    Parameters
    ----------
    run : str
        Name of the run, or `last`.
    give_up : bool
        End the undo even if a change cannot be undone, so that pushes are possible again.

    Raises
    ------
    WrongUsage
        There is no such run, it is of another account, or the key lacks a permission.
    Unreachable, CannotWrite, DamagedFile, NewerFormat, AlreadyRunning
        The message has the reason.
    """
    folder = folder.absolute()
    journal = find_journal(folder, run)
    with nullcontext() if dry_run else FileLock(folder / "push.lock", what=printable(folder)):
        owner = check_server(server, "", work.progress, essential=UNDO_PERMISSIONS)
        theirs = journal.heading.get("owner_id")
        if owner is not None and theirs and theirs != owner.id:
            raise WrongUsage(f"Run {journal.run} was made with another account's API key. Use that key.")
        may_delete = allows(server, "person.delete")
        undo = _Undo(Changes(server, journal, is_undo=True), workers, work, may_delete, give_up)
        if dry_run or not confirm(undo.summary(applied=False)):
            return undo.summary(applied=False)
        try:
            undo.carry_out()
        except Stopped:
            return undo.summary(applied=True, stopped=True)
        return undo.summary(applied=True)


@dataclass(frozen=True, slots=True)
class _Undo:
    changes: Changes
    workers: int
    work: Work
    may_delete: bool
    give_up: bool
    current_ids: dict[str, str] = field(default_factory=dict)
    """Ids of people in the journal, and their ids now."""
    left: Counter[str] = field(default_factory=Counter)

    def carry_out(self) -> None:
        """Undo the faces first, then people and names."""
        try:
            with self.changes.journal.writing():
                self.changes.resolve_open(give_up=self.give_up)
                # Changes that an interrupted undo already undid stay undone.
                back = {change.face for change, _ in self.changes.journal.made(GiveFace, by_undo=True)}
                moved = [each for each in _moved_faces(self.changes.journal) if each.face not in back]
                self.work.progress.begin("Undoing", len(moved))
                self._recreate_people(moved)
                by_asset: defaultdict[str, list[_MovedFace]] = defaultdict(list)
                for each in moved:
                    by_asset[each.asset].append(each)
                in_parallel(self._restore_faces, list(by_asset.items()), self.workers, self.work.stop)
                for create, outcome in self.changes.journal.made(CreateFace):
                    self._attempt(create.asset, self._remove_face, create, outcome["id"])
                self._restore_people()
                if not self.changes.failures:
                    self.changes.journal.end("done" if self.left else "undone")
                elif self.give_up:
                    self.changes.journal.end("given up")
        finally:
            self.work.progress.end()

    def _attempt(self, what: str, call: Callable[..., None], *arguments: object) -> None:
        if self.work.stop.requested:
            raise Stopped
        try:
            call(*arguments)
        except RequestFailed as error:
            self.changes.fail(what, error)

    def _recreate_people(self, moved: list[_MovedFace]) -> None:
        """Recreate removed people, and a temporary person for faces that were unassigned."""
        for create, outcome in self.changes.journal.made(CreatePerson, by_undo=True):
            self.current_ids[create.person.id] = outcome["id"]
        before = {each.before.id: each.before for each in moved if each.before is not None}
        for person in before.values():
            self._attempt(person.name, self._recreate_if_missing, person)
        if any(each.before is None for each in moved) and self.may_delete:
            self._attempt("unassigned faces", self._recreate_if_missing, _UNASSIGNED)

    def _recreate_if_missing(self, person: ServerPerson) -> None:
        known = self.current_ids.get("") if person is _UNASSIGNED else self._current_id(person.id)
        if known is None or self.changes.server.person(known) is None:
            self._recreate(person)

    def _recreate(self, person: ServerPerson) -> None:
        # A unique name, so that the person can be found after a kill until the faces are back.
        named = replace(person, name=person.name or f"{_MARK}{person.id or self.changes.journal.run}")
        namesakes = tuple(each.id for each in people_called(self.changes.server, [named.name]))
        self.current_ids[person.id] = self.changes.make(CreatePerson(named, namesakes))["id"]

    def _current_id(self, identity: str) -> str:
        return self.current_ids.get(identity, identity)

    def _restore_faces(self, item: tuple[str, list[_MovedFace]]) -> None:
        asset, moved = item
        try:
            faces = self.changes.server.faces(asset)
            for each in moved:
                self._restore_face(each, faces)
                self.work.progress.advance()
        except NotOnServer:
            self.changes.counts["changed_meanwhile"] += len(moved)
        except RequestFailed as error:
            self.changes.fail(asset, error)

    def _restore_face(self, each: _MovedFace, faces: list[ServerFace]) -> None:
        there = face_of(faces, each.face)
        to = self._current_id(each.before.id) if each.before else self.current_ids.get("", "")
        if there is not None and there.person_id in (to, each.before.id if each.before else ""):
            return
        if there is None or there.person_id != self._current_id(each.after):
            self.changes.counts["changed_meanwhile"] += 1
        elif not to:
            self.left["faces that were unassigned: the key lacks person.delete"] += 1
        else:
            self.changes.make(GiveFace(each.asset, each.face, to, there.person))

    def _remove_face(self, create: CreateFace, identity: str) -> None:
        try:
            there = face_of(self.changes.server.faces(create.asset), identity)
        except NotOnServer:
            return
        if there is not None and there.person_id == create.to:
            self.changes.make(DeleteFace(create.asset, identity))
        elif there is not None:
            self.changes.counts["changed_meanwhile"] += 1

    def _restore_people(self) -> None:
        for merge, _ in self.changes.journal.made(MergePerson):
            self._attempt(merge.into.name, self._drop_birth_date, merge)
        for change, _ in reversed(self.changes.journal.made(NamePerson)):
            self._attempt(change.name, self._restore_name, change)
        for identity in list(self.current_ids.values()):
            self._attempt(identity, self._remove_mark, identity)
        for create, outcome in self.changes.journal.made(CreatePerson):
            self._attempt(create.person.name, self._remove_person, outcome["id"], create.person.name)

    def _drop_birth_date(self, merge: MergePerson) -> None:
        there = self.changes.server.person(self._current_id(merge.into.id))
        came_along = merge.into.birth_date is None and merge.source.birth_date is not None
        if there is None or not came_along or there.birth_date != merge.source.birth_date:
            return
        dropped = self.changes.journal.made(DropBirthDate, by_undo=True)
        if all(back.person.id != there.id for back, _ in dropped):
            self.changes.make(DropBirthDate(there))

    def _restore_name(self, change: NamePerson) -> None:
        there = self.changes.server.person(self._current_id(change.person.id))
        if there is None or any(
            back.person.id == there.id and back.name == change.person.name
            for back, _ in self.changes.journal.made(NamePerson, by_undo=True)
        ):
            return
        if there.name == change.name:
            self.changes.make(NamePerson(there, change.person.name))
        elif there.name != change.person.name:
            self.changes.counts["changed_meanwhile"] += 1

    def _remove_mark(self, identity: str) -> None:
        """Remove the temporary names and person, and people without any face."""
        there = self.changes.server.person(identity)
        if there is None:
            return
        is_empty = self.may_delete and not self.changes.server.photos_of(identity)
        if is_empty or (identity == self.current_ids.get("") and there.name.startswith(_MARK)):
            self.changes.make(DeletePerson(there))
        elif there.name.startswith(_MARK):
            self.changes.make(NamePerson(there, ""))

    def _remove_person(self, identity: str, name: str) -> None:
        there = self.changes.server.person(identity)
        if there is None:
            return
        if there.name != name:
            self.changes.counts["changed_meanwhile"] += 1
        elif self.changes.server.photos_of(identity):
            self.left["people created by the run that have other faces now"] += 1
        elif self.may_delete:
            self.changes.make(DeletePerson(there))
        else:
            # Immich removes people without faces by itself, every night.
            self.left["people without faces: the key lacks person.delete"] += 1

    def summary(self, *, applied: bool, stopped: bool = False) -> Result:
        """Return what the run did, and what was undone."""
        journal, changes = self.changes.journal, self.changes
        return Result(
            run=journal.run,
            faces=len(_moved_faces(journal)),  # that the run assigned to others, or that a merge moved
            added=len(journal.made(CreateFace)),
            merges=len(journal.made(MergePerson)),
            names=len(journal.made(NamePerson)),
            created=len(journal.made(CreatePerson)),
            applied=applied,
            # By kind; later changes on the server, which stay, count separately.
            made=dict(changes.counts),
            left=dict(self.left),  # what could not be undone, by reason
            failed=len(changes.failures),
            failures=with_paths(changes.failures, journal.path.parent.parent),
            stopped=stopped,
        )


def _moved_faces(journal: PushJournal) -> list[_MovedFace]:
    """Return every face that the run moved, from its first to its last person."""
    moved: dict[str, _MovedFace] = {}
    for entry in journal.changes.values():
        change = entry.change
        if entry.is_undo or entry.outcome is None:
            continue
        if isinstance(change, GiveFace):
            each = moved.setdefault(change.face, _MovedFace(change.asset, change.face, change.before, ""))
            each.after = change.to
        elif isinstance(change, MergePerson):
            for asset, face in change.faces:
                each = moved.setdefault(face, _MovedFace(asset, face, change.source, ""))
                each.after = change.into.id
    return list(moved.values())
