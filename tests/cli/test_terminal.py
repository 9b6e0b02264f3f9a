"""What is read from a terminal, and how a wait for it ends."""

import io
import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from facesets.cli.terminal import ended_by_signals, is_typing_on, read_key, read_line


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a test types what the program reads."""
    leader, follower = pty.openpty()
    with open(follower, encoding="utf-8") as stdin:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", stdin)
        yield leader
    os.close(leader)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("read", [read_key, read_line])
def test_a_signal_that_interrupts_no_system_call_ends_the_wait_too(
    keyboard: int, read: Callable[[], str], number: signal.Signals
) -> None:
    """As one that comes a moment before the call begins, or that the system gives to another thread."""
    # Whoever starts the tests with `&` has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended, typed = threading.Event(), threading.Event()

    def end() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), number)
        if not ended.wait(20):
            typed.set()
            os.write(keyboard, b"s\n")

    other = threading.Thread(target=end)
    other.start()
    with pytest.raises((SystemExit, KeyboardInterrupt)) as left, ended_by_signals():
        try:
            read()
        finally:
            ended.set()
            other.join()
            signal.signal(signal.SIGINT, before)
    assert not typed.is_set()
    assert getattr(left.value, "code", 128 + signal.SIGINT) == 128 + number


def test_text_typed_ahead_waits_for_its_question(keyboard: int) -> None:
    os.write(keyboard, "Zoë\nBen\ny".encode())
    assert [read_line(), read_line(), read_key()] == ["Zoë\n", "Ben\n", "y"]
    os.write(keyboard, b"\x04")
    assert read_line() == ""


def test_keys_are_read_from_the_console_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = list("ö\xe0H\x03")
    console = SimpleNamespace(getwch=lambda: pressed.pop(0), kbhit=lambda: bool(pressed))
    monkeypatch.setitem(sys.modules, "msvcrt", console)
    monkeypatch.setattr(sys, "platform", "win32")
    assert is_typing_on()
    assert [read_key(), read_key()] == ["ö", "\x1b"]
    with pytest.raises(KeyboardInterrupt):
        read_key()
    assert not is_typing_on()
    monkeypatch.setattr(sys, "stdin", io.StringIO("Zoë\nBen"))
    assert [read_line(), read_line()] == ["Zoë\n", "Ben"]
