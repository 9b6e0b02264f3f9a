"""`immich-finish`: embed staged photos, then discover new people, with a log.

Each step is reported as its command line, and its messages also go into the log. A step with an up-to-date
result is skipped.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

from facesets.errors import Command, FacesetsError, Field, Sentence, WrongUsage
from facesets.files import FileLock, printable, read_regular_file, write_json, writing
from facesets.operations.immich.staged_paths import safe_label
from facesets.plurals import counted
from facesets.result import Result, plain
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.rights import private, tighten_access
from facesets.sources.queue import QueueSource
from facesets.store.npz.cache import Cache
from facesets.work import Work

FORMAT = "facesets/immich-finish"
VERSION = 1
_DONE_WITH_FAILURES = 3
_MAX_RECORD_BYTES = 1_000_000

Report = Callable[[str], None]
"""Receives the messages of a step, line by line."""
Outcome: TypeAlias = tuple[object, int]
"""The result of a step, and how many of its inputs failed for the exit status."""


@dataclass(frozen=True, slots=True)
class FinishPaths:
    """The paths of the staged photos, the cache, the export, the log and the state."""

    staged: Path
    cache: Path
    export: Path
    log: Path
    record: Path

    @property
    def queue(self) -> Path:
        """The download list to embed."""
        return self.staged / "queue.json"


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """The options of `immich-finish`.

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
class FinishSteps:
    """The two steps with their models and options.

    Attributes
    ----------
    embed : callable
        Embeds a queue into a cache.
    discover : callable
        Looks for new people among the faces of a cache, and adds them to an export.
    stopped_status : callable
        The exit status after a signal.
    worded : callable
        Words a sentence for the log, with options as flags and commands as they are typed.
    """

    embed: Callable[[QueueSource, Cache, Report], Outcome]
    discover: Callable[[Cache, Path, Report], Outcome]
    stopped_status: Callable[[], int]
    worded: Callable[[str], str]


def paths_for(
    user: str, out: Path, cache: Path | None = None, export: Path | None = None, log: Path | None = None
) -> FinishPaths:
    """Return the paths of a user below the `--out` of `immich-stage`, unless given."""
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
    paths: FinishPaths, options: FinishOptions, steps: FinishSteps, *, now: Callable[[], str], work: Work
) -> Result:
    """Embed the staged photos, then find new people in them.

    Parameters
    ----------
    now : callable
        The time, for the log.

    Raises
    ------
    WrongUsage
        Nothing is staged.
    SourceGone, DamagedFile, NewerFormat, CannotWrite, AlreadyRunning
        The message has the reason.
    """
    if not paths.queue.is_file():
        raise WrongUsage(
            f"There is no download list in {printable(paths.staged)}. Run {Command('immich-stage')} "
            f"first, with the same user and {Field('out')}."
        )
    if options.dry_run:
        return _Finish(paths, options, steps, None, now, work).run()
    lock = FileLock(paths.record.with_suffix(".lock"), what=printable(paths.staged))
    with lock, _logging(paths.log) as log:
        return _Finish(paths, options, steps, log, now, work).run()


@dataclass
class _Finish:
    paths: FinishPaths
    options: FinishOptions
    steps: FinishSteps
    log: IO[str] | None
    now: Callable[[], str]
    work: Work
    finished: list[Result] = field(default_factory=list)

    def run(self) -> Result:
        """Run both steps if needed, until one fails."""
        paths = self.paths
        if not (paths.export / EXPORT_MANIFEST).exists():
            self._note(
                f"There is no export in {printable(paths.export)} yet, so a new one is started "
                f"without known people. To use another export, give {Field('export')}, or set export "
                "under [immich] in facesets.toml."
            )
        is_new = self._embed()
        if self.finished[-1].state not in ("failed", "stopped") and not self.work.stop.requested:
            self._discover(is_new=is_new)
        statuses = [step.status for step in self.finished]
        worst = next((status for status in statuses if status not in (0, _DONE_WITH_FAILURES)), max(statuses))
        done = Result(
            cache=str(paths.cache),
            export=str(paths.export),
            log=str(paths.log),
            steps=self.finished,
            next=self._next(),  # a hint on what to do next
            status=worst,  # the exit status
        )
        self._write(done.next)
        return done

    def _embed(self) -> bool:
        """Embed the photos that the cache lacks; return whether there were any."""
        queue, cache = QueueSource(self.paths.queue), Cache(self.paths.cache)
        count = _files_to_embed(queue, cache)
        enrich = ["--enrich"] if self.options.landmarks else []
        words = ["embed", "--queue", str(self.paths.queue), str(self.paths.cache), *enrich]
        task = f"{counted(count, 'photo')} to embed" if count else ""
        self._step(words, task, lambda report: self.steps.embed(queue, cache, report))
        return count > 0

    def _discover(self, *, is_new: bool) -> None:
        paths = self.paths
        # The export often belongs to another cache, and adding to it does not change that.
        words = ["discover", str(paths.cache), str(paths.export), "--under", str(paths.staged)]
        task = "find new people" if is_new or _recorded(paths) != _state(paths) else ""
        self._step(
            [*words, "--replace"],
            task,
            lambda report: self.steps.discover(Cache(paths.cache), paths.export, report),
        )
        if self.finished[-1].state == "done":
            write_json(paths.record, {"format": FORMAT, "version": VERSION, "discovered": _state(paths)})

    def _step(self, words: list[str], task: str, work: Callable[[Report], Outcome]) -> None:
        given = (("--pack", self.options.pack), ("--provider", self.options.provider))
        models = [part for flag, value in given if value for part in (flag, value)]
        name = words[0]
        step = Result(
            name=name,
            state="up to date",
            command=Command(*words, *models).line,
            seconds=0.0,
            status=0,  # the exit status that the command would have
            summary={},  # the step's own figures
        )
        if not task:
            self._note(f"{name}: up to date")
        elif self.options.dry_run:
            self.work.progress.say(f"{name}: {task}")
            step["state"] = "to do"
        else:
            self._note(f"{name}: {task}: {step.command}")
            step = self._do(step, work)
        self.finished.append(step)

    def _do(self, step: Result, work: Callable[[Report], Outcome]) -> Result:
        name = step.name

        def report(line: str) -> None:
            self._note(f"{name}: {line}")

        begun = time.monotonic()
        state = "done"
        summary: dict[str, Any] = {}
        try:
            figures, failed = work(report)
            summary, status = plain(figures), _DONE_WITH_FAILURES if failed else 0
            self._write(f"{name}: {_counts(summary)}")
        except FacesetsError as error:
            report(f"facesets: {error}")
            state, status = "failed", error.exit_status
        if self.work.stop.requested:
            state, status = "stopped", self.steps.stopped_status()
        seconds = round(time.monotonic() - begun, 1)
        report(f"{state} after {seconds} s, status {status}")
        return Result(step, state=state, seconds=seconds, status=status, summary=summary)

    def _note(self, line: str) -> None:
        self.work.progress.say(line)
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
            return Sentence(f"{last.name} {how}. Run the same command again.")
        if self.options.dry_run:
            return Sentence(f"Nothing was done. Remove {Field('dry_run')} to run this.")
        if last.state == "up to date":
            return Sentence(f"Everything is up to date. Stage new photos with {Command('immich-stage')}.")
        found = sum(bool(cluster.get("name")) for cluster in last.summary.get("clusters", ()))
        if found:
            sets = counted(found, "new face set is", "new face sets are")
            return Sentence(f"{sets} in {export}. Check the contact sheets and bundles there.")
        if (self.paths.export / EXPORT_MANIFEST).exists():
            return Sentence(f"No new people found. The known face sets are in {export}.")
        discover = Command("discover", Field("help"))
        return Sentence(f"No person has enough good photos: see {discover}.")


@contextmanager
def _logging(path: Path) -> Iterator[IO[str]]:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tighten_access(path)
        file = open(path, "a", encoding="utf-8", errors="backslashreplace", opener=private)  # noqa: SIM115
    with file:
        yield file


def _files_to_embed(queue: QueueSource, cache: Cache) -> int:
    """Return the files of the download list that the cache lacks or that changed."""
    known = cache.files() if cache.exists() else {}
    return sum((seen := known.get(file.path)) is None or not seen.matches(file) for file in queue.files())


def _counts(summary: dict[str, Any]) -> str:
    """Format the counts of a step on one line."""
    return ", ".join(f"{name} {value}" for name, value in summary.items() if type(value) is int)


def _state(paths: FinishPaths) -> dict[str, Any]:
    """Return the state of the inputs of `discover`, and whether its result exists."""
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
