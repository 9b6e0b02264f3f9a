"""Deletions of folders that an undo took back: the next run makes these folders again, and learns nothing.

`undo` cannot bring back what the user deleted, so the manifest that it restores still lists those photos.
Without a note the next run would take them for deleted once more.
"""

import json
from collections.abc import Collection
from pathlib import Path

from facesets.files import writing
from facesets.results.run_records import JOURNAL
from facesets.results.safe_folder import SafeFolder

_PLACE = f"{JOURNAL}/pardons.json"


def read_pardons(root: Path) -> frozenset[str]:
    """Names of the folders; a note that cannot be read is none."""
    try:
        names = json.loads(SafeFolder(root).read(_PLACE))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
    )


def add_pardons(root: Path, names: Collection[str]) -> None:
    """Note further folders. Raises `CannotWrite`."""
    if names:
        SafeFolder(root).write_json(_PLACE, sorted(read_pardons(root).union(names)))


def clear_pardons(root: Path) -> None:
    """Forget them, when a run is complete. Raises `CannotWrite`."""
    with writing(root / JOURNAL):
        SafeFolder(root).remove(_PLACE)
