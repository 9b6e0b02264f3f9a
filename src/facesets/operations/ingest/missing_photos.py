"""Which photos are missing: no file is left at any path of theirs, and surely so; and which are back."""

import os
from collections.abc import Container, Sequence

from facesets.file_records import FoundFile
from facesets.files import mtime_ns_of
from facesets.operations.ingest.unavailable_sources import belongs
from facesets.sources.galleries import GallerySource
from facesets.sources.missing import removed
from facesets.store.postgres.library import Library


def note_missing(library: Library, source: GallerySource | None = None, listed: Sequence[str] = ()) -> int:
    """Note which photos of the library, or below the targets of a source, are missing; return how many.

    Photos that are known to be missing are looked for wherever they were. A file that is there, but otherwise
    than it was, is for `index` to read.

    Parameters
    ----------
    listed : sequence of str
        Stamps of files that are there, and are not looked for again.
    """
    there: Container[str] = {FoundFile.of_stamp(stamp).path for stamp in listed}

    def gone(paths: Sequence[str]) -> list[str]:
        found = list(removed(path for path in paths if path not in there))
        # Asked afterwards, for a drive may go at any moment.
        unavailable = [] if source is None or not found else source.unavailable()
        return [path for path in found if not any(belongs(path, root) for root in unavailable)]

    return library.note_missing(None if source is None else source.roots, gone, _is_there)


def _is_there(file: FoundFile) -> bool:
    try:
        status = os.stat(file.path)  # noqa: PTH116 - as when it was seen
    except (OSError, ValueError):
        return False
    return (file.size, file.mtime_ns) == (status.st_size, mtime_ns_of(status))
