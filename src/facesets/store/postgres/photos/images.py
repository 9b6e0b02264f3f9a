"""Images by content, and the paths of their files."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from facesets.imaging.originals import Picture
from facesets.records import ImageRecord, Images, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT4, INT8, copy_out, copy_rows, gathered, text, times
from facesets.store.postgres.paths import from_text


def store_images(connection: Connection, images: Sequence[ImageRecord]) -> tuple[dict[str, int], set[str]]:
    """Insert or replace images.

    If two transactions insert the same image at once, one fails with a unique violation and sees the
    other's image when it is retried.

    Returns
    -------
    dict, set
        The number of each image by its hash; and the hashes of those that are new.
    """
    # Locked, so that they are not deleted manually before their faces are stored.
    known = numbers_of(connection, [image.sha256 for image in images])
    new = [image for image in images if image.sha256 not in known]
    if known:
        _update_images(connection, [image for image in images if image.sha256 in known])
    if not new:
        return known, set()
    ids = new_ids(connection, "images", len(new))
    copy_rows(
        connection,
        "COPY images (id, sha256, width, height, taken, fingerprint) FROM STDIN (FORMAT BINARY)",
        ["int8", "text", "int4", "int4", "timestamp", "bytea"],
        (
            (number, image.sha256, image.width, image.height, _taken(image), image.fingerprint)
            for number, image in zip(ids, new, strict=True)
        ),
    )
    known.update((image.sha256, number) for number, image in zip(ids, new, strict=True))
    return known, {image.sha256 for image in new}


def new_ids(connection: Connection, table: str, count: int) -> list[int]:
    """Return numbers for new rows of a table with a column `id`, ascending."""
    ids: list[int] = connection.scalar(
        """SELECT coalesce(array_agg(nextval(name)), '{}')
            FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name OFFSET 0) AS sequence,
                generate_series(1, %s)""",
        (table, count),
    )
    return ids


def _update_images(connection: Connection, images: Sequence[ImageRecord]) -> None:
    connection.execute(
        """UPDATE images i SET width = new.width, height = new.height, taken = new.taken,
                fingerprint = new.fingerprint
            FROM (SELECT o.id, n.width, n.height, n.fingerprint,
                    -- All metadata are known: they say more than the header alone.
                    CASE WHEN m.image_id IS NULL THEN coalesce(n.taken, o.taken) ELSE o.taken END AS taken
                FROM unnest(%(sha256)s::text[], %(width)s::integer[], %(height)s::integer[],
                    %(taken)s::timestamp[], %(fingerprint)s::bytea[])
                    AS n (sha256, width, height, taken, fingerprint)
                JOIN images o ON o.sha256 = n.sha256
                LEFT JOIN photo_metadata m ON m.image_id = o.id) AS new
            WHERE i.id = new.id AND (i.width, i.height, i.taken, i.fingerprint)
                IS DISTINCT FROM (new.width, new.height, new.taken, new.fingerprint)""",
        {
            "sha256": [image.sha256 for image in images],
            "width": [image.width for image in images],
            "height": [image.height for image in images],
            "taken": [_taken(image) for image in images],
            "fingerprint": [image.fingerprint for image in images],
        },
    )


def _taken(image: ImageRecord) -> datetime | None:
    taken: datetime | None = image.taken.astype("M8[s]").item()
    return taken


def numbers_of(connection: Connection, sha256: Sequence[str]) -> dict[str, int]:
    """Return and lock the numbers of existing images, by hash."""
    rows = connection.execute(
        "SELECT sha256, id FROM images WHERE sha256 = ANY(%s) FOR KEY SHARE", (list(sha256),)
    )
    return dict(rows.fetchall())


def load_images(connection: Connection, detector_id: int) -> tuple[Int64, Images]:
    """Load images with a path that a detector searched, and their numbers, ascending."""
    paths: dict[int, list[str]] = {}
    for image_id, path in connection.execute(
        "SELECT image_id, path FROM image_paths WHERE image_id IS NOT NULL AND reason = '' ORDER BY id"
    ):
        paths.setdefault(image_id, []).append(from_text(path))
    blocks = copy_out(
        connection,
        """COPY (SELECT i.id, i.sha256, i.width, i.height, coalesce(i.taken, '-infinity'), i.fingerprint
            FROM present_images i JOIN face_scans s ON s.image_id = i.id AND s.detector_id = %(detector)s
            ORDER BY i.id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector_id},
        {
            "id": INT8,
            "sha256": text(64),
            "width": INT4,
            "height": INT4,
            "taken": INT8,
            "fingerprint": "V32",
        },
    )
    columns = gathered(
        blocks,
        [
            ("id", np.int64),
            ("sha256", "S64"),
            ("width", np.int64),
            ("height", np.int64),
            ("taken", np.int64),
            ("fingerprint", "V32"),
        ],
    )
    ids = columns["id"]
    return ids, Images(
        sha256=columns["sha256"],
        width=columns["width"],
        height=columns["height"],
        taken=times(columns["taken"]),
        fingerprint=np.ascontiguousarray(columns["fingerprint"]).view(np.uint8).reshape(-1, 32),
        paths=tuple(tuple(paths[number]) for number in ids.tolist()),
    )


def pictures_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, Picture]:
    """Return the images of these faces, by number."""
    rows = connection.execute(
        """SELECT f.id, i.sha256,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = i.id ORDER BY q.id),
                i.width, i.height, f.x1, f.y1, f.x2, f.y2
            FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return {
        face: Picture(sha256, tuple(map(from_text, paths)), width, height, (x1, y1, x2, y2))
        for face, sha256, paths, width, height, x1, y1, x2, y2 in rows
    }


def contents_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, str]:
    """Return the sha256 of the photos of these faces, by face number."""
    rows = connection.execute(
        """SELECT f.id, i.sha256 FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return dict(rows.fetchall())


def picture_of_image(connection: Connection, sha256: str) -> Picture | None:
    """Return the image with this content."""
    row = connection.execute(
        """SELECT i.width, i.height,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = i.id ORDER BY q.id)
            FROM images i WHERE i.sha256 = %s""",
        (sha256,),
    ).fetchone()
    if row is None:
        return None
    width, height, paths = row
    return Picture(sha256, tuple(map(from_text, paths)), width, height, (0, 0, width, height))
