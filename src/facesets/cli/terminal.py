"""The terminal as it is sat before: keys and lines in, pictures out."""

import base64
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from types import FrameType

Protocol = Literal["kitty", "iterm2", ""]

_KITTY_PART = 4096
"""Characters of a picture that kitty takes at a time."""

_LOOKS_EVERY_S = 0.2
"""How often a wait for the user looks whether a signal came."""


def read_key() -> str:
    """Wait for one key; empty once there is no more input. Ctrl-C raises `KeyboardInterrupt` as usual."""
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        if key == "\x03":
            raise KeyboardInterrupt
        return key
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number, termios.TCSADRAIN)
        _wait_for_input(number)
        key = os.read(number, 16)
    finally:
        # A terminal that was closed has no modes.
        with suppress(termios.error):
            termios.tcsetattr(number, termios.TCSADRAIN, before)
    # What an arrow key sends begins with ESC, and is no answer.
    return (
        "" if key == b"\x04" else key.decode(errors="replace") if len(key) == 1 or key[0] > 0x7F else "\x1b"
    )


def read_line(is_stopping: Callable[[], bool] = lambda: False) -> str:
    """Wait for a line, and return it with its end, which is missing if the input or the wait ended first."""
    if sys.platform == "win32":
        return sys.stdin.readline()
    number = sys.stdin.fileno()
    line = b""
    # Byte by byte: what was typed ahead of the next question stays for that.
    while not line.endswith(b"\n"):
        byte = os.read(number, 1) if _wait_for_input(number, is_stopping) else b""
        if not byte:
            break
        line += byte
    return line.decode(sys.stdin.encoding, errors="replace")


def _wait_for_input(number: int, is_stopping: Callable[[], bool] = lambda: False) -> bool:
    """Wait until something can be read, and heed signals meanwhile; False if their handlers ask for the end.

    A signal that comes after Python looked for one and before the system call does not end that call, nor
    does one that another thread gets: so Python looks again, several times a second.
    """
    while not is_stopping():
        if select.select([number], [], [], _LOOKS_EVERY_S)[0]:
            return True
    return False


HANGUP = (signal.SIGHUP,) if sys.platform != "win32" else ()
"""Where there is one: the terminal is closed."""


@contextmanager
def handling(handle: "Callable[[int, FrameType | None], object]", *signals: signal.Signals) -> Iterator[None]:
    """Let a function hear of these signals within the block."""
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a kill, or a terminal that is closed, end the block as Ctrl-C does, which clears up."""

    def leave(number: int, _frame: "FrameType | None") -> None:
        raise SystemExit(128 + number)

    with handling(leave, signal.SIGTERM, *HANGUP):
        yield


def picture(png: bytes, protocol: Protocol) -> str:
    """What to write so that the terminal shows a picture; empty where it shows none.

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
