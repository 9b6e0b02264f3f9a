"""Output for the user: progress and notices on standard error, results on standard output."""

import io
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TextIO, TypeAlias

import typer

from facesets.cli.progress import BarProgress, PlainProgress, bars, reminding
from facesets.cli.terminal import handling, read_line
from facesets.cli.wording import session as session
from facesets.cli.wording import worded
from facesets.errors import CannotWrite
from facesets.files import printable
from facesets.result import Result, plain
from facesets.words.phrases import RESUME_HINT
from facesets.work import HANGUP, Stop

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from facesets.interfaces import Progress
    from facesets.operations.ingest.changed_files import FileFailure
    from facesets.operations.models.profile import Meter
    from facesets.stopwatch import Stopwatch

_Say: TypeAlias = Callable[[str], None]
STATUS_FAILED_INPUTS = 3
_CLEAR_UP_S = 1.0
_LINES_IN_MIND = 1000
"""How many lines are remembered, so that each is printed once; a worker runs for months."""
_reporting = threading.Lock()
_SHOW_CURSOR = b"\x1b[?25h"
"""Sequence that shows the cursor, which bars hide."""


def start(*, quiet: bool, verbose: bool) -> None:
    """Start a run of the program, with the verbosity flags that stand before the command."""
    session.quiet, session.verbose, session.only_result, session.summary = quiet, verbose, False, None
    session.reported = {}


def set_verbosity(*, quiet: bool, verbose: bool, doing: str, database: str = "") -> None:
    """Apply the verbosity flags of a command, in addition to those before it.

    `doing` is the typed command; `database` is the library that it names.
    """
    session.quiet, session.verbose = session.quiet or quiet, session.verbose or verbose
    session.doing, session.database, session.began = doing, database, time.monotonic()


def is_watched() -> bool:
    """Whether a terminal shows the output."""
    return sys.stdout.isatty() or sys.stderr.isatty()


def can_ask() -> bool:
    """Whether a person at a terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def quiet_unless_terminal() -> None:
    """Stop showing progress and remarks unless a terminal shows the output."""
    session.only_result = not is_watched()


def plain_progress() -> PlainProgress:
    """Return progress for logs, as terse as the user wants it."""
    return PlainProgress(notice, lambda: session.terse, session.doing)


@contextmanager
def paused(progress: "Progress") -> Iterator[None]:
    """Draw no bars within the block."""
    with progress.paused() if isinstance(progress, BarProgress) else nullcontext():
        yield


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show progress on standard error: a bar on a terminal, lines elsewhere."""
    if session.quiet or not sys.stderr.isatty():
        plain = plain_progress()
        with nullcontext() if session.terse else reminding(plain, session.began):
            yield plain
        return
    with bars() as shown:
        yield shown


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let the first Ctrl-C or SIGTERM request a clean end; the second ends at once.

    A normal exit would wait for threads that process a picture, so they are cut off after a moment.
    """
    stop = Stop()

    def handle(number: int, _frame: "FrameType | None") -> None:
        if stop.requested:
            leaving = threading.Timer(_CLEAR_UP_S, leave, [number])
            leaving.daemon = True
            leaving.start()
            raise KeyboardInterrupt
        session.stopped_by = number
        stop.request()
        _notice_at_once("Stopping after the current photos. Press Ctrl-C again to stop immediately.")

    with handling(handle, signal.SIGINT, signal.SIGTERM, *HANGUP):
        yield stop


def _notice_at_once(line: str) -> None:
    """Print a notice from within a signal handler, without reentering the current printer."""
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode())


def leave(number: int) -> None:
    """End the process at once: files on disk survive a kill."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(128 + number)


@contextmanager
def ctrl_c_for_child() -> Iterator[None]:
    """Ignore Ctrl-C within the block: it is for the program that uses the terminal."""
    # A handler rather than SIG_IGN, which child processes would inherit.
    with handling(lambda _number, _frame: None, signal.SIGINT):
        yield


def prepare_streams() -> None:
    """Escape characters that the output cannot show, so that no file name stops the printing.

    Streams that the parent process closed are discarded. Files and pipes get UTF-8 on Windows, too, whose
    own encodings cannot hold many names, nor JSON.
    """
    encoding = "utf-8" if sys.platform == "win32" else None
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    logging.getLogger("facesets").addHandler(_of_the_core)


def notice(line: str) -> None:
    """Print one line for the user on standard error; a closed pipe is not a failure."""
    try:
        print(worded(line), file=sys.stderr, flush=True)
    except BrokenPipeError:
        _to_nowhere(sys.stderr)


class _OfTheCore(logging.Handler):
    """Prints warnings of the core as notices, above any bar."""

    def emit(self, record: logging.LogRecord) -> None:
        notice(self.format(record))


_of_the_core = _OfTheCore(logging.WARNING)


def remark(line: str) -> None:
    """Print a notice that is no warning."""
    if not session.terse:
        notice(line)


def remark_once(line: str, *, automatic: bool = False) -> None:
    """Print a remark once; one about a choice made automatically goes into logs too, but not with -q."""
    is_left_out = session.quiet and not session.verbose if automatic else session.terse
    if not is_left_out and is_new(line):
        notice(line)


def detail(line: str) -> None:
    """Print a line with -v only, once."""
    if session.verbose and is_new(line):
        notice(line)


def is_new(line: str) -> bool:
    """Whether a line was not printed before, as far as lines are remembered."""
    with _reporting:
        if line in session.reported:
            return False
        session.reported[line] = None
        if len(session.reported) > _LINES_IN_MIND:
            del session.reported[next(iter(session.reported))]
    return True


def should_repeat() -> bool:
    """Whether to repeat what an earlier run printed."""
    return session.verbose or is_watched()


def is_stopping() -> bool:
    """Whether the user asked to stop."""
    return bool(session.stopped_by)


def agrees(question: str, *, default: bool = False) -> bool:
    """Ask on the terminal until the answer is yes or no; ending the run instead means no."""
    answers = {"": default, "y": True, "yes": True, "n": False, "no": False}
    while True:
        print(worded(question), "[Y/n]: " if default else "[y/N]: ", end="", file=sys.stderr, flush=True)
        line = read_line(is_stopping)
        if not line:
            notice("")
            return False
        answer = line.strip().lower()
        if answer in answers:
            return answers[answer]


def aside(line: str) -> None:
    """Print a line on the terminal only, not into a file, pipe or mail."""
    if session.quiet or session.json:
        return
    if sys.stderr.isatty():
        notice(line)
    elif sys.stdout.isatty():
        out(worded(line))


def out(text: str) -> None:
    """Print a result on standard output; a reader that went away (`| head`) is no failure.

    Raises
    ------
    CannotWrite
        The output cannot be written, such as on a full disk.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        drop_output()
        if not isinstance(error, BrokenPipeError):
            raise CannotWrite(
                f"The work is done, but its result cannot be printed ({error.strerror}). Free space for "
                "the output."
            ) from error


def drop_output() -> None:
    """Drop further standard output, including unprinted buffers."""
    _to_nowhere(sys.stdout)


def _to_nowhere(stream: TextIO) -> None:
    """Drop further output of a stream, which would otherwise be retried at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show(summary: object, lines: Sequence[str], *, asked_for: bool = False) -> None:
    """Print a summary: these lines, or with --json the whole of it as one object.

    With `asked_for` the summary is the command's purpose, so -q prints it too.
    """
    session.summary = summary
    if session.json:
        out(json.dumps(plain(summary), ensure_ascii=True))
    elif asked_for or not session.quiet:
        out("\n".join(map(worded, lines)))


def show_list(name: str, items: Sequence[object], text: str) -> None:
    """Print a table or list: this text, or with --json one object with the items under a name."""
    if session.json:
        out(json.dumps({name: plain(items)}))
    else:
        out(worded(text))


def terminal_width() -> int | None:
    """Return the width of the terminal that shows results; None if they go to a file or program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def failures(files: Sequence[tuple[str, str]], *, limit: int = 20, say: _Say = notice) -> None:
    """Print the files that failed, each with its reason, by `say` or on standard error."""
    for path, reason in files[:limit]:
        say(f"  {printable(path)}: {reason}")
    if len(files) > limit:
        say(f"  … and {len(files) - limit} more (--json lists all)")


def unreadable(files: "Sequence[FileFailure]", *, strict: bool, say: _Say = notice) -> int:
    """Name the files that failed and were not named before, and return how many of them count.

    With `strict` all count; -v names all.
    """
    counting = [file for file in files if strict or not file.known]
    named = files if session.verbose else counting
    failures([(file.path, file.reason) for file in named], say=say)
    return len(counting)


def profile(
    stopwatch: "Stopwatch", meter: "Meter", *, workers: int, path: "Path | None", say: _Say = notice
) -> None:
    """Print how the time was spent, and write it to a file, if either is requested."""
    if path is None and not session.verbose:
        return
    from facesets.operations.models.profile import profile_of

    report = profile_of(stopwatch, meter, workers=workers, path=path)
    say(
        f"{report.wall_s:.1f} s with {report.workers} workers, {report.cores_used:.2f} cores used"
        + ("" if report.peak_mb is None else f", peak memory {report.peak_mb:.0f} MB")
    )
    for name, stage in sorted(report.stages.items(), key=lambda item: -item[1].wall_s):
        say(f"  {name:18} {stage.wall_s:8.2f} s  {stage.cpu_s:8.2f} s of CPU  {stage.count} times")


def finish(*, failed: int = 0) -> None:
    """End the command with its status: stopped by a signal, some inputs failed, or done."""
    if session.stopped_by:
        raise typer.Exit(128 + session.stopped_by)
    if failed:
        raise typer.Exit(STATUS_FAILED_INPUTS)


def report(done: Result, lines: Sequence[str]) -> None:
    """Print a result and the failed files, and end with the matching status."""
    if done.stopped:
        lines = [*lines, RESUME_HINT]
    show(done, lines)
    failures([(failure.path, failure.reason) for failure in done.failures])
    finish(failed=done.failed)
