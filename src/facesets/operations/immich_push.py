"""`immich-push`: the people and names of ours, written back to an Immich server.

First everything is read and a plan is made; nothing is changed unless whoever is shown the plan says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import FileLock, printable
from facesets.interfaces import Progress
from facesets.operations.immich_apply import Changes, apply, in_parallel
from facesets.operations.immich_changes import CreateFace, CreatePerson, GiveFace, NamePerson
from facesets.operations.immich_options import PushOptions
from facesets.operations.immich_ours import Ours, assets_of_contents, comparable
from facesets.operations.immich_plan import Given, PersonPlan, Planner
from facesets.operations.immich_push_journal import PushJournal, journals, new_journal
from facesets.operations.immich_record import Heading, StageRecord
from facesets.operations.immich_server import PUSH_PERMISSIONS, meet
from facesets.operations.immich_sightings import Sighting, sightings
from facesets.remote.immich_answers import NotThere, RequestFailed
from facesets.remote.immich_people import ImmichPeople
from facesets.remote.immich_records import Owner, ServerFace, ServerPerson
from facesets.remote.retry import Stopped
from facesets.stop import Stop


@dataclass(frozen=True, slots=True)
class PushedMerge:
    """A person of the server's that becomes part of another; `known` of its photos are known to us."""

    id: str
    name: str
    photos: int
    known: int


@dataclass(frozen=True, slots=True)
class PushedPerson:
    """What is planned for one person.

    Attributes
    ----------
    action : str
        `create`, `name`, `keep` or `leave`.
    id, known_as : str
        Who it is on the server, and by which name; empty for one to create.
    in_place, give, add : int
        Faces that are the person's already, faces to give, faces to add.
    left : mapping of reason to number
        Faces left alone.
    """

    name: str
    action: str
    id: str
    known_as: str
    in_place: int
    give: int
    add: int
    merge: list[PushedMerge]
    left: dict[str, int]


@dataclass(frozen=True, slots=True)
class PushSummary:
    """What `immich-push` plans, and what it did.

    Attributes
    ----------
    run : str
        Name of the run, for an undo; empty while nothing was changed.
    changes : int
        Changes planned.
    photos, vanished, differing : int
        Photos looked at; those that the server does not have any more; and those of which it shows
        another picture, cropped or turned.
    unfit : list of str
        Names that no server could take.
    made : mapping of kind to number
        Changes made; with `changed_meanwhile`, those left out because the server was not any more as it
        was when they were planned.
    """

    people: list[PushedPerson] = field(default_factory=list)
    changes: int = 0
    photos: int = 0
    vanished: int = 0
    differing: int = 0
    unfit: list[str] = field(default_factory=list)
    applied: bool = False
    run: str = ""
    made: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False


@dataclass(slots=True)
class _View:
    """What was read of the server."""

    faces: dict[str, list[ServerFace]] = field(default_factory=dict)
    seen: list[Sighting] = field(default_factory=list)
    vanished: int = 0
    differing: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


def immich_push(
    server: ImmichPeople,
    folder: Path,
    read_ours: Callable[[Sequence[str]], Ours],
    options: PushOptions,
    confirm: Callable[[PushSummary], bool],
    *,
    when: str,
    progress: Progress,
    stop: Stop,
) -> PushSummary:
    """Plan, show the plan, and carry it out if that is confirmed.

    Parameters
    ----------
    server : ImmichPeople
    folder : Path
        What `immich-stage` made: it knows which asset has which bytes. The journals go there too.
    read_ours : callable
        Our people on images with these sha256.
    confirm : callable
        Is shown the plan; nothing is changed unless it says True. Not asked in a dry run, and when there
        is nothing to change.
    when : str
        Name of a new run.

    Raises
    ------
    WrongUsage
        There is nothing staged here, it is another account's, the key lacks a permission, or an undo was
        begun and not ended.
    Unreachable, CannotWrite, DamagedFile, NewerFormat, AlreadyRunning
        The sentence says why.
    """
    folder = folder.absolute()
    record = StageRecord(folder, Heading("", ""))
    if not record.exists():
        raise WrongUsage(
            f"Nothing was staged in {printable(folder)}. Give the folder OUT/USER that `immich-stage` made."
        )
    lock = nullcontext() if options.dry_run else FileLock(folder / "push.lock", what=printable(folder))
    with lock:
        owner = meet(server, "", progress, essential=PUSH_PERMISSIONS)
        record = StageRecord(folder, Heading("", owner.id if owner else ""))
        assets = assets_of_contents(record.records())
        ours = read_ours(list(assets))
        pushing = _Push(server, folder, ours, assets, options, progress, stop)
        try:
            return pushing.run(confirm, when, owner)
        except Stopped:
            return pushing.summary(stopped=True)


class _Push:
    def __init__(
        self,
        server: ImmichPeople,
        folder: Path,
        ours: Ours,
        assets: Mapping[str, Sequence[tuple[str, bool]]],
        options: PushOptions,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._server = server
        self._folder = folder
        self._ours = ours
        self._assets = assets
        self._options = options
        self._progress = progress
        self._stop = stop
        self._view = _View()
        self._plans: list[PersonPlan] = []
        self._changes: Changes | None = None

    def run(self, confirm: Callable[[PushSummary], bool], when: str, owner: Owner | None) -> PushSummary:
        known = journals(self._folder)
        begun = next((journal for journal in known if journal.is_being_undone), None)
        if begun is not None:
            raise WrongUsage(
                f"The undo of {begun.run} was begun and did not end. End it first: --undo {begun.run}, and "
                "where the server goes on refusing a part of it, --undo with --give-up."
            )
        try:
            self._plans = self._plan(_given(known))
        except RequestFailed as error:
            raise WrongUsage(
                f"{self._server.label} does not tell what a plan needs: {error.reason}. Nothing was changed."
            ) from error
        if self._options.dry_run or not any(plan.changes for plan in self._plans):
            return self.summary()
        if not confirm(self.summary()):
            return self.summary()
        unended = [journal for journal in known if not journal.is_ended]
        journal = unended[-1] if unended else new_journal(self._folder, when, owner.id if owner else "")
        self._changes = Changes(self._server, journal)
        total = sum(plan.changes for plan in self._plans)
        self._progress.begin("Writing people back", total)
        try:
            with journal.writing():
                self._changes.settle_open()
                version = self._server.version()
                apply(
                    self._plans,
                    self._changes,
                    version,
                    workers=self._options.workers,
                    progress=self._progress,
                    stop=self._stop,
                )
                journal.end()
        finally:
            self._progress.end()
        return self.summary()

    def _plan(self, given: Given) -> list[PersonPlan]:
        self._look_at(sha for sha, photo in self._ours.photos.items() if self._ours.has_named(photo))
        listed = self._listed()
        first = self._planner(listed, given)
        people = sorted(first.worth_a_look())
        found = in_parallel(self._server.photos_of, people, self._options.workers, self._stop)
        photos = dict(zip(people, found, strict=True))
        everywhere: set[str] = set().union(*photos.values())
        self._look_at(sha for sha in self._ours.photos if self._is_at(sha, everywhere))
        return self._planner(listed, given).plan(photos)

    def _is_at(self, sha256: str, assets: Set[str]) -> bool:
        return any(asset in assets for asset, _ in self._assets[sha256])

    def _planner(self, listed: Sequence[ServerPerson], given: Given) -> Planner:
        return Planner(self._ours.persons, self._view.seen, self._view.faces, listed, given, self._options)

    def _listed(self) -> list[ServerPerson]:
        """Everybody on the server who has a name, and those of our names who have no face yet."""
        listed = [person for page in self._server.people() for person in page if person.name]
        known = {comparable(person.name) for person in listed}
        unknown = [ours.name for ours in self._ours.persons if ours.name and not ours.names & known]
        found = in_parallel(self._server.people_called, unknown, self._options.workers, self._stop)
        return [*listed, *(person for people in found for person in people)]

    def _look_at(self, contents: Iterable[str]) -> None:
        """Ask for the faces of all assets with these bytes."""
        wanted = []
        for sha256 in contents:
            for asset, is_edited in self._assets[sha256]:
                if asset in self._view.faces:
                    continue
                if is_edited:
                    self._view.faces[asset] = []
                    self._view.differing += 1
                else:
                    wanted.append((asset, sha256))
        self._progress.begin("Reading faces", len(wanted))
        try:
            found = in_parallel(
                self._faces, [asset for asset, _ in wanted], self._options.workers, self._stop
            )
        finally:
            self._progress.end()
        for (asset, sha256), faces in zip(wanted, found, strict=True):
            self._view.faces[asset] = faces or []
            if faces is None:
                continue
            pairs = sightings(asset, self._ours.photos[sha256], faces)
            self._view.differing += pairs is None
            self._view.seen += pairs or []

    def _faces(self, asset: str) -> list[ServerFace] | None:
        self._progress.advance()
        try:
            return self._server.faces(asset)
        except NotThere:
            self._view.vanished += 1
        except RequestFailed as error:
            self._view.failures.append((f"photo {asset}", error.reason))
        return None

    def summary(self, *, stopped: bool = False) -> PushSummary:
        """What is planned, and what was done of it so far."""
        changes = self._changes
        failures = [*self._view.failures, *(changes.failures if changes else [])]
        return PushSummary(
            people=[_shown(plan) for plan in self._plans],
            changes=sum(plan.changes for plan in self._plans),
            photos=len(self._view.faces),
            vanished=self._view.vanished,
            differing=self._view.differing,
            unfit=self._ours.unfit,
            applied=changes is not None,
            run=changes.journal.run if changes else "",
            made=dict(changes.counts) if changes else {},
            failed=len(failures),
            failures=failures,
            stopped=stopped,
        )


def _given(known: Sequence[PushJournal]) -> Given:
    """What earlier runs gave, and perhaps gave: whether it is so, the server shows."""
    names: dict[str, str] = {}
    faces: dict[str, str] = {}
    for noted in (each for journal in known if not journal.is_undone for each in journal.changes.values()):
        change, made = noted.change, (noted.outcome or {}).get("id")
        if noted.is_void or noted.is_undo:
            continue
        if isinstance(change, CreatePerson) and made is not None:
            names[made] = change.person.name
        elif isinstance(change, NamePerson):
            names[change.person.id] = change.name
        elif isinstance(change, GiveFace):
            faces[change.face] = change.to
        elif isinstance(change, CreateFace) and made is not None:
            faces[made] = change.to
    return Given(names, faces)


def _shown(plan: PersonPlan) -> PushedPerson:
    return PushedPerson(
        name=plan.name,
        action=plan.action,
        id=plan.target.id if plan.target else "",
        known_as=plan.target.name if plan.target else "",
        in_place=plan.in_place,
        give=len(plan.give),
        add=len(plan.add),
        merge=[PushedMerge(m.source.id, m.source.name, m.photos, m.known) for m in plan.merge],
        left=dict(sorted(plan.left.items())),
    )
