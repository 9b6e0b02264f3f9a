"""The paths of images, their file records, and relocation."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString

from psycopg import sql

from facesets.file_records import FileRecord
from facesets.library_records import GalleryLink, KnownFile, UnchangedFiles
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import copy_rows
from facesets.store.postgres.paths import escaped, from_text, range_below, separated, to_text, unescaped
from facesets.store.postgres.photos.galleries import gallery_paths
from facesets.store.postgres.photos.images import numbers_of

_PATHS_IN_ONE_TEXT = 50_000
_SEEN: LiteralString = """SELECT p.path, p.size,
        CASE WHEN p.reason <> '' OR s.image_id IS NOT NULL
            OR (NOT %(searched)s AND p.image_id IS NOT NULL) THEN p.mtime_ns ELSE -1 END,
        p.reason
    FROM image_paths p
    LEFT JOIN face_scans s ON s.image_id = p.image_id AND s.detector_id = %(detector)s
    WHERE """


def known_paths(
    connection: Connection, roots: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, KnownFile]:
    """Return the records of all paths at or below the roots.

    A path whose image was not yet searched with these models counts as changed, so that it is searched;
    unless `searched` is off.
    """
    found: dict[str, KnownFile] = {}
    given = {"detector": detector_id, "searched": searched}
    for root in dict.fromkeys(roots):
        condition = "p.path = %(root)s OR (p.path >= %(below)s AND p.path < %(beyond)s)"
        found |= _known_files(connection.execute(_SEEN + condition, given | range_below(root)))
    return found


def seen_at(
    connection: Connection, paths: Sequence[str], detector_id: int | None, *, searched: bool = True
) -> dict[str, KnownFile]:
    """Return the records of these exact paths; see `known_paths`."""
    given = {"detector": detector_id, "searched": searched, "paths": [to_text(path) for path in paths]}
    return _known_files(connection.execute(_SEEN + "p.path = ANY(%(paths)s)", given))


def _known_files(rows: Iterable[tuple[str, int, int, str]]) -> dict[str, KnownFile]:
    return {from_text(path): KnownFile(size, mtime, unescaped(reason)) for path, size, mtime, reason in rows}


def unchanged_below(
    connection: Connection,
    roots: Sequence[str],
    *,
    searched_by: int | None = None,
    embedded_by: int | None = None,
) -> UnchangedFiles:
    """Return files below some roots that can be skipped.

    They were read successfully, searched for faces by a detector, and embedded by a model of whole images;
    None for either means not required. One text for many paths transfers several times faster than one row
    each. A path stored in another form than on disk is omitted.
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


def known_among(connection: Connection, paths: Sequence[str]) -> set[str]:
    """Return which paths have a file in the library."""
    rows = connection.execute(
        "SELECT path FROM image_paths WHERE path = ANY(%s)", ([to_text(path) for path in paths],)
    )
    return {from_text(path) for (path,) in rows}


def reasons_at(connection: Connection, paths: Sequence[str]) -> dict[str, str]:
    """Return why some of these paths could not be read."""
    rows = connection.execute(
        "SELECT path, reason FROM image_paths WHERE path = ANY(%s) AND reason <> ''",
        ([to_text(path) for path in paths],),
    )
    return {from_text(path): unescaped(reason) for path, reason in rows}


def file_records(connection: Connection) -> dict[str, FileRecord]:
    """Return the record of every path, in the order first seen."""
    rows = connection.execute("SELECT path, size, mtime_ns, sha256, reason FROM image_paths ORDER BY id")
    return {
        path: FileRecord(path, size, mtime_ns, sha256, unescaped(reason))
        for stored, size, mtime_ns, sha256, reason in rows
        for path in (from_text(stored),)
    }


def store_paths(
    connection: Connection,
    files: Sequence[FileRecord],
    image_ids: Mapping[str, int],
    galleries: Mapping[str, int] | None = None,
) -> None:
    """Store the records of paths, and join them to their images.

    Parameters
    ----------
    image_ids : mapping of hash to number
        Images known to exist; others are looked up.
    galleries : mapping of path to number of its gallery, optional
    """
    # If a path comes twice, the last record counts, in the place of the first.
    files = list({file.path: file for file in files}.values())
    others = [file.sha256 for file in files if not file.reason and file.sha256 not in image_ids]
    ids = {**image_ids, **numbers_of(connection, others)} if others else image_ids
    there = _existing_galleries(connection, galleries or {})
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


def _existing_galleries(connection: Connection, galleries: Mapping[str, int]) -> dict[str, int]:
    """Return the galleries of paths that still exist."""
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
                reason = new.reason, image_id = new.image,
                held_id = CASE WHEN p.image_id IS DISTINCT FROM new.image
                    THEN coalesce(p.held_id, p.image_id) ELSE p.held_id END,
                gallery_id = coalesce(new.gallery, p.gallery_id)
            FROM unnest(%(path)s::text[], %(size)s::bigint[], %(mtime_ns)s::bigint[], %(sha256)s::text[],
                %(reason)s::text[], %(image)s::bigint[], %(gallery)s::bigint[])
                AS new (path, size, mtime_ns, sha256, reason, image, gallery)
            WHERE p.path = new.path""",
        {name: [row[i] for row in rows] for i, name in enumerate(names)},
    )


def link_paths(connection: Connection, sha256: Sequence[str]) -> None:
    """Join paths to images that were stored later."""
    # There is hardly ever one, and looking up each hash takes longer than checking that.
    if connection.execute("SELECT FROM image_paths WHERE image_id IS NULL LIMIT 1").fetchone() is None:
        return
    connection.execute(
        """UPDATE image_paths p SET image_id = i.id FROM images i
            WHERE p.image_id IS NULL AND p.reason = '' AND p.sha256 = ANY(%s) AND i.sha256 = p.sha256""",
        (list(sha256),),
    )


def forget_paths(connection: Connection, paths: Sequence[str]) -> None:
    """Remove paths; images without a path stay, because their file may come back elsewhere."""
    connection.execute("DELETE FROM image_paths WHERE path = ANY(%s)", ([to_text(path) for path in paths],))


def paths_with(connection: Connection, sha256: Sequence[str]) -> dict[str, list[str]]:
    """Return the paths of images with these contents, in the order first seen."""
    rows = connection.execute(
        """SELECT i.sha256, p.path FROM images i JOIN image_paths p ON p.image_id = i.id
            WHERE i.sha256 = ANY(%s) ORDER BY p.id""",
        (list(sha256),),
    )
    found: dict[str, list[str]] = {}
    for digest, path in rows:
        found.setdefault(digest, []).append(from_text(path))
    return found


_BETWEEN = ">"
"""Prefix of paths while they move; no absolute path begins with it, so that none collide."""


def relocate_paths(connection: Connection, paths: Mapping[str, str]) -> None:
    """Rename paths; no new name may be that of a remaining path."""
    given = {
        "old": [to_text(path) for path in paths],
        "new": [_BETWEEN + to_text(path) for path in paths.values()],
        "between": _BETWEEN,
    }
    connection.execute(
        """UPDATE image_paths p SET path = moved.new
            FROM unnest(%(old)s::text[], %(new)s::text[]) AS moved (old, new) WHERE p.path = moved.old""",
        given,
    )
    connection.execute(
        "UPDATE image_paths SET path = substr(path, 2) WHERE starts_with(path, %(between)s)", given
    )
    _relocate_sidecars(connection, given)


def _relocate_sidecars(connection: Connection, given: Mapping[str, object]) -> None:
    """Move the records of sidecars with their photos."""
    for table in map(sql.Identifier, ("xmp_sidecars", "xmp_changes")):
        for statement in (
            """UPDATE {table} t SET path = moved.new
                FROM unnest(%(old)s::text[], %(new)s::text[]) AS moved (old, new) WHERE t.path = moved.old""",
            """DELETE FROM {table} t USING {table} m
                WHERE starts_with(m.path, %(between)s) AND t.path = substr(m.path, 2)""",
            "UPDATE {table} SET path = substr(path, 2) WHERE starts_with(path, %(between)s)",
        ):
            connection.execute(sql.SQL(statement).format(table=table), given)


def relocate_galleries(connection: Connection, old: str, new: str) -> None:
    """Relocate galleries to another folder, keeping existing ones there."""
    given = range_below(old) | {"new": to_text(new), "between": _BETWEEN}
    # If the new place of a gallery is known, its photos belong to the gallery there from now on.
    connection.execute(
        """WITH moved AS (
                SELECT id, %(new)s || substr(path, length(%(root)s) + 1) AS target FROM galleries
                WHERE path = %(root)s OR (path >= %(below)s AND path < %(beyond)s)
            ), both_known AS (
                SELECT moved.id, g.id AS there FROM moved JOIN galleries g ON g.path = moved.target
                WHERE g.id NOT IN (SELECT id FROM moved)
            ), repointed AS (
                UPDATE image_paths p SET gallery_id = b.there FROM both_known b WHERE p.gallery_id = b.id
            )
            UPDATE galleries g
            SET path = %(between)s || CASE WHEN b.id IS NULL THEN '' ELSE '!' END || m.target
            FROM moved m LEFT JOIN both_known b ON b.id = m.id WHERE g.id = m.id""",
        given,
    )
    connection.execute("DELETE FROM galleries WHERE starts_with(path, %(between)s || '!')", given)
    connection.execute(
        "UPDATE galleries SET path = substr(path, 2) WHERE starts_with(path, %(between)s)", given
    )
