"""The manifest of a result folder that somebody deleted, and the undo that repairs that."""

from pathlib import Path

from facesets.errors import Command, DamagedFile
from facesets.files import printable
from facesets.results.group_names import NUMBERED_GROUP
from facesets.results.manifest import MANIFEST_NAMES
from facesets.results.run_records import read_runs


def how_to_restore(root: Path) -> str:
    """How to go on in a folder whose manifest is gone; empty where it is there, or there never was one.

    An undo brings back one that the journal knows; what later runs did, such as a drawing, is taken back
    before it.
    """
    try:
        changed = [(run, run.changes()) for run in reversed(read_runs(root))]
    except DamagedFile:
        return ""
    undos: list[Command] = []
    for run, changes in changed:
        undos.append(Command("undo", printable(root), run.name))
        for name in MANIFEST_NAMES:
            if name in changes and not run.folder.exists(name):
                # Before its first run a folder had none: without what that wrote, the next one begins again.
                first = changes[name].kept is None
                in_order = ", then ".join(f"{undo}" for undo in undos)
                return (
                    f"{in_order} {'removes what was written there' if first else 'restores the one before'}"
                )
    if any((root / name).exists() for name in MANIFEST_NAMES) or not _holds_results(root):
        return ""
    return f"restore it from a backup; or move {printable(root)} away and run the command that wrote it again"


def _holds_results(root: Path) -> bool:
    """Whether a folder looks as `cluster` or `refine` leaves it."""
    try:
        return any(NUMBERED_GROUP.fullmatch(each.name) for each in root.iterdir() if each.is_dir())
    except OSError:
        return False
