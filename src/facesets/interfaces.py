"""The seams of the program: what may be swapped, and what each part promises.

Operations take these and never name an implementation; the command line chooses one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeGuard

from facesets.file_records import FileRecord, FoundFile
from facesets.library_records import (
    GalleryLink,
    GalleryRow,
    KnownFile,
    KnownPerson,
    PendingPhoto,
    PhotosOfStage,
    RecordedRun,
    UnchangedFiles,
)
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


class Claims(Protocol):
    """Things that this process, and nobody else, is working on. Safe to use from several threads."""

    def take(self, names: Sequence[str]) -> set[str]:
        """Claim what is free; return the names that are ours now. What is ours already is not free."""
        ...

    def holds(self, name: str) -> bool:
        """Whether this is still ours: somebody else may have taken it while the server was unavailable."""
        ...

    def release(self, names: Sequence[str]) -> None:
        """Let others have these."""
        ...


class LibraryStore(Store, Protocol):
    """A store that several runs fill at once, and that keeps galleries and whole images' embeddings, too."""

    @property
    def closed(self) -> bool:
        """Whether there is no session with the server at the moment."""
        ...

    def searched_by(self) -> CacheSettings | None:
        """The way that most images were searched in; None while none was."""
        ...

    def has_people(self) -> bool:
        """Whether there is any person, named or not."""
        ...

    def said_people(self) -> Sequence[KnownPerson]:
        """Everybody of whom a human said something, and their faces."""
        ...

    def note_results(self, folders: Iterable[Path]) -> None:
        """Keep that these folders are about to hold results of it."""
        ...

    def looking_for(self, faces_from: CacheSettings | None, clip_from: ClipModel | None) -> "LibraryStore":
        """The same library, in which an image counts as known when it has the faces and embedding of these.

        What is None does not matter. What is stored through it comes from these.
        """
        ...

    def claims(self, kind: Literal["path", "content"]) -> Claims:
        """Things of one kind that nobody else works on while this session holds them."""
        ...

    def recorded_run(
        self, command: str, options: Mapping[str, Any], *, dry_run: bool = False
    ) -> AbstractContextManager[RecordedRun]:
        """Record a run from start to end, unless it is a dry one."""
        ...

    def fits(self, path: str) -> bool:
        """Whether a path is short enough to be kept."""
        ...

    def lacking(self, sha256: str) -> tuple[bool, Wanted]:
        """Whether that content is known, and what it lacks of what is looked for."""
        ...

    def unchanged_below(self, roots: Sequence[str]) -> UnchangedFiles:
        """Files below some directories that need no look."""
        ...

    def known_below(self, roots: Sequence[str]) -> Mapping[str, KnownFile]:
        """What was seen at the paths below some directories."""
        ...

    def seen_at(self, paths: Sequence[str]) -> Mapping[str, KnownFile]:
        """What was seen at these very paths."""
        ...

    def reasons(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Why these paths could not be read, those of them that could not."""
        ...

    def paths_with(self, sha256: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The paths that lead to each of these images."""
        ...

    def add(
        self,
        files: Sequence[FileRecord],
        images: Sequence[ImageRecord],
        gallery_numbers: Mapping[str, int] | None = None,
    ) -> None:
        """As `commit`, but an image that is there already stays as it is.

        Parameters
        ----------
        gallery_numbers : mapping of path to number of its gallery, optional
        """
        ...

    def note_missing(
        self,
        roots: Sequence[str] | None,
        gone: Callable[[Sequence[str]], Sequence[str]],
        is_there: Callable[[FoundFile], bool],
    ) -> int:
        """Note which photos, of all or below some folders, have no file any more; return how many have none.

        Parameters
        ----------
        gone : function
            Those of some paths where surely nothing is any more.
        is_there : function
            Whether a file of a missing photo is there again.
        """
        ...

    def pending(self, photos: PhotosOfStage, *, after: int, limit: int) -> Sequence[PendingPhoto]:
        """The next photos that a stage is to look at, with numbers beyond `after`, ascending."""
        ...

    def count_pending(self, photos: PhotosOfStage) -> int:
        """How many photos a stage is to look at."""
        ...

    def keep_findings(self, images: Sequence[ImageRecord]) -> AbstractSet[str]:
        """Keep what stages found about images that are there, all or nothing; nothing else changes.

        Returns the contents of those of which something was kept.
        """
        ...

    def keep_galleries(self, rows: Sequence[GalleryRow]) -> Mapping[str, int]:
        """Insert or replace galleries that differ; return the number of each by its path."""
        ...

    def linked_at(self, paths: Sequence[str]) -> set[GalleryLink]:
        """Which galleries these very paths belong to."""
        ...

    def let_belong(self, directories: Mapping[str, int]) -> None:
        """Let the known paths in these directories belong to galleries, which are given by number."""
        ...


def is_library(store: Store) -> TypeGuard[LibraryStore]:
    """Whether a store is the library."""
    return store.kind == "library"
