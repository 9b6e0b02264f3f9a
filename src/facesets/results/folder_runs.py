"""Runs that write a result folder: each from its first look at the folder to its manifest."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from facesets.files import sync_files
from facesets.results.folder import OWN_NAMES, TEMPORARY, ResultFolder
from facesets.results.inside import is_inside
from facesets.results.lock import locked
from facesets.results.manifest import MANIFEST_NAMES, PlacedFile
from facesets.results.ownership import ANNOUNCEMENT, linked_folders, ours_in
from facesets.results.placement import may_remove
from facesets.results.run_journal import RunJournal
from facesets.results.run_records import sweep_journal
from facesets.results.safe_folder import SafeFolder


@contextmanager
def writing_results(
    root: Path,
    earlier: Mapping[str, PlacedFile | None],
    command: str,
    *,
    also: Sequence[Path] = (),
    run: str = "",
) -> Iterator[ResultFolder]:
    """Write a result, in an output folder that is `reserved`.

    Parameters
    ----------
    earlier : mapping
        Relative names that the folder's own manifest lists, with what was put there.
    command : str
        What runs, for the journal.
    also, run
        Of a run that writes to several folders: the others, and the name that it has there already.

    Raises
    ------
    CannotWrite
        The folder cannot be written, or an undo of it was cut off.
    """
    inside = SafeFolder(root)
    inside.refuse_links(OWN_NAMES)
    sweep_journal(root)
    journal = RunJournal(root, command, also=also, run=run)
    linked = linked_folders(inside, filter(is_inside, earlier))
    folder = ResultFolder(root, ours_in(inside, earlier), journal, linked=linked)
    # What lies behind a link is still of this result, for the time when the link is gone.
    folder.kept |= {n: put for n, put in earlier.items() if PurePosixPath(n).parent in linked}
    sweep_interrupted(inside, folder.owned)
    try:
        yield folder
        folder.flush()
    finally:
        _sweep_copying(inside)


def _sweep_copying(folder: SafeFolder) -> None:
    for name in folder.names_in():
        if name.startswith(TEMPORARY) and name.endswith(".tmp"):
            folder.remove(name)


def sweep_interrupted(folder: SafeFolder, owned: Iterable[str]) -> None:
    """Remove half-written files of a run that was cut off, wherever it may have been writing."""
    _sweep_copying(folder)
    written = [ANNOUNCEMENT, *MANIFEST_NAMES]
    folder.sweep([*owned, *written] if folder.exists(ANNOUNCEMENT) else written)


def finish(folder: ResultFolder, manifest_name: str, content: bytes, *, closes: bool = True) -> int:
    """Remove leftovers, write the manifest as the last file, and withdraw the announcement.

    A run that is to go on in another folder does not close its journal yet.

    Returns
    -------
    int
        Files of earlier runs that were removed.
    """
    folder.flush()
    removed = folder.remove_leftovers()
    if folder.copied:
        sync_files()
    folder.write_manifest(manifest_name, content)
    if closes:
        folder.journal.close()
    folder.inside.remove(ANNOUNCEMENT)
    return removed


def write_drawings(root: Path, drawings: Mapping[str, bytes], command: str) -> None:
    """Put files beside a result that are no part of it, in place of what an earlier run drew there.

    They are a run of their own in the journal, or part of one that was cut off: that stays so.

    Parameters
    ----------
    drawings : mapping
        Contents by relative name.

    Raises
    ------
    AlreadyRunning, CannotWrite
        As `writing_results`.
    """
    cut_off = SafeFolder(root).exists(ANNOUNCEMENT)
    with locked(root), writing_results(root, dict.fromkeys(drawings), command) as folder:
        folder.inside.sweep(drawings)
        for name, content in drawings.items():
            folder.write(name, content)
        if not cut_off:
            folder.journal.close()


def would_remove(root: Path, earlier: Mapping[str, PlacedFile | None], planned: Iterable[str]) -> int:
    """How many files a run with this plan would remove; for `--dry-run`."""
    folder = SafeFolder(root)
    ours = ours_in(folder, earlier)
    return sum(may_remove(folder.status(name), ours[name]) for name in ours.keys() - set(planned))
