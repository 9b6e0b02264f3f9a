"""The runs that changed a result folder, and how one is taken back."""

from dataclasses import dataclass, field
from pathlib import Path

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.pardons import add_pardons
from facesets.results.rollback import take_back, undoing
from facesets.results.run_records import DONE, WRITING, read_runs


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that can be taken back.

    Attributes
    ----------
    began : str
        When, in UTC and ISO 8601; empty where that was not noted.
    complete : bool
        Whether it ended by itself; otherwise the next run goes on with it.
    half_undone : bool
        Whether taking it back was begun and cut off.
    made, replaced, removed : int
        Files.
    bytes_kept : int
        What it replaced and removed.
    also : list of str
        Other folders that the same run changed, and that are taken back with it.
    """

    run: str
    command: str
    began: str
    complete: bool
    half_undone: bool
    made: int
    replaced: int
    removed: int
    bytes_kept: int
    also: list[str]


@dataclass(frozen=True, slots=True)
class RunsSummary:
    """The runs of a folder, newest first."""

    out: str
    runs: list[KnownRun]


@dataclass(frozen=True, slots=True)
class UndoneFolder:
    """What came back and what went in one folder, by name.

    Attributes
    ----------
    set_aside : list of str
        Copies of photos whose originals are gone: they lie in `_without_original` now.
    stay_deleted : list of str
        What the run had replaced and the user deleted since.
    elsewhere : list of str
        What the run had made and the user moved or deleted since: it stays as the user left it.
    links : list of str
        Folders that the user replaced by links: nothing is changed behind them.
    """

    folder: str
    restored: list[str]
    removed: list[str]
    set_aside: list[str]
    stay_deleted: list[str]
    elsewhere: list[str]
    links: list[str]


@dataclass(frozen=True, slots=True)
class UndoSummary:
    """What taking back a run did."""

    run: str
    folders: list[UndoneFolder] = field(default_factory=list)
    dry_run: bool = False


def known_runs(out: Path) -> RunsSummary:
    """List the runs that changed a result folder and can be taken back.

    Raises
    ------
    WrongUsage
        There is no such folder.
    DamagedFile
        The journal cannot be read.
    """
    _require(out)
    runs = []
    for run in reversed(read_runs(out)):
        changes = run.changes().values()
        runs.append(
            KnownRun(
                run=run.name,
                command=run.command,
                began=run.began,
                complete=run.state == DONE,
                half_undone=run.state not in (DONE, WRITING),
                made=sum(change.kept is None and change.left[-1] is not None for change in changes),
                replaced=sum(change.kept is not None and change.left[-1] is not None for change in changes),
                removed=sum(change.kept is not None and change.left[-1] is None for change in changes),
                bytes_kept=run.bytes_kept(),
                also=[str(path) for path in run.also],
            )
        )
    return RunsSummary(str(out), runs)


def undo(out: Path, run: str, *, dry_run: bool = False) -> UndoSummary:
    """Restore what lay in a result folder before a run; `run` is its name or its number.

    A run that wrote to several folders is taken back in all of them. An undo that was cut off goes on where
    it was.

    Raises
    ------
    WrongUsage
        There is no such run, later runs must be taken back first, or a file was changed since.
    AlreadyRunning
        Another run writes there.
    CannotWrite
        A file cannot be restored, or what only the program makes there is a link.
    DamagedFile
        The journal cannot be read.
    """
    _require(out)
    with undoing(out, run) as plans:
        if not dry_run:
            roots = [plan.run.root for plan in plans]
            before = [_deleted_folders(root) for root in roots]
            take_back(plans)
            for root, deleted in zip(roots, before, strict=True):
                add_pardons(root, deleted - _deleted_folders(root))
        folders = [
            UndoneFolder(
                folder=str(plan.run.root),
                restored=sorted(plan.restore),
                removed=sorted(set(plan.remove).difference(plan.last_copies)),
                set_aside=sorted(plan.last_copies),
                stay_deleted=sorted(plan.deleted),
                elsewhere=sorted(plan.elsewhere),
                links=list(plan.links),
            )
            for plan in plans
        ]
        return UndoSummary(plans[-1].run.name, folders, dry_run)


def _deleted_folders(root: Path) -> set[str]:
    """Folders that the user deleted, as the manifest says."""
    try:
        manifest = read_any_manifest(root)
    except FacesetsError:
        return set()
    if isinstance(manifest, ExportManifest):
        return {entry.name for entry in manifest.removed}
    if isinstance(manifest, ClusterManifest | RefineManifest):
        return {said.group for said in manifest.statements if said.kind == "removed"}
    return set()


def _require(out: Path) -> None:
    if not out.is_dir():
        raise WrongUsage(f"There is no folder {printable(out)}. Give the OUT of the run to take back.")
