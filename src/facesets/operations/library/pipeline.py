"""`pipeline`: run several commands in order; an interrupted run resumes.

Every step can be repeated at any time, and does only what is left. So the library stores only the names of
the completed steps, with the run. A later run with the same options skips them, unless there are new faces.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from facesets.library_records import RecordedRun
from facesets.operations.ingest.index import index_result
from facesets.operations.library.stats import stats
from facesets.result import Result
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.runs import broken_off, recorded_run, store_summary
from facesets.store.postgres.statistics import newest_face
from facesets.work import Stop

RESUMABLE_WITHIN = timedelta(hours=12)
"""Time after an interruption in which a run resumes. A nightly run starts with the first step."""


def pipeline(
    database: Database,
    index: Callable[[], Result],
    further: Mapping[str, Callable[[], Result]],
    options: Mapping[str, Any],
    *,
    dry_run: bool = False,
    on_step: Callable[[Result], None],
    stop: Stop,
) -> Result:
    """Index, run the further steps, and count the library.

    Parameters
    ----------
    index : function
        Always runs; it does not read known photos again.
    further : mapping of name to function
        The name of each step, and its function, in order.
    options : mapping
        All options that affect the steps. A run with other options starts with the first step.
    on_step : function
        Receives each finished step: its name, its seconds, whether it was skipped because the previous run
        had done it, and the result.

    Raises
    ------
    AlreadyRunning
        Another `pipeline`, or a command that conflicts with a step, is working on the library.
    FacesetsError
        An error of a step; the next run resumes there.
    """
    with RunLock(database, "pipeline"):
        before = database.run(broken_off, "pipeline", options, within=RESUMABLE_WITHIN)
        with recorded_run(database, "pipeline", options, dry_run=dry_run) as run:
            steps = _Steps(database, run, before, on_step, dry_run)
            summary = steps.take(index, further, stop)
            run.stopped = summary.stopped
            run.summary |= _recorded(summary)
    return summary


@dataclass
class _Steps:
    """The steps of one run, and the record that lets it resume."""

    database: Database
    run: RecordedRun
    before: Mapping[str, Any]
    on_step: Callable[[Result], None]
    dry_run: bool
    taken: list[Result] = field(default_factory=list)

    def take(
        self, index: Callable[[], Result], further: Mapping[str, Callable[[], Result]], stop: Stop
    ) -> Result:
        """Run all steps until the run is stopped."""
        began = time.monotonic()
        self._one("index", index)
        newest = self.database.run(newest_face)
        done = self.before.get("done", []) if self.before.get("newest_face") == newest else []
        self._store(done, newest)
        for name, step in further.items() if newest is not None else ():
            if stop.requested:
                break
            if name in done and not self.dry_run:
                self._hear(Result(name=name, seconds=0.0, left_out=True, summary=None))
                continue
            self._one(name, step)
            if not stop.requested:
                done = [*done, name]
                self._store(done, newest)
        totals = None if stop.requested else self._one("stats", lambda: stats(Library(self.database)))
        return Result(
            _summed(self.taken),
            library=totals,
            seconds=round(time.monotonic() - began, 3),
            dry_run=self.dry_run,
            stopped=stop.requested,
        )

    def _one(self, name: str, step: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever a step counts
        began = time.monotonic()
        summary = step()
        seconds = round(time.monotonic() - began, 3)
        self._hear(Result(name=name, seconds=seconds, left_out=False, summary=summary))
        return summary

    def _hear(self, done: Result) -> None:
        self.taken.append(done)
        self.on_step(done)

    def _store(self, done: Sequence[str], newest: int | None) -> None:
        """Record which steps are done for the current faces."""
        self.run.summary = {"done": list(done), "newest_face": newest}
        if not self.dry_run:
            self.database.run(store_summary, self.run)


def _summed(steps: Sequence[Result]) -> Result:
    """Sum up the results of the steps."""
    of = {step.name: step.summary for step in steps if step.summary is not None}
    index = of.get("index") or index_result()
    clustered, assigned = of.get("cluster"), of.get("assign")
    rounds = [of[name] for name in ("dual", "dual again") if name in of]
    after = next((step.name for step in steps[1:] if not step.left_out), "")
    return Result(
        steps=list(steps),
        went_on_at=after if any(step.left_out for step in steps) else "",
        new_images=index.indexed,
        new_faces=index.faces,
        # Faces assigned to known people.
        assigned=(clustered.joined if clustered else 0)
        + (assigned.assigned if assigned else 0)
        + sum(each.known.assigned for each in rounds if each.known),
        # New unnamed people or, with `dual`, new clusters.
        new_people=(clustered.new_persons if clustered else 0)
        + sum(each.unknown.new for each in rounds if each.unknown),
        to_do=index.to_do,
        failed=index.failed,
        failures=index.failures,
        away=index.away,
        missing=index.missing,
        library=None,
        seconds=0.0,
        dry_run=False,
        stopped=False,
    )


def _recorded(summary: Result) -> dict[str, Any]:
    """Return what the library records of a finished run."""
    recorded = {name: value for name, value in summary.items() if name not in {"failures", "library"}}
    return recorded | {"steps": {step.name: step.seconds for step in summary.steps}}
