"""Which workers take the jobs of a queue, and so why a job waits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg import errors

from facesets.store.postgres.claims import Claims, claimed, is_claimed
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.paths import escaped, unescaped

WORKER_CLAIM = "worker"
"""What a worker claims by its name while it runs: it is gone at once with a worker that ended or died."""

_FULL_DISK = "full disk"
"""What workers claim that wait for room: where nothing can be written, nothing else tells others."""
_ANY = "any"

_LIVES_S = 60.0
"""What was said so long ago holds no longer; a worker without a sign of life for so long has ended."""
FREE_SOME = "Free some space there: workers wait, and go on by themselves."
_KEPT_S = 24 * 3600.0
"""What the last worker said is worth knowing until the next one comes."""


@dataclass(frozen=True, slots=True)
class _Taker:
    """What a worker said of a queue; why it leaves its jobs to others is empty where it takes them."""

    host: str
    reason: str
    lives: bool


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes of a server that has no space left."""
    while error is not None and not isinstance(error, errors.DiskFull):
        error = error.__cause__ or error.__context__
    return error is not None


class WaitForRoom:
    """That the server's disk is full, as a worker that waits for room lets everybody see. One per wait."""

    def __init__(self, database: Database) -> None:
        """Claim it on this session; nothing is claimed yet."""
        self._claims = Claims(database, _FULL_DISK)
        self._is_over = True

    def begin(self) -> bool:
        """Return whether the wait begins now."""
        begins, self._is_over = self._is_over, False
        if begins:
            # One worker that says so is enough.
            self._claims.take([_ANY])
        return begins

    def end(self) -> None:
        """Something was written."""
        if not self._is_over:
            self._is_over = True
            self._claims.release([_ANY])


def note_taker(connection: Connection, queue: str, worker: str, host: str, reason: str) -> None:
    """Note that a worker takes jobs of a queue, or why it does not."""
    connection.execute(
        """INSERT INTO queue.takers (queue_name, worker, host, reason)
            VALUES (%(queue)s, %(worker)s, %(host)s, %(reason)s)
            ON CONFLICT (queue_name, worker) DO UPDATE SET reason = %(reason)s, noted_at = now()""",
        {"queue": queue, "worker": worker, "host": escaped(host), "reason": escaped(reason)},
    )


def forget_takers(connection: Connection) -> None:
    """Delete what workers said that ended long ago."""
    connection.execute(
        "DELETE FROM queue.takers WHERE noted_at < now() - make_interval(secs => %s)", (_KEPT_S,)
    )


def why_waiting(connection: Connection, jobs: Sequence[int]) -> dict[int, str]:
    """Why jobs wait: for room, another job, a worker that can do them, or for any; empty for their turn."""
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
    said = _said(connection, {queue for _, queue, *_ in rows})
    return {job: _reason(before, said.get(queue, []), any_lives=lives) for job, queue, before, lives in rows}


def _said(connection: Connection, queues: Collection[str]) -> dict[str, list[_Taker]]:
    """What workers said of queues, the latest last; those that live only what they said just now."""
    rows = connection.execute(
        """SELECT queue_name, worker, host, reason, noted_at > now() - make_interval(secs => %(lives)s)
            FROM queue.takers WHERE queue_name = ANY(%(queues)s)
                AND noted_at > now() - make_interval(secs => %(kept)s) ORDER BY noted_at""",
        {"queues": list(queues), "lives": _LIVES_S, "kept": _KEPT_S},
    ).fetchall()
    living = claimed(connection, WORKER_CLAIM, {worker for _, worker, *_ in rows})
    said: dict[str, list[_Taker]] = {}
    for queue, worker, host, reason, is_new in rows:
        if is_new or worker not in living:
            said.setdefault(queue, []).append(_Taker(host, reason, worker in living))
    return said


def _reason(before: int | None, said: Sequence[_Taker], *, any_lives: bool) -> str:
    living = [each for each in said if each.lives]
    left = sorted({f"{each.host}: {each.reason}" for each in living if each.reason})
    taken = any(not each.reason for each in living)
    if left and not taken:
        return f"No worker takes it. {unescaped('; '.join(left))}."
    if before is not None:
        return f"It waits for job {before}."
    if any_lives or taken:
        return ""
    last = said[-1] if said else None
    if last is None or not last.reason:
        return "No worker runs."
    return f"No worker runs. The last one left it. {unescaped(f'{last.host}: {last.reason}')}."
