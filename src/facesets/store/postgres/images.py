"""Images and the paths that lead to them."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString

import numpy as np

from facesets.file_records import FileRecord
from facesets.library_records import GalleryLink, KnownFile, UnchangedFiles
from facesets.records import ImageRecord, Images, Int64
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.copying import INT4, INT8, copy_out, copy_rows, gathered, text, times
from facesets.store.postgres.galleries import gallery_paths
from facesets.store.postgres.paths import escaped, from_text, range_below, separated, to_text, unescaped

_PATHS_IN_ONE_TEXT = 50_000


def known_paths(
    connection: Connection, roots: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, KnownFile]:
    """What was seen at every path that is, or lies below, one of the roots.

    A path whose image was not yet searched for faces in this way counts as changed, so that it is; unless
    `searched` is off.
    """
    found: dict[str, KnownFile] = {}
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
        found.update((from_text(path), KnownFile(size, mtime, failed)) for path, size, mtime, failed in rows)
    return found


def unchanged_below(
    connection: Connection,
    roots: Sequence[str],
    *,
    searched_by: int | None = None,
    embedded_by: int | None = None,
) -> UnchangedFiles:
    """Files below some roots that need no look.

    They were read without fault, searched for faces by a detector, and embedded by a model of whole images;
    None for either does not matter. One text for many paths comes over several times faster than a row each.
    A path that is stored in another form than it has on the disk is left out.
    """
    select: LiteralString = """SELECT p.gallery_id,
            string_agg(concat_ws(E'\\t', p.size, p.mtime_ns, p.path), E'\\n')
        FROM image_paths p"""
    if searched_by is not None:
        select += " JOIN face_scans s ON s.image_id = p.image_id AND s.detector_id = %(detector)s"
    if embedded_by is not None:
        select += " JOIN image_embeddings e ON e.image_id = p.image_id AND e.model_id = %(model)s"
    select += """ WHERE p.reason = '' AND p.image_id IS NOT NULL
        AND (p.path = %(root)s OR (p.path >= %(below)s AND p.path < %(beyond)s))
        GROUP BY p.gallery_id, p.id / %(together)s"""
    given = {"detector": searched_by, "model": embedded_by, "together": _PATHS_IN_ONE_TEXT}
    found: set[str] = set()
    directories: dict[int | None, set[str]] = {}
    for root in dict.fromkeys(roots):
        for gallery, text_of_many in connection.execute(select, given | range_below(root)):
            stamps = separated(text_of_many).split("\n")
            found.update(stamps)
            of_stamps = {stamp.rpartition(os.sep)[0].rpartition("\t")[2] for stamp in stamps}
            directories.setdefault(gallery, set()).update(of_stamps)
    paths = gallery_paths(connection, [number for number in directories if number is not None])
    linked = {
        GalleryLink(from_text(directory), None if number is None else paths.get(number))
        for number, some in directories.items()
        for directory in some
    }
    return UnchangedFiles(found, linked)


def seen_at(
    connection: Connection, paths: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, KnownFile]:
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
    return {from_text(path): KnownFile(size, mtime, failed) for path, size, mtime, failed in rows}


def reasons_at(connection: Connection, paths: Sequence[str]) -> dict[str, str]:
    """Why these paths could not be read, those of them that could not."""
    rows = connection.execute(
        "SELECT path, reason FROM image_paths WHERE path = ANY(%s) AND reason <> ''",
        ([to_text(path) for path in paths],),
    )
    return {from_text(path): unescaped(reason) for path, reason in rows}


def file_records(connection: Connection) -> dict[str, FileRecord]:
    """Every path, with what was seen there, in the order in which they were first seen."""
    rows = connection.execute("SELECT path, size, mtime_ns, sha256, reason FROM image_paths ORDER BY id")
    return {
        path: FileRecord(path, size, mtime_ns, sha256, unescaped(reason))
        for stored, size, mtime_ns, sha256, reason in rows
        for path in (from_text(stored),)
    }


def store_images(connection: Connection, images: Sequence[ImageRecord]) -> tuple[dict[str, int], set[str]]:
    """Insert or replace images.

    Of two transactions that insert the same image at once one fails with a unique violation, and sees
    the other's when it is done again.

    Returns
    -------
    dict, set
        The number of each image by its hash; and the hashes of those that are new.
    """
    # Locked, so that nobody deletes them by hand before their faces are stored.
    known: dict[str, int] = dict(
        connection.execute(
            "SELECT sha256, id FROM images WHERE sha256 = ANY(%s) FOR KEY SHARE",
            ([image.sha256 for image in images],),
        ).fetchall()
    )
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
    """Numbers for new rows of a table with a column `id`, ascending."""
    ids: list[int] = only_row(
        connection.execute(
            """SELECT coalesce(array_agg(nextval(name)), '{}')
                FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name OFFSET 0) AS sequence,
                    generate_series(1, %s)""",
            (table, count),
        )
    )[0]
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


def store_paths(
    connection: Connection,
    files: Sequence[FileRecord],
    image_ids: Mapping[str, int],
    galleries: Mapping[str, int] | None = None,
) -> None:
    """Insert or replace what was seen at these paths, and join them to their images.

    Parameters
    ----------
    image_ids : mapping of hash to number
        Images that are known to be there; others are looked for.
    galleries : mapping of path to number of its gallery, optional
    """
    # The last word on a path that comes twice counts, in the place of the first.
    files = list({file.path: file for file in files}.values())
    others = [file.sha256 for file in files if not file.reason and file.sha256 not in image_ids]
    ids = {**image_ids, **numbers_of(connection, others)} if others else image_ids
    there = _galleries_that_are_there(connection, galleries or {})
    known = {
        path
        for (path,) in connection.execute(
            "SELECT path FROM image_paths WHERE path = ANY(%s)", ([to_text(file.path) for file in files],)
        )
    }
    rows = [
        (
            to_text(file.path),
            file.size,
            file.mtime_ns,
            file.sha256,
            escaped(file.reason).replace("\0", " "),
            None if file.reason else ids.get(file.sha256),
            there.get(file.path),
        )
        for file in files
    ]
    if known:
        _update_paths(connection, [row for row in rows if row[0] in known])
    copy_rows(
        connection,
        """COPY image_paths (path, size, mtime_ns, sha256, reason, image_id, gallery_id)
            FROM STDIN (FORMAT BINARY)""",
        ["text", "int8", "int8", "text", "text", "int8", "int8"],
        (row for row in rows if row[0] not in known),
    )


def numbers_of(connection: Connection, sha256: Sequence[str]) -> dict[str, int]:
    """The numbers of those images that are there, by their hashes; they stay until the transaction ends."""
    rows = connection.execute(
        "SELECT sha256, id FROM images WHERE sha256 = ANY(%s) FOR KEY SHARE", (list(sha256),)
    )
    return dict(rows.fetchall())


def _galleries_that_are_there(connection: Connection, galleries: Mapping[str, int]) -> dict[str, int]:
    """The galleries of paths, without those that were deleted by hand."""
    if not galleries:
        return {}
    rows = connection.execute(
        "SELECT id FROM galleries WHERE id = ANY(%s) FOR KEY SHARE", (list(set(galleries.values())),)
    )
    there = {number for (number,) in rows}
    return {path: number for path, number in galleries.items() if number in there}


def _update_paths(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    names = ("path", "size", "mtime_ns", "sha256", "reason", "image", "gallery")
    connection.execute(
        """UPDATE image_paths p SET size = new.size, mtime_ns = new.mtime_ns, sha256 = new.sha256,
                reason = new.reason, image_id = new.image, gallery_id = coalesce(new.gallery, p.gallery_id)
            FROM unnest(%(path)s::text[], %(size)s::bigint[], %(mtime_ns)s::bigint[], %(sha256)s::text[],
                %(reason)s::text[], %(image)s::bigint[], %(gallery)s::bigint[])
                AS new (path, size, mtime_ns, sha256, reason, image, gallery)
            WHERE p.path = new.path""",
        {name: [row[i] for row in rows] for i, name in enumerate(names)},
    )


def link_paths(connection: Connection, sha256: Sequence[str]) -> None:
    """Join paths that were stored before their image."""
    # Hardly ever is there one, and to look for each hash takes longer than to see that.
    if connection.execute("SELECT FROM image_paths WHERE image_id IS NULL LIMIT 1").fetchone() is None:
        return
    connection.execute(
        """UPDATE image_paths p SET image_id = i.id FROM images i
            WHERE p.image_id IS NULL AND p.reason = '' AND p.sha256 = ANY(%s) AND i.sha256 = p.sha256""",
        (list(sha256),),
    )


def forget_paths(connection: Connection, paths: Sequence[str]) -> None:
    """Drop paths; an image that no path leads to any more stays, for its file may come back elsewhere."""
    connection.execute("DELETE FROM image_paths WHERE path = ANY(%s)", ([to_text(path) for path in paths],))


def paths_with(connection: Connection, sha256: Sequence[str]) -> dict[str, list[str]]:
    """The paths of images with these contents, in the order in which they were first seen."""
    rows = connection.execute(
        """SELECT i.sha256, p.path FROM images i JOIN image_paths p ON p.image_id = i.id
            WHERE i.sha256 = ANY(%s) ORDER BY p.id""",
        (list(sha256),),
    )
    found: dict[str, list[str]] = {}
    for digest, path in rows:
        found.setdefault(digest, []).append(from_text(path))
    return found


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
