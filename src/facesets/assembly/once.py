"""What is said once where nobody looks on, and not every night."""

import json
from pathlib import Path

from facesets.assembly.notices import Notices
from facesets.errors import CannotWrite
from facesets.files import write_json

FILE_NAME = "said.json"


def say_once(directory: Path, about: str, line: str, notices: Notices) -> None:
    """Give a notice, but not one about this that is the same as the last time unless `notices` says so.

    Parameters
    ----------
    directory : Path
        Where to remember it.
    line : str
        Empty when there is nothing to say of it any more: the next time it is news again.
    """
    path = directory / FILE_NAME
    said = _read(path)
    if line and (said.get(about) != line or notices.says_again()):
        notices.notice(line)
    if said.get(about, "") == line:
        return
    said[about] = line
    try:
        write_json(path, {key: text for key, text in said.items() if text})
    except CannotWrite as error:
        # It is said again the next time, which is no harm.
        notices.detail(error.sentence)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
