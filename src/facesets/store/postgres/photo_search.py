"""Finding photos by who is on them, by when they were taken, and by what they look like."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np
from psycopg import sql

from facesets.records import Float32
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.models import ClipRow
from facesets.store.postgres.search import IMAGES, Dates, image_vectors, nearest, taken_on

MOST_COUNTED = 10_000
"""Photos that are counted, and shown, at most: nobody looks at more pages than these fill."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo; `cosine_similarity` to what was asked for, where that was words or another photo."""

    sha256: str
    width: int
    height: int
    taken: datetime | None
    cosine_similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Photos that show all of these people, taken in that time."""

    persons: tuple[UUID, ...] = ()
    dates: Dates = field(default_factory=Dates)

    @property
    def open(self) -> bool:
        """Whether all photos are meant."""
        return not self.persons and self.dates.open


def find_photos(connection: Connection, shown: Shown, *, offset: int, limit: int) -> list[FoundPhoto]:
    """Photos with a file, the latest first; where nothing is asked for, those that were added last."""
    # In the first two cases the order is that of an index, so that no more is read than is shown.
    order = "i.taken DESC NULLS LAST, i.id DESC"
    if shown.open:
        order = "i.id DESC"
    elif not shown.dates.open:
        order = "i.taken DESC, i.id DESC"
    statement = sql.SQL(
        """SELECT i.sha256, i.width, i.height, i.taken FROM images i WHERE {conditions}
            ORDER BY {order} OFFSET %(offset)s LIMIT %(limit)s"""
    ).format(conditions=_conditions(shown), order=sql.SQL(order))
    rows = connection.execute(statement, _parameters(shown) | {"offset": offset, "limit": limit})
    return [FoundPhoto(*row) for row in rows]


def count_photos(connection: Connection, shown: Shown) -> int:
    """How many photos there are of these, at most `MOST_COUNTED`."""
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM images i WHERE {} LIMIT %(most)s) AS counted"
    ).format(_conditions(shown))
    return int(only_row(connection.execute(statement, _parameters(shown) | {"most": MOST_COUNTED}))[0])


def photos_near(
    connection: Connection, row: ClipRow, embedding: Float32, shown: Shown, *, limit: int
) -> list[FoundPhoto]:
    """The photos most similar to a vector of a CLIP model, best first."""
    found = nearest(
        connection,
        image_vectors(row),
        embedding,
        columns=sql.SQL(", c.sha256, c.width, c.height, c.taken"),
        source=IMAGES,
        conditions=_showing(shown.persons),
        dates=shown.dates,
        person=str(shown.persons[0]) if shown.persons else None,
        limit=limit,
        more=_parameters(shown),
    )
    return [
        FoundPhoto(sha256, width, height, taken, float(similarity))
        for _, similarity, _, sha256, width, height, taken in found
    ]


def embedding_of_photo(connection: Connection, row: ClipRow, sha256: str) -> Float32 | None:
    """The vector of a photo by a CLIP model; None where it has none."""
    found = connection.execute(
        """SELECT e.embedding::real[] FROM image_embeddings e JOIN images i ON i.id = e.image_id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, row.id),
    ).fetchone()
    return None if found is None else np.array(found[0], np.float32)


def _conditions(shown: Shown) -> sql.Composable:
    has_file = sql.SQL("EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')")
    return sql.SQL(" AND ").join([has_file, *_showing(shown.persons), *taken_on(shown.dates)])


def _showing(persons: Sequence[UUID]) -> list[sql.Composable]:
    return [
        sql.SQL("i.id IN (SELECT f.image_id FROM face_detections f WHERE f.person_id = {}::uuid)").format(
            sql.Placeholder(f"person_{place}")
        )
        for place in range(len(persons))
    ]


def _parameters(shown: Shown) -> dict[str, object]:
    people: dict[str, object] = {f"person_{place}": each for place, each in enumerate(shown.persons)}
    return people | {"first": shown.dates.first, "last": shown.dates.last}
