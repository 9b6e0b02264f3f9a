"""Embeddings of whole images, by model."""

from collections.abc import Sequence

import numpy as np

from facesets.errors import Field, WrongUsage
from facesets.records import ClipModel, Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.models import ensure_model
from facesets.store.postgres.paths import from_text, range_below, to_text


def insert_embeddings(
    connection: Connection, model: ClipModel, embeddings: Sequence[tuple[int, Float32]], *, replace: bool
) -> None:
    """Store the embeddings of images, given by number; one that is there stays, unless it is to be replaced.

    Raises
    ------
    WrongUsage
        The vectors are not as long as those that the model gave before.
    """
    dimension = len(embeddings[0][1])
    number = ensure_model(connection, "clip", model.name, model.sha256, dimension)
    # What a model gave before does not bind it once all of that is deleted.
    connection.execute(
        """UPDATE models m SET dimension = %s WHERE id = %s AND dimension <> %s
            AND NOT EXISTS (SELECT FROM image_embeddings e WHERE e.model_id = m.id)""",
        (dimension, number, dimension),
    )
    known = connection.scalar("SELECT dimension FROM models WHERE id = %s", (number,))
    if known != dimension or any(len(each) != dimension for _, each in embeddings):
        raise WrongUsage(
            f"The CLIP model {model.name} gives vectors of {dimension} numbers, and gave others before. "
            f"Is it still the same model? {Field('skip_clip')} leaves it out."
        )
    ids = [image_id for image_id, _ in embeddings]
    if replace:
        connection.execute(
            "DELETE FROM image_embeddings WHERE model_id = %s AND image_id = ANY(%s)", (number, ids)
        )
    there = connection.scalars(
        "SELECT image_id FROM image_embeddings WHERE model_id = %s AND image_id = ANY(%s)", (number, ids)
    )
    passed = set(there)
    new = [(image_id, each) for image_id, each in embeddings if image_id not in passed]
    if new:
        copy_in(
            connection,
            "COPY image_embeddings (image_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
            {"image_id": INT8, "model_id": INT2, "embedding": vector(dimension)},
            {
                "image_id": np.array([image_id for image_id, _ in new], np.int64),
                "model_id": np.full(len(new), number),
                "embedding": np.array([each for _, each in new], np.float32),
            },
        )


def is_embedded(connection: Connection, sha256: str, model_id: int | None) -> bool:
    """Whether the image with that content has an embedding by a model."""
    row = connection.execute(
        """SELECT FROM images i JOIN image_embeddings e ON e.image_id = i.id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, model_id),
    ).fetchone()
    return row is not None


def lacking_below(connection: Connection, roots: Sequence[str], model_id: int | None) -> set[str]:
    """Paths that are, or lie below, one of the roots, and whose image has no embedding by a model."""
    lacking: set[str] = set()
    for root in dict.fromkeys(roots):
        paths = connection.scalars(
            """SELECT p.path FROM image_paths p
                WHERE (p.path = %(root)s OR (p.path >= %(below)s AND p.path < %(beyond)s)) AND p.reason = ''
                    AND NOT EXISTS (SELECT FROM image_embeddings e
                        WHERE e.image_id = p.image_id AND e.model_id = %(model)s)""",
            range_below(root) | {"model": model_id},
        )
        lacking.update(from_text(path) for path in paths)
    return lacking


def lacking_at(connection: Connection, paths: Sequence[str], model_id: int | None) -> set[str]:
    """Which of these very paths lead to an image that has no embedding by a model."""
    found = connection.scalars(
        """SELECT p.path FROM image_paths p
            WHERE p.path = ANY(%s) AND p.reason = '' AND NOT EXISTS (SELECT FROM image_embeddings e
                WHERE e.image_id = p.image_id AND e.model_id = %s)""",
        ([to_text(path) for path in paths], model_id),
    )
    return {from_text(path) for path in found}
