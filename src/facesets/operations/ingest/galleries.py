"""What `index` keeps of galleries, which is renewed by every run, whether or not a photo is new."""

import os
from collections.abc import Collection, Sequence

from facesets.file_records import FileRecord
from facesets.library_records import GalleryLink, GalleryRow
from facesets.sources.galleries import Gallery, GallerySource
from facesets.store.postgres.library import Library


class GalleryNumbers:
    """The galleries of new files, each stored when the first of its files is."""

    def __init__(self, source: GallerySource, library: Library) -> None:
        """Work for one source whose listing is through."""
        self._source = source
        self._library = library
        self._numbers: dict[str, int] = {}

    def of_files(self, files: Sequence[FileRecord]) -> dict[str, int]:
        """The number of each file's gallery, by the file's path."""
        directories = {file.path: self._source.gallery_of(file.path) for file in files}
        new = sorted(set(directories.values()) - self._numbers.keys())
        if new:
            self._numbers |= self._library.keep_galleries([_row(self._source, path) for path in new])
        return {path: self._numbers[directory] for path, directory in directories.items()}


def renew_galleries(source: GallerySource, library: Library, linked: Collection[GalleryLink]) -> None:
    """Bring what the library says of the galleries of known photos up to date.

    A photo whose gallery lies above the targets keeps it, for this run knows nothing of that one.

    Parameters
    ----------
    linked : collection of GalleryLink
        What the library knew when the targets were listed.
    """
    known = source.galleries
    right: set[str] = set()
    wrong: dict[str, str] = {}
    for link in linked:
        if link.directory in known and (link.gallery in known or not _is_above(link.gallery, source.roots)):
            gallery = source.gallery_of(os.path.join(link.directory, ""))  # noqa: PTH118 - keeps the last slash
            right.add(gallery)
            if link.gallery != gallery:
                wrong[link.directory] = gallery
    numbers = library.keep_galleries([_row(source, path) for path in sorted(right)]) if right else {}
    if wrong:
        library.let_belong({directory: numbers[gallery] for directory, gallery in wrong.items()})


def _is_above(gallery: str | None, roots: Sequence[str]) -> bool:
    return gallery is not None and any(root.startswith(gallery.rstrip("/") + "/") for root in roots)


def _row(source: GallerySource, path: str) -> GalleryRow:
    gallery = source.galleries.get(path) or Gallery(path)
    return GalleryRow(path, gallery.title, gallery.description, gallery.entries, is_read=not gallery.problem)
