"""The library seen from a host where photos lie at other paths: it takes and gives those of this host."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from facesets.file_records import FileRecord
from facesets.library_records import GalleryLink, GalleryRow, KnownFile
from facesets.path_map import PathMap
from facesets.records import CacheSettings, ClipModel, ImageRecord
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

T = TypeVar("T")


class MappedLibrary(Library):
    """As far as photos are taken in; stored are the paths that the library knows."""

    def __init__(
        self,
        database: Database,
        paths: PathMap,
        settings: CacheSettings | None = None,
        *,
        clip: ClipModel | None = None,
        searched: bool = True,
    ) -> None:
        """As `Library`, with where its folders are here."""
        super().__init__(database, settings, clip=clip, searched=searched)
        self._paths = paths

    def looking_for(self, faces_from: CacheSettings | None, clip_from: ClipModel | None) -> "MappedLibrary":
        """As `Library.looking_for`."""
        return MappedLibrary(
            self.database, self._paths, faces_from, clip=clip_from, searched=faces_from is not None
        )

    def claims(self, kind: Literal["path", "content"]) -> Claims:
        """As `Library.claims`."""
        return _MappedClaims(self.database, self._paths) if kind == "path" else super().claims(kind)

    def seen_at(self, paths: Sequence[str]) -> dict[str, KnownFile]:
        """As `Library.seen_at`."""
        return self._here(super().seen_at(self._known(paths)))

    def reasons(self, paths: Sequence[str]) -> dict[str, str]:
        """As `Library.reasons`."""
        return self._here(super().reasons(self._known(paths)))

    def known_below(self, roots: Sequence[str]) -> dict[str, KnownFile]:
        """As `Library.known_below`."""
        return self._here(super().known_below(self._known(roots)))

    def forget_paths(self, paths: Sequence[str]) -> None:
        """As `Library.forget_paths`."""
        super().forget_paths(self._known(paths))

    def paths_with(self, sha256: Sequence[str]) -> dict[str, list[str]]:
        """As `Library.paths_with`, without paths that this host does not see: nobody here knows of those."""
        found = super().paths_with(sha256)
        return {
            sha: [self._paths.here(path) for path in paths if self._paths.covers(path)]
            for sha, paths in found.items()
        }

    def keep_galleries(self, rows: Sequence[GalleryRow]) -> dict[str, int]:
        """As `Library.keep_galleries`."""
        return self._here(
            super().keep_galleries([replace(row, path=self._paths.known(row.path)) for row in rows])
        )

    def linked_at(self, paths: Sequence[str]) -> set[GalleryLink]:
        """As `Library.linked_at`."""
        return {
            replace(
                link,
                directory=self._paths.here(link.directory),
                gallery=None if link.gallery is None else self._paths.here(link.gallery),
            )
            for link in super().linked_at(self._known(paths))
        }

    def let_belong(self, directories: Mapping[str, int]) -> None:
        """As `Library.let_belong`."""
        super().let_belong({self._paths.known(path): number for path, number in directories.items()})

    def add(
        self,
        files: Sequence[FileRecord],
        images: Sequence[ImageRecord],
        gallery_numbers: Mapping[str, int] | None = None,
    ) -> None:
        """As `Library.add`."""
        numbers = {self._paths.known(path): number for path, number in (gallery_numbers or {}).items()}
        mapped = [replace(file, path=self._paths.known(file.path)) for file in files]
        super().add(mapped, images, None if gallery_numbers is None else numbers)

    def fits(self, path: str) -> bool:
        """As `Library.fits`."""
        return super().fits(self._paths.known(path))

    def _known(self, paths: Sequence[str]) -> list[str]:
        return [self._paths.known(path) for path in paths]

    def _here(self, of_paths: Mapping[str, T]) -> dict[str, T]:
        return {self._paths.here(path): value for path, value in of_paths.items()}


class _MappedClaims(Claims):
    """Claims of paths by what the library calls them."""

    def __init__(self, database: Database, paths: PathMap) -> None:
        super().__init__(database, "path")
        self._paths = paths

    def take(self, names: Sequence[str]) -> set[str]:
        """As `Claims.take`."""
        return set(map(self._paths.here, super().take([self._paths.known(name) for name in names])))

    def holds(self, name: str) -> bool:
        """As `Claims.holds`."""
        return super().holds(self._paths.known(name))

    def release(self, names: Sequence[str]) -> None:
        """As `Claims.release`."""
        super().release([self._paths.known(name) for name in names])
