"""List jobs with their command, host, progress, times and results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import unescaped
from facesets.store.postgres.queue.notes import PART_OF_INDEX, left_alone, why_waiting
from facesets.store.postgres.queue.schema import is_made

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_STATES: Mapping[str, State] = {
    "todo": "waiting",
    "doing": "running",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "aborting": "running",
    "aborted": "cancelled",
}


_ALONE = "No worker is processing it now; the next suitable worker resumes it."
_UNATTENDED_S = 5.0
"""A job taken more recently is about to begin; it does not count as unattended."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The states of a job's parts; all 0 for a job without parts."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """The total."""
        return self.waiting + self.running + self.done + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job with its parts.

    Attributes
    ----------
    what : str
        The command.
    where : str
        The host that runs it, or ran it last.
    queued_at, started_at, ended_at : str or None
        Times in ISO 8601.
    done, total : int, int or None
        Steps of the current stage; with parts, photos.
    took_s : float or None
        Seconds from its first start to its end, or until now.
    result : mapping
        The command's summary; for parts, the sums.
    reason : str
        Why it failed.
    waits : str
        Why it or its parts have not begun, or why no worker processes it; empty if it only takes time.
    """

    id: int
    what: str
    where: str
    state: State
    stage: str
    done: int
    total: int | None
    queued_at: str | None
    started_at: str | None
    ended_at: str | None
    took_s: float | None
    attempts: int
    options: Mapping[str, Any]
    result: Mapping[str, Any]
    reason: str
    parts: Parts = field(default_factory=Parts)
    waits: str = ""


_JOBS = sql.SQL("""SELECT j.id, j.task_name, coalesce(n.host, ''), j.status::text, coalesce(n.stage, ''),
        coalesce(n.done, 0), n.total, e.queued, e.started, e.ended, j.attempts, j.args -> 'options',
        coalesce(n.summary, '{{}}'), coalesce(n.reason, ''), coalesce(n.sums, '{{}}'), now()
    FROM queue.procrastinate_jobs j
    LEFT JOIN queue.job_notes n ON n.job_id = j.id
    CROSS JOIN LATERAL (SELECT min(at) FILTER (WHERE type = 'deferred') AS queued,
            min(at) FILTER (WHERE type = 'started') AS started,
            max(at) FILTER (WHERE type IN ('succeeded', 'failed', 'cancelled', 'aborted')) AS ended
        FROM queue.procrastinate_events WHERE job_id = j.id) AS e
    WHERE {} ORDER BY j.id DESC LIMIT %s""")
# In the order of the index.
_WHOLE = sql.SQL("j.task_name <> {}").format(sql.Literal(PART_OF_INDEX))

# All open jobs, regardless of how many ended: running ones first, then waiting ones, the latest first.
_OPEN = sql.SQL("""SELECT id FROM (
        SELECT j.id, j.status <> 'todo' AS is_running FROM queue.procrastinate_jobs j
            WHERE {} AND j.status IN ('todo', 'doing', 'aborting')
        UNION ALL
        SELECT part_of, status <> 'todo' FROM queue.job_notes
            WHERE part_of IS NOT NULL AND status IN ('todo', 'doing', 'aborting')) AS open
    GROUP BY id ORDER BY bool_or(is_running) DESC, id DESC LIMIT %s""").format(_WHOLE)

# The parts of all jobs at once, so that they are read only once.
_PARTS = """SELECT part_of, count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'doing'),
        count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'failed'),
        count(*) FILTER (WHERE status IN ('cancelled', 'aborted')),
        sum(done)::bigint, sum(total)::bigint, max(noted_at),
        coalesce(max(reason) FILTER (WHERE status = 'failed'), ''),
        min(job_id) FILTER (WHERE status = 'todo'),
        coalesce(array_agg(job_id) FILTER (WHERE status = 'doing'), '{}')
    FROM queue.job_notes WHERE part_of = ANY(%s) GROUP BY part_of"""


@dataclass(frozen=True, slots=True)
class _OfParts:
    """Combined data of a job's parts: steps, last end, a failure reason, the next part.

    Includes the numbers of parts that workers took.
    """

    counts: Parts = field(default_factory=Parts)
    done: int = 0
    total: int | None = None
    ended: datetime | None = None
    reason: str = ""
    next: int | None = None
    taken: Sequence[int] = ()


def list_jobs(connection: Connection, *, limit: int) -> list[JobLine]:
    """List the latest jobs, latest first; parts count with the job that queued them."""
    return _lines(connection, connection.execute(_JOBS.format(_WHOLE), (limit,)).fetchall())


def list_jobs_open_first(connection: Connection, *, limit: int) -> list[JobLine]:
    """List running, then waiting, then recently ended jobs; parts count as in `list_jobs`."""
    numbers = connection.scalars(_OPEN, (limit,))
    rows = connection.execute(_JOBS.format(sql.SQL("j.id = ANY(%s)")), (numbers, limit)).fetchall()
    still_open = {line.id: line for line in _lines(connection, rows)}
    others = [line for line in list_jobs(connection, limit=limit) if line.id not in still_open]
    return [*(still_open[number] for number in numbers if number in still_open), *others][:limit]


def find_job(connection: Connection, number: int) -> JobLine | None:
    """Find a job by number."""
    rows = connection.execute(_JOBS.format(sql.SQL("j.id = %s")), (number, 1)).fetchall()
    return next(iter(_lines(connection, rows)), None)


def _lines(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[JobLine]:
    found = connection.execute(_PARTS, ([row[0] for row in rows],)).fetchall()
    parts = {number: _OfParts(Parts(*of_job[:5]), *of_job[5:]) for number, *of_job in found}
    lines = [_line(row, parts.get(row[0], _OfParts())) for row in rows]
    waiting: dict[int, int] = {}
    for row, line in zip(rows, lines, strict=True):
        if row[3] == "todo":
            waiting[line.id] = line.id
        elif row[3] != "doing" and line.parts.waiting and not line.parts.running:
            waiting[line.id] = parts[line.id].next or line.id
    reasons = why_waiting(connection, list(waiting.values())) if waiting else {}
    alone = left_alone(connection, after_s=_UNATTENDED_S)
    taken = {row[0]: {row[0]} if row[3] == "doing" else set() for row in rows}
    for job, of_parts in parts.items():
        taken[job].update(of_parts.taken)
    reasons |= {job: _ALONE for job, numbers in taken.items() if numbers and numbers <= alone}
    return [
        replace(line, waits=reasons.get(line.id) or reasons.get(waiting.get(line.id, 0), ""))
        for line in lines
    ]


def count_jobs(connection: Connection) -> dict[State, int]:
    """Count the jobs in each state, including parts; none without a queue."""
    if not is_made(connection):
        return {}
    rows = connection.execute(
        "SELECT status::text, count(*) FROM queue.procrastinate_jobs GROUP BY 1"
    ).fetchall()
    counts: dict[State, int] = {}
    for status, count in rows:
        counts[_STATES[status]] = counts.get(_STATES[status], 0) + count
    return counts


def _line(row: tuple[Any, ...], parts: _OfParts) -> JobLine:
    number, what, where, status, stage, done, total, queued, started, ended, attempts, options = row[:12]
    summary, reason, sums, now = row[12:]
    state = _STATES[status]
    if parts.counts.total:
        state = _state_with(parts.counts, state)
        done, total = parts.done or 0, parts.total
        is_going = state in ("waiting", "running")
        ended = None if is_going else max(filter(None, (ended, parts.ended)), default=None)
        summary = _together(summary, sums)
    until = ended or (now if state == "running" else None)
    return JobLine(
        id=number,
        what=what,
        where=where,
        state=state,
        stage=stage,
        done=done,
        total=total,
        queued_at=_text(queued),
        started_at=_text(started),
        ended_at=_text(ended) if state not in ("waiting", "running") else None,
        # The server's clock may have been set back meanwhile.
        took_s=None if started is None or until is None else max(0.0, (until - started).total_seconds()),
        attempts=attempts,
        options=options or {},
        result=summary,
        reason=unescaped(reason or (parts.reason if state == "failed" else "")),
        parts=parts.counts,
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _together(own: Mapping[str, Any], of_parts: Mapping[str, float]) -> dict[str, Any]:
    """Combine the results of a job and its parts."""
    sums = {name: round(total) for name, total in of_parts.items()}
    return {**sums, **own} | {name: own.get(name, 0) + sums.get(name, 0) for name in ("unchanged", "failed")}


def _state_with(parts: Parts, own: State) -> State:
    """Return the overall state of a job."""
    if own in ("waiting", "running") or parts.waiting or parts.running:
        return "running" if own == "running" or parts.running or parts.done else "waiting"
    if own == "failed" or parts.failed:
        return "failed"
    return "cancelled" if own == "cancelled" or parts.cancelled else "done"


def reasons_of_parts(connection: Connection, number: int) -> dict[str, int]:
    """Return why parts of a job failed, with counts."""
    rows = connection.execute(
        """SELECT n.reason, count(*) FROM queue.job_notes n JOIN queue.procrastinate_jobs j ON j.id = n.job_id
            WHERE n.part_of = %s AND j.status = 'failed' GROUP BY 1 ORDER BY 2 DESC LIMIT 20""",
        (number,),
    ).fetchall()
    return {unescaped(reason): count for reason, count in rows}


def failed_files(connection: Connection, number: int, *, limit: int) -> list[dict[str, Any]]:
    """Return the first files that a job and its parts could not read, with reasons."""
    files = connection.scalars(
        """SELECT file FROM queue.job_notes n, jsonb_path_query(n.summary, 'lax $.failures[*]') AS file
            WHERE n.job_id = %(job)s OR n.part_of = %(job)s ORDER BY file ->> 'path' LIMIT %(limit)s""",
        {"job": number, "limit": limit},
    )
    return [{**file, "path": unescaped(file["path"])} for file in files if "path" in file]
