"""Progress on standard error: lines for logs, bars for a terminal."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from facesets.cli.wording import worded

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import Task, TaskID

_FIRST_LINE_AFTER_S = 1.0
"""Work that ends sooner prints no line."""
_PLAIN_LINE_EVERY_S = 10.0
_LATER_LINE_EVERY_S = 30.0
_LATER_S = 60.0
"""Duration of a stage after which lines are rarer."""
_REMIND_EVERY_S = 1.0
_REDRAW_EVERY_S = 0.1


def amount(done: float, total: float | None, *, in_bytes: bool) -> str:
    """Return the progress so far; bytes in megabytes."""
    if in_bytes:
        return f"{done / 1e6:.0f}/{total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
    return f"{done:.0f}/{total:.0f}" if total else f"{done:.0f}"


def speed(rate: float, *, in_bytes: bool) -> str:
    """Return the rate per second."""
    return f"{rate / 1e6:.1f} MB/s" if in_bytes else f"{rate:.1f}/s"


class PlainProgress:
    """Progress as lines for logs: none at first, one every ten seconds, later one every half minute."""

    def __init__(self, say: Callable[[str], None], is_terse: Callable[[], bool], doing: str = "") -> None:
        """Write with `say`; only notices while `is_terse` returns true. `doing` names the whole work."""
        self._say, self._is_terse = say, is_terse
        self._doing = doing
        self._what = ""
        self._in_bytes = False
        self._total: int | None = None
        self._done = 0
        self._began = self._printed_at = time.monotonic()

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Open a stage."""
        self._what, self._total, self._done, self._in_bytes = what, total, 0, in_bytes
        self._began = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count, and print the count now and then."""
        self._done += count
        self.remind()

    def remind(self) -> None:
        """Print the progress if nothing was printed for a while."""
        now = time.monotonic()
        often = _PLAIN_LINE_EVERY_S if now - self._began < _LATER_S else _LATER_LINE_EVERY_S
        if now - self._printed_at >= often:
            self._print()

    def introduce(self) -> None:
        """Print what the work is, before any other line."""
        if self._doing and not self._is_terse():
            self.say(f"Started: {self._doing}")

    def say(self, line: str) -> None:
        """Pass on a notice."""
        self._printed_at = time.monotonic()
        self._say(line)

    def end(self) -> None:
        """Print the final count of a stage, if it counted anything."""
        if self._done:
            self._print()
        self._what, self._total, self._done = "", None, 0
        self._began = time.monotonic()

    def _print(self) -> None:
        if self._is_terse():
            return
        elapsed = max(time.monotonic() - self._began, 1e-6)
        if not self._done:
            self.say(f"{self._what or 'Working'}: {elapsed:.0f} s elapsed")
            return
        rate = self._done / elapsed
        count = amount(self._done, self._total, in_bytes=self._in_bytes)
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total and rate else ""
        self.say(f"{self._what}: {count} ({speed(rate, in_bytes=self._in_bytes)}{left})")


@contextmanager
def reminding(progress: PlainProgress, began: float) -> Iterator[None]:
    """Print plain progress within the block while the work counts nothing itself.

    `began` is on the monotonic clock. The work is introduced unless it ends soon.
    """
    is_over = threading.Event()

    def remind() -> None:
        if is_over.wait(max(0.0, began + _FIRST_LINE_AFTER_S - time.monotonic())):
            return
        progress.introduce()
        while not is_over.wait(_REMIND_EVERY_S):
            progress.remind()

    thread = threading.Thread(target=remind, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class BarProgress:
    """Progress as a bar with count, rate and time left, on a terminal."""

    def __init__(self, bars: "RichBars") -> None:
        """Draw on these bars, which the caller starts and stops."""
        self._bars = bars
        self._task: TaskID | None = None
        self._waiting = 0
        self._drawn = 0.0

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Open a stage."""
        self.end()
        self._task = self._bars.add_task(what, total=total, in_bytes=in_bytes)

    def advance(self, count: int = 1) -> None:
        """Count; redraws a few times a second at most."""
        self._waiting += count
        now = time.monotonic()
        if self._task is not None and now - self._drawn >= _REDRAW_EVERY_S:
            self._bars.advance(self._task, self._waiting)
            self._waiting, self._drawn = 0, now

    def say(self, line: str) -> None:
        """Print a notice above the bar."""
        self._bars.console.print(worded(line), markup=False, highlight=False)

    def end(self) -> None:
        """Close the stage and remove its bar."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task, self._waiting = None, 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide bars and restore the streams within the block, for a question."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()


@contextmanager
def bars() -> Iterator[BarProgress]:
    """Draw bars on standard error within the block."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class AmountColumn(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: "Task") -> Text:
            done = amount(task.completed, task.total, in_bytes=task.fields["in_bytes"])
            return Text(done, style="progress.download")

    class RateColumn(ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(speed(task.speed, in_bytes=task.fields["in_bytes"]) if task.speed else "")

    drawn = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        AmountColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with drawn:
        yield BarProgress(drawn)
