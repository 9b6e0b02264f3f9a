"""The terminal: keys and lines in, pictures out."""

import base64
import os
import select
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facesets.work import HANGUP

if TYPE_CHECKING:
    from types import FrameType

Protocol = Literal["kitty", "iterm2", ""]

_KITTY_PART = 4096
"""Maximum characters of a picture in one kitty sequence."""

_LOOKS_EVERY_S = 0.2
"""How often a wait for the user checks for a signal."""

_WITHIN_WORD_S = 0.25
"""Maximum time between two keys of a typed word."""

_WITHIN_SEQUENCE_S = 0.02
_ERASES_ALL = "\x15"
"""Ctrl-U."""


def read_key() -> str:
    """Wait for one key; empty at the end of input. Ctrl-C raises `KeyboardInterrupt`.

    The sequence of an arrow key counts as one key: ESC.
    """
    with _single_keys():
        return _next_key()


def is_typing_on() -> bool:
    """Whether another key follows at once, as while typing a word."""
    with _single_keys():
        return _is_there(_WITHIN_WORD_S)


def read_name(prompt: str, start: str = "") -> str:
    """Ask for a line of text with a given beginning; empty for none, by Esc or at the end of input."""
    text = start
    _echo(f"{prompt}{text}")
    with _single_keys():
        while (key := _next_key()) not in {"", "\r", "\n", "\x1b"}:
            shown = text
            if key in {"\x7f", "\b"}:
                shown = text[:-1]
            elif key == _ERASES_ALL:
                shown = ""
            elif key.isprintable():
                text = shown = text + key
                _echo(key)
            _echo("".join(_over(each) for each in reversed(text[len(shown) :])))
            text = shown
    _echo("\n")
    return text.strip() if key in {"\r", "\n"} else ""


def _echo(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _over(letter: str) -> str:
    """Return the output that erases the letter left of the cursor."""
    cells = 0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
    return "\b" * cells + " " * cells + "\b" * cells


@contextmanager
def _single_keys() -> Iterator[None]:
    """Read each key at once and without echo within the block; restore the terminal in any case."""
    if sys.platform == "win32":
        yield
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number, termios.TCSADRAIN)
        yield
    finally:
        # A closed terminal has no modes.
        with suppress(termios.error):
            termios.tcsetattr(number, termios.TCSADRAIN, before)


def _next_key() -> str:
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        if key == "\x03":
            raise KeyboardInterrupt
        if key in "\0\xe0":
            msvcrt.getwch()
            return "\x1b"
        return key
    number = sys.stdin.fileno()
    _wait_for_input(number)
    # Byte by byte: keys typed ahead stay for the next question.
    first = os.read(number, 1)
    if first == b"\x1b" and _is_there(_WITHIN_SEQUENCE_S):
        os.read(number, 16)
    if first in {b"", b"\x04"}:
        return ""
    more = sum(first[0] >= least for least in (0xC0, 0xE0, 0xF0))
    return (first + b"".join(os.read(number, 1) for _ in range(more))).decode(errors="replace")


def _is_there(within_s: float) -> bool:
    if sys.platform == "win32":
        import msvcrt

        until = time.monotonic() + within_s
        while not msvcrt.kbhit() and time.monotonic() < until:
            time.sleep(0.01)
        return msvcrt.kbhit()
    return bool(select.select([sys.stdin.fileno()], [], [], within_s)[0])


def read_line(is_stopping: Callable[[], bool] = lambda: False) -> str:
    """Wait for a line, and return it with its end, which is missing if the input or the wait ended first."""
    if sys.platform == "win32":
        return sys.stdin.readline()
    number = sys.stdin.fileno()
    line = b""
    # Byte by byte: keys typed ahead stay for the next question.
    while not line.endswith(b"\n"):
        byte = os.read(number, 1) if _wait_for_input(number, is_stopping) else b""
        if not byte:
            break
        line += byte
    return line.decode(sys.stdin.encoding, errors="replace")


def _wait_for_input(number: int, is_stopping: Callable[[], bool] = lambda: False) -> bool:
    """Wait for input, and handle signals meanwhile; False if their handlers request the end.

    A signal does not end the system call if it arrives just before it, or in another thread. So the wait is
    cut into short ones, and Python checks for signals between them.
    """
    while not is_stopping():
        if select.select([number], [], [], _LOOKS_EVERY_S)[0]:
            return True
    return False


@contextmanager
def handling(handle: "Callable[[int, FrameType | None], object]", *signals: signal.Signals) -> Iterator[None]:
    """Call a function on these signals within the block."""
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a kill or a closed terminal end the block as Ctrl-C does, with clean-up."""

    def leave(number: int, _frame: "FrameType | None") -> None:
        raise SystemExit(128 + number)

    with handling(leave, signal.SIGTERM, *HANGUP):
        yield


def open_picture(file: Path) -> None:
    """Open a picture in the desktop's default program."""
    if sys.platform == "win32":
        os.startfile(file)  # noqa: S606 - a file of ours
        return
    command = "open" if sys.platform == "darwin" else "xdg-open"
    # Its own output would appear among the questions, and Ctrl-C here would end it.
    nowhere = subprocess.DEVNULL
    with suppress(OSError):
        subprocess.Popen(  # noqa: S603 - no shell, a file of ours
            [command, str(file)], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )


def picture(png: bytes, protocol: Protocol) -> str:
    """Return the sequence that shows a picture in the terminal; empty if it cannot.

    References
    ----------
    https://sw.kovidgoyal.net/kitty/graphics-protocol/ ; https://iterm2.com/documentation-images.html
    """
    if protocol == "kitty":
        return "".join(_kitty(base64.b64encode(png).decode()))
    if protocol == "iterm2":
        content = base64.b64encode(png).decode()
        return f"\x1b]1337;File=inline=1;size={len(png)};width=100%:{content}\a"
    return ""


def _kitty(content: str) -> Iterator[str]:
    for start in range(0, len(content), _KITTY_PART):
        part = content[start : start + _KITTY_PART]
        first = "a=T,f=100," if start == 0 else ""
        more = int(start + _KITTY_PART < len(content))
        yield f"\x1b_G{first}m={more};{part}\x1b\\"
