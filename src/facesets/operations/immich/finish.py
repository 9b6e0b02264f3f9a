"""`immich-finish`: from a staged queue to new people, by the commands that do each step, with a log.

Each step is a command as one would type it, and what it says goes into the log as well. A step whose result
is up to date is passed over.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from facesets.errors import WrongUsage
from facesets.files import FileLock, printable, read_regular_file, write_json, writing
from facesets.interfaces import Progress
from facesets.operations.immich.staged_paths import safe_label
from facesets.plurals import counted
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.sources.queue import QueueSource
from facesets.stop import Stop
from facesets.store.npz.cache import Cache

State = Literal["done", "up to date", "to do", "failed", "stopped"]

FORMAT = "facesets/immich-finish"
VERSION = 1
_DONE_WITH_FAILURES = 3
_STOPPED_BY_SIGNAL = 128
_MAX_RECORD_BYTES = 1_000_000

RunCommand = Callable[[Sequence[str], Callable[[str], None]], tuple[int, Mapping[str, Any]]]
"""Runs a command of this program, passes on each line that it says, and returns its status and summary."""


@dataclass(frozen=True, slots=True)
class FinishPaths:
    """Where things are: what was staged, the cache, the export, the log and the record of what is done."""

    staged: Path
    cache: Path
    export: Path
    log: Path
    record: Path

    @property
    def queue(self) -> Path:
        """What is to be embedded."""
        return self.staged / "queue.json"


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """What came of one step.

    Attributes
    ----------
    command : str
        As one would type it.
    seconds : float
    status : int
        The command's exit status.
    summary : mapping
        What the command reports of itself.
    """

    name: str
    state: State
    command: str
    seconds: float = 0.0
    status: int = 0
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FinishSummary:
    """What `immich-finish` did, and what to do next."""

    cache: str
    export: str
    log: str
    steps: list[FinishedStep]
    next: str
    status: int = 0


def paths_for(
    user: str, out: Path, cache: Path | None = None, export: Path | None = None, log: Path | None = None
) -> FinishPaths:
    """Where things are for a user, below what `immich-stage` was given as `--out`, unless told."""
    label = safe_label(user)
    base = out.absolute()
    return FinishPaths(
        staged=base / label,
        cache=cache.absolute() if cache else base / f"{label}.npz",
        export=export.absolute() if export else base / f"{label}.facesets",
        log=log.absolute() if log else base / f"{label}.log",
        record=base / f"{label}.finish.json",
    )


def immich_finish(
    paths: FinishPaths,
    pack: str | None,
    provider: str | None,
    run_command: RunCommand,
    *,
    landmarks: bool = True,
    dry_run: bool,
    now: Callable[[], str],
    progress: Progress,
    stop: Stop,
) -> FinishSummary:
    """Embed what is staged, then look for new people in it.

    Parameters
    ----------
    pack, provider : str or None
        For both steps; None leaves them to choose.
    run_command : callable
        Carries a step out.
    landmarks : bool
        Find landmarks and pose with the faces.
    now : callable
        The time, for the log.

    Raises
    ------
    WrongUsage
        Nothing is staged.
    SourceGone, DamagedFile, NewerFormat, CannotWrite, AlreadyRunning
        The sentence says why.
    """
    if not paths.queue.is_file():
        raise WrongUsage(
            f"There is no queue in {printable(paths.staged)}. Run `facesets immich-stage` first, with the "
            "same user and --out."
        )
    lock = (
        nullcontext()
        if dry_run
        else FileLock(paths.record.with_suffix(".lock"), what=printable(paths.staged))
    )
    given = {"--pack": pack, "--provider": provider}
    with lock, nullcontext() if dry_run else _logging(paths.log) as log:
        models = [part for flag, value in given.items() if value for part in (flag, value)]
        finish = _Finish(paths, models, run_command, log, dry_run, now, progress, stop)
        return finish.run(landmarks=landmarks)


class _Finish:
    def __init__(
        self,
        paths: FinishPaths,
        models: list[str],
        run_command: RunCommand,
        log: IO[str] | None,
        dry_run: bool,  # noqa: FBT001 - as the summary has it
        now: Callable[[], str],
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._paths = paths
        self._models = models
        self._run_command = run_command
        self._log = log
        self._dry_run = dry_run
        self._now = now
        self._progress = progress
        self._stop = stop
        self._steps: list[FinishedStep] = []

    def run(self, *, landmarks: bool) -> FinishSummary:
        paths = self._paths
        if not (paths.export / EXPORT_MANIFEST).exists():
            self._note(
                f"There is no export in {printable(paths.export)} yet: nobody is known, and a new one is "
                "started. If you have one, name it by --export, or in facesets.toml as export under [immich]."
            )
        embed = ["embed", "--queue", str(paths.queue), str(paths.cache), *["--enrich"] * landmarks]
        embed += self._models
        discover = ["discover", str(paths.cache), str(paths.export), "--source-root", str(paths.staged)]
        # The one export is often that of another cache; who adds to it does not take it over.
        discover.append("--replace")
        to_embed = _files_to_embed(paths)
        self._step("embed", embed, f"{counted(to_embed, 'photo')} to embed" if to_embed else "")
        if self._goes_on():
            is_new = bool(to_embed) or _recorded(paths) != _state(paths)
            self._step("discover", [*discover, *self._models], "look for new people" if is_new else "")
            if self._steps[-1].state == "done":
                write_json(paths.record, {"format": FORMAT, "version": VERSION, "discovered": _state(paths)})
        statuses = [step.status for step in self._steps]
        worst = next((status for status in statuses if status not in (0, _DONE_WITH_FAILURES)), max(statuses))
        summary = FinishSummary(
            str(paths.cache), str(paths.export), str(paths.log), self._steps, self._next(), worst
        )
        self._write(summary.next)
        return summary

    def _goes_on(self) -> bool:
        return self._steps[-1].state not in ("failed", "stopped") and not self._stop.requested

    def _step(self, name: str, arguments: Sequence[str], what: str) -> None:
        command = shlex.join(["facesets", *arguments])
        if not what:
            self._note(f"{name}: up to date")
            self._steps.append(FinishedStep(name, "up to date", command))
        elif self._dry_run:
            self._progress.say(f"{name}: {what}")
            self._steps.append(FinishedStep(name, "to do", command))
        else:
            self._note(f"{name}: {what}: {command}")
            self._steps.append(self._run(name, command, arguments))

    def _run(self, name: str, command: str, arguments: Sequence[str]) -> FinishedStep:
        begun = time.monotonic()
        status, summary = self._run_command(arguments, lambda line: self._note(f"{name}: {line}"))
        seconds = round(time.monotonic() - begun, 1)
        state: State = "failed"
        if status in (0, _DONE_WITH_FAILURES):
            state = "done"
        elif self._stop.requested or status > _STOPPED_BY_SIGNAL:
            state = "stopped"
        self._note(f"{name}: {state} after {seconds} s, status {status}")
        return FinishedStep(name, state, command, seconds, status, dict(summary))

    def _note(self, line: str) -> None:
        self._progress.say(line)
        self._write(line)

    def _write(self, line: str) -> None:
        if self._log is not None:
            with writing(self._paths.log):
                self._log.write(f"{self._now()} {line}\n")
                self._log.flush()

    def _next(self) -> str:
        last = self._steps[-1]
        export = printable(self._paths.export)
        if last.state in ("failed", "stopped"):
            how = "was stopped" if last.state == "stopped" else "failed"
            return f"{last.name} {how}: run the same command again."
        if self._dry_run:
            return "Nothing was done: leave --dry-run out to do it."
        if last.state == "up to date":
            return "Everything is up to date: run `facesets immich-stage` for what is new on the server."
        found = sum(bool(cluster.get("name")) for cluster in last.summary.get("clusters", ()))
        if found:
            are = "is" if found == 1 else "are"
            return (
                f"{counted(found, 'new face set')} {are} in {export}: look at the sheets and bundles there."
            )
        if (self._paths.export / EXPORT_MANIFEST).exists():
            return f"Nobody new was found. The known face sets are in {export}."
        return "Nobody was found of whom there are enough good photos: see `facesets discover --help`."


@contextmanager
def _logging(path: Path) -> Iterator[IO[str]]:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8", errors="backslashreplace")
    with file:
        yield file


def _files_to_embed(paths: FinishPaths) -> int:
    """Files of the queue that the cache does not hold as they are."""
    source, store = QueueSource(paths.queue), Cache(paths.cache)
    known = store.files() if store.exists() else {}
    return sum((seen := known.get(file.path)) is None or not seen.matches(file) for file in source.files())


def _state(paths: FinishPaths) -> dict[str, Any]:
    """What the result of `discover` depends on, and that it is there."""
    status = paths.cache.stat() if paths.cache.exists() else None
    return {
        "cache": [status.st_size, status.st_mtime_ns] if status else None,
        "export": (paths.export / EXPORT_MANIFEST).exists(),
        "at": str(paths.export),
    }


def _recorded(paths: FinishPaths) -> object:
    try:
        content = json.loads(read_regular_file(paths.record, max_bytes=_MAX_RECORD_BYTES))
    except (OSError, ValueError):
        return None
    return content.get("discovered") if isinstance(content, dict) else None
