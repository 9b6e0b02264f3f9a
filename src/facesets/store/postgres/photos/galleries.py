"""Galleries as described by their files, and their paths."""

import json
from collections.abc import Mapping, Sequence

from facesets.library_records import GalleryLink, GalleryRow
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import escaped, from_text, to_text


def linked_at(connection: Connection, paths: Sequence[str]) -> set[GalleryLink]:
    """Return the directories of these exact paths."""
    rows = connection.execute(
        """SELECT p.path, g.path FROM image_paths p LEFT JOIN galleries g ON g.id = p.gallery_id
            WHERE p.path = ANY(%s)""",
        ([to_text(path) for path in paths],),
    )
    return {
        GalleryLink(from_text(path.rpartition("/")[0]), None if gallery is None else from_text(gallery))
        for path, gallery in rows
    }


def gallery_paths(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Return the paths of these galleries."""
    rows = connection.execute("SELECT id, path FROM galleries WHERE id = ANY(%s)", (list(numbers),))
    return {number: from_text(path) for number, path in rows}


def store_galleries(connection: Connection, galleries: Sequence[GalleryRow]) -> dict[str, int]:
    """Insert or update galleries; return the number of each by path."""
    given = {to_text(row.path): row for row in galleries}
    known: dict[str, tuple[int, str, str, str]] = {
        path: (number, *described)
        for path, number, *described in connection.execute(
            "SELECT path, id, title, description, entries::text FROM galleries WHERE path = ANY(%s)",
            (list(given),),
        )
    }
    changed = [
        row
        for path, row in given.items()
        if path not in known or (row.is_read and known[path][1:] != _described(row))
    ]
    numbers = {from_text(path): number for path, (number, *_) in known.items()}
    return numbers | _upsert(connection, changed) if changed else numbers


def assign_to_galleries(connection: Connection, directories: Mapping[str, int]) -> None:
    """Assign the known paths in these directories to galleries, by number."""
    # Locked, so that they are not deleted manually meanwhile; those just deleted wait for the next run.
    connection.execute(
        """WITH new AS MATERIALIZED (
                SELECT directory, id FROM unnest(%s::text[], %s::bigint[]) AS given (directory, gallery)
                JOIN galleries g ON g.id = given.gallery FOR KEY SHARE OF g)
            UPDATE image_paths p SET gallery_id = new.id FROM new
            WHERE left(p.path, -strpos(reverse(p.path), '/')) = new.directory
                AND p.gallery_id IS DISTINCT FROM new.id""",
        ([to_text(path) for path in directories], list(directories.values())),
    )


def _upsert(connection: Connection, galleries: Sequence[GalleryRow]) -> dict[str, int]:
    described = [_described(row) for row in galleries]
    rows = connection.execute(
        """INSERT INTO galleries (path, title, description, entries)
            SELECT * FROM unnest(%(path)s::text[], %(title)s::text[], %(description)s::text[],
                %(entries)s::json[]) AS new ORDER BY 1
            ON CONFLICT (path) DO UPDATE SET title = excluded.title, description = excluded.description,
                entries = excluded.entries, seen_at = now()
            RETURNING path, id""",
        {
            "path": [to_text(row.path) for row in galleries],
            "title": [title for title, *_ in described],
            "description": [description for _, description, _ in described],
            "entries": [entries for *_, entries in described],
        },
    ).fetchall()
    return {from_text(path): number for path, number in rows}


def _described(row: GalleryRow) -> tuple[str, str, str]:
    """Return title, description and entries as stored."""
    listed = [{"file": escaped(file), "caption": caption} for file, caption in row.entries]
    return row.title, row.description, json.dumps(listed)
