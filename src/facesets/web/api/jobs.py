"""`/jobs`: active and past runs, here and on other machines; `/queue`: the job queue."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from facesets.errors import NotFound, WrongUsage
from facesets.result import plain
from facesets.store.postgres.claims import is_running
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.queue.job_list import JobLine, list_jobs_open_first
from facesets.store.postgres.queue.schema import has_our_notes
from facesets.store.postgres.runs import RunLine, count_runs, find_run, list_runs
from facesets.web.api.shapes import Of, Page, PagingDep, Shape
from facesets.web.background import Job
from facesets.web.render import worded
from facesets.web.site import SiteDep
from facesets.words.runs import in_words, outcome, title

router = APIRouter(tags=["jobs"])

_MAX_QUEUED = 100
_OF_DUAL = "cluster --dual"
_RATE_AFTER_S = 3
"""Minimum duration of a stage before its rate is shown."""
_WAITS = "Why the job or a part of it isn't running; empty if it only needs time."

JobId = Annotated[
    str,
    Path(
        pattern="^([0-9a-f]{32}|[1-9][0-9]{0,17})$",
        description="The ID of a job of this server, or the number of a run.",
    ),
]


class JobShape(Shape):
    """A run or job."""

    id: Annotated[str, Field(alias="jobId")]
    command: str
    title: str
    status: Annotated[
        Literal["running", "done", "stopped", "failed", "unknown"],
        Field(description="`unknown`: the end was not recorded."),
    ]
    started_at: datetime
    ended_at: datetime | None
    took: Annotated[str, Field(description="The duration in words.")]
    host: Annotated[str, Field(description="The machine; empty for this server.")]
    can_stop: bool
    stage: str
    done: Annotated[int, Field(description="Finished items of the stage, of `total` if known.")]
    total: int | None
    pace: Annotated[str, Field(description="The progress, the rate and the time left, in words.")]
    lines: list[str]
    outcome: Annotated[list[str], Field(description="The result in words.")]
    sentence: Annotated[str, Field(description="Why it failed.")]
    summary: Annotated[dict[str, Any] | None, Field(description="The result, as `--json` prints it.")]


def _outcome_of(job: JobLine) -> list[str]:
    return outcome("index" if job.what.startswith("index") else job.what, job.result)


class QueuedJobShape(Shape):
    """A queued job, including its parts."""

    id: int
    what: Annotated[str, Field(description="The command.")]
    where: Annotated[str, Field(description="The host that runs or last ran it; empty if it never ran.")]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stage: str
    done: Annotated[int, Field(description="Finished items of the stage, or photos, of `total` if known.")]
    total: int | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: Annotated[list[str], Of(_outcome_of), Field(description="The result in words.")]
    reason: Annotated[str, Of(lambda job: worded(job.reason)), Field(description="Why it failed.")]
    waits: Annotated[str, Of(lambda job: worded(job.waits)), Field(description=_WAITS)]
    result: Annotated[dict[str, Any], Field(description="The result, as `--json` prints it.")]


class JobsPage(Page[JobShape]):
    """Active and past runs, and unfinished jobs of the queue."""

    queue: Annotated[
        list[QueuedJobShape], Field(description="Waiting and running jobs of the queue, as in `/queue`.")
    ]


def view_of_job(job: Job) -> JobShape:
    """Return a job of this process as a shape."""
    stored = plain(job.summary)
    summary = stored if isinstance(stored, dict) else None
    command = "cluster" if job.what == _OF_DUAL else job.what
    options = {"method": "dual"} if job.what == _OF_DUAL else {}
    began = datetime.fromtimestamp(job.started_at, UTC)
    ended = None if job.ended_at is None else datetime.fromtimestamp(job.ended_at, UTC)
    return JobShape.of(
        job,
        command=job.what,
        title=title(command, options),
        started_at=began,
        ended_at=ended,
        took=_took(began, ended),
        host="",
        pace=pace(job, time.time()),
        outcome=outcome(command, summary or {}),
        summary=summary,
    )


def _took(began: datetime, ended: datetime | None) -> str:
    """Return the duration in words; empty if the end is unknown."""
    return "" if ended is None else in_words((ended - began).total_seconds())


def pace(job: Job, now: float) -> str:
    """Return the progress of a stage: `1,200 of 50,000, 35 a second, about 23 min left`."""
    if not job.stage or not (job.total or job.done):
        return ""
    done, of = _amount(job.done, job), "" if job.total is None else f" of {_amount(job.total, job)}"
    seconds = now - job.stage_at
    if not job.done or seconds < _RATE_AFTER_S:
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


def view_of_run(connection: Connection, run: RunLine) -> JobShape:
    """Return a run recorded in the library as a shape."""
    status = run.status
    if status == "started":
        status = "running" if is_running(connection, run.command) else "unknown"
    return JobShape.of(
        run,
        id=str(run.id),
        title=title(run.command, run.options),
        status=status,
        took=_took(run.started_at, run.ended_at),
        can_stop=False,
        stage="",
        done=0,
        total=None,
        pace="",
        lines=[],
        outcome=outcome(run.command, run.summary),
        sentence="",
        summary=run.summary or None,
    )


def found_run(connection: Connection, number: int) -> JobShape:
    """Return the run of a number. Raises `NotFound`."""
    run = find_run(connection, number)
    if run is None:
        raise NotFound("Run not found. The Runs page lists all runs.")
    return view_of_run(connection, run)


@router.get("/jobs")
def jobs(site: SiteDep, paging: PagingDep) -> JobsPage:
    """List active and past runs, latest first, and unfinished jobs of the queue."""
    ours = site.jobs.all()
    recorded = [number for job in ours for number in job.runs]
    # The page may hold any of our jobs, so it begins at most that many runs earlier.
    first = max(0, paging.offset - len(ours))
    start, end = paging.offset - first, paging.offset - first + paging.page_size

    def work(connection: Connection) -> tuple[list[JobShape], int, list[JobLine]]:
        runs = list_runs(connection, limit=end, offset=first, without=recorded)
        views = [view_of_run(connection, run) for run in runs]
        return views, count_runs(connection, without=recorded), latest_jobs(connection, _MAX_QUEUED)

    with site.library() as session:
        others, count, queued = session.run(work)
    views = sorted([*map(view_of_job, ours), *others], key=lambda view: view.started_at, reverse=True)
    return JobsPage(
        items=views[start:end],
        total=len(ours) + count,
        page=paging.page,
        page_size=paging.page_size,
        queue=[QueuedJobShape.of(each) for each in queued if each.state in ("waiting", "running")],
    )


@router.get("/jobs/{job}")
def job(site: SiteDep, job: JobId) -> JobShape:
    """Get the progress or the result of a run."""
    if _is_ours(job):
        return view_of_job(site.jobs.find(job))
    with site.library() as session:
        return session.run(found_run, int(job))


@router.post("/jobs/{job}/stop")
def stop(site: SiteDep, job: JobId) -> JobShape:
    """Stop a run cleanly, which may take a moment. Stored results stay."""
    if _is_ours(job):
        return view_of_job(site.jobs.stop(job))
    with site.library() as session:
        session.run(found_run, int(job))
    raise WrongUsage("This run was started elsewhere. Stop it there.")


def _is_ours(job: str) -> bool:
    return len(job) == 32


def latest_jobs(connection: Connection, limit: int) -> list[JobLine]:
    """Return open jobs, then the latest; none if the library has no queue or one of an earlier version."""
    return list_jobs_open_first(connection, limit=limit) if has_our_notes(connection) else []


@router.get("/queue")
def queue(site: SiteDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[QueuedJobShape]:
    """List running, then waiting, then finished jobs of the queue, each latest first."""
    with site.library() as session:
        jobs = session.run(latest_jobs, limit)
    return list(map(QueuedJobShape.of, jobs))
