"""The interfaces of the program: its replaceable parts and their contracts.

Operations take these and never name an implementation; the command line chooses one.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard

from facesets.file_records import FileRecord, FoundFile
from facesets.records import (
    CacheSettings,
    ClipModel,
    Collection,
    Description,
    Faces,
    ImageRecord,
    Pixels,
    Wanted,
)

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library


class Progress(Protocol):
    """Receives the progress of work. Calls are cheap: an implementation limits its own rate."""

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Open a stage of `total` steps, if that is known; steps may be bytes."""
        ...

    def advance(self, count: int = 1) -> None:
        """Count `count` more steps of the open stage."""
        ...

    def say(self, line: str) -> None:
        """Pass on one line that a user should see."""
        ...

    def end(self) -> None:
        """Close the open stage."""
        ...


class Source(Protocol):
    """A source of images: a folder, a gallery tree, a queue."""

    @property
    def label(self) -> str:
        """The name for messages."""
        ...

    def files(self) -> Iterator[FoundFile]:
        """Yield every candidate file, in an order that depends only on the files' names."""
        ...

    def covers(self, path: str) -> bool:
        """Whether `files` would list that path if it existed."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether the user excludes anything; known once `files` is complete."""
        ...

    @property
    def ignored(self) -> AbstractSet[str]:
        """Files and folders excluded by ignore files; complete once `files` is."""
        ...

    def is_there(self) -> bool:
        """Whether the source as a whole can still be read (a mount may vanish)."""
        ...


class Embedder(Protocol):
    """Turns pictures into faces: in this process, or on a server."""

    @property
    def settings(self) -> CacheSettings:
        """The models and the detection settings of the faces."""
        ...

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture.

        The result for a picture depends on that picture alone, never on its neighbors in the
        batch. May be called from several threads at once.
        """
        ...


class Describer(Protocol):
    """Turns pictures into all data that the library stores: in this process, or on a server."""

    @property
    def faces_from(self) -> CacheSettings | None:
        """The models of faces; None if none are detected."""
        ...

    @property
    def clip_from(self) -> ClipModel | None:
        """The model of whole pictures; None without one."""
        ...

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Return the wanted results about each picture.

        The result for a picture depends on that picture alone, never on its neighbors in the
        batch. May be called from several threads at once.
        """
        ...


class Store(Protocol):
    """A store of faces. `load` is for algorithms, the rest for code that fills the store."""

    @property
    def label(self) -> str:
        """The name for messages."""
        ...

    @property
    def kind(self) -> Literal["cache", "library"]:
        """The kind of store, for advice that names a command."""
        ...

    @property
    def identity(self) -> str:
        """The store's id, independent of its location; a copy has the same. Empty while there is none."""
        ...

    @property
    def names_file(self) -> Path | None:
        """The file with the names of people in results of this store; None without one."""
        ...

    @property
    def settings(self) -> CacheSettings | None:
        """The models of its vectors; None while it is empty."""
        ...

    def load(self) -> Collection:
        """Load everything: images that still have a path, and their faces."""
        ...

    def files(self) -> Mapping[str, FileRecord]:
        """Return every known path with its record."""
        ...

    def has_image(self, sha256: str) -> bool:
        """Whether this content is already embedded."""
        ...

    def has_images(self, sha256: Sequence[str]) -> set[str]:
        """Return which of these contents were embedded already."""
        ...

    def writing(self, settings: CacheSettings) -> AbstractContextManager[None]:
        """Within this block, commit data with these models."""
        ...

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Store these durably, all or nothing. A known image or path is replaced."""
        ...

    def forget_paths(self, paths: Sequence[str]) -> None:
        """Forget these paths; their images stay, and are recognized by their content."""
        ...

    def relocate_paths(self, old: str, new: str, paths: Mapping[str, str]) -> None:
        """Rename paths below the folder `old` to names below `new`; none of these is known yet."""
        ...

    def annotate(self, images: Sequence[ImageRecord]) -> None:
        """Store results of `enrich` about existing faces, all or nothing.

        Nothing else changes: a face deleted meanwhile does not come back.
        """
        ...


def is_library(store: Store) -> TypeGuard["Library"]:
    """Whether a store is the library."""
    return store.kind == "library"
