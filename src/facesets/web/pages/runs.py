"""`/runs`: active and past runs, and forms that start one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.queue.job_list import JobLine
from facesets.store.postgres.runs import IndexedFolder, indexed_folders, list_runs
from facesets.web.api.jobs import JobShape, QueuedJobShape, latest_jobs, view_of_job, view_of_run
from facesets.web.api.runs import folder_id
from facesets.web.background import Job
from facesets.web.render import render
from facesets.web.site import SiteDep

router = APIRouter()

_ON_PAGE = 20
_QUEUED_ON_PAGE = 10


@router.get("/runs")
def page(
    request: Request,
    site: SiteDep,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="Runs before this one.")] = None,
) -> Response:
    """Return active and past runs, and forms that start one."""
    jobs = site.jobs.all()

    def work(connection: Connection) -> tuple[list[JobShape], bool, list[IndexedFolder], list[JobLine]]:
        runs = list_runs(connection, limit=_ON_PAGE + 1, before=before)
        views = [view_of_run(connection, run) for run in runs[:_ON_PAGE]]
        queued = latest_jobs(connection, _QUEUED_ON_PAGE) if before is None else []
        return views, len(runs) > _ON_PAGE, indexed_folders(connection), queued

    with site.library() as session:
        recorded, more, folders, queued = session.run(work)
    views = _together(recorded, jobs, first=before is None)
    return render(
        request,
        "runs.html",
        title="Runs",
        running=[view for view in views if view.status == "running"],
        ran=[view for view in views if view.status != "running"],
        older=recorded[-1].id if more else None,
        before=before,
        queued=list(map(QueuedJobShape.of, queued)),
        folders=[(folder_id(each.path), each) for each in folders],
    )


def _together(recorded: list[JobShape], jobs: list[Job], *, first: bool) -> list[JobShape]:
    """Merge recorded runs with the jobs of this process, which have more details."""
    ours = {str(number): job for job in jobs for number in job.runs}
    shown = {job.id for view in recorded if (job := ours.get(view.id)) is not None}
    others = [view for view in recorded if view.id not in ours]
    # A run may be recorded after the list was read: running jobs are shown in any case.
    mine = [
        view_of_job(job)
        for job in jobs
        if job.id in shown or (first and (job.status == "running" or not job.runs))
    ]
    return sorted([*others, *mine], key=lambda view: view.started_at, reverse=True)
