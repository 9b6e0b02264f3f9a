"""Categories of tags, their prompts, and the vectors of these for each CLIP model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.library_records import StoredCategory, TagCategory, TagTarget, TagWord
from facesets.records import Float32
from facesets.store.postgres.connection import Connection

CLIP = "clip"
"""The source of the categories here: prompts that a CLIP model weighs against each other."""


class KeptVectors(NamedTuple):
    """The vectors of a category by a model, and of which prompts they were made."""

    prompts_sha256: str
    logit_scale: float
    vectors: Float32


def stored_categories(connection: Connection, target: TagTarget | None = None) -> list[StoredCategory]:
    """The categories that CLIP is asked about, those of one target if it is given, in the order they came."""
    words: dict[int, list[tuple[int, TagWord]]] = {}
    for category, number, name, phrases in connection.execute(
        "SELECT category_id, id, name, phrases FROM tags ORDER BY category_id, place"
    ):
        words.setdefault(category, []).append((number, TagWord(name, tuple(phrases))))
    rows = connection.execute(
        """SELECT id, name, target, selection_mode, min_confidence, templates, none_prompts
            FROM tag_categories WHERE source = %s AND (target = %s OR %s::text IS NULL) ORDER BY id""",
        (CLIP, target, target),
    ).fetchall()
    return [
        StoredCategory(
            number,
            TagCategory(
                name,
                about,
                mode,
                least,
                tuple(templates),
                tuple(word for _, word in words.get(number, [])),
                tuple(none),
            ),
            tuple(tag for tag, _ in words.get(number, [])),
        )
        for number, name, about, mode, least, templates, none in rows
    ]


def keep_categories(connection: Connection, categories: Sequence[TagCategory], *, only: bool = False) -> None:
    """Store categories, in place of those of the same names.

    Tags that are no more go at once, from photos and faces, too. The others stay until they are made again.

    Parameters
    ----------
    only : bool
        Categories of CLIP that are none of these go.

    Raises
    ------
    WrongUsage
        A category of that name comes from another source.
    """
    connection.execute("LOCK TABLE tag_categories IN SHARE ROW EXCLUSIVE MODE")
    names = [each.name for each in categories]
    foreign = connection.execute(
        "SELECT name, source FROM tag_categories WHERE source <> %s AND name = ANY(%s)", (CLIP, names)
    ).fetchone()
    if foreign is not None:
        name, source = foreign
        raise WrongUsage(
            f"The category {printable(name)} is filled by {printable(source)}. Give yours another name."
        )
    if only:
        connection.execute("DELETE FROM tag_categories WHERE source = %s AND name <> ALL(%s)", (CLIP, names))
    before = {each.category.name: each for each in stored_categories(connection)}
    for category in categories:
        known = before.get(category.name)
        if known is not None and known.category.target != category.target:
            connection.execute("DELETE FROM tag_categories WHERE id = %s", (known.number,))
            known = None
        if known is None or known.category != category:
            _keep(connection, category, known)


def _keep(connection: Connection, category: TagCategory, known: StoredCategory | None) -> None:
    number = connection.scalar(
        """INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (name) DO UPDATE SET selection_mode = excluded.selection_mode,
                min_confidence = excluded.min_confidence, templates = excluded.templates,
                none_prompts = excluded.none_prompts, changed_at = now()
            RETURNING id""",
        (
            category.name,
            category.target,
            category.selection_mode,
            category.min_confidence,
            list(category.templates),
            list(category.none_of_these),
        ),
    )
    numbers = (
        {}
        if known is None
        else {word.name.lower(): tag for word, tag in zip(known.category.words, known.tags, strict=True)}
    )
    left = {word.name.lower() for word in category.words}
    gone = [tag for name, tag in numbers.items() if name not in left]
    connection.execute("DELETE FROM tags WHERE id = ANY(%s)", (gone,))
    for place, word in enumerate(category.words):
        values = (place, word.name, list(word.phrases))
        if word.name.lower() in numbers:
            connection.execute(
                "UPDATE tags SET place = %s, name = %s, phrases = %s WHERE id = %s",
                (*values, numbers[word.name.lower()]),
            )
        else:
            connection.execute(
                "INSERT INTO tags (place, name, phrases, category_id) VALUES (%s, %s, %s, %s)",
                (*values, number),
            )


def kept_vectors(connection: Connection, model_id: int) -> dict[int, KeptVectors]:
    """The vectors by a model, by the numbers of their categories."""
    rows = connection.execute(
        "SELECT category_id, prompts_sha256, logit_scale, vectors FROM tag_vectors WHERE model_id = %s",
        (model_id,),
    ).fetchall()
    return {
        category: KeptVectors(prompts, scale, np.array(vectors, np.float32))
        for category, prompts, scale, vectors in rows
    }


def keep_vectors(connection: Connection, model_id: int, category: int, kept: KeptVectors) -> None:
    """Store the vectors of a category by a model, in place of those from before."""
    connection.execute(
        """INSERT INTO tag_vectors (category_id, model_id, prompts_sha256, logit_scale, vectors)
            SELECT id, %s, %s, %s, %s::real[] FROM tag_categories WHERE id = %s
            ON CONFLICT (category_id, model_id) DO UPDATE SET prompts_sha256 = excluded.prompts_sha256,
                logit_scale = excluded.logit_scale, vectors = excluded.vectors""",
        (model_id, kept.prompts_sha256, kept.logit_scale, kept.vectors.tolist(), category),
    )
