"""The ledger of requests to language models, written before anything is sent.

If a photo returns to the library, the paid description of its content is reused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from facesets.descriptions.asking import STAGE, STAGE_VERSION, Outcome, Reply
from facesets.descriptions.prices import Price
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photos.descriptions import ERASED, AnswerSource, store_answer
from facesets.store.postgres.photos.face_places import with_forgotten
from facesets.store.postgres.photos.stages import ensure_version

_ATTEMPTS = 3
"""Maximum attempts for a photo that the provider did not process."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """Requests that are about to be sent, as a batch or one by one."""

    key: str
    provider: str
    place: str
    model: str
    prompt: str
    is_batch: bool
    price: Price | None


@dataclass(frozen=True, slots=True)
class BatchJob(NewJob):
    """The photos without a known outcome.

    Attributes
    ----------
    remote_id : str or None
        The provider's id; None if it is unknown whether it was sent.
    open : tuple of str
        Contents without a known outcome.
    requests : int
        The number of all its requests.
    age_s : float
        Age of the record.
    """

    id: int
    remote_id: str | None
    created_at: datetime
    age_s: float
    requests: int
    open: tuple[str, ...]


def begin(connection: Connection, job: NewJob) -> int:
    """Record a job before anything is sent; return its number."""
    found: int = connection.scalar(
        """INSERT INTO description_jobs (key, provider, place, model, prompt, is_batch, status, price)
            VALUES (%s, %s, %s, %s, %s, %s, 'intent', %s)
            ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id""",
        (
            job.key,
            job.provider,
            job.place,
            job.model,
            job.prompt,
            job.is_batch,
            None if job.price is None else Jsonb(job.price.as_json()),
        ),
    )
    return found


def note_open(connection: Connection, job: int, most: Mapping[str, Decimal | None]) -> None:
    """Record the photos to send, by content, with their maximum costs."""
    connection.execute(
        """INSERT INTO description_requests (job_id, sha256, status, most_usd)
            SELECT %s, new.sha256, 'open', new.most
            FROM unnest(%s::text[], %s::numeric[]) AS new (sha256, most)
            ON CONFLICT DO NOTHING""",
        (job, list(most), list(most.values())),
    )
    _mark(connection, list(most), "processing", "")


def note_sent(connection: Connection, job: int, remote_id: str) -> None:
    """Record the provider's id of a batch."""
    connection.execute(
        """UPDATE description_jobs SET status = 'sent', remote_id = %s, sent_at = now()
            WHERE id = %s AND status = 'intent'""",
        (remote_id, job),
    )


def settle(
    connection: Connection, job: NewJob, number: int, sha256: str, reply: Reply
) -> tuple[bool, Decimal | None]:
    """Store the outcome of one photo once.

    Returns
    -------
    bool
        Whether the outcome is new.
    Decimal or None
        The cost; None if unknown.
    """
    cost = None
    if reply.outcome is Outcome.FREE:
        cost = Decimal(0)
    elif reply.outcome is not Outcome.DOUBTFUL and job.price is not None:
        cost = job.price.cost(reply.usage, in_batch=job.is_batch)
    usage = reply.usage
    settled = connection.execute(
        """UPDATE description_requests SET status = %s, reason = %s, cost_usd = %s, input_tokens = %s,
                output_tokens = %s, cache_read_tokens = %s, cache_write_tokens = %s, settled_at = now()
            WHERE job_id = %s AND sha256 = %s AND status = 'open'""",
        (
            reply.outcome.value,
            _text(reply.reason),
            cost,
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            number,
            sha256,
        ),
    )
    if settled.rowcount == 0:
        return False, None
    if reply.answer is not None and _forgotten_since(connection, number, sha256):
        _mark(connection, [sha256], "failed", ERASED)
    elif reply.answer is not None:
        source = AnswerSource(job.provider, job.model, job.prompt, usage, reply.duration_s, cost)
        store_answer(connection, sha256, reply.answer, source)
        _mark(connection, [sha256], "completed", "")
    elif reply.outcome is not Outcome.FREE or reply.lasting:
        _mark(connection, [sha256], "failed", reply.reason)
    else:
        _send_again(connection, sha256, reply.reason)
    return True, cost


def _forgotten_since(connection: Connection, number: int, sha256: str) -> bool:
    """Whether a person in a photo was forgotten after a job began."""
    found: bool = connection.scalar(
        """SELECT EXISTS (SELECT FROM steps s JOIN description_jobs j ON s.made_at >= j.created_at
            WHERE s.kind = 'forget' AND j.id = %s)""",
        (number,),
    )
    return found and sha256 in with_forgotten(connection, [sha256])


def end(connection: Connection, job: int) -> None:
    """Record that a job is complete."""
    connection.execute("UPDATE description_jobs SET status = 'ended', ended_at = now() WHERE id = %s", (job,))


def open_jobs(connection: Connection) -> list[BatchJob]:
    """Return incomplete jobs, oldest first."""
    rows = connection.execute(
        """SELECT j.key, j.provider, j.place, j.model, j.prompt, j.is_batch, j.price, j.id, j.remote_id,
                j.created_at, extract(epoch FROM now() - j.created_at)::float8, count(r.sha256),
                coalesce(array_agg(r.sha256 ORDER BY r.sha256) FILTER (WHERE r.status = 'open'), '{}')
            FROM description_jobs j LEFT JOIN description_requests r ON r.job_id = j.id
            WHERE j.status <> 'ended' GROUP BY j.id ORDER BY j.id"""
    ).fetchall()
    return [_job(*row) for row in rows]


def _job(*columns: Any) -> BatchJob:  # noqa: ANN401 - whatever the columns hold
    *job, price, number, remote_id, created_at, age_s, requests, still_open = columns
    known = None if price is None else Price.from_json(price)
    return BatchJob(*(*job, known, number, remote_id, created_at, age_s, requests, tuple(still_open)))


def open_among(connection: Connection, sha256: Sequence[str]) -> set[str]:
    """Return which contents were sent and not answered yet.

    A photo that left the library and came back has lost its mark.
    """
    found = connection.scalars(
        "SELECT DISTINCT sha256 FROM description_requests WHERE status = 'open' AND sha256 = ANY(%s)",
        (list(sha256),),
    )
    if found:
        _mark(connection, sorted(found), "processing", "")
    return set(found)


def reset_unsent(connection: Connection) -> None:
    """Reset photos that are marked as sent without a request, as after a restored backup."""
    connection.execute(
        """DELETE FROM image_stages s USING images i WHERE s.image_id = i.id AND s.stage = %s
            AND s.status = 'processing' AND NOT EXISTS (SELECT FROM description_requests r
                WHERE r.sha256 = i.sha256 AND r.status = 'open')""",
        (STAGE,),
    )


def known_batches(connection: Connection) -> frozenset[str]:
    """Return the provider ids of all batches."""
    return frozenset(connection.scalars("SELECT remote_id FROM description_jobs WHERE remote_id IS NOT NULL"))


def _send_again(connection: Connection, sha256: str, reason: str) -> None:
    """Reset a photo that was not processed, unless that happened too often."""
    tries = connection.scalar(
        "SELECT count(*) FROM description_requests WHERE sha256 = %s AND status = 'free'", (sha256,)
    )
    if tries >= _ATTEMPTS:
        _mark(connection, [sha256], "failed", f"sent {tries} times without being processed: {reason}")
        return
    _reset_sent(connection, [sha256])


def _mark(connection: Connection, sha256: Sequence[str], status: str, reason: str) -> None:
    """Record the state of the images of these contents."""
    connection.execute(
        """INSERT INTO image_stages (image_id, stage, version_id, status, reason, ended_at)
            SELECT i.id, %(stage)s, %(version)s, %(status)s, %(reason)s, now() FROM images i
            WHERE i.sha256 = ANY(%(sha256)s)
            ON CONFLICT (image_id, stage) DO UPDATE SET version_id = excluded.version_id,
                status = excluded.status, reason = excluded.reason, ended_at = excluded.ended_at""",
        {
            "stage": STAGE,
            "version": ensure_version(connection, STAGE, STAGE_VERSION),
            "status": status,
            "reason": _text(reason),
            "sha256": list(sha256),
        },
    )


def _text(reason: str) -> str:
    return reason.replace("\0", " ")[:500]


def withdraw(connection: Connection, number: int, sha256: Sequence[str]) -> None:
    """Remove requests that the provider did not accept."""
    struck = connection.scalars(
        """DELETE FROM description_requests WHERE job_id = %s AND sha256 = ANY(%s) AND status = 'open'
            RETURNING sha256""",
        (number, list(sha256)),
    )
    _reset_sent(connection, struck)


def withdraw_open(connection: Connection, number: int, sha256: Sequence[str]) -> None:
    """Withdraw the open requests of a job, and end it."""
    withdraw(connection, number, sha256)
    end(connection, number)


def _reset_sent(connection: Connection, sha256: Sequence[str]) -> None:
    """Reset images of these contents that are marked as sent."""
    connection.execute(
        """DELETE FROM image_stages s USING images i WHERE s.image_id = i.id AND i.sha256 = ANY(%s)
            AND s.stage = %s AND s.status = 'processing'""",
        (list(sha256), STAGE),
    )


_UNCOUNTED: LiteralString = """SELECT i.sha256 FROM images i JOIN
        (SELECT DISTINCT ON (sha256) sha256, status FROM (
            SELECT sha256, 'answered' AS status, NULL::timestamptz AS settled_at FROM descriptions
            UNION ALL SELECT sha256, status, settled_at FROM description_requests) AS every
        ORDER BY sha256, status = 'open' DESC, settled_at DESC) last ON last.sha256 = i.sha256
    WHERE last.status <> 'free' AND NOT EXISTS (SELECT FROM image_stages s
        JOIN stage_versions v ON v.id = s.version_id AND v.stage = s.stage
        WHERE s.image_id = i.id AND s.stage = %(stage)s AND v.version = %(version)s)"""
"""Contents that were sent, and whose images are not marked so."""


def count_uncounted(connection: Connection) -> int:
    """Count the images for `recall_uncounted`."""
    return len(_uncounted(connection))


def recall_uncounted(connection: Connection) -> None:
    """Restore descriptions and charges of images that lost them.

    A user who deletes the records of steps by SQL must not pay twice.
    """
    recall(connection, _uncounted(connection))


def _uncounted(connection: Connection) -> list[str]:
    return connection.scalars(_UNCOUNTED, {"stage": STAGE, "version": STAGE_VERSION})


def recall(connection: Connection, sha256: Sequence[str]) -> None:
    """Reuse descriptions for new images with the same content.

    A request without a description counts as failed, an open one as open, as before the images were removed.
    """
    answers = recall_answers(connection, sha256)
    states: dict[tuple[str, str], list[str]] = {}
    for digest, status, reason in connection.execute(
        """SELECT DISTINCT ON (sha256) sha256, status, reason FROM description_requests
            WHERE sha256 = ANY(%s) AND status <> 'free'
            ORDER BY sha256, status = 'open' DESC, settled_at DESC""",
        (list(sha256),),
    ):
        if status == "open":
            states.setdefault(("processing", ""), []).append(digest)
        elif digest not in answers:
            states.setdefault(("failed", reason or ERASED), []).append(digest)
    for (status, reason), some in states.items():
        _mark(connection, some, status, reason)


def recall_answers(connection: Connection, sha256: Sequence[str]) -> set[str]:
    """Join descriptions to the images of their contents; return the contents found."""
    found = connection.scalars(
        """UPDATE descriptions d SET image_id = i.id FROM images i
            WHERE d.sha256 = ANY(%s) AND i.sha256 = d.sha256 RETURNING d.sha256""",
        (list(sha256),),
    )
    if found:
        _mark(connection, sorted(found), "completed", "")
    return set(found)
