"""What is noted about jobs while they run: where, how far, what came of them, and why they failed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facesets.store.postgres.claims import claimed
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import escaped
from facesets.store.postgres.queue.schema import look_into_queue

JOB_CLAIM = "job"
"""What a worker claims of a job as long as it is at it."""

_LONGEST_REASON = 4000
"""In characters: whoever lists jobs reads the reasons of all of them."""

PART_OF_INDEX = "index photos"
"""The only command whose jobs are parts of others."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue with something to do: jobs with the same needs, of which one is named.

    Attributes
    ----------
    needs : mapping
        What a worker must have for its jobs.
    """

    name: str
    needs: Mapping[str, Any]


def note_parts(connection: Connection, jobs: Sequence[int], part_of: int, totals: Sequence[int]) -> None:
    """Note that these jobs are parts of another, each with so many things to do."""
    connection.execute(
        """INSERT INTO queue.job_notes (job_id, part_of, total)
            SELECT job, %s, total FROM unnest(%s::bigint[], %s::bigint[]) AS parts (job, total)""",
        (part_of, list(jobs), list(totals)),
    )


def note_start(connection: Connection, job: int, host: str) -> None:
    """Note that a job is begun somewhere."""
    connection.execute(
        """INSERT INTO queue.job_notes (job_id, host) VALUES (%(job)s, %(host)s)
            ON CONFLICT (job_id) DO UPDATE SET host = %(host)s, reason = '', noted_at = now()""",
        {"job": job, "host": host},
    )


def note_progress(connection: Connection, job: int, stage: str, done: int, total: int | None) -> None:
    """Note how far a job is."""
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
    """Note what came of a job, or why it failed; a part of its work where it is not over."""
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
    """A reason as the server takes it, whatever words of others are in it: it is kept in any case."""
    text = reason.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} …"


def _add_up(
    connection: Connection, whole: int, summary: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Keep with a job what came of its parts together, given what is new of one of them."""
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
    """Note that a job's worker died; return how often in a row that was without any progress in between."""
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
    """Whether somebody wants a job to end that a worker has."""
    return bool(
        connection.scalar("SELECT abort_requested FROM queue.procrastinate_jobs WHERE id = %s", (job,))
    )


def lift_queueing_lock(connection: Connection, job: int) -> None:
    """Let a job that was begun wait again, whatever was queued meanwhile beside it."""
    connection.execute(
        """UPDATE queue.procrastinate_jobs SET queueing_lock = NULL
            WHERE id = %s AND queueing_lock IS NOT NULL""",
        (job,),
    )


def left_alone(connection: Connection, after_s: float) -> set[int]:
    """Jobs that a worker took so long ago or longer, and that nobody is at, whether that worker lives or not.

    One that has just ended may be among them for a moment. What was taken later than now was so before the
    server's clock was set back, nobody knows how long ago.
    """
    numbers = connection.scalars(
        """SELECT j.id FROM queue.procrastinate_jobs j WHERE j.status = 'doing'
            AND (SELECT max(at) FROM queue.procrastinate_events WHERE job_id = j.id AND type = 'started')
                NOT BETWEEN now() - make_interval(secs => %s) AND now()""",
        (after_s,),
    )
    return not_at_hand(connection, numbers)


def bring_forward(connection: Connection, most_s: float) -> None:
    """Let jobs be due that are put off for longer than any is, by the clock of another machine."""
    # For what procrastinate's trigger names.
    look_into_queue(connection)
    connection.execute(
        """UPDATE procrastinate_jobs SET scheduled_at = now()
            WHERE status = 'todo' AND scheduled_at > now() + make_interval(secs => %s)""",
        (most_s,),
    )


def not_at_hand(connection: Connection, jobs: Sequence[int]) -> set[int]:
    """Those of some jobs that no worker is at."""
    names = {str(number): number for number in jobs}
    at_hand = claimed(connection, JOB_CLAIM, names)
    return {number for name, number in names.items() if name not in at_hand}


def parts_in(connection: Connection, job: int, statuses: Sequence[str]) -> list[int]:
    """The parts of a job that are in one of some states."""
    return connection.scalars(
        """SELECT n.job_id FROM queue.job_notes n JOIN queue.procrastinate_jobs j ON j.id = n.job_id
            WHERE n.part_of = %s AND j.status::text = ANY(%s) ORDER BY n.job_id""",
        (job, list(statuses)),
    )


def failed_of(connection: Connection, job: int) -> list[int]:
    """A job and its parts, as far as they failed."""
    return connection.scalars(
        """SELECT j.id FROM queue.procrastinate_jobs j LEFT JOIN queue.job_notes n ON n.job_id = j.id
            WHERE (j.id = %(job)s OR n.part_of = %(job)s) AND j.status = 'failed' ORDER BY j.id""",
        {"job": job},
    )


def queues_with_work(connection: Connection) -> list[QueueState]:
    """The queues in which a job is due, each with what its jobs need."""
    rows = connection.execute(
        """SELECT q.name, j.args -> 'needs'
            FROM (SELECT queue_name AS name, min(id) AS first FROM queue.procrastinate_jobs
                WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
                GROUP BY queue_name) AS q
            JOIN queue.procrastinate_jobs j ON j.id = q.first ORDER BY q.name"""
    ).fetchall()
    return [QueueState(name, needs or {}) for name, needs in rows]
