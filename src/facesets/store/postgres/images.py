"""Images and the paths that lead to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facesets.records import FileRecord, FoundFile, ImageRecord, Images, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT4, INT8, copy_out, gathered, text, times
from facesets.store.postgres.paths import from_text, range_below, to_text


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a path without reading the file."""

    size: int
    mtime_ns: int
    failed: bool

    def matches(self, found: FoundFile) -> bool:
        """Whether the file is, by size and time, the one seen before."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)


def known_paths(
    connection: Connection, roots: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, Seen]:
    """What was seen at every path that is, or lies below, one of the roots.

    A path whose image was not yet searched for faces in this way counts as changed, so that it is; unless
    `searched` is off.
    """
    found: dict[str, Seen] = {}
    for root in dict.fromkeys(roots):
        rows = connection.execute(
            """SELECT p.path, p.size,
                    CASE WHEN p.reason <> '' OR s.image_id IS NOT NULL
                        OR (NOT %(searched)s AND p.image_id IS NOT NULL) THEN p.mtime_ns ELSE -1 END,
                    p.reason <> ''
                FROM image_paths p
                LEFT JOIN face_scans s ON s.image_id = p.image_id AND s.detector_id = %(detector)s
                WHERE p.path = %(root)s OR (p.path >= %(below)s AND p.path < %(beyond)s)""",
            range_below(root) | {"detector": detector_id, "searched": searched},
        )
        found.update((from_text(path), Seen(size, mtime, failed)) for path, size, mtime, failed in rows)
    return found


def seen_at(
    connection: Connection, paths: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, Seen]:
    """What was seen at these very paths; see `known_paths`."""
    rows = connection.execute(
        """SELECT p.path, p.size,
                CASE WHEN p.reason <> '' OR s.image_id IS NOT NULL
                    OR (NOT %s AND p.image_id IS NOT NULL) THEN p.mtime_ns ELSE -1 END,
                p.reason <> ''
            FROM image_paths p
            LEFT JOIN face_scans s ON s.image_id = p.image_id AND s.detector_id = %s
            WHERE p.path = ANY(%s)""",
        (searched, detector_id, [to_text(path) for path in paths]),
    )
    return {from_text(path): Seen(size, mtime, failed) for path, size, mtime, failed in rows}


def reasons_at(connection: Connection, paths: Sequence[str]) -> dict[str, str]:
    """Why these paths could not be read, those of them that could not."""
    rows = connection.execute(
        "SELECT path, reason FROM image_paths WHERE path = ANY(%s) AND reason <> ''",
        ([to_text(path) for path in paths],),
    )
    return {from_text(path): from_text(reason) for path, reason in rows}


def file_records(connection: Connection) -> dict[str, FileRecord]:
    """Every path, with what was seen there, in the order in which they were first seen."""
    rows = connection.execute("SELECT path, size, mtime_ns, sha256, reason FROM image_paths ORDER BY id")
    return {
        path: FileRecord(path, size, mtime_ns, sha256, from_text(reason))
        for stored, size, mtime_ns, sha256, reason in rows
        for path in (from_text(stored),)
    }


def upsert_images(connection: Connection, images: Sequence[ImageRecord]) -> dict[str, int]:
    """Insert or replace images; return the number of each by its hash.

    Two runs that store the same image at once come out one after the other here.
    """
    rows = connection.execute(
        """INSERT INTO images (sha256, width, height, taken, fingerprint)
            SELECT sha256, width, height, taken, fingerprint
            FROM unnest(%(sha256)s::text[], %(width)s::integer[], %(height)s::integer[],
                %(taken)s::timestamp[], %(fingerprint)s::bytea[])
                WITH ORDINALITY AS new (sha256, width, height, taken, fingerprint, place)
            ORDER BY place
            ON CONFLICT (sha256) DO UPDATE SET width = excluded.width, height = excluded.height,
                taken = excluded.taken, fingerprint = excluded.fingerprint
            RETURNING sha256, id""",
        {
            "sha256": [image.sha256 for image in images],
            "width": [image.width for image in images],
            "height": [image.height for image in images],
            "taken": [
                None if np.isnat(image.taken) else str(image.taken.astype("M8[s]")) for image in images
            ],
            "fingerprint": [image.fingerprint for image in images],
        },
    ).fetchall()
    return dict(rows)


def upsert_paths(
    connection: Connection, files: Sequence[FileRecord], galleries: Mapping[str, int] | None = None
) -> None:
    """Insert or replace what was seen at these paths, and join them to their images."""
    galleries = galleries or {}
    connection.execute(
        """INSERT INTO image_paths (path, size, mtime_ns, sha256, reason, image_id, gallery_id)
            SELECT new.path, new.size, new.mtime_ns, new.sha256, new.reason,
                CASE WHEN new.reason = '' THEN i.id END, g.id
            FROM unnest(%(path)s::text[], %(size)s::bigint[], %(mtime_ns)s::bigint[], %(sha256)s::text[],
                %(reason)s::text[], %(gallery)s::bigint[])
                WITH ORDINALITY AS new (path, size, mtime_ns, sha256, reason, gallery, place)
            LEFT JOIN images i ON i.sha256 = new.sha256
            LEFT JOIN galleries g ON g.id = new.gallery
            ORDER BY place
            ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,
                sha256 = excluded.sha256, reason = excluded.reason, image_id = excluded.image_id,
                gallery_id = coalesce(excluded.gallery_id, image_paths.gallery_id)""",
        {
            "path": [to_text(file.path) for file in files],
            "size": [file.size for file in files],
            "mtime_ns": [file.mtime_ns for file in files],
            "sha256": [file.sha256 for file in files],
            "reason": [to_text(file.reason).replace("\0", " ") for file in files],
            "gallery": [galleries.get(file.path) for file in files],
        },
    )


def link_paths(connection: Connection, sha256: Sequence[str]) -> None:
    """Join paths that were stored before their image."""
    connection.execute(
        """UPDATE image_paths p SET image_id = i.id FROM images i
            WHERE p.image_id IS NULL AND p.reason = '' AND p.sha256 = i.sha256 AND i.sha256 = ANY(%s)""",
        (list(sha256),),
    )


def forget_paths(connection: Connection, paths: Sequence[str]) -> int:
    """Drop paths; an image that no path leads to any more stays, for its file may come back elsewhere."""
    return connection.execute(
        "DELETE FROM image_paths WHERE path = ANY(%s)", ([to_text(path) for path in paths],)
    ).rowcount


def load_images(connection: Connection, detector_id: int) -> tuple[Int64, Images]:
    """Images with a path that were searched for faces in this way, and their numbers, ascending."""
    paths: dict[int, list[str]] = {}
    for image_id, path in connection.execute(
        "SELECT image_id, path FROM image_paths WHERE image_id IS NOT NULL AND reason = '' ORDER BY id"
    ):
        paths.setdefault(image_id, []).append(from_text(path))
    blocks = copy_out(
        connection,
        """COPY (SELECT i.id, i.sha256, i.width, i.height, coalesce(i.taken, '-infinity'), i.fingerprint
            FROM images i JOIN face_scans s ON s.image_id = i.id AND s.detector_id = %(detector)s
            WHERE EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')
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
