"""The runs that changed a result folder, and how to undo one."""

from pathlib import Path

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import PEOPLE, RUN_RECORD, SETS, printable
from facesets.result import Result
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.rollback import apply_undo, undoing
from facesets.results.run_records import DONE, WRITING, Run, add_restored, read_runs


def known_runs(out: Path) -> Result:
    """List the runs of a result folder that can be undone, the newest first; of `run`, those of its results.

    Raises
    ------
    WrongUsage
        There is no such folder.
    DamagedFile
        The journal cannot be read.
    """
    _require(out)
    if not (out / RUN_RECORD).is_file():
        return Result(out=str(out), runs=[_listed(run, run.name) for run in reversed(read_runs(out))])
    # Times are in seconds, and face sets are written after people.
    runs = sorted(
        _runs_below(out).items(),
        key=lambda each: (each[1].began, each[1].number, each[1].root.name == SETS),
        reverse=True,
    )
    return Result(out=str(out), runs=[_listed(run, name) for name, run in runs])


def _listed(run: Run, name: str) -> Result:
    changes = run.changes().values()
    return Result(
        run=name,
        command=run.command,
        began=run.began,  # in UTC and ISO 8601; empty if it was not recorded
        complete=run.state == DONE,  # else the next run resumes it
        half_undone=run.state not in (DONE, WRITING),  # its undo was interrupted
        made=sum(change.backup is None and change.left[-1] is not None for change in changes),
        replaced=sum(change.backup is not None and change.left[-1] is not None for change in changes),
        removed=sum(change.backup is not None and change.left[-1] is None for change in changes),
        bytes_kept=run.backup_bytes(),  # of files that it replaced and removed
        also=[str(path) for path in run.also],  # folders that are undone with it
    )


def _runs_below(out: Path) -> dict[str, Run]:
    """Return the runs in the folders of a `run`, by names such as `people/0002-extend`; each run once."""
    found: dict[str, Run] = {}
    for folder in (PEOPLE, SETS):
        for run in read_runs(out / folder) if (out / folder).is_dir() else ():
            twin = found.get(f"{PEOPLE}/{run.name}")
            if twin is None or run.root.absolute() not in twin.also:
                found[f"{folder}/{run.name}"] = run
    return found


def _place_of(out: Path, run: str) -> tuple[Path, str]:
    """Return the result folder of a run, and the name of the run there."""
    if not (out / RUN_RECORD).is_file():
        return out, run
    known = _runs_below(out)
    names_of = {}
    for name, each in known.items():
        folders = ("", *(f"{root.name}/" for root in (each.root, *each.also)))
        names_of[name] = {f"{folder}{word}" for folder in folders for word in (each.name, each.number)}
    matching = [name for name, names in names_of.items() if run in names]
    if len(matching) != 1:
        listed = ", ".join(matching or reversed(known)) or "none"
        reason = "several runs" if matching else "no run"
        raise WrongUsage(f"{printable(out)} has {reason} {printable(run)} (runs: {listed}).")
    return known[matching[0]].root, known[matching[0]].name


def undo(out: Path, run: str, *, dry_run: bool = False) -> Result:
    """Restore what lay in a result folder before a run; `run` is its name or its number.

    A run that wrote to several folders is undone in all of them. An interrupted undo is resumed.

    Raises
    ------
    WrongUsage
        There is no such run, later runs must be undone first, or a file was changed since.
    AlreadyRunning
        Another run writes there.
    CannotWrite
        A file cannot be restored, or a file of the program's own is a link.
    DamagedFile
        The journal cannot be read.
    """
    _require(out)
    root, name = _place_of(out, run)
    with undoing(root, name) as plans:
        if not dry_run:
            roots = [plan.run.root for plan in plans]
            before = [_deleted_folders(root) for root in roots]
            apply_undo(plans)
            for root, deleted in zip(roots, before, strict=True):
                add_restored(root, deleted - _deleted_folders(root))
        folders = [
            Result(
                folder=str(plan.run.root),
                restored=sorted(plan.restore),
                removed=sorted(set(plan.remove).difference(plan.last_copies)),
                set_aside=sorted(plan.last_copies),  # copies of photos without an original
                stay_deleted=sorted(plan.deleted),  # replaced by the run, deleted by the user since
                elsewhere=sorted(plan.elsewhere),  # made by the run, moved or deleted by the user since
                # Links that replaced folders: nothing is changed behind them.
                links=list(plan.links),
            )
            for plan in plans
        ]
        return Result(run=plans[-1].run.name, folders=folders, dry_run=dry_run)


def _deleted_folders(root: Path) -> set[str]:
    """Return the folders that the user deleted, from the manifest."""
    try:
        manifest = read_any_manifest(root)
    except FacesetsError:
        return set()
    if isinstance(manifest, ExportManifest):
        return {entry.name for entry in manifest.removed}
    if isinstance(manifest, ClusterManifest | RefineManifest):
        return {each.group for each in manifest.statements if each.kind == "removed"}
    return set()


def _require(out: Path) -> None:
    if not out.is_dir():
        raise WrongUsage(f"Folder not found: {printable(out)}. Give the result folder of the run to undo.")
