"""What lies in a result folder."""

from collections.abc import Iterator
from pathlib import Path

from facesets.exports.journal import JOURNAL


def files_in(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder but those of its journal, in order."""
    for path in sorted(folder.rglob("*")):
        if JOURNAL not in path.parts and (path.is_symlink() or path.is_file()):
            yield path
