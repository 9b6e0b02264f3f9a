"""Streams that are closed, and Ctrl-C before there is anything to stop."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from facesets.cli import console
from facesets.cli.wording import ConsoleSession
from tests.fixtures.program import environment
from tests.fixtures.soak import mostly_slow


def program(script: str, *, shell: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a script of bash, in which `facesets` is the program, or one of Python."""
    begin = f'facesets() {{ {sys.executable} -m facesets "$@"; }}; '
    line = ["bash", "-c", begin + script] if shell else [sys.executable, "-c", script]
    return subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.parametrize(
    ("line", "status"),
    mostly_slow(
        [
            ("facesets models list | true", 0),
            ("facesets models path nope 2>&-", 2),
            ("facesets models list >&-", 0),
            ("facesets models path nope 2>&1 >/dev/null | true", 2),
            ("{ facesets --help || true; } | true", 0),
        ],
        quick=2,
    ),
)
def test_a_closed_stream_is_no_failure_of_its_own(line: str, status: int) -> None:
    done = program(f"{line}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("line", ["--help", "cluster -h"])
def test_help_that_finds_no_space_is_one_sentence(line: str) -> None:
    done = program(f"facesets {line} > /dev/full")
    expected = "facesets: The output cannot be written (No space left on device). Make room where it goes.\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["signal", "facesets.cli.app", "facesets.operations.ingest.embed"])
def test_ctrl_c_during_startup_prints_nothing(module: str) -> None:
    # Pressed at the moment when a module is looked for.
    script = f"""
import os, signal, sys
# Whoever runs the tests in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Press())
sys.modules.pop('signal', None)
sys.argv[1:] = ['embed', 'nowhere', 'nothing.npz']
from facesets.__main__ import main
main()
"""
    done = program(script, shell=False)
    assert done.stderr == ""
    assert done.returncode in (-signal.SIGINT, 130)


class _Interrupted(io.RawIOBase):
    """Where printing is interrupted by a signal once."""

    def __init__(self, number: int, to: int) -> None:
        self._number, self._to, self._is_sent = number, to, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._to

    def write(self, content: Any) -> int:
        if not self._is_sent:
            self._is_sent = True
            signal.raise_signal(self._number)
        return os.write(self._to, content)


def test_a_signal_in_the_middle_of_printing_stops_cleanly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "session", ConsoleSession())
    with (tmp_path / "screen").open("wb") as screen, console.stoppable() as stop:
        raw = _Interrupted(signal.SIGTERM, screen.fileno())
        monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BufferedWriter(raw)))
        console.notice("Apply these changes to the server?")
        assert stop.requested
    output = (tmp_path / "screen").read_text()
    assert "Stopping after the current photos" in output
    assert "Apply these changes to the server?" in output


def test_printed_lines_are_remembered_for_a_limited_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "session", ConsoleSession(verbose=True))
    for number in range(3000):
        console.detail(f"Job {number}: index photos.")
        console.detail("Models: here")
    output = capsys.readouterr().err.splitlines()
    assert len(console.session.reported) <= 1000
    assert output.count("Models: here") < 10
    assert len(output) >= 3000


class Slow(dict[str, None]):
    """Lines of which the first is found so late that another thread comes between."""

    def __iter__(self) -> Iterator[str]:
        found = super().__iter__()
        time.sleep(0.002)
        return found


def test_printed_lines_of_several_threads_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LINES_IN_MIND", 3)
    monkeypatch.setattr(console.session, "reported", Slow())
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(console.is_new, map(str, range(40))))
    assert len(console.session.reported) == 3


def test_remarks_are_printed_once_and_not_with_q(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(automatic: bool, *, quiet: bool = False, only_result: bool = False) -> list[str]:
        session = ConsoleSession(quiet=quiet, only_result=only_result)
        monkeypatch.setattr(console, "session", session)
        for _ in range(3):
            console.remark_once("It is the open pack.", automatic=automatic)
        return capsys.readouterr().err.splitlines()

    for automatic in (True, False):
        assert printed(automatic) == ["It is the open pack."]
        assert printed(automatic, quiet=True) == []
    # Automatic choices are logged, requested ones are not.
    assert (len(printed(True, only_result=True)), printed(False, only_result=True)) == (1, [])


def test_files_on_windows_are_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252", newline=""))
    console.prepare_streams()
    console.out("花子 \N{GRINNING FACE}")
    sys.stdout.flush()
    assert written.getvalue().decode() == "花子 \N{GRINNING FACE}\n"
