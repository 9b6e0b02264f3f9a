"""What files say of photos: kept in bulk, and read for one photo."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from facesets.imaging.metadata.record import UNKNOWN_TIME, PhotoMetadata
from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import copy_rows
from facesets.store.postgres.json_texts import json_text, storable
from facesets.store.postgres.photo_cameras import Camera, ensure_cameras

_COLUMNS = {
    "image_id": "int8",
    "taken": "timestamp",
    "taken_from": "text",
    "taken_text": "text",
    "utc_offset_min": "int2",
    "latitude": "float8",
    "longitude": "float8",
    "altitude_m": "float8",
    "gps_accuracy_m": "float8",
    "camera_id": "int4",
    "iso": "int4",
    "aperture": "float8",
    "exposure_s": "float8",
    "focal_length_mm": "float8",
    "orientation": "int2",
    "refused": "jsonb",
}
_MOST_CHARACTERS = 200
"""Of a text: longer ones are rubbish, and would fit no index."""
_LARGEST_INTEGER = 2**31 - 1


def store_metadata(connection: Connection, found: Sequence[tuple[int, ImageRecord, Finding]]) -> None:
    """Keep what files say of photos in place of what was known; the times of their images follow."""
    new: dict[int, PhotoMetadata] = {number: finding.value for number, _, finding in found}
    cameras = ensure_cameras(connection, {_camera(each) for each in new.values()} - {Camera()})
    numbers = list(new)
    connection.execute("DELETE FROM photo_metadata WHERE image_id = ANY(%s)", (numbers,))
    copy_rows(
        connection,
        f"COPY photo_metadata ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)",
        list(_COLUMNS.values()),
        (_row(number, each, cameras.get(_camera(each))) for number, each in new.items()),
    )
    connection.execute("DELETE FROM photo_extra WHERE image_id = ANY(%s)", (numbers,))
    copy_rows(
        connection,
        "COPY photo_extra (image_id, extra) FROM STDIN (FORMAT BINARY)",
        ["int8", "jsonb"],
        ((number, Jsonb(each.extra, json_text)) for number, each in new.items() if each.extra),
    )
    let_images_follow(connection, numbers)


def let_images_follow(connection: Connection, numbers: Sequence[int]) -> None:
    """Give images, by number, the times of their metadata."""
    differ = connection.execute(
        """SELECT i.id, date_trunc('second', m.taken) FROM images i JOIN photo_metadata m ON m.image_id = i.id
            WHERE i.id = ANY(%s) AND i.taken IS DISTINCT FROM date_trunc('second', m.taken)""",
        (list(numbers),),
    ).fetchall()
    # A statement that changes nothing is noted as a change of the times of people's photos all the same.
    if differ:
        connection.execute(
            """UPDATE images i SET taken = new.taken
                FROM unnest(%s::bigint[], %s::timestamp[]) AS new (image, taken) WHERE i.id = new.image""",
            ([number for number, _ in differ], [taken for _, taken in differ]),
        )


def _camera(found: PhotoMetadata) -> Camera:
    return Camera(short_text(found.make), short_text(found.model), short_text(found.lens))


def _row(number: int, found: PhotoMetadata, camera: int | None) -> tuple[object, ...]:
    is_placed = found.latitude is not None and found.longitude is not None
    return (
        number,
        _moment(found.taken),
        short_text(found.taken_from),
        short_text(found.taken_text),
        found.utc_offset_min,
        found.latitude if is_placed else None,
        found.longitude if is_placed else None,
        found.altitude_m,
        found.gps_accuracy_m,
        camera,
        None if found.iso is None or found.iso > _LARGEST_INTEGER else found.iso,
        found.aperture,
        found.exposure_s,
        found.focal_length_mm,
        found.orientation,
        Jsonb(dict(found.refused), json_text),
    )


def _moment(taken: np.datetime64) -> datetime | None:
    found: datetime | None = taken.astype("M8[us]").item()
    return found


def short_text(text: str) -> str:
    """A text as it is kept."""
    return storable(text)[:_MOST_CHARACTERS]


def erase_said_by_files(connection: Connection, pattern: str) -> None:
    """Erase what files say of photos where a pattern fits; all else that they say stays."""
    for table, column in (("photo_extra", "extra"), ("photo_metadata", "refused")):
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        connection.execute(_ERASE.format(**names), {"pattern": pattern})
    connection.execute(
        "UPDATE photo_metadata SET taken_text = '' WHERE taken_text ~* %(pattern)s", {"pattern": pattern}
    )


_ERASE = sql.SQL(
    """UPDATE {table} SET {column} = (SELECT coalesce(jsonb_object_agg(key, value), '{{}}')
            FROM jsonb_each({column}) WHERE key || ' ' || value::text !~* %(pattern)s)
        WHERE {column}::text ~* %(pattern)s"""
)


def metadata_of_image(connection: Connection, image_id: int) -> PhotoMetadata | None:
    """What the file of an image says; None where nobody looked."""
    row = connection.execute(
        """SELECT m.taken, m.taken_from, m.taken_text, m.utc_offset_min,
                m.latitude, m.longitude, m.altitude_m, m.gps_accuracy_m,
                coalesce(c.make, ''), coalesce(c.model, ''), coalesce(c.lens, ''),
                m.iso, m.aperture, m.exposure_s, m.focal_length_mm, m.orientation,
                m.refused, coalesce(x.extra, '{}')
            FROM photo_metadata m LEFT JOIN cameras c ON c.id = m.camera_id
                LEFT JOIN photo_extra x ON x.image_id = m.image_id
            WHERE m.image_id = %s""",
        (image_id,),
    ).fetchone()
    if row is None:
        return None
    taken, *others = row
    return PhotoMetadata(UNKNOWN_TIME if taken is None else np.datetime64(taken, "us"), *others)
