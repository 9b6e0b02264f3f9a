"""Notices to the user about models and settings, each shown once, not at every run."""

import json
from pathlib import Path
from typing import Protocol

from facesets.errors import CannotWrite
from facesets.files import write_json

FILE_NAME = "said.json"


class Notices(Protocol):
    """Receives notices, one line at a time."""

    def notice(self, line: str) -> None:
        """Show what the user must know."""
        ...

    def remark(self, line: str) -> None:
        """Show information that is not a warning."""
        ...

    def remark_once(self, line: str, *, automatic: bool = False) -> None:
        """Show such information once per run.

        Parameters
        ----------
        automatic : bool
            Whether it is about an automatic choice, which logs show, too.
        """
        ...

    def detail(self, line: str) -> None:
        """Show details, for verbose output."""
        ...

    def should_repeat(self) -> bool:
        """Whether to repeat what an earlier run reported."""
        ...

    def is_stopping(self) -> bool:
        """Whether the user asked to stop."""
        ...


def notify_once(directory: Path, about: str, line: str, notices: Notices) -> None:
    """Show a notice unless the same one was shown last time, or `notices` repeats it.

    Parameters
    ----------
    directory : Path
        Where to remember it.
    line : str
        The notice; empty if it no longer applies, so that it is shown when it applies again.
    """
    path = directory / FILE_NAME
    shown = _read(path)
    if line and (shown.get(about) != line or notices.should_repeat()):
        notices.notice(line)
    if shown.get(about, "") == line:
        return
    shown[about] = line
    try:
        write_json(path, {key: text for key, text in shown.items() if text})
    except CannotWrite as error:
        # Then it is shown again the next time.
        notices.detail(error.sentence)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
