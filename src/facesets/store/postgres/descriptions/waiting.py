"""How many photos wait to be described, and how large they are as they would be sent."""

from psycopg import sql

from facesets.descriptions.asking import EDGE
from facesets.library_records import PhotosOfStage
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_stages import to_look_at


def waiting_pixels(connection: Connection, photos: PhotosOfStage, limit: int | None) -> tuple[int, int]:
    """How many photos are to be described, and the pixels of so many of them as they would be sent."""
    condition, given = to_look_at(photos)
    count, pixels = connection.one(
        sql.SQL(
            """SELECT count(*), coalesce(sum(pixels), 0)::bigint FROM (
                SELECT ceil(i.width * least(1.0, %(edge)s::float8 / greatest(i.width, i.height, 1)))
                    * ceil(i.height * least(1.0, %(edge)s::float8 / greatest(i.width, i.height, 1))) AS pixels
                FROM images i WHERE {} ORDER BY i.id LIMIT %(limit)s) AS waiting"""
        ).format(condition),
        given | {"edge": EDGE, "limit": limit},
    )
    return int(count), int(pixels)
