"""Metadata of photos from their files and names, and cameras."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from facesets.file_records import FileRecord
from facesets.imaging.metadata.names import day_of_folder, time_in_name
from facesets.imaging.metadata.record import UNKNOWN_TIME, PhotoMetadata
from facesets.imaging.metadata.times import Taken
from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import copy_rows
from facesets.store.postgres.paths import from_text

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
_MAX_CHARACTERS = 200
"""Maximum length of a text; longer ones would not fit an index."""
_MAX_INTEGER = 2**31 - 1


class Camera(NamedTuple):
    """A camera with a lens; empty if unknown."""

    make: str = ""
    model: str = ""
    lens: str = ""


def store_metadata(connection: Connection, found: Sequence[tuple[int, ImageRecord, Finding]]) -> None:
    """Store metadata of photos, replacing earlier data, and update the times of their images."""
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
        ((number, Jsonb(each.extra, _json_text)) for number, each in new.items() if each.extra),
    )
    _update_image_times(connection, numbers)


def _update_image_times(connection: Connection, numbers: Sequence[int]) -> None:
    """Set the times of images from their metadata."""
    differ = connection.execute(
        """SELECT i.id, date_trunc('second', m.taken) FROM images i JOIN photo_metadata m ON m.image_id = i.id
            WHERE i.id = ANY(%s) AND i.taken IS DISTINCT FROM date_trunc('second', m.taken)""",
        (list(numbers),),
    ).fetchall()
    # Even a statement that changes nothing is recorded as a change of the times of people's photos.
    if differ:
        connection.execute(
            """UPDATE images i SET taken = new.taken
                FROM unnest(%s::bigint[], %s::timestamp[]) AS new (image, taken) WHERE i.id = new.image""",
            ([number for number, _ in differ], [taken for _, taken in differ]),
        )


def _camera(found: PhotoMetadata) -> Camera:
    return Camera(_short_text(found.make), _short_text(found.model), _short_text(found.lens))


def _row(number: int, found: PhotoMetadata, camera: int | None) -> tuple[object, ...]:
    is_placed = found.latitude is not None and found.longitude is not None
    return (
        number,
        _moment(found.taken),
        _short_text(found.taken_from),
        _short_text(found.taken_text),
        found.utc_offset_min,
        found.latitude if is_placed else None,
        found.longitude if is_placed else None,
        found.altitude_m,
        found.gps_accuracy_m,
        camera,
        None if found.iso is None or found.iso > _MAX_INTEGER else found.iso,
        found.aperture,
        found.exposure_s,
        found.focal_length_mm,
        found.orientation,
        Jsonb(dict(found.refused), _json_text),
    )


def _moment(taken: np.datetime64) -> datetime | None:
    found: datetime | None = taken.astype("M8[us]").item()
    return found


def _short_text(text: str) -> str:
    """Return a text shortened for storage."""
    return _storable(text)[:_MAX_CHARACTERS]


def erase_metadata(connection: Connection, pattern: str) -> None:
    """Erase metadata that matches a pattern."""
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
    """Return the metadata of an image; None if it was not read."""
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


def follow_names(connection: Connection, files: Sequence[FileRecord], new: Collection[str]) -> None:
    """Date photos by their new names, if their files have no date.

    A date stays if a name still has it, or if no name has any. No file is read.

    Parameters
    ----------
    files : sequence of FileRecord
        The records just stored.
    new : collection of str
        New contents that were dated by the first of their names.
    """
    seen = Counter(file.sha256 for file in files if not file.reason)
    contents = [sha256 for sha256, times in seen.items() if times > 1 or sha256 not in new]
    if not contents:
        return
    rows = connection.execute(
        """SELECT i.id, m.taken, m.taken_from, now() AT TIME ZONE 'UTC', array_agg(p.path ORDER BY p.id)
            FROM images i JOIN photo_metadata m ON m.image_id = i.id
                JOIN image_paths p ON p.image_id = i.id AND p.reason = ''
            WHERE i.sha256 = ANY(%s) AND m.taken_from IN ('', 'mtime', 'file name', 'folder name')
            GROUP BY i.id, m.taken, m.taken_from""",
        (contents,),
    ).fetchall()
    for image, taken, source, now, paths in rows:
        times = _times_in_names([from_text(path) for path in paths], np.datetime64(now, "us"))
        if times and (source, taken) not in [(each.source, each.time.item()) for each in times]:
            _redate(connection, image, times[0])


def _times_in_names(paths: Sequence[str], now: np.datetime64) -> list[Taken]:
    """Return the dates in file names, else in folder names."""
    for name in (time_in_name, day_of_folder):
        found = [taken for path in paths if (taken := name(path, latest=now)).text]
        if found:
            return found
    return []


def _redate(connection: Connection, image: int, taken: Taken) -> None:
    connection.execute(
        """UPDATE photo_metadata SET taken = %s, taken_from = %s, taken_text = %s, utc_offset_min = %s
            WHERE image_id = %s""",
        (taken.time.item(), taken.source, _short_text(taken.text), taken.utc_offset_min, image),
    )
    _update_image_times(connection, [image])


def ensure_cameras(connection: Connection, cameras: Collection[Camera]) -> dict[Camera, int]:
    """Return the numbers of cameras, creating new ones."""
    if not cameras:
        return {}
    known = _numbers(connection, cameras)
    # In one order, so that no two sessions wait for each other.
    new = sorted(set(cameras) - set(known))
    if new:
        connection.execute(
            """INSERT INTO cameras (make, model, lens)
                SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING""",
            [list(column) for column in zip(*new, strict=True)],
        )
        known |= _numbers(connection, new)
    return known


def _numbers(connection: Connection, cameras: Collection[Camera]) -> dict[Camera, int]:
    rows = connection.execute(
        """SELECT c.make, c.model, c.lens, c.id FROM cameras c
            JOIN unnest(%s::text[], %s::text[], %s::text[]) AS new (make, model, lens)
                ON (c.make, c.model, c.lens) = (new.make, new.model, new.lens)""",
        [list(column) for column in zip(*cameras, strict=True)],
    )
    return {Camera(make, model, lens): number for make, model, lens, number in rows}


def cameras_called(connection: Connection, text: str) -> tuple[int, ...]:
    """Return the cameras with all these words in make, model and lens, ignoring case."""
    # Not in SQL: a database with the locale C ignores case of ASCII letters only.
    words = text.casefold().split()
    rows = connection.execute("SELECT id, concat_ws(' ', make, model, lens) FROM cameras ORDER BY id")
    return tuple(number for number, name in rows if all(word in name.casefold() for word in words))


def camera_names(connection: Connection, most: int) -> list[str]:
    """Return the names of some cameras."""
    rows = connection.execute(
        """SELECT DISTINCT concat_ws(' ', nullif(make, ''), nullif(model, '')) AS name FROM cameras
            WHERE make || model <> '' ORDER BY name LIMIT %s""",
        (most,),
    )
    return [name for (name,) in rows]


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SUSPICIOUS = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|NaN|Infinity")


def _storable(text: str) -> str:
    """Return a text without characters that PostgreSQL rejects."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub(lambda each: "" if each[0] == "\0" else "?", text)


def _json_text(value: object) -> str:
    """Encode a value as JSON; NaN and infinity become null."""
    text = json.dumps(value, default=dict)
    # Invalid values are rare, and checking each takes longer than writing them all.
    return json.dumps(_cleaned(value)) if _SUSPICIOUS.search(text) else text


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_storable(str(key)): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value
