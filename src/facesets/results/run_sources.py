"""The record beside the results of a `run` of where its photos lie, which follows moved folders."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from facesets.errors import DamagedFile
from facesets.files import RUN_RECORD, printable, write_json
from facesets.results.folder_runs import reserved
from facesets.rights import rights_of

_FORMAT, _VERSION = "facesets/run", 1


def sources_of(out: Path) -> list[str]:
    """Return the folders that the results in `out` come from; none if it holds no such results.

    Raises
    ------
    DamagedFile
        The record cannot be read.
    """
    record = out / RUN_RECORD
    if not record.exists():
        return []
    try:
        content = json.loads(record.read_bytes())
        photos = content["photos"]
        if content["format"] == _FORMAT and all(isinstance(each, str) for each in photos):
            return list(photos)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise DamagedFile(
        f"{printable(record)} cannot be read. Remove it, and run the same command again with a new OUT."
    )


def write_sources(out: Path, photos: Sequence[str]) -> None:
    """Record where the photos lie."""
    record = {"format": _FORMAT, "version": _VERSION, "photos": list(photos)}
    write_json(out / RUN_RECORD, record, rights=rights_of(photos, out))


def relocate_sources(out: Path, old: str, new: str) -> None:
    """Update the record after a folder was moved, if `out` holds results of photos below it.

    Raises
    ------
    AlreadyRunning
        A run writes there.
    DamagedFile
        The record cannot be read.
    """
    if not (out / RUN_RECORD).exists():
        return
    with reserved(out, dry_run=False):
        before = sources_of(out)
        after = list(dict.fromkeys(_relocated(each, old, new) for each in before))
        if after != before:
            write_sources(out, after)


def _relocated(folder: str, old: str, new: str) -> str:
    is_below = folder == old or folder.startswith(old.rstrip(os.sep) + os.sep)
    return os.path.normpath(new + folder[len(old.rstrip(os.sep)) :]) if is_below else folder
