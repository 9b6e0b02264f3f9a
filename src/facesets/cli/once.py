"""What is said once where nobody looks on, and not every night."""

import json
from pathlib import Path

from facesets.cli import console
from facesets.errors import CannotWrite
from facesets.files import write_json

FILE_NAME = "said.json"


def say_once(directory: Path, about: str, line: str) -> None:
    """Print a notice, but to no file, pipe or mail that got the same about this before; see also -v.

    Parameters
    ----------
    directory : Path
        Where to remember it.
    line : str
        Empty when there is nothing to say of it any more: the next time it is news again.
    """
    path = directory / FILE_NAME
    said = _read(path)
    if line and (said.get(about) != line or console.session.verbose or console.is_watched()):
        console.notice(line)
    if said.get(about, "") == line:
        return
    said[about] = line
    try:
        write_json(path, {key: text for key, text in said.items() if text})
    except CannotWrite as error:
        # It is said again the next time, which is no harm.
        console.detail(str(error))


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
