"""Which workers take the jobs of a queue, and so why a job waits."""

from collections.abc import Sequence

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import escaped, unescaped

_LIVES_S = 60.0
"""A worker that said nothing for so long is taken to have ended."""


def note_taker(connection: Connection, queue: str, worker: str, host: str, reason: str) -> None:
    """Note that a worker takes jobs of a queue, or why it does not."""
    connection.execute(
        """INSERT INTO queue.takers (queue_name, worker, host, reason)
            VALUES (%(queue)s, %(worker)s, %(host)s, %(reason)s)
            ON CONFLICT (queue_name, worker) DO UPDATE SET reason = %(reason)s, noted_at = now()""",
        {"queue": queue, "worker": worker, "host": escaped(host), "reason": escaped(reason)},
    )


def forget_takers(connection: Connection) -> None:
    """Delete what workers said that ended."""
    connection.execute(
        "DELETE FROM queue.takers WHERE noted_at < now() - make_interval(secs => %s)", (_LIVES_S,)
    )


def why_waiting(connection: Connection, jobs: Sequence[int]) -> dict[int, str]:
    """Why jobs wait: for another job, for a worker that can do them, or for any; empty for their turn."""
    rows = connection.execute(
        """SELECT j.id,
                CASE WHEN j.lock IS NOT NULL THEN
                    (SELECT max(o.id) FROM queue.procrastinate_jobs o WHERE o.lock = j.lock AND o.id <> j.id
                        AND (o.status = 'doing' OR (o.status = 'todo' AND o.id < j.id)))
                END,
                (SELECT count(*) FROM queue.takers t WHERE t.queue_name = j.queue_name AND t.reason = ''
                    AND t.noted_at > now() - make_interval(secs => %(lives)s)),
                (SELECT array_agg(DISTINCT t.host || ': ' || t.reason) FROM queue.takers t
                    WHERE t.queue_name = j.queue_name
                        AND t.noted_at > now() - make_interval(secs => %(lives)s)),
                (SELECT count(*) FROM queue.procrastinate_workers
                    WHERE last_heartbeat > now() - make_interval(secs => %(lives)s))
            FROM queue.procrastinate_jobs j WHERE j.id = ANY(%(jobs)s)""",
        {"jobs": list(jobs), "lives": _LIVES_S},
    ).fetchall()
    return {job: _reason(*of_job) for job, *of_job in rows}


def _reason(before: int | None, taken: int, left: Sequence[str] | None, living: int) -> str:
    if left and not taken:
        return f"No worker takes it. {unescaped('; '.join(left))}."
    if before is not None:
        return f"It waits for job {before}."
    return "" if living or taken else "No worker runs."
