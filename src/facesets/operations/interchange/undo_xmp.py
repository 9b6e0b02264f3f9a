"""`export-xmp --undo`: restore the sidecars that a run wrote."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import Literal

from facesets.errors import CannotWrite, UnreadableXmp, WrongUsage
from facesets.files import has_something, printable, sweep_temporaries
from facesets.formats.xmp.merging import EditedSince
from facesets.operations.interchange.export_xmp import COMMAND, THREADS
from facesets.operations.interchange.sidecar_files import content_of, put, why_not_written
from facesets.result import Result
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photos.image_paths import known_among
from facesets.store.postgres.photos.xmp_changes import (
    Change,
    changed_by,
    changes_of,
    count_changes,
    drop_changes,
    runs_with_changes,
)
from facesets.store.postgres.photos.xmp_sidecars import store_sidecars
from facesets.work import Work

LAST = "last"
_AT_A_TIME = 500
MAX_HELD_BYTES = 16_000_000
"""Maximum bytes of compressed sidecars in memory; each may have megabytes."""

_Outcome = Literal["restored", "removed", "as_before", "edited", "failed", "not_there", "gone"]


def undo_xmp(database: Database, run: str, *, dry_run: bool = False, work: Work) -> Result:
    """Restore the sidecars that a run of `export-xmp` wrote, by its number or `last`.

    Raises
    ------
    WrongUsage
        There is no such run, or none that can be undone.
    AlreadyRunning
        A run writes sidecars.
    """
    with RunLock(database, COMMAND), ThreadPoolExecutor(THREADS, thread_name_prefix="sidecars") as pool:
        runs = database.run(runs_with_changes)
        number = _number_of(runs, run)
        later = [each for each in runs if each > number]
        counts: Counter[str] = Counter()
        left: dict[str, list[Result]] = {"edited": [], "gone": [], "failed": [], "not_there": []}
        work.progress.begin("Sidecars", database.run(count_changes, number))
        behind, is_done = "", False
        while not (is_done or work.stop.requested):
            changes = database.run(changes_of, number, behind, limit=_AT_A_TIME, most_bytes=MAX_HELD_BYTES)
            is_done = not changes
            behind = changes[-1].photo if changes else behind
            if not dry_run:
                sweep_temporaries(*(each.path for each in changes))
            photos = [each.photo for each in changes]
            written = database.run(changed_by, runs=later, paths=photos)
            put_back = partial(_put_back, expected=database.run(known_among, paths=photos), dry_run=dry_run)
            settled = []
            for change, (outcome, reason) in zip(changes, pool.map(put_back, changes), strict=True):
                counts[outcome] += 1
                is_under_another = outcome == "edited" and change.photo in written
                # A missing sidecar that did not exist before the run is no loss.
                if outcome in left and not (outcome == "gone" and change.packed is None):
                    why = "a later run wrote it; undo that run first" if is_under_another else reason
                    left[outcome].append(Result(path=str(change.path), reason=why))
                # Sidecars that could not be written can be tried again.
                if outcome not in ("failed", "not_there") and not is_under_another:
                    settled.append((change, outcome))
            if not dry_run:
                database.run(_settle, run=number, settled=settled)
            work.progress.advance(len(changes))
        work.progress.end()
    return _summary(number, counts, left, stopped=not is_done, dry_run=dry_run)


def _summary(
    run: int, counts: Counter[str], left: Mapping[str, list[Result]], *, stopped: bool, dry_run: bool
) -> Result:
    return Result(
        run=run,
        restored=counts["restored"],
        removed=counts["removed"],  # they did not exist before the run
        as_before=counts["as_before"] + counts["gone"] - len(left["gone"]),
        # Changed since, so they stay. What a later run changed can be undone after that run is undone.
        edited=left["edited"] + left["gone"],
        failures=left["not_there"] + left["failed"],
        stopped=stopped,
        dry_run=dry_run,
        # Failures in folders that are empty although the library knows photos there.
        not_there=counts["not_there"],
        # All others in empty folders: these were emptied, or are on an unmounted disk. Our part in them stays
        # recorded, in case they return.
        gone=counts["gone"],
    )


def _number_of(runs: list[int], run: str) -> int:
    if not runs:
        raise WrongUsage("There is no run of export-xmp to undo.")
    if run == LAST:
        return runs[0]
    if not run.isdecimal() or int(run) not in runs:
        known = ", ".join(map(str, runs))
        raise WrongUsage(f"Run {printable(run)} not found. Runs that can be undone: {known}.")
    return int(run)


def _put_back(change: Change, *, expected: Collection[str], dry_run: bool) -> tuple[_Outcome, str]:
    sidecar = change.path
    try:
        there = content_of(sidecar)
        if there is None and not has_something(sidecar.parent):
            # Files on an unmounted disk are unknown; a photo that the library no longer has is known to be
            # gone.
            if change.photo in expected:
                return "not_there", "its folder is empty; check that its drive is mounted"
            return "gone", "its folder was emptied"
        before = change.before
        if there == before:
            return "as_before", ""
        if (None if there is None else sha256(there).digest()) != change.after_sha256:
            return "edited", f"it was {('removed' if there is None else 'changed')} since"
        if not dry_run:
            put(sidecar, there, before, change.photo)
    except EditedSince as error:
        return "edited", str(error)
    except CannotWrite as error:
        return "failed", why_not_written(error)
    except UnreadableXmp as error:
        return "failed", error.reason
    except OSError as error:
        return "failed", f"cannot be read: {error.strerror or error}"
    return ("removed" if change.packed is None else "restored"), ""


def _settle(connection: Connection, run: int, settled: Sequence[tuple[Change, _Outcome]]) -> None:
    """Record our part of the sidecars, and drop their undo data.

    The record of sidecars that were not found stays.
    """
    now = {
        change.photo: change.known_before for change, outcome in settled if outcome not in ("edited", "gone")
    }
    store_sidecars(connection, now)
    drop_changes(connection, run, [change.photo for change, _ in settled])
