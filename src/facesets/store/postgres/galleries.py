"""Galleries, as their files describe them."""

import json
from collections.abc import Sequence

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text, to_text

GalleryRow = tuple[str, str, str, Sequence[tuple[str, str]]]
"""Path, title, description, and (file, caption) in order."""


def upsert_galleries(connection: Connection, galleries: Sequence[GalleryRow]) -> dict[str, int]:
    """Insert or replace galleries; return the number of each by its path."""
    rows = connection.execute(
        """INSERT INTO galleries (path, title, description, entries)
            SELECT * FROM unnest(%(path)s::text[], %(title)s::text[], %(description)s::text[],
                %(entries)s::json[]) AS new ORDER BY 1
            ON CONFLICT (path) DO UPDATE SET title = excluded.title, description = excluded.description,
                entries = excluded.entries, seen_at = now()
            RETURNING path, id""",
        {
            "path": [to_text(path) for path, *_ in galleries],
            "title": [title for _, title, *_ in galleries],
            "description": [description for _, _, description, _ in galleries],
            "entries": [
                json.dumps([{"file": to_text(file), "caption": caption} for file, caption in entries])
                for *_, entries in galleries
            ],
        },
    ).fetchall()
    return {from_text(path): number for path, number in rows}
