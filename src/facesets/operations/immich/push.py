"""`immich-push`: write people and their names back to an Immich server.

First everything is read and a plan is made; nothing is changed unless the user confirms the plan.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from facesets.errors import Field, WrongUsage
from facesets.files import FileLock, printable
from facesets.operations.immich.local_people import LocalPeople, assets_of_contents
from facesets.operations.immich.push_changes import CreateFace, CreatePerson, GiveFace, NamePerson
from facesets.operations.immich.push_executor import Changes, PlanExecutor, in_parallel
from facesets.operations.immich.push_journal import PushJournal, journals, new_journal
from facesets.operations.immich.push_plan import PersonPlan, Planner
from facesets.operations.immich.server import PUSH_PERMISSIONS, check_server, comparable, people_called
from facesets.operations.immich.server_faces import ServerView
from facesets.operations.immich.stage_state import StageRecord, with_paths
from facesets.operations.options.immich import PushOptions
from facesets.remote.immich_answers import RequestFailed
from facesets.remote.immich_people import ImmichPeople
from facesets.remote.immich_records import Owner, ServerPerson
from facesets.remote.retry import Stopped
from facesets.result import Result
from facesets.work import Work


def immich_push(
    server: ImmichPeople,
    folder: Path,
    read_people: Callable[[Sequence[str]], LocalPeople],
    options: PushOptions,
    confirm: Callable[[Result], bool],
    *,
    when: str,
    work: Work,
) -> Result:
    """Show a plan, and carry it out if the user confirms it.

    Parameters
    ----------
    folder : Path
        The folder of `immich-stage`, with the content of each asset; it also gets the journals.
    read_people : callable
        Our people on images with these sha256.
    confirm : callable
        Receives the plan; nothing is changed unless it returns True. Not called in a dry run, or if there is
        nothing to change.
    when : str
        Name of a new run.

    Raises
    ------
    WrongUsage
        Nothing is staged here, it is of another account, the key lacks a permission, or an undo was
        interrupted.
    Unreachable, CannotWrite, DamagedFile, NewerFormat, AlreadyRunning
        The message has the reason.
    """
    folder = folder.absolute()
    if not StageRecord(folder).exists():
        raise WrongUsage(
            f"Nothing was staged in {printable(folder)}. Give the folder OUT/USER that `immich-stage` made."
        )
    lock = nullcontext() if options.dry_run else FileLock(folder / "push.lock", what=printable(folder))
    with lock:
        owner = check_server(server, "", work.progress, essential=PUSH_PERMISSIONS)
        if owner is None:
            raise WrongUsage(
                f"{server.label} does not say which account this API key is for, so photos of other "
                "accounts cannot be recognised. Add user.read to the key in Immich under Account "
                "Settings, API Keys."
            )
        assets = assets_of_contents(StageRecord(folder, owner_id=owner.id).records())
        ours = read_people(list(assets))
        view = ServerView(server, ours, assets, owner.id, options.workers, work)
        pushing = _Push(server, folder, ours, view, options, work)
        try:
            return pushing.run(confirm, when, owner)
        except Stopped:
            return pushing.summary(stopped=True)


@dataclass
class _Push:
    server: ImmichPeople
    folder: Path
    ours: LocalPeople
    view: ServerView
    options: PushOptions
    work: Work
    plans: list[PersonPlan] = field(default_factory=list)
    changes: Changes | None = None

    def run(self, confirm: Callable[[Result], bool], when: str, owner: Owner) -> Result:
        known = journals(self.folder)
        begun = next((journal for journal in known if journal.is_being_undone), None)
        if begun is not None:
            raise WrongUsage(
                f"The undo of run {begun.run} is not finished. Finish it first with "
                f"{Field('undo', begun.run)}; if the server keeps refusing a part of it, add "
                f"{Field('give_up')}."
            )
        try:
            self.plans = self._plan(*_given_before(known))
        except RequestFailed as error:
            raise WrongUsage(
                f"{self.server.label} does not return the data for a plan: {error.reason}. Nothing "
                "was changed."
            ) from error
        if self.options.dry_run or not any(plan.changes for plan in self.plans):
            return self.summary()
        if not confirm(self.summary()):
            return self.summary()
        unended = [journal for journal in known if not journal.is_ended]
        journal = unended[-1] if unended else new_journal(self.folder, when, owner.id)
        self.changes = Changes(self.server, journal)
        total = sum(plan.changes for plan in self.plans)
        self.work.progress.begin("Writing people to Immich", total)
        try:
            with journal.writing():
                self.changes.resolve_open()
                version = self.server.version()
                PlanExecutor(self.changes, version, self.options.workers, self.work).apply(self.plans)
                journal.end()
        finally:
            self.work.progress.end()
            journal.discard_if_empty()
        return self.summary()

    def _plan(self, names: Mapping[str, str], faces: Mapping[str, str]) -> list[PersonPlan]:
        view, ours = self.view, self.ours

        def planner() -> Planner:
            return Planner(ours.persons, view.seen, view.faces, listed, names, faces, self.options)

        view.read_faces(sha for sha, photo in ours.photos.items() if ours.has_named(photo))
        listed = self._listed()
        people = sorted(planner().merge_candidates())
        found = in_parallel(self.server.photos_of, people, self.options.workers, self.work.stop)
        photos = dict(zip(people, found, strict=True))
        everywhere: set[str] = set().union(*photos.values())
        view.read_faces(sha for sha in ours.photos if view.is_at(sha, everywhere))
        while True:
            plans = planner().plan(photos)
            if not view.drop_photos_of_others(
                {each.asset for plan in plans for each in (*plan.give, *plan.add)}
            ):
                return plans

    def _listed(self) -> list[ServerPerson]:
        """Return all named people on the server, including our names that its list omits."""
        listed = [person for page in self.server.people() for person in page if person.name]
        known = {comparable(person.name) for person in listed}
        unknown = [ours.names for ours in self.ours.persons if ours.name and not ours.names & known]
        found = in_parallel(
            partial(people_called, self.server), unknown, self.options.workers, self.work.stop
        )
        return [*listed, *(person for people in found for person in people)]

    def summary(self, *, stopped: bool = False) -> Result:
        """Return the plan and what was done so far."""
        changes = self.changes
        failures = with_paths([*self.view.failures, *(changes.failures if changes else [])], self.folder)
        return Result(
            people=[_shown(plan) for plan in self.plans],
            changes=sum(plan.changes for plan in self.plans),  # planned ones
            photos=len(self.view.faces),
            # Photos that the server no longer has, that it shows cropped or rotated, and that belong to other
            # accounts. They are left alone.
            vanished=self.view.vanished,
            differing=self.view.differing,
            of_others=self.view.of_others,
            unfit=self.ours.unfit,  # names that no server can store
            applied=changes is not None,
            # The run's name for an undo; empty while nothing was changed.
            run=changes.journal.run if changes and changes.journal.has_effect else "",
            # By kind; faces and people that changed on the server since the plan count separately.
            made=dict(changes.counts) if changes else {},
            failed=len(failures),
            failures=failures,
            stopped=stopped,
        )


def _shown(plan: PersonPlan) -> Result:
    """Return the plan for one person, in figures."""
    return Result(
        name=plan.name,
        action=plan.action,
        # The person on the server, and their name there; empty for a person to create.
        id=plan.target.id if plan.target else "",
        known_as=plan.target.name if plan.target else "",
        in_place=plan.in_place,  # faces that already have this person
        give=len(plan.give),
        add=len(plan.add),
        merge=[
            # Photos of the person to merge; `known` of them are known to us.
            Result(id=each.source.id, name=each.source.name, photos=each.photos, known=each.known)
            for each in plan.merge
        ],
        left=dict(sorted(plan.left.items())),  # faces left alone, by the reason
    )


def _given_before(known: Sequence[PushJournal]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names and faces that earlier runs set or may have set."""
    names: dict[str, str] = {}
    faces: dict[str, str] = {}
    for entry in (each for journal in known if not journal.is_undone for each in journal.changes.values()):
        change, made = entry.change, (entry.outcome or {}).get("id")
        if entry.is_void or entry.is_undo:
            continue
        if isinstance(change, CreatePerson) and made is not None:
            names[made] = change.person.name
        elif isinstance(change, NamePerson):
            names[change.person.id] = change.name
        elif isinstance(change, GiveFace):
            faces[change.face] = change.to
        elif isinstance(change, CreateFace) and made is not None:
            faces[made] = change.to
    return names, faces
