"""`pipeline`: steps one after the other, each as its own command does it; what broke off goes on.

Every step may be done again at any time, and does what is left. So no more is kept than the names of the
steps that were done, with the run in the library: a run with the same options leaves them out, unless there
are new faces for them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from facesets.library_records import RecordedRun
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.library.stats import stats
from facesets.stop import Stop
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.runs import broken_off, keep_summary, recorded_run
from facesets.store.postgres.statistics import LibraryStatistics, newest_face

GOES_ON_WITHIN = timedelta(hours=12)
"""So long after it broke off: a run every night begins with the first step."""


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One step: what users call it, and what does it and returns its summary."""

    name: str
    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class StepDone:
    """What came of a step.

    Attributes
    ----------
    left_out : bool
        The run before had done it.
    summary : object or None
        That of the command of its name; None where it was left out.
    """

    name: str
    seconds: float = 0.0
    left_out: bool = False
    summary: Any = None


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """What one run did, and what is in the library now.

    Attributes
    ----------
    steps : list of StepDone
        Those that it came to, in their order.
    went_on_at : str
        The first step after those that were left out; empty where none was.
    new_images, new_faces : int
        Found by this run.
    assigned : int
        Faces that known people got.
    new_people : int
        Unnamed people, or with `dual` clusters, that came up.
    to_do : int
        Files that are left for another run, where `index` is bounded.
    failed : int
        Files that cannot be read, those of earlier runs included, with `failures` to say why.
    away : list of str
        A sentence about each unavailable target.
    missing : int
        Photos of which no file is left.
    library : LibraryStatistics or None
        As `stats` gives it; None where the run did not come to its end.
    """

    steps: list[StepDone] = field(default_factory=list)
    went_on_at: str = ""
    new_images: int = 0
    new_faces: int = 0
    assigned: int = 0
    new_people: int = 0
    to_do: int = 0
    failed: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    missing: int = 0
    library: LibraryStatistics | None = None
    seconds: float = 0.0
    dry_run: bool = False
    stopped: bool = False


def pipeline(
    database: Database,
    index: PipelineStep,
    further: Sequence[PipelineStep],
    options: Mapping[str, Any],
    *,
    dry_run: bool = False,
    on_step: Callable[[StepDone], None],
    stop: Stop,
) -> PipelineSummary:
    """Index, then take the further steps, and count what there is.

    Parameters
    ----------
    index : PipelineStep
        Is always taken: it reads no photo that it knows.
    further : sequence of PipelineStep
        No two of one name.
    options : mapping
        All that decides what the steps do. A run with others begins with the first step.
    on_step : function
        Hears of each step when it is through.

    Raises
    ------
    AlreadyRunning
        Another `pipeline` is working on the library, or a command that a step has to wait for.
    FacesetsError
        As a step does; the next run goes on there.
    """
    with RunLock(database, "pipeline"):
        before = database.run(broken_off, "pipeline", options, within=GOES_ON_WITHIN)
        with recorded_run(database, "pipeline", options, dry_run=dry_run) as run:
            steps = _Steps(database, run, before, on_step, dry_run)
            summary = steps.take(index, further, stop)
            run.stopped = summary.stopped
            run.summary |= _recorded(summary)
    return summary


@dataclass
class _Steps:
    """The steps of one run, and what is kept of them in case that it breaks off."""

    database: Database
    run: RecordedRun
    before: Mapping[str, Any]
    on_step: Callable[[StepDone], None]
    dry_run: bool
    taken: list[StepDone] = field(default_factory=list)

    def take(self, index: PipelineStep, further: Sequence[PipelineStep], stop: Stop) -> PipelineSummary:
        """Take all steps, until somebody stops the run."""
        began = time.monotonic()
        self._one(index)
        newest = self.database.run(newest_face)
        done = self.before.get("done", []) if self.before.get("newest_face") == newest else []
        left = [] if newest is None else list(further)
        self._keep(done, newest)
        while left and not stop.requested:
            step = left.pop(0)
            if step.name in done and not self.dry_run:
                self._hear(StepDone(step.name, left_out=True))
                continue
            self._one(step)
            if not stop.requested:
                done = [*done, step.name]
                self._keep(done, newest)
        totals = None if stop.requested else self._one(PipelineStep("stats", self._totals)).summary
        return replace(
            _summed(self.taken),
            library=totals,
            seconds=round(time.monotonic() - began, 3),
            dry_run=self.dry_run,
            stopped=stop.requested,
        )

    def _totals(self) -> LibraryStatistics:
        return stats(Library(self.database))

    def _one(self, step: PipelineStep) -> StepDone:
        began = time.monotonic()
        summary = step.do()
        done = StepDone(step.name, round(time.monotonic() - began, 3), summary=summary)
        self._hear(done)
        return done

    def _hear(self, done: StepDone) -> None:
        self.taken.append(done)
        self.on_step(done)

    def _keep(self, done: Sequence[str], newest: int | None) -> None:
        """Keep which steps were done, for the faces that there are."""
        self.run.summary = {"done": list(done), "newest_face": newest}
        if not self.dry_run:
            self.database.run(keep_summary, self.run)


def _summed(steps: Sequence[StepDone]) -> PipelineSummary:
    """What the steps did together."""
    after = next((step.name for step in steps[1:] if not step.left_out), "")
    summary = PipelineSummary(list(steps), went_on_at=after if any(step.left_out for step in steps) else "")
    for step in steps:
        found = step.summary
        match step.name:
            case _ if found is None:
                continue
            case "index":
                summary = replace(
                    summary,
                    new_images=found.indexed,
                    new_faces=found.faces,
                    to_do=found.to_do,
                    failed=found.failed,
                    failures=found.failures,
                    away=found.away,
                    missing=found.missing,
                )
            case "cluster":
                summary = _plus(summary, found.joined, found.new_persons)
            case "assign":
                summary = _plus(summary, found.assigned, 0)
            case "dual" | "dual again":
                given = 0 if found.known is None else found.known.assigned
                summary = _plus(summary, given, 0 if found.unknown is None else found.unknown.new)
    return summary


def _plus(summary: PipelineSummary, assigned: int, new_people: int) -> PipelineSummary:
    return replace(summary, assigned=summary.assigned + assigned, new_people=summary.new_people + new_people)


def _recorded(summary: PipelineSummary) -> dict[str, Any]:
    """What the library keeps of a run that came to its end; each step is a run that it keeps as well."""
    kept = {name: value for name, value in asdict(summary).items() if name not in {"failures", "library"}}
    return kept | {"steps": {step.name: step.seconds for step in summary.steps}}
