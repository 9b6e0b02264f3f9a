"""`export-xmp`: write the library's people into XMP sidecars beside their photos."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from facesets.errors import CannotWrite
from facesets.files import plain_path, sweep_temporaries
from facesets.formats.xmp.merging import EditedSince
from facesets.formats.xmp.ownership import NOTHING
from facesets.operations.interchange.sidecar_files import put, state_of, why_not_written
from facesets.operations.interchange.sidecar_plan import (
    Plan,
    Request,
    packed,
    plan_sidecar,
    request_of,
    sidecar_of,
)
from facesets.operations.options.library import ExportXmpOptions
from facesets.result import Result
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.xmp_changes import (
    Change,
    count_changes,
    drop_changes,
    drop_old_changes,
    note_changes,
    pack,
)
from facesets.store.postgres.photos.xmp_sidecars import (
    KnownSidecar,
    PersonFace,
    PhotoFile,
    drop_moved,
    faces_of_people,
    paths_to_look_at,
    paths_without_photo,
    photo_files,
    sidecars_without_photo,
    store_sidecars,
)
from facesets.work import Work

FacesOfImages: TypeAlias = Mapping[int, Sequence[PersonFace]]

COMMAND = "export-xmp"
_REFUSED = ("edited", "failed", "missing")
_AT_A_TIME = 1000
MAX_PLANNED_BYTES = 64_000_000
"""Bytes of planned sidecars in memory, above which they are written."""
THREADS = 8
"""Number of threads; most of their time is spent waiting for disks to write each file durably."""

InParallel: TypeAlias = Callable[..., Iterable[Any]]
"""The `map` of an executor."""


def export_xmp(library: Library, people: Sequence[str], options: ExportXmpOptions, *, work: Work) -> Result:
    """Update the sidecars of photos with the people of the library.

    Parameters
    ----------
    people
        The people to name; all named people if empty.

    Raises
    ------
    WrongUsage
        A person is unknown or has no name.
    AlreadyRunning
        Another run writes sidecars.
    CannotWrite
        The disk is full.
    """
    database = library.database
    with RunLock(database, COMMAND):
        request, unfit = database.run(request_of, library, people, options)
        below = [str(plain_path(each)) for each in options.target]
        options_used = {"who": list(people), **asdict(replace(options, target=tuple(below)))}  # type: ignore[arg-type]
        with library.recorded_run(COMMAND, options_used, dry_run=options.dry_run) as run:
            done = _nothing_done(len(request.people) - len(unfit), unfit, dry_run=options.dry_run)
            export = _Export(library, request, run.id, done)
            paths, left_behind = export.paths(below), database.run(paths_without_photo, below)
            work.progress.begin("Sidecars", len(paths) + len(left_behind))
            try:
                with ThreadPoolExecutor(THREADS, thread_name_prefix="sidecars") as pool:
                    # Sidecars that moved with their photo are recognized by the record of the old place,
                    # which comes last.
                    known = map(export.read, in_parts(paths, _AT_A_TIME))
                    for photos, faces in chain(
                        known, map(export.read_left_behind, in_parts(left_behind, _AT_A_TIME))
                    ):
                        if work.stop.requested:
                            run.stopped = True
                            break
                        export.bring_up_to_date(photos, faces, pool.map)
                        work.progress.advance(len(photos))
            finally:
                work.progress.end()
            noted = database.run(count_changes, run=run.id)
            done.update(run=run.id if noted else 0, stopped=run.stopped)
            run.summary = {name: value for name, value in done.items() if isinstance(value, int | bool)}
        if done.run:
            database.run(drop_old_changes)
    return done


def _nothing_done(people: int, unfit: Sequence[str], *, dry_run: bool) -> Result:
    return Result(
        people=people,
        photos=0,  # checked: those of these people, and those with sidecars that have our part
        new=0,
        changed=0,
        removed=0,  # sidecars that held only our part, which is outdated
        unchanged=0,
        left_behind=0,  # of the removed ones, sidecars without a photo in the library
        missing=0,  # photos that are no longer in their place
        edited=[],  # sidecars with changes to our part
        failures=[],
        unfit=unfit,  # names that no XML can hold
        empty=0,  # of the changed ones, former files without a byte
        run=0,  # the number to undo it by; 0 if there is nothing to undo
        stopped=False,
        dry_run=dry_run,
    )


class _Export:
    """One run: its options and its counts."""

    def __init__(self, library: Library, request: Request, run: int, done: Result) -> None:
        """Begin a run; without a run number nothing is written. Counts go to `done`."""
        self._database = library.database
        self._request = request
        self._run = run
        self._done = done
        self._held = 0
        self._came_along: dict[Path, bool] = {}
        detector = self._database.run(library.detector)
        self._detector = None if detector is None else detector.id

    def paths(self, below: Sequence[str]) -> Sequence[int]:
        """Return the numbers of the paths to check."""
        if self._detector is None:
            return ()
        people = list(self._request.people)
        numbers: list[int] = self._database.run(paths_to_look_at, self._detector, people, below).tolist()
        return numbers

    def read(self, paths: Sequence[int]) -> tuple[list[PhotoFile], FacesOfImages]:
        """Read the photos at some paths, and their faces."""

        def work(connection: Connection) -> tuple[list[PhotoFile], FacesOfImages]:
            photos = photo_files(connection, paths)
            images = [photo.image for photo in photos]
            return photos, faces_of_people(connection, self._detector or 0, images)

        return self._database.run(work)

    def read_left_behind(self, paths: Sequence[str]) -> tuple[list[PhotoFile], FacesOfImages]:
        """Read the sidecars of photos that are no longer in the library and were not renamed."""

        def work(connection: Connection) -> list[PhotoFile]:
            photos = sidecars_without_photo(connection, paths)
            renamed = {photo.path: self._came_along.get(sidecar_of(photo)) for photo in photos}
            if self._run:
                drop_moved(connection, [path for path, is_kept in renamed.items() if is_kept])
            return [photo for photo in photos if renamed[photo.path] is None]

        return self._database.run(work), {}

    def bring_up_to_date(
        self, photos: list[PhotoFile], faces: FacesOfImages, in_parallel: InParallel
    ) -> None:
        """Plan and write the sidecars of some photos."""

        def plan(photo: PhotoFile) -> Plan | None:
            if self._held > MAX_PLANNED_BYTES:
                return None
            planned = plan_sidecar(photo, faces.get(photo.image, ()), self._request)
            self._held += planned.bytes_held
            return planned

        while photos:
            self._held = 0
            plans = each_of(plan, photos, in_parallel)
            photos = [photo for photo, planned in zip(photos, plans, strict=True) if planned is None]
            self._carry_out([planned for planned in plans if planned is not None], in_parallel)

    def _carry_out(self, plans: list[Plan], in_parallel: InParallel) -> None:
        moved = [plan for plan in plans if plan.photo.elsewhere is not None]
        self._came_along |= {sidecar_of(plan.photo): plan.outcome not in _REFUSED for plan in moved}
        writing = [plan for plan in plans if plan.outcome in ("new", "changed", "removed")]
        if self._run:
            sweep_temporaries(*_left_by_killed_runs(plan.photo for plan in plans))
            self._database.run(self._announce, writing)
            written = {plan.photo.path: plan for plan in each_of(_write, writing, in_parallel)}
            plans = [written.get(plan.photo.path, plan) for plan in plans]
            self._database.run(self._save, plans, written)
        for plan in plans:
            self._count(plan)

    def _count(self, plan: Plan) -> None:
        done, outcome = self._done, plan.outcome
        if outcome == "missing" and not plan.photo.is_known:
            # Without a photo and a sidecar, there is nothing to report.
            return
        done["photos"] += 1
        if outcome in ("edited", "failed"):
            left = done.edited if outcome == "edited" else done.failures
            left.append(Result(path=str(plan.path), reason=plan.reason))
        else:
            done[outcome] += 1
        # A program interrupted while writing leaves an empty file.
        done["empty"] += outcome == "changed" and plan.before == b""
        done["left_behind"] += outcome in ("changed", "removed") and plan.is_left_behind

    def _announce(self, connection: Connection, plans: Sequence[Plan]) -> None:
        """Record what will be written, so that our part is known even after a crash."""
        # Parts on forgotten people are not stored, so that they cannot be restored.
        storable = [
            plan for plan in plans if plan.photo.sidecar is None or not plan.photo.sidecar.names_forgotten
        ]
        note_changes(connection, self._run, [_change(plan) for plan in storable])
        store_sidecars(connection, {plan.photo.path: _announced(plan) for plan in plans})

    def _save(self, connection: Connection, plans: Sequence[Plan], written: Mapping[str, Plan]) -> None:
        """Record the state of sidecars; those not written keep their old state."""
        now: dict[str, KnownSidecar | None] = {}
        for plan in plans:
            known, path = plan.known, plan.photo.path
            if path in written and known is not None:
                state = state_of(plan.path) or (None, None)
                now[path] = replace(known, size=state[0], mtime_ns=state[1])
            elif path in written or (plan.outcome == "unchanged" and known is not plan.photo.sidecar):
                now[path] = known
        failed = [path for path, plan in written.items() if plan.outcome in ("edited", "failed")]
        now |= {path: written[path].photo.sidecar for path in failed}
        store_sidecars(connection, now)
        drop_changes(connection, self._run, failed)
        drop_moved(connection, [each.photo for each in map(_moved, plans) if each is not None])


def _left_by_killed_runs(photos: Iterable[PhotoFile]) -> list[Path]:
    """Clean up sidecars that a killed run was about to write."""
    known = [photo for photo in photos if photo.sidecar is not None and photo.sidecar.planned is not None]
    return [sidecar_of(photo) for photo in known]


def _moved(plan: Plan) -> KnownSidecar | None:
    """Return the record of a sidecar before it moved with its photo.

    None if it also stayed, or while its new place is unknown.
    """
    elsewhere = plan.photo.elsewhere
    if elsewhere is None or plan.outcome in _REFUSED:
        return None
    return None if os.path.lexists(elsewhere.path) else elsewhere


def _change(plan: Plan) -> Change:
    after = None if plan.after is None else sha256(plan.after).digest()
    return Change(plan.photo.path, plan.sidecar, pack(plan.before), after, plan.known_before)


def _announced(plan: Plan) -> KnownSidecar:
    known = plan.photo.sidecar or KnownSidecar(plan.photo.path, plan.sidecar, frozenset(), packed(NOTHING))
    planned = packed(NOTHING) if plan.known is None else plan.known.ours
    people = known.people if plan.known is None else known.people | plan.known.people
    return replace(known, name=plan.sidecar, people=people, planned=planned, made_of=None)


def _write(plan: Plan) -> Plan:
    """Carry out a plan; return why if it failed."""
    try:
        put(plan.path, plan.before, plan.after, plan.photo.path)
    except EditedSince as error:
        return replace(plan, outcome="edited", reason=str(error))
    except CannotWrite as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return replace(plan, outcome="failed", reason=why_not_written(error))
    return plan


T = TypeVar("T")
U = TypeVar("U")

_PART = 25
"""Pieces that a thread gets at a time."""


def each_of(work: Callable[[T], U], items: Sequence[T], in_parallel: InParallel) -> list[U]:
    """Apply a function to items in parallel."""
    parts = list(in_parts(items, _PART))
    return [each for part in in_parallel(lambda part: [work(item) for item in part], parts) for each in part]


def in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield some items at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
