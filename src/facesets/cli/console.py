"""What the user sees: progress and notices on standard error, results on standard output."""

import dataclasses
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from facesets.errors import CannotWrite
from facesets.files import printable
from facesets.stop import Stop

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress as RichBars
    from rich.progress import Task, TaskID

    from facesets.interfaces import Progress
    from facesets.operations.profile import Profile

STATUS_FAILED_INPUTS = 3
_PLAIN_LINE_EVERY_S = 30.0
_REDRAW_EVERY_S = 0.1
_CLEAR_UP_S = 1.0
_SHOW_CURSOR = b"\x1b[?25h"
"""Bars hide it."""


@dataclass
class Session:
    """How this run of the program talks: set by the options that every command shares."""

    json: bool = False
    debug: bool = False
    quiet: bool = False
    stopped_by: int = 0


session = Session()


def quiet_unless_watched() -> None:
    """Say nothing but warnings from now on, unless somebody looks on: cron mails whatever is written."""
    session.quiet = not (sys.stdout.isatty() or sys.stderr.isatty())


class PlainProgress:
    """Lines for logs: a stage's start is silent, then one line every half minute and one at its end."""

    def __init__(self) -> None:
        """Nothing is written until there is something to say."""
        self._what = ""
        self._total: int | None = None
        self._done = 0
        self._began = self._spoke = time.monotonic()

    def begin(self, what: str, total: int | None = None) -> None:
        """Open a stage."""
        self._what, self._total, self._done = what, total, 0
        self._began = self._spoke = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count, and say so now and then."""
        self._done += count
        if time.monotonic() - self._spoke >= _PLAIN_LINE_EVERY_S:
            self._speak()

    def say(self, line: str) -> None:
        """Pass on a notice."""
        notice(line)

    def end(self) -> None:
        """Say how far a stage came, if it counted anything."""
        if self._done:
            self._speak()
        self._done = 0

    def _speak(self) -> None:
        if session.quiet:
            return
        self._spoke = time.monotonic()
        elapsed = max(self._spoke - self._began, 1e-6)
        rate = self._done / elapsed
        of_total = f"/{self._total}" if self._total else ""
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total and rate else ""
        notice(f"{self._what}: {self._done}{of_total} ({rate:.1f}/s{left})")


class BarProgress:
    """A bar with count, rate and time left, on a terminal."""

    def __init__(self, bars: "RichBars") -> None:
        """Draw on these bars, which the caller starts and stops."""
        self._bars = bars
        self._task: TaskID | None = None
        self._waiting = 0
        self._drawn = 0.0

    def begin(self, what: str, total: int | None = None) -> None:
        """Open a stage."""
        self.end()
        self._task = self._bars.add_task(what, total=total)

    def advance(self, count: int = 1) -> None:
        """Count; redraws a few times a second at most."""
        self._waiting += count
        now = time.monotonic()
        if self._task is not None and now - self._drawn >= _REDRAW_EVERY_S:
            self._bars.advance(self._task, self._waiting)
            self._waiting, self._drawn = 0, now

    def say(self, line: str) -> None:
        """Print a notice above the bar."""
        self._bars.console.print(line, markup=False, highlight=False)

    def end(self) -> None:
        """Close the stage and take its bar away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task, self._waiting = None, 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question, and what is printed to its own stream."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()


@contextmanager
def paused(progress: "Progress") -> Iterator[None]:
    """Draw no bars within the block."""
    with progress.paused() if isinstance(progress, BarProgress) else nullcontext():
        yield


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show progress on standard error: a bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bars:
        yield BarProgress(bars)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a wish to end cleanly; the second ends at once.

    Threads in the middle of a picture would be waited for: after a moment for clearing up, they are not.
    """
    stop = Stop()

    def handle(number: int, _frame: "FrameType | None") -> None:
        if stop.requested:
            leaving = threading.Timer(_CLEAR_UP_S, _leave, [number])
            leaving.daemon = True
            leaving.start()
            raise KeyboardInterrupt
        session.stopped_by = number
        stop.request()
        notice("Stopping cleanly after the work at hand. Once more to stop at once.")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int) -> None:
    """End the process as it is: whatever is on the disk outlives a kill."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(128 + number)


@contextmanager
def ctrl_c_is_for_another() -> Iterator[None]:
    """Leave Ctrl-C to the program that has the terminal within the block, and outlive it."""
    # A handler, for a program that is run would inherit that the signal is ignored.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def allow_any_text() -> None:
    """Let no file name stop the printing: what the terminal cannot show comes out escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def notice(line: str) -> None:
    """One line for the user on standard error."""
    print(line, file=sys.stderr, flush=True)


def remark(line: str) -> None:
    """Print a notice that is no warning."""
    if not session.quiet:
        notice(line)


def out(text: str) -> None:
    """Print a result on standard output; a reader that went away (`| head`) is no failure.

    Raises
    ------
    CannotWrite
        There is no space where the output goes, say.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # What could not be written would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise CannotWrite(
                f"The work is done, but its result cannot be printed ({error.strerror}). Make room where the "
                "output goes."
            ) from error


def show(summary: object, lines: Sequence[str], *, always: bool = True) -> None:
    """Print a summary: these lines, or with --json the whole of it as one object.

    With `always` off, only where somebody looks on or asked for JSON.
    """
    if session.json:
        out(json.dumps(dataclasses.asdict(summary), ensure_ascii=True))  # type: ignore[call-overload]
    elif always or not session.quiet:
        out("\n".join(lines))


def show_list(name: str, items: Sequence[object], text: str) -> None:
    """Print a table or list: this text, or with --json one object with the items under a name."""
    if session.json:
        out(json.dumps({name: [dataclasses.asdict(item) for item in items]}))  # type: ignore[call-overload]
    else:
        out(text)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned columns of plain text."""
    cells = [list(headings), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def failures(files: Sequence[tuple[str, str]], *, limit: int = 20) -> None:
    """Name the files that failed, each with its reason, on standard error."""
    for path, reason in files[:limit]:
        notice(f"  {printable(path)}: {reason}")
    if len(files) > limit:
        notice(f"  … and {len(files) - limit} more (--json lists all)")


def profile(report: "Profile") -> None:
    """Say in a few lines on standard error where the time went."""
    notice(
        f"{report.wall_s:.1f} s with {report.workers} workers, {report.cores_used:.2f} cores used"
        + ("" if report.peak_mb is None else f", peak memory {report.peak_mb:.0f} MB")
    )
    for name, stage in sorted(report.stages.items(), key=lambda item: -item[1].wall_s):
        notice(f"  {name:18} {stage.wall_s:8.2f} s  {stage.cpu_s:8.2f} s of CPU  {stage.count} times")


def finish(*, failed: int = 0) -> None:
    """End the command with its status: stopped by a signal, some inputs failed, or done."""
    if session.stopped_by:
        raise typer.Exit(128 + session.stopped_by)
    if failed:
        raise typer.Exit(STATUS_FAILED_INPUTS)
