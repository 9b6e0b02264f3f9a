"""Photos by the words of their descriptions, and of all text that was read on them."""

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.expected_rows import expected_rows
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, NONE, Conditions, has_row

# The index of the descriptions reduces words in the same way.
WORDS = sql.SQL("websearch_to_tsquery('english', %(words)s)")


def described_with(words: str, how: sql.SQL = ALL_AT_ONCE) -> Conditions:
    """The condition that the description of an image `i` has these words; all images are meant for no words.

    Words have to be there in any form, `"two words"` in that order; `or` means either, `-word` none of them.
    """
    if not words:
        return NONE
    return [has_row("descriptions", "d", sql.SQL("d.words @@ {}").format(WORDS), how)], {"words": words}


def is_looked_for(connection: Connection, words: str) -> bool:
    """Whether anything is left of words without those that every text has, such as `the`."""
    statement = sql.SQL("SELECT numnode({}) > 0").format(WORDS)
    return bool(only_row(connection.execute(statement, {"words": words}))[0])


def about_described(connection: Connection) -> float:
    """About how many photos have a description, as far as PostgreSQL knows; 0 where it does not."""
    row = connection.execute("SELECT reltuples FROM pg_class WHERE oid = 'descriptions'::regclass")
    return max(float(only_row(row)[0]), 0.0)


def about_with_words(connection: Connection, words: str) -> float:
    """About how many descriptions have these words, as far as PostgreSQL knows."""
    statement = sql.SQL("SELECT d.image_id FROM descriptions d WHERE d.words @@ {}").format(WORDS)
    (expected,) = expected_rows(connection, [statement], {"words": words})
    return expected


def with_words(connection: Connection, words: str, most: int) -> list[int] | None:
    """The numbers of images whose descriptions have these words; None where those are more than so many."""
    # Reading all descriptions takes longer than the planner thinks, for long ones lie apart.
    connection.execute("SET LOCAL enable_seqscan = off")
    rows = connection.execute(
        sql.SQL("SELECT d.image_id FROM descriptions d WHERE d.words @@ {} LIMIT %(most)s + 1").format(WORDS),
        {"words": words, "most": most},
    ).fetchall()
    connection.execute("SET LOCAL enable_seqscan TO DEFAULT")
    return None if len(rows) > most else [number for (number,) in rows if number is not None]
