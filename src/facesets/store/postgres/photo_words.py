"""Photos by the words of their descriptions, and of all text that was read on them."""

from psycopg import sql

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
