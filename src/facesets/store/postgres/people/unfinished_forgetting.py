"""People who were erased and of whom old pages of the server may tell still, known by hashes alone."""

from collections.abc import Iterable
from typing import Literal

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.forgotten_faces import hashed_words

Known = Literal["name", "number", ""]
"""By what somebody is known; empty for nobody."""


def note_unfinished(connection: Connection, names: Iterable[str], numbers: Iterable[str]) -> None:
    """Keep that somebody was erased, known by names and otherwise; after `erase`, which makes the key."""
    connection.execute(
        "INSERT INTO unfinished_forgetting (names, numbers) VALUES (%s::bytea[], %s::bytea[])",
        (hashed_words(connection, names), hashed_words(connection, numbers)),
    )


def unfinished_by(connection: Connection, words: Iterable[str]) -> Known:
    """What words are of somebody who was erased and of whom something may be left."""
    is_name = connection.scalar(
        """SELECT names && %(words)s::bytea[] FROM unfinished_forgetting
            WHERE (names || numbers) && %(words)s::bytea[] ORDER BY 1 DESC LIMIT 1""",
        {"words": hashed_words(connection, words)},
    )
    return "" if is_name is None else "name" if is_name else "number"


def count_unfinished(connection: Connection) -> int:
    """How many people there are of whom something may be left."""
    return int(connection.scalar("SELECT count(*) FROM unfinished_forgetting"))


def note_finished(connection: Connection) -> None:
    """Keep nothing of them any more, not even on old pages; in no transaction."""
    connection.execute("TRUNCATE unfinished_forgetting")
