"""The seams of the program: what may be swapped, and what each part promises.

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
    """Hears how far the work is. Calls are cheap: an implementation limits its own rate."""

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Open a stage, of `total` steps where that is known; steps may be bytes."""
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
    """Where images come from: a folder, a gallery tree, a queue."""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        ...

    def files(self) -> Iterator[FoundFile]:
        """Every candidate file, in an order that depends on nothing but the files' names."""
        ...

    def covers(self, path: str) -> bool:
        """Whether `files` would list that path if it were there."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether the user leaves something out; known once `files` is through."""
        ...

    @property
    def ignored(self) -> AbstractSet[str]:
        """Files and folders that the user leaves out by ignore files; complete once `files` is through."""
        ...

    def is_there(self) -> bool:
        """Whether the source as a whole can still be read (a mount may vanish)."""
        ...


class Embedder(Protocol):
    """Turns pictures into faces: in this process, or on a server."""

    @property
    def settings(self) -> CacheSettings:
        """The models and the detection settings that the faces come from."""
        ...

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces of each picture.

        The result for a picture depends on that picture alone, never on its neighbours in the
        batch. May be called from several threads at once.
        """
        ...


class Describer(Protocol):
    """Turns pictures into all that the library keeps of them: in this process, or on a server."""

    @property
    def faces_from(self) -> CacheSettings | None:
        """What faces come from; None where they are not looked for."""
        ...

    @property
    def clip_from(self) -> ClipModel | None:
        """What embeds whole pictures; None where nothing does."""
        ...

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Find out about each picture what is wanted of it.

        The result for a picture depends on that picture alone, never on its neighbours in the
        batch. May be called from several threads at once.
        """
        ...


class Store(Protocol):
    """Where faces live. `load` is for algorithms, the rest for whatever fills the store."""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        ...

    @property
    def kind(self) -> Literal["cache", "library"]:
        """Which of the two stores it is, for advice that names a command."""
        ...

    @property
    def identity(self) -> str:
        """Which store it is, wherever it lies; a copy has the same. Empty while there is none."""
        ...

    @property
    def names_file(self) -> Path | None:
        """Where it is kept what people are called in the results of this store; None for nowhere."""
        ...

    @property
    def settings(self) -> CacheSettings | None:
        """What its vectors come from; None while it is empty."""
        ...

    def load(self) -> Collection:
        """Everything it holds: images that still have a path, and their faces."""
        ...

    def files(self) -> Mapping[str, FileRecord]:
        """Every path it knows, with what was seen there."""
        ...

    def has_image(self, sha256: str) -> bool:
        """Whether that content was embedded already."""
        ...

    def has_images(self, sha256: Sequence[str]) -> set[str]:
        """Which of these contents were embedded already."""
        ...

    def writing(self, settings: CacheSettings) -> AbstractContextManager[None]:
        """What is committed within this block comes from these settings."""
        ...

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Keep these for good, all or nothing. An image or path known before is replaced."""
        ...

    def forget_paths(self, paths: Sequence[str]) -> None:
        """Know these paths no more; their images stay, and are known again by their content."""
        ...

    def relocate_paths(self, old: str, new: str, paths: Mapping[str, str]) -> None:
        """Know paths below the folder `old` by their names below `new`; none of these is known yet."""
        ...

    def annotate(self, images: Sequence[ImageRecord]) -> None:
        """Keep what `enrich` found about faces that are there, all or nothing.

        Nothing else changes: a face that is gone meanwhile does not come back.
        """
        ...


def is_library(store: Store) -> TypeGuard["Library"]:
    """Whether a store is the library."""
    return store.kind == "library"
