"""Folders that commands wrote results of the library to."""

from collections.abc import Iterable
from pathlib import Path

from facesets.files import plain_path
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text, to_text


def note_results(connection: Connection, folders: Iterable[Path]) -> None:
    """Keep that these folders are about to hold results."""
    connection.execute(
        """INSERT INTO result_folders (path) SELECT unnest(%s::text[])
            ON CONFLICT (path) DO UPDATE SET written_at = now()""",
        (sorted({to_text(str(plain_path(folder))) for folder in folders}),),
    )


def noted_results(connection: Connection) -> list[Path]:
    """Folders that held results, whatever is there by now."""
    return [
        Path(from_text(path)) for path in connection.scalars("SELECT path FROM result_folders ORDER BY 1")
    ]
