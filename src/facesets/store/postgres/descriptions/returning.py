"""Photos that come back: what was said of their content before, and paid, counts again."""

from collections.abc import Sequence

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.descriptions import ledger
from facesets.store.postgres.descriptions.answers import ERASED


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
    rows = connection.execute(
        """UPDATE descriptions d SET image_id = i.id FROM images i
            WHERE d.sha256 = ANY(%s) AND i.sha256 = d.sha256 RETURNING d.sha256""",
        (list(sha256),),
    )
    found = {digest for (digest,) in rows}
    if found:
        ledger.mark(connection, sorted(found), "completed", "")
    return found
