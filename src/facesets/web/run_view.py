"""Runs as pages and the API show them: jobs of this process, and what the library recorded of all runs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from facesets.errors import NotFound
from facesets.result import plain
from facesets.store.postgres.claims import is_running
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.runs import RunLine, find_run
from facesets.web.background import Job
from facesets.words.runs import in_words, outcome, title

_OF_DUAL = "cluster --dual"
_TOLD_AFTER_S = 3
"""Before, a stage says little of how fast it goes on."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run.

    Attributes
    ----------
    id : str
        Of a job of this process, or the number of a recorded run.
    status : str
        `running`, `done`, `stopped`, `failed`; or `unknown` where a run began, and its end is not known.
    host : str
        Where it runs or ran; empty for here.
    can_stop : bool
        Whether it can be stopped from here.
    pace : str
        How much of the stage is done, how fast that goes, and how long the rest takes, in words.
    outcome : sequence of str
        What came of it, in words.
    """

    id: str
    command: str
    title: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    host: str = ""
    can_stop: bool = False
    stage: str = ""
    done: int = 0
    total: int | None = None
    pace: str = ""
    lines: Sequence[str] = ()
    outcome: Sequence[str] = ()
    sentence: str = ""
    summary: Mapping[str, Any] | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None where its end is not known."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @property
    def took(self) -> str:
        """The same in words."""
        return "" if self.seconds is None else in_words(self.seconds)


def view_of_job(job: Job) -> RunView:
    """A job of this process."""
    kept = plain(job.summary)
    summary = kept if isinstance(kept, dict) else None
    command = "cluster" if job.what == _OF_DUAL else job.what
    options = {"method": "dual"} if job.what == _OF_DUAL else {}
    return RunView(
        id=job.id,
        command=job.what,
        title=title(command, options),
        status=job.status,
        started_at=datetime.fromtimestamp(job.started_at, UTC),
        ended_at=None if job.ended_at is None else datetime.fromtimestamp(job.ended_at, UTC),
        can_stop=job.can_stop,
        stage=job.stage,
        done=job.done,
        total=job.total,
        pace=pace(job, time.time()),
        lines=job.lines,
        outcome=outcome(command, summary or {}),
        sentence=job.sentence,
        summary=summary,
    )


def pace(job: Job, now: float) -> str:
    """How far a stage is at a time, in words: `1,200 of 50,000, 35 a second, about 23 min left`."""
    if not job.stage or not (job.total or job.done):
        return ""
    done, of = _amount(job.done, job), "" if job.total is None else f" of {_amount(job.total, job)}"
    seconds = now - job.stage_at
    if not job.done or seconds < _TOLD_AFTER_S:
        return done + (of or " so far")
    rate = job.done / seconds
    words = [done + (of or " so far"), _speed(rate, job)]
    if job.total is not None and job.total > job.done:
        left = (job.total - job.done) / rate
        step = 60 if left >= 120 else 10 if left >= 20 else 1
        words.append(f"about {in_words(step * round(left / step))} left")
    return ", ".join(words)


def _amount(count: int, job: Job) -> str:
    return f"{count / 1e6:,.0f} MB" if job.in_bytes else f"{count:,}"


def _speed(rate: float, job: Job) -> str:
    if job.in_bytes:
        return f"{rate / 1e6:.1f} MB a second"
    return f"{rate:,.0f} a second" if rate >= 1 else f"{60 * rate:.0f} a minute"


def view_of_run(connection: Connection, run: RunLine) -> RunView:
    """A run that the library recorded."""
    status = run.status
    if status == "started":
        status = "running" if is_running(connection, run.command) else "unknown"
    return RunView(
        id=str(run.id),
        command=run.command,
        title=title(run.command, run.options),
        status=status,
        started_at=run.started_at,
        ended_at=run.ended_at,
        host=run.host,
        outcome=outcome(run.command, run.summary),
        summary=run.summary or None,
    )


def recorded_of(jobs: Sequence[Job]) -> list[int]:
    """The numbers under which the library recorded these jobs."""
    return [number for job in jobs for number in job.runs]


def found_run(connection: Connection, number: int) -> RunView:
    """The run of a number. Raises `NotFound`."""
    run = find_run(connection, number)
    if run is None:
        raise NotFound("There is no such run. The list of runs shows what there is.")
    return view_of_run(connection, run)
