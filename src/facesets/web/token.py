"""The secret that opens `serve`: in a file of the user's, or a token that is made once and kept."""

import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

from facesets.errors import Field, Sentence, WrongUsage, quoted
from facesets.files import FileLock, atomic_write, printable

_FEWEST_CHARACTERS = 12
_MADE = re.compile(r"[\w-]{32,}", re.ASCII)
"""What `_made` writes: too much to guess."""
_MOUNTED = (Path("/run/credentials"), Path("/run/secrets"))
"""Where systemd and containers put secrets of one service; the rights there say not who reaches them."""


def given_token(path: Path) -> str:
    """The content of a file that the user named.

    Raises
    ------
    WrongUsage
        There is no password in it.
    """
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        raise WrongUsage(f"There is no file {printable(path)}. Write a password into it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise WrongUsage(f"{printable(path)} cannot be read: {reason}. Write a password into it.") from None
    if len(token) < _FEWEST_CHARACTERS:
        raise WrongUsage(
            f"The password in {printable(path)} is too short. Write at least {_FEWEST_CHARACTERS} characters."
        )
    return token


def kept_token(path: Path, say: Callable[[str], None]) -> str:
    """The token that was made here, made now where there is none; `say` hears of one that was replaced.

    Programs that start at once have the same.

    Raises
    ------
    CannotWrite
        It cannot be kept.
    """
    if token := _read(path):
        return token
    with FileLock(path.with_name(f"{path.name}.lock"), what=printable(path), waits=_pause):
        if token := _read(path):
            return token
        if os.path.lexists(path):
            say(
                f"{printable(path)} did not hold a token that facesets made. There is a new one now: links "
                "and programs with the old one no longer work."
            )
        return _made(path)


def _read(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return token if _MADE.fullmatch(token) else ""


def _pause() -> bool:
    time.sleep(0.01)
    return True


def _made(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    with atomic_write(path) as file:
        file.write(f"{token}\n".encode())
    return token


def exposed(path: Path) -> str:
    """What to say of a file of a secret that other accounts of this machine can read; empty of others."""
    status = path.stat()
    if not hasattr(os, "geteuid") or not stat.S_ISREG(status.st_mode):
        return ""
    if any(path.absolute().is_relative_to(each) for each in _MOUNTED):
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return Sentence(
            f"{printable(path)} belongs to another account, which can read and change it. Give "
            f"{Field('token_file', 'FILE')} with a file of your own."
        )
    # A file of root's may be for whoever is in its group.
    strangers, change = (0o077, "600") if status.st_uid == os.geteuid() else (0o007, "o=")
    if status.st_mode & strangers:
        return (
            f"Other accounts of this machine can read {printable(path)}: "
            f"run `chmod {change} {quoted(f'{path}')}`."
        )
    return ""
