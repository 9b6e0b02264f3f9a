"""Runs that write a result folder: one at a time, each from its first look at the folder to its manifest."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from facesets.files import FileLock, printable, sync_files, writing
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.folder import OWN_NAMES, TEMPORARY, ResultFolder
from facesets.results.inside import is_inside
from facesets.results.manifest import MANIFEST_NAMES, PlacedFile
from facesets.results.ownership import ANNOUNCEMENT, linked_folders, ours_in, rights_of_result
from facesets.results.placement import DRAWINGS, EDITED, WITHOUT_ORIGINAL, may_remove
from facesets.results.run_journal import RunJournal
from facesets.results.run_records import sweep_journal
from facesets.results.safe_folder import SafeFolder
from facesets.rights import narrow, report_tightened, rights_in, rights_of

LOCK = ".facesets.lock"
_made: set[str] = set()


@contextmanager
def reserved(*roots: Path, dry_run: bool) -> Iterator[None]:
    """Lock output folders, from before anything is read there until everything is written.

    Data read before the lock may have been replaced by another run since. A dry run locks nothing. Errors as
    `locked`.
    """
    with ExitStack() as stack:
        for root in {os.path.realpath(root): root for root in roots}.values():
            if not dry_run:
                stack.enter_context(locked(root))
        yield


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Lock an output folder, which is made if it does not exist.

    A folder that was made and stays empty is removed.

    Raises
    ------
    AlreadyRunning
        Another run writes there.
    CannotWrite
        The folder cannot be made.
    """
    made = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    if root in made:
        _made.add(os.path.realpath(root))
    try:
        with FileLock(root / LOCK, what=printable(root)):
            yield
    finally:
        _made.discard(os.path.realpath(root))
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def narrow_root(root: Path, rights: int, *, was_open: bool) -> bool:
    """Narrow the rights of a locked folder if it was made by the lock, or if the result in it had more.

    Any other folder keeps the rights that the user chose. Return whether to report the change.
    """
    is_new = os.path.realpath(root) in _made
    return (is_new or was_open) and narrow(root.resolve(), rights) and not is_new


@contextmanager
def writing_results(
    root: Path,
    earlier: Mapping[str, PlacedFile | None],
    command: str,
    *,
    photos: Iterable[str] | None = None,
    also: Sequence[Path] = (),
    run: str = "",
) -> Iterator[ResultFolder]:
    """Write a result, in an output folder that is `reserved`.

    Parameters
    ----------
    earlier : mapping
        Relative names in the folder's manifest, with what was put there.
    command : str
        The command, for the journal.
    photos : iterable of str, optional
        The photos of the result, which limit its rights, as an earlier manifest does. If not given, only
        that manifest limits them.
    also, run
        For a run that writes to several folders: the others, and its name there.

    Raises
    ------
    CannotWrite
        The folder cannot be written, or an undo of it was interrupted.
    """
    inside = SafeFolder(root)
    inside.refuse_links(OWN_NAMES)
    sweep_journal(root)
    journal = RunJournal(root, command, also=also, run=run)
    linked = linked_folders(inside, filter(is_inside, earlier))
    rights = rights_of_result(root)
    if photos is not None:
        rights = rights_of(photos, root, earlier=rights)
    folder = ResultFolder(root, ours_in(inside, earlier), journal, rights or 0, linked=linked)
    # Files behind a link still belong to this result, in case the link is removed.
    folder.contents |= {n: put for n, put in earlier.items() if PurePosixPath(n).parent in linked}
    sweep_interrupted(inside, folder.owned)
    if photos is not None:
        _tighten(folder)
    try:
        yield folder
        folder.flush()
    finally:
        _sweep_copying(inside)


def _tighten(folder: ResultFolder) -> None:
    """Reduce rights of groups and others that earlier runs gave beyond those of this run.

    The user's own files keep theirs, and so does a folder with such files, or one that the user made.
    """
    root, inside = folder.root, folder.inside
    there = inside.names_in()
    hidden = [name for name in there if name.startswith(".facesets")]
    tops = {*OWN_NAMES, *hidden, *(name.partition("/")[0] for name in folder.owned)}
    marks = [root / name for name in (ANNOUNCEMENT, *MANIFEST_NAMES)]
    was_open = any((rights_in(mark) or 0) & ~folder.rights for mark in marks)
    tightened = tops.issuperset(there) and narrow_root(root, folder.rights, was_open=was_open)
    if not was_open:
        return
    above = {parent for name in folder.owned for parent in PurePosixPath(name).parents[:-1]}
    inner = [*map(str, above), *folder.owned, WITHOUT_ORIGINAL, EDITED, DRAWINGS]
    private = [narrow(root / name) for name in hidden if name not in (ANNOUNCEMENT, LOCK)]
    # The marks come last: they show a later run that this one was interrupted.
    shown = [narrow(path, folder.rights) for path in (*map(inside.path, inner), *marks)]
    if tightened or any(private) or any(shown):
        report_tightened(root)


def _sweep_copying(folder: SafeFolder) -> None:
    for name in folder.names_in():
        if name.startswith(TEMPORARY) and name.endswith(".tmp"):
            folder.remove(name)


def sweep_interrupted(folder: SafeFolder, owned: Iterable[str]) -> None:
    """Remove half-written files of an interrupted run, wherever it may have been writing."""
    _sweep_copying(folder)
    written = [ANNOUNCEMENT, *MANIFEST_NAMES]
    folder.sweep([*owned, *written] if folder.exists(ANNOUNCEMENT) else written)


def finish(folder: ResultFolder, manifest_name: str, content: bytes, *, closes: bool = True) -> int:
    """Remove leftovers, write the manifest as the last file, and withdraw the announcement.

    A run that continues in another folder does not close its journal yet.

    Returns
    -------
    int
        The number of removed files of earlier runs.
    """
    folder.flush()
    removed = folder.remove_leftovers()
    if folder.copied:
        sync_files()
    folder.write_manifest(manifest_name, content)
    folder.inside.remove(ANNOUNCEMENT)
    if closes:
        folder.journal.close()
    return removed


def write_drawings(root: Path, drawings: Mapping[str, bytes], command: str) -> None:
    """Write drawings beside a result, replacing those of an earlier run.

    They are a run of their own in the journal, or part of an interrupted one, which stays interrupted.

    Parameters
    ----------
    drawings : mapping
        Contents by relative name.

    Raises
    ------
    AlreadyRunning, CannotWrite
        As `writing_results`.
    """
    is_interrupted = SafeFolder(root).exists(ANNOUNCEMENT)
    with locked(root), writing_results(root, dict.fromkeys(drawings), command) as folder:
        folder.inside.sweep(drawings)
        for name, content in drawings.items():
            folder.write(name, content)
        if not is_interrupted:
            folder.journal.close()


def would_remove(root: Path, earlier: Mapping[str, PlacedFile | None], planned: Iterable[str]) -> int:
    """Count the files that a run with this plan would remove; for `--dry-run`."""
    folder = SafeFolder(root)
    ours = ours_in(folder, earlier)
    left = (name for name in ours.keys() - set(planned) if not name.endswith(f"/{GROUP_MARK}"))
    return sum(may_remove(folder.status(name), ours[name]) for name in left)
