"""Jobs as they are listed: what, where, how far, since when, and what came of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import unescaped
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


@dataclass(frozen=True, slots=True)
class Parts:
    """How the parts of a job stand that queued further ones; all 0 for any other."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.waiting + self.running + self.done + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job, together with its parts.

    Attributes
    ----------
    what : str
        The command.
    where : str
        The host that runs it, or ran it last.
    queued_at, started_at, ended_at : str or None
        Times as ISO 8601 has them.
    done, total : int, int or None
        Steps of what is being done; with parts, photos.
    took_s : float or None
        Seconds from its first start to its end, or until now.
    result : mapping
        The command's summary; of parts the sums.
    reason : str
        Why it failed.
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


_JOBS = """SELECT j.id, j.task_name, coalesce(n.host, ''), j.status::text, coalesce(n.stage, ''),
        coalesce(n.done, 0), n.total, e.queued, e.started, e.ended, j.attempts, j.args -> 'options',
        coalesce(n.summary, '{}'), coalesce(n.reason, ''),
        p.waiting, p.running, p.succeeded, p.failed, p.cancelled, p.done, p.total, p.ended, p.reason,
        s.sums, now()
    FROM queue.procrastinate_jobs j
    LEFT JOIN queue.job_notes n ON n.job_id = j.id
    CROSS JOIN LATERAL (SELECT min(at) FILTER (WHERE type = 'deferred') AS queued,
            min(at) FILTER (WHERE type = 'started') AS started,
            max(at) FILTER (WHERE type IN ('succeeded', 'failed', 'cancelled', 'aborted')) AS ended
        FROM queue.procrastinate_events WHERE job_id = j.id) AS e
    CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE o.status = 'todo') AS waiting,
            count(*) FILTER (WHERE o.status = 'doing') AS running,
            count(*) FILTER (WHERE o.status = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE o.status = 'failed') AS failed,
            count(*) FILTER (WHERE o.status IN ('cancelled', 'aborted')) AS cancelled,
            sum(m.done)::bigint AS done, sum(m.total)::bigint AS total, max(m.noted_at) AS ended,
            coalesce(max(m.reason) FILTER (WHERE o.status = 'failed'), '') AS reason
        FROM queue.job_notes m JOIN queue.procrastinate_jobs o ON o.id = m.job_id
        WHERE m.part_of = j.id) AS p
    CROSS JOIN LATERAL (SELECT coalesce(jsonb_object_agg(key, total), '{}') AS sums
        FROM (SELECT key, sum(value::numeric)::bigint AS total
            FROM queue.job_notes m, jsonb_each(m.summary)
            WHERE m.part_of = j.id AND jsonb_typeof(value) = 'number' GROUP BY key) AS of_key) AS s
    WHERE (%(id)s::bigint IS NULL AND n.part_of IS NULL) OR j.id = %(id)s
    ORDER BY j.id DESC LIMIT %(limit)s"""


def list_jobs(connection: Connection, *, limit: int) -> list[JobLine]:
    """The latest jobs, the latest first; parts count as one with the job that queued them."""
    rows = connection.execute(_JOBS, {"id": None, "limit": limit}).fetchall()
    return [_line(row) for row in rows]


def find_job(connection: Connection, number: int) -> JobLine | None:
    """The job of a number."""
    row = connection.execute(_JOBS, {"id": number, "limit": 1}).fetchone()
    return None if row is None else _line(row)


def count_jobs(connection: Connection) -> dict[State, int]:
    """How many jobs are in each state, parts included; none where there is no queue."""
    if not is_made(connection):
        return {}
    rows = connection.execute(
        "SELECT status::text, count(*) FROM queue.procrastinate_jobs GROUP BY 1"
    ).fetchall()
    counts: dict[State, int] = {}
    for status, count in rows:
        counts[_STATES[status]] = counts.get(_STATES[status], 0) + count
    return counts


def _line(row: tuple[Any, ...]) -> JobLine:
    number, what, where, status, stage, done, total, queued, started, ended, attempts, options = row[:12]
    summary, reason, *of_parts, sums, now = row[12:]
    *counts, part_done, part_total, parts_ended, part_reason = of_parts
    parts = Parts(*counts)
    state = _STATES[status]
    if parts.total:
        state = _state_with(parts, state)
        done, total = part_done or 0, part_total
        ended = (
            None if state in ("waiting", "running") else max(filter(None, (ended, parts_ended)), default=None)
        )
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
        took_s=None if started is None or until is None else (until - started).total_seconds(),
        attempts=attempts,
        options=options or {},
        result=summary,
        reason=unescaped(reason or (part_reason if state == "failed" else "")),
        parts=parts,
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _together(own: Mapping[str, Any], sums: Mapping[str, int]) -> dict[str, Any]:
    """What a job found by itself, and what came of its parts: the one counts what the others never see."""
    return {**sums, **own} | {name: own.get(name, 0) + sums.get(name, 0) for name in ("unchanged", "failed")}


def _state_with(parts: Parts, own: State) -> State:
    """How a job stands as a whole."""
    if own in ("waiting", "running") or parts.waiting or parts.running:
        return "running" if own == "running" or parts.running or parts.done else "waiting"
    if own == "failed" or parts.failed:
        return "failed"
    return "cancelled" if own == "cancelled" or parts.cancelled else "done"


def reasons_of_parts(connection: Connection, number: int) -> dict[str, int]:
    """Why parts of a job failed, and how many for each reason."""
    rows = connection.execute(
        """SELECT n.reason, count(*) FROM queue.job_notes n JOIN queue.procrastinate_jobs j ON j.id = n.job_id
            WHERE n.part_of = %s AND j.status = 'failed' GROUP BY 1 ORDER BY 2 DESC LIMIT 20""",
        (number,),
    ).fetchall()
    return {unescaped(reason): count for reason, count in rows}
