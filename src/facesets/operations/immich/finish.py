"""`immich-finish`: from a staged queue to new people: embed, then discover, with a log.

Each step is named as one would type it, and what it says goes into the log as well. A step whose result
is up to date is passed over.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from facesets.errors import Command, FacesetsError, Field, Sentence, WrongUsage
from facesets.files import FileLock, printable, read_regular_file, write_json, writing
from facesets.interfaces import Progress
from facesets.operations.immich.staged_paths import safe_label
from facesets.operations.ingest.embed import EmbedSummary
from facesets.plurals import counted
from facesets.result import Result, plain
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.rights import keep_private, private
from facesets.sources.queue import QueueSource
from facesets.stop import Stop
from facesets.store.npz.cache import Cache

State = Literal["done", "up to date", "to do", "failed", "stopped"]

FORMAT = "facesets/immich-finish"
VERSION = 1
_DONE_WITH_FAILURES = 3
_MAX_RECORD_BYTES = 1_000_000

Say = Callable[[str], None]
"""Hears what a step has to say, line by line."""


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
class FinishOptions:
    """How `immich-finish` works.

    Attributes
    ----------
    pack, provider : str or None
        For both steps; None leaves them to choose.
    landmarks : bool
        Find landmarks and pose with the faces.
    """

    pack: str | None = None
    provider: str | None = None
    landmarks: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step did, and how many of its inputs failed, as far as they count for the exit status."""

    summary: EmbedSummary | Result
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FinishSteps:
    """The two steps with their models and options, put together by whoever knows settings.

    Attributes
    ----------
    embed : callable
        Embeds a queue into a cache.
    discover : callable
        Looks for new people among the faces of a cache, and adds them to an export.
    stopped_status : callable
        The exit status of what a signal stopped.
    worded : callable
        A sentence as the log is to hold it, in which options are flags and commands are as they are typed.
    """

    embed: Callable[[QueueSource, Cache, Say], StepOutcome]
    discover: Callable[[Cache, Path, Say], StepOutcome]
    stopped_status: Callable[[], int]
    worded: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """What came of one step.

    Attributes
    ----------
    command : str
        As one would type it.
    status : int
        The exit status that the command would have.
    summary : mapping
        What the step reports of itself.
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
    next: Sentence
    status: int = 0


def paths_for(
    user: str, out: Path, cache: Path | None = None, export: Path | None = None, log: Path | None = None
) -> FinishPaths:
    """Where things are for a user, below what `immich-stage` was given as `--out`, unless said otherwise."""
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
    options: FinishOptions,
    steps: FinishSteps,
    *,
    now: Callable[[], str],
    progress: Progress,
    stop: Stop,
) -> FinishSummary:
    """Embed what is staged, then look for new people in it.

    Parameters
    ----------
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
            f"There is no queue in {printable(paths.staged)}. Run {Command('immich-stage')} first, with the "
            f"same user and {Field('out')}."
        )
    if options.dry_run:
        return _Finish(paths, options, steps, None, now, progress, stop).run()
    lock = FileLock(paths.record.with_suffix(".lock"), what=printable(paths.staged))
    with lock, _logging(paths.log) as log:
        return _Finish(paths, options, steps, log, now, progress, stop).run()


@dataclass
class _Finish:
    paths: FinishPaths
    options: FinishOptions
    steps: FinishSteps
    log: IO[str] | None
    now: Callable[[], str]
    progress: Progress
    stop: Stop
    finished: list[FinishedStep] = field(default_factory=list)

    def run(self) -> FinishSummary:
        """Do both steps, as far as there is anything to do and nothing fails."""
        paths = self.paths
        if not (paths.export / EXPORT_MANIFEST).exists():
            self._note(
                f"There is no export in {printable(paths.export)} yet: nobody is known, and a new one is "
                f"started. If you have one, name it by {Field('export')}, or in facesets.toml as export "
                "under [immich]."
            )
        is_new = self._embed()
        if self.finished[-1].state not in ("failed", "stopped") and not self.stop.requested:
            self._discover(is_new=is_new)
        statuses = [step.status for step in self.finished]
        worst = next((status for status in statuses if status not in (0, _DONE_WITH_FAILURES)), max(statuses))
        summary = FinishSummary(
            str(paths.cache), str(paths.export), str(paths.log), self.finished, self._next(), worst
        )
        self._write(summary.next)
        return summary

    def _embed(self) -> bool:
        """Embed what the cache does not hold yet; whether there was anything."""
        queue, cache = QueueSource(self.paths.queue), Cache(self.paths.cache)
        count = _files_to_embed(queue, cache)
        enrich = ["--enrich"] if self.options.landmarks else []
        words = ["embed", "--queue", str(self.paths.queue), str(self.paths.cache), *enrich]
        what = f"{counted(count, 'photo')} to embed" if count else ""
        self._step(words, what, lambda say: self.steps.embed(queue, cache, say))
        return count > 0

    def _discover(self, *, is_new: bool) -> None:
        paths = self.paths
        # The one export is often that of another cache; who adds to it does not take it over.
        words = ["discover", str(paths.cache), str(paths.export), "--source-root", str(paths.staged)]
        what = "look for new people" if is_new or _recorded(paths) != _state(paths) else ""
        self._step(
            [*words, "--replace"],
            what,
            lambda say: self.steps.discover(Cache(paths.cache), paths.export, say),
        )
        if self.finished[-1].state == "done":
            write_json(paths.record, {"format": FORMAT, "version": VERSION, "discovered": _state(paths)})

    def _step(self, words: list[str], what: str, work: Callable[[Say], StepOutcome]) -> None:
        given = (("--pack", self.options.pack), ("--provider", self.options.provider))
        models = [part for flag, value in given if value for part in (flag, value)]
        name, command = words[0], Command(*words, *models).line
        if not what:
            self._note(f"{name}: up to date")
            self.finished.append(FinishedStep(name, "up to date", command))
        elif self.options.dry_run:
            self.progress.say(f"{name}: {what}")
            self.finished.append(FinishedStep(name, "to do", command))
        else:
            self._note(f"{name}: {what}: {command}")
            self.finished.append(self._do(name, command, work))

    def _do(self, name: str, command: str, work: Callable[[Say], StepOutcome]) -> FinishedStep:
        def say(line: str) -> None:
            self._note(f"{name}: {line}")

        begun = time.monotonic()
        state: State = "done"
        summary: dict[str, Any] = {}
        try:
            outcome = work(say)
            summary, status = plain(outcome.summary), _DONE_WITH_FAILURES if outcome.failed else 0
            self._write(f"{name}: {_counts(summary)}")
        except FacesetsError as error:
            say(f"facesets: {error}")
            state, status = "failed", error.exit_status
        if self.stop.requested:
            state, status = "stopped", self.steps.stopped_status()
        seconds = round(time.monotonic() - begun, 1)
        say(f"{state} after {seconds} s, status {status}")
        return FinishedStep(name, state, command, seconds, status, summary)

    def _note(self, line: str) -> None:
        self.progress.say(line)
        self._write(line)

    def _write(self, line: str) -> None:
        if self.log is not None:
            with writing(self.paths.log):
                self.log.write(f"{self.now()} {self.steps.worded(line)}\n")
                self.log.flush()

    def _next(self) -> Sentence:
        last = self.finished[-1]
        export = printable(self.paths.export)
        if last.state in ("failed", "stopped"):
            how = "was stopped" if last.state == "stopped" else "failed"
            return Sentence(f"{last.name} {how}: run the same command again.")
        if self.options.dry_run:
            return Sentence(f"Nothing was done: leave {Field('dry_run')} out to do it.")
        if last.state == "up to date":
            return Sentence(f"Everything is up to date: {Command('immich-stage')} stages what is new.")
        found = sum(bool(cluster.get("name")) for cluster in last.summary.get("clusters", ()))
        if found:
            sets = counted(found, "new face set is", "new face sets are")
            return Sentence(f"{sets} in {export}: look at the sheets and bundles there.")
        if (self.paths.export / EXPORT_MANIFEST).exists():
            return Sentence(f"Nobody new was found. The known face sets are in {export}.")
        discover = Command("discover", Field("help"))
        return Sentence(f"Nobody was found of whom there are enough good photos: see {discover}.")


@contextmanager
def _logging(path: Path) -> Iterator[IO[str]]:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_private(path)
        file = open(path, "a", encoding="utf-8", errors="backslashreplace", opener=private)  # noqa: SIM115
    with file:
        yield file


def _files_to_embed(queue: QueueSource, cache: Cache) -> int:
    """Files of the queue that the cache does not hold as they are."""
    known = cache.files() if cache.exists() else {}
    return sum((seen := known.get(file.path)) is None or not seen.matches(file) for file in queue.files())


def _counts(summary: dict[str, Any]) -> str:
    """What a step counted, on one line."""
    return ", ".join(f"{name} {value}" for name, value in summary.items() if type(value) is int)


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
