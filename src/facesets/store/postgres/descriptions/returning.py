"""Photos that come back: what was said of their content before, and paid, counts again."""

from collections.abc import Sequence
from typing import LiteralString

from facesets.descriptions.asking import STAGE, STAGE_VERSION
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.descriptions import ledger
from facesets.store.postgres.descriptions.answers import ERASED

_UNCOUNTED: LiteralString = """SELECT i.sha256 FROM images i JOIN
        (SELECT DISTINCT ON (sha256) sha256, status FROM (
            SELECT sha256, 'answered' AS status, NULL::timestamptz AS settled_at FROM descriptions
            UNION ALL SELECT sha256, status, settled_at FROM description_requests) AS every
        ORDER BY sha256, status = 'open' DESC, settled_at DESC) last ON last.sha256 = i.sha256
    WHERE last.status <> 'free' AND NOT EXISTS (SELECT FROM image_stages s
        JOIN stage_versions v ON v.id = s.version_id AND v.stage = s.stage
        WHERE s.image_id = i.id AND s.stage = %(stage)s AND v.version = %(version)s)"""
"""Contents that were sent, and whose images nothing says that of."""


def count_uncounted(connection: Connection) -> int:
    """How many images `recall_uncounted` is about."""
    return len(_uncounted(connection))


def recall_uncounted(connection: Connection) -> None:
    """Let images have what was said of their contents, or that it was paid, where nothing says so any more.

    Whoever deletes what stages noted, by SQL, is not to pay twice.
    """
    recall(connection, _uncounted(connection))


def _uncounted(connection: Connection) -> list[str]:
    return connection.scalars(_UNCOUNTED, {"stage": STAGE, "version": STAGE_VERSION})


def recall(connection: Connection, sha256: Sequence[str]) -> None:
    """Let new images have the descriptions that there are of their contents, and not be sent again.

    What was sent and gave none stands as failed, what is under way as under way, as before the images went.
    """
    said = recall_answers(connection, sha256)
    states: dict[tuple[str, str], list[str]] = {}
    for digest, status, reason in connection.execute(
        """SELECT DISTINCT ON (sha256) sha256, status, reason FROM description_requests
            WHERE sha256 = ANY(%s) AND status <> 'free'
            ORDER BY sha256, status = 'open' DESC, settled_at DESC""",
        (list(sha256),),
    ):
        if status == "open":
            states.setdefault(("processing", ""), []).append(digest)
        elif digest not in said:
            states.setdefault(("failed", reason or ERASED), []).append(digest)
    for (status, reason), some in states.items():
        ledger.mark(connection, some, status, reason)


def recall_answers(connection: Connection, sha256: Sequence[str]) -> set[str]:
    """Join descriptions to the images of their contents; returns the contents of which there are any."""
    found = connection.scalars(
        """UPDATE descriptions d SET image_id = i.id FROM images i
            WHERE d.sha256 = ANY(%s) AND i.sha256 = d.sha256 RETURNING d.sha256""",
        (list(sha256),),
    )
    if found:
        ledger.mark(connection, sorted(found), "completed", "")
    return set(found)
