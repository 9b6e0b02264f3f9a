"""`/queue`: what commands with --queue left for workers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.queue.job_list import JobLine, list_jobs_open_first
from facesets.store.postgres.queue.schema import has_our_notes
from facesets.web.api.shapes import Shape
from facesets.web.site import SiteDep
from facesets.web.wording import worded
from facesets.words.runs import outcome

router = APIRouter(tags=["jobs"])

_WAITS = "Why it, or a part of it, is not begun, or nobody is at it; empty where that takes only time."


class QueuedJobShape(Shape):
    """A job of the queue, together with its parts."""

    id: int
    what: Annotated[str, Field(description="The command.")]
    where: Annotated[str, Field(description="The host that runs it, or ran it last; empty for none yet.")]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stage: str
    done: Annotated[int, Field(description="Steps of the stage, or photos, of `total` where that is known.")]
    total: int | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: Annotated[list[str], Field(description="What came of it, in words.")]
    reason: Annotated[str, Field(description="Why it failed.")]
    waits: Annotated[str, Field(description=_WAITS)]
    result: Annotated[dict[str, Any], Field(description="What came of it, as `--json` prints it.")]


def queued_job(job: JobLine) -> QueuedJobShape:
    """A job of the queue, as the API answers it."""
    worded_here = ("outcome", "reason", "waits")
    own = {name: getattr(job, name) for name in QueuedJobShape.model_fields if name not in worded_here}
    return QueuedJobShape(**own, outcome=outcome_of(job), reason=worded(job.reason), waits=worded(job.waits))


def outcome_of(job: JobLine) -> list[str]:
    """What came of a job, in words."""
    return outcome("index" if job.what.startswith("index") else job.what, job.result)


def latest_jobs(connection: Connection, limit: int) -> list[JobLine]:
    """What is open first, then the latest; none where the library has no queue, or an earlier version's."""
    return list_jobs_open_first(connection, limit=limit) if has_our_notes(connection) else []


@router.get("/queue")
def queue(site: SiteDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[QueuedJobShape]:
    """List what workers do, then what waits for them, then what they did, each the latest first."""
    with site.library() as session:
        jobs = session.run(latest_jobs, limit)
    return [queued_job(job) for job in jobs]
