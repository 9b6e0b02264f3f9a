"""Notes on jobs: host, progress, result, failure reason; and which workers take them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import errors

from facesets.store.postgres.claims import Claims, claimed, is_claimed
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.paths import escaped, unescaped
from facesets.store.postgres.queue.schema import look_into_queue

JOB_CLAIM = "job"
"""The claim of a worker on a job while it runs."""

_MAX_REASON_LENGTH = 4000
"""Maximum length in characters, because a list of jobs reads the reasons of all of them."""

PART_OF_INDEX = "index photos"
"""The only command whose jobs are parts of others."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue with due jobs that have the same needs, and one of them.

    Attributes
    ----------
    needs : mapping
        What a worker needs for its jobs.
    """

    name: str
    needs: Mapping[str, Any]


def note_parts(connection: Connection, jobs: Sequence[int], part_of: int, totals: Sequence[int]) -> None:
    """Record that jobs are parts of another, each with its number of items."""
    connection.execute(
        """INSERT INTO queue.job_notes (job_id, part_of, total)
            SELECT job, %s, total FROM unnest(%s::bigint[], %s::bigint[]) AS parts (job, total)""",
        (part_of, list(jobs), list(totals)),
    )


def note_start(connection: Connection, job: int, host: str) -> None:
    """Record that a job started on a host."""
    connection.execute(
        """INSERT INTO queue.job_notes (job_id, host) VALUES (%(job)s, %(host)s)
            ON CONFLICT (job_id) DO UPDATE SET host = %(host)s, reason = '', noted_at = now()""",
        {"job": job, "host": host},
    )


def note_progress(connection: Connection, job: int, stage: str, done: int, total: int | None) -> None:
    """Record the progress of a job."""
    connection.execute(
        """UPDATE queue.job_notes SET stage = %(stage)s, done = %(done)s, noted_at = now(),
                total = CASE WHEN part_of IS NULL THEN %(total)s ELSE total END
            WHERE job_id = %(job)s""",
        {"job": job, "stage": stage, "done": done, "total": total},
    )


def note_end(
    connection: Connection,
    job: int,
    summary: Mapping[str, Any] | None,
    reason: str = "",
    *,
    is_over: bool = True,
) -> None:
    """Record the result of a job, or why it failed; a partial result if it continues."""
    text = None if summary is None else escaped(json.dumps(summary, ensure_ascii=False, default=str))
    before = connection.execute(
        "SELECT part_of, summary FROM queue.job_notes WHERE job_id = %s FOR UPDATE", (job,)
    ).fetchone()
    if summary is not None and before is not None and before[0] is not None:
        _add_up(connection, before[0], summary, before[1] or {})
    connection.execute(
        """UPDATE queue.job_notes SET stage = '', summary = coalesce(%(summary)s::jsonb, summary),
                reason = %(reason)s::text,
                done = CASE WHEN %(reason)s::text = '' AND %(is_over)s THEN coalesce(total, done)
                    ELSE done END,
                deaths = 0, noted_at = now()
            WHERE job_id = %(job)s""",
        {"job": job, "summary": text, "reason": _storable(reason), "is_over": is_over},
    )


def _storable(reason: str) -> str:
    """Return a reason that the server can store."""
    text = reason.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return text if len(text) <= _MAX_REASON_LENGTH else f"{text[:_MAX_REASON_LENGTH]} …"


def _add_up(
    connection: Connection, whole: int, summary: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Add the new result of a part to its job."""
    sums: dict[str, float] = connection.scalar(
        """INSERT INTO queue.job_notes AS n (job_id) VALUES (%s)
            ON CONFLICT (job_id) DO UPDATE SET job_id = n.job_id RETURNING sums""",
        (whole,),
    )
    for sign, numbers in ((-1, before), (1, summary)):
        for name, value in numbers.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                sums[name] = sums.get(name, 0) + sign * value
    connection.execute(
        "UPDATE queue.job_notes SET sums = %s::jsonb WHERE job_id = %s", (json.dumps(sums), whole)
    )


def note_death(connection: Connection, job: int) -> int:
    """Record that a job's worker died; return how often in a row without progress."""
    found: int = connection.scalar(
        """INSERT INTO queue.job_notes AS n (job_id, deaths) VALUES (%s, 1)
            ON CONFLICT (job_id) DO UPDATE SET
                deaths = CASE WHEN n.done > n.done_at_death THEN 1 ELSE n.deaths + 1 END,
                done_at_death = greatest(n.done, n.done_at_death)
            RETURNING deaths""",
        (job,),
    )
    return found


def is_cancelled(connection: Connection, job: int) -> bool:
    """Whether a running job should be cancelled."""
    return bool(
        connection.scalar("SELECT abort_requested FROM queue.procrastinate_jobs WHERE id = %s", (job,))
    )


def lift_queueing_lock(connection: Connection, job: int) -> None:
    """Lift the queueing lock, so that a started job can wait again."""
    connection.execute(
        """UPDATE queue.procrastinate_jobs SET queueing_lock = NULL
            WHERE id = %s AND queueing_lock IS NOT NULL""",
        (job,),
    )


def left_alone(connection: Connection, after_s: float) -> set[int]:
    """Return jobs taken at least this long ago that no worker is processing.

    A job that just ended may be among them for a moment. A job taken later than now was taken before the
    server's clock was set back, an unknown time ago.
    """
    numbers = connection.scalars(
        """SELECT j.id FROM queue.procrastinate_jobs j WHERE j.status = 'doing'
            AND (SELECT max(at) FROM queue.procrastinate_events WHERE job_id = j.id AND type = 'started')
                NOT BETWEEN now() - make_interval(secs => %s) AND now()""",
        (after_s,),
    )
    return not_at_hand(connection, numbers)


def bring_forward(connection: Connection, most_s: float) -> None:
    """Make jobs due that were postponed too far by a wrong clock."""
    # For the unqualified names in procrastinate's trigger.
    look_into_queue(connection)
    connection.execute(
        """UPDATE procrastinate_jobs SET scheduled_at = now()
            WHERE status = 'todo' AND scheduled_at > now() + make_interval(secs => %s)""",
        (most_s,),
    )


def not_at_hand(connection: Connection, jobs: Sequence[int]) -> set[int]:
    """Return the jobs that no worker is processing."""
    names = {str(number): number for number in jobs}
    at_hand = claimed(connection, JOB_CLAIM, names)
    return {number for name, number in names.items() if name not in at_hand}


def parts_in(connection: Connection, job: int, statuses: Sequence[str]) -> list[int]:
    """Return the parts of a job in some states."""
    return connection.scalars(
        """SELECT n.job_id FROM queue.job_notes n JOIN queue.procrastinate_jobs j ON j.id = n.job_id
            WHERE n.part_of = %s AND j.status::text = ANY(%s) ORDER BY n.job_id""",
        (job, list(statuses)),
    )


def failed_of(connection: Connection, job: int) -> list[int]:
    """Return the failed ones of a job and its parts."""
    return connection.scalars(
        """SELECT j.id FROM queue.procrastinate_jobs j LEFT JOIN queue.job_notes n ON n.job_id = j.id
            WHERE (j.id = %(job)s OR n.part_of = %(job)s) AND j.status = 'failed' ORDER BY j.id""",
        {"job": job},
    )


def queues_with_work(connection: Connection) -> list[QueueState]:
    """Return the queues with due jobs, and the needs of their jobs."""
    rows = connection.execute(
        """SELECT q.name, j.args -> 'needs'
            FROM (SELECT queue_name AS name, min(id) AS first FROM queue.procrastinate_jobs
                WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
                GROUP BY queue_name) AS q
            JOIN queue.procrastinate_jobs j ON j.id = q.first ORDER BY q.name"""
    ).fetchall()
    return [QueueState(name, needs or {}) for name, needs in rows]


WORKER_CLAIM = "worker"
"""The claim of a running worker, by name; it ends as soon as the worker ends or dies."""

_FULL_DISK = "full disk"
"""The claim of workers that wait for disk space: a full disk leaves no other way to inform others."""
_ANY = "any"

_LIVES_S = 60.0
"""Age after which a worker's report no longer counts: a worker silent for this long has ended."""
FREE_SOME = "Free some space there; workers wait and resume automatically."
_TAKER_RETENTION_S = 24 * 3600.0
"""How long reports are stored; the last one is useful until the next worker comes."""


@dataclass(frozen=True, slots=True)
class _Taker:
    """A worker's report on a queue; the reason is empty if it takes the jobs."""

    host: str
    reason: str
    lives: bool


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error means that the server's disk is full."""
    while error is not None and not isinstance(error, errors.DiskFull):
        error = error.__cause__ or error.__context__
    return error is not None


class WaitForRoom:
    """A visible claim that a worker waits because the server's disk is full."""

    def __init__(self, database: Database) -> None:
        """Prepare the claim; nothing is claimed yet."""
        self._claims = Claims(database, _FULL_DISK)
        self._is_over = True

    def begin(self) -> bool:
        """Claim the wait; return whether it begins now."""
        begins, self._is_over = self._is_over, False
        if begins:
            # The report of one worker is enough.
            self._claims.take([_ANY])
        return begins

    def end(self) -> None:
        """End the wait."""
        if not self._is_over:
            self._is_over = True
            self._claims.release([_ANY])


def note_taker(connection: Connection, queue: str, worker: str, host: str, reason: str) -> None:
    """Record that a worker takes jobs of a queue, or why not."""
    connection.execute(
        """INSERT INTO queue.takers (queue_name, worker, host, reason)
            VALUES (%(queue)s, %(worker)s, %(host)s, %(reason)s)
            ON CONFLICT (queue_name, worker) DO UPDATE SET reason = %(reason)s, noted_at = now()""",
        {"queue": queue, "worker": worker, "host": escaped(host), "reason": escaped(reason)},
    )


def forget_takers(connection: Connection) -> None:
    """Delete reports of workers that ended long ago."""
    connection.execute(
        "DELETE FROM queue.takers WHERE noted_at < now() - make_interval(secs => %s)", (_TAKER_RETENTION_S,)
    )


def why_waiting(connection: Connection, jobs: Sequence[int]) -> dict[int, str]:
    """Return why jobs wait: disk space, another job, or a suitable worker; empty if it is their turn."""
    if is_claimed(connection, _FULL_DISK, _ANY):
        return dict.fromkeys(jobs, f"The disk of the database is full. {FREE_SOME}")
    rows = connection.execute(
        """SELECT j.id, j.queue_name,
                CASE WHEN j.lock IS NOT NULL THEN
                    (SELECT max(o.id) FROM queue.procrastinate_jobs o WHERE o.lock = j.lock AND o.id <> j.id
                        AND (o.status = 'doing' OR (o.status = 'todo' AND o.id < j.id)))
                END,
                EXISTS (SELECT FROM queue.procrastinate_workers
                    WHERE last_heartbeat > now() - make_interval(secs => %(lives)s))
            FROM queue.procrastinate_jobs j WHERE j.id = ANY(%(jobs)s)""",
        {"jobs": list(jobs), "lives": _LIVES_S},
    ).fetchall()
    takers = _takers(connection, {queue for _, queue, *_ in rows})
    return {
        job: _reason(before, takers.get(queue, []), any_lives=lives) for job, queue, before, lives in rows
    }


def _takers(connection: Connection, queues: Collection[str]) -> dict[str, list[_Taker]]:
    """Return the reports of workers on queues, latest last."""
    rows = connection.execute(
        """SELECT queue_name, worker, host, reason, noted_at > now() - make_interval(secs => %(lives)s)
            FROM queue.takers WHERE queue_name = ANY(%(queues)s)
                AND noted_at > now() - make_interval(secs => %(retention)s) ORDER BY noted_at""",
        {"queues": list(queues), "lives": _LIVES_S, "retention": _TAKER_RETENTION_S},
    ).fetchall()
    living = claimed(connection, WORKER_CLAIM, {worker for _, worker, *_ in rows})
    takers: dict[str, list[_Taker]] = {}
    for queue, worker, host, reason, is_new in rows:
        if is_new or worker not in living:
            takers.setdefault(queue, []).append(_Taker(host, reason, worker in living))
    return takers


def _reason(before: int | None, takers: Sequence[_Taker], *, any_lives: bool) -> str:
    living = [each for each in takers if each.lives]
    left = sorted({f"{each.host}: {each.reason}" for each in living if each.reason})
    taken = any(not each.reason for each in living)
    if left and not taken:
        return f"No worker can take it. {unescaped('; '.join(left))}."
    if before is not None:
        return f"Waiting for job {before}."
    if any_lives or taken:
        return ""
    last = takers[-1] if takers else None
    if last is None or not last.reason:
        return "No worker is running."
    return (
        f"No worker is running. The last one could not take it: {unescaped(f'{last.host}: {last.reason}')}."
    )
