"""`/jobs`: what runs and what ran, here and on other machines."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from facesets.errors import WrongUsage
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.queue.job_list import JobLine
from facesets.store.postgres.runs import count_runs, list_runs
from facesets.web.api.queue import QueuedJobShape, latest_jobs, queued_job
from facesets.web.api.shapes import Shape
from facesets.web.paging import Page, PagingDep
from facesets.web.run_view import RunView, found_run, recorded_of, view_of_job, view_of_run
from facesets.web.site import SiteDep

router = APIRouter(tags=["jobs"])

_QUEUED_MOST = 100

JobId = Annotated[
    str,
    Path(
        pattern="^([0-9a-f]{32}|[1-9][0-9]{0,17})$",
        description="The id of a job of this program, or the number of a run.",
    ),
]


class JobShape(Shape):
    """A run."""

    job_id: str
    command: str
    title: str
    status: Annotated[
        Literal["running", "done", "stopped", "failed", "unknown"],
        Field(description="`unknown`: its end was not recorded."),
    ]
    started_at: datetime
    ended_at: datetime | None
    took: Annotated[str, Field(description="In words.")]
    host: Annotated[str, Field(description="Empty for this program.")]
    can_stop: bool
    stage: str
    done: Annotated[int, Field(description="Steps of the stage, of `total` where that is known.")]
    total: int | None
    pace: Annotated[str, Field(description="How far the stage is, how fast, and how long it takes.")]
    lines: list[str]
    outcome: Annotated[list[str], Field(description="What came of it, in words.")]
    sentence: Annotated[str, Field(description="Why it failed.")]
    summary: Annotated[dict[str, Any] | None, Field(description="What came of it, as `--json` prints it.")]


def _job(view: RunView) -> JobShape:
    return JobShape(
        **{name: getattr(view, name) for name in JobShape.model_fields if name not in ("job_id",)},
        job_id=view.id,
    )


class JobsPage(Page[JobShape]):
    """What runs and what ran, and what of the queue is not done yet."""

    queue: Annotated[
        list[QueuedJobShape], Field(description="What waits for workers, and what they are at; as `/queue`.")
    ]


@router.get("/jobs")
def jobs(site: SiteDep, paging: PagingDep) -> JobsPage:
    """List what runs and what ran, the latest first, and what workers are still to do."""
    ours = site.jobs.all()
    recorded = recorded_of(ours)
    # However ours lie among the others, only these can be on the page.
    first = max(0, paging.offset - len(ours))
    start, end = paging.offset - first, paging.offset - first + paging.page_size

    def work(connection: Connection) -> tuple[list[RunView], int, list[JobLine]]:
        runs = list_runs(connection, limit=end, offset=first, without=recorded)
        views = [view_of_run(connection, run) for run in runs]
        return views, count_runs(connection, without=recorded), latest_jobs(connection, _QUEUED_MOST)

    with site.library() as session:
        others, count, queued = session.run(work)
    views = sorted([*map(view_of_job, ours), *others], key=lambda view: view.started_at, reverse=True)
    return JobsPage(
        items=[_job(view) for view in views[start:end]],
        total=len(ours) + count,
        page=paging.page,
        page_size=paging.page_size,
        queue=[queued_job(each) for each in queued if each.state in ("waiting", "running")],
    )


@router.get("/jobs/{job}")
def job(site: SiteDep, job: JobId) -> JobShape:
    """How far a run is, or what came of it."""
    if _is_ours(job):
        return _job(view_of_job(site.jobs.find(job)))
    with site.library() as session:
        return _job(session.run(found_run, int(job)))


@router.post("/jobs/{job}/stop")
def stop(site: SiteDep, job: JobId) -> JobShape:
    """Ask a run to end cleanly: what it stored stays. It may take a moment."""
    if _is_ours(job):
        return _job(view_of_job(site.jobs.stop(job)))
    with site.library() as session:
        session.run(found_run, int(job))
    raise WrongUsage("This run was not started here. Stop it where it was started.")


def _is_ours(job: str) -> bool:
    return len(job) == 32
