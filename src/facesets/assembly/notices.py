"""To whom something is said while parts are put together, and what is not said again every night."""

import json
from pathlib import Path
from typing import Protocol

from facesets.errors import CannotWrite
from facesets.files import write_json

FILE_NAME = "said.json"


class Notices(Protocol):
    """Hears one line at a time. Whoever hands it in decides who reads what, and whether."""

    def notice(self, line: str) -> None:
        """Hear what the user should know in any case."""
        ...

    def remark(self, line: str) -> None:
        """Hear what is good to know, and is no warning."""
        ...

    def remark_once(self, line: str, *, unasked: bool = False) -> None:
        """Hear such a remark once in a run, however many parts of it find it.

        Parameters
        ----------
        unasked : bool
            It is about a choice that nobody made, which logs should have as well.
        """
        ...

    def detail(self, line: str) -> None:
        """Hear what only those need who want to know exactly."""
        ...

    def says_again(self) -> bool:
        """Whether what was said in an earlier run is to be said again."""
        ...

    def is_stopping(self) -> bool:
        """Whether the user wants an end."""
        ...


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
