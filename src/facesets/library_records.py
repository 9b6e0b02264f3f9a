"""What a library says of files, galleries and runs, between the store and whoever fills it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from facesets.records import FoundFile, ImageRecord


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is known of a path without reading the file."""

    size: int
    mtime_ns: int
    failed: bool

    def matches(self, found: FoundFile) -> bool:
        """Whether the file is, by size and time, the one seen before."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)


@dataclass(frozen=True, slots=True)
class GalleryLink:
    """A directory with known paths, and the path of the gallery that some of them belong to, or none."""

    directory: str
    gallery: str | None


@dataclass(frozen=True, slots=True)
class UnchangedFiles:
    """Files that need no look.

    Attributes
    ----------
    stamps : set of str
        Size, time and path of each, with tabs between.
    linked : set of GalleryLink
        Their directories, and the galleries that they belong to.
    """

    stamps: set[str]
    linked: set[GalleryLink]


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """A gallery to store.

    Attributes
    ----------
    entries : sequence of (file, caption)
        In the gallery's own order.
    is_read : bool
        False where nothing could be found out about it, which takes the place of nothing that is known.
    """

    path: str
    title: str = ""
    description: str = ""
    entries: Sequence[tuple[str, str]] = ()
    is_read: bool = True


@dataclass
class RecordedRun:
    """A run that is going on; fill in what came of it before it ends."""

    id: int
    summary: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody of whom a human said something.

    Attributes
    ----------
    names : tuple of str
        The first is the one that the person goes by; none where nobody named them.
    former : tuple of str
        What they were called before.
    faces : frozenset of str
        Ids of their faces, as `Collection.face_ids` gives them.
    refused : frozenset of str
        Ids of faces that were said not to be them.
    """

    id: str
    names: tuple[str, ...]
    former: tuple[str, ...]
    is_hidden: bool
    faces: frozenset[str]
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PendingPhoto:
    """A photo that a stage has not looked at.

    Attributes
    ----------
    number : int
        Of the image; photos come by rising numbers.
    image : ImageRecord
        What is known of it. Its faces have boxes, keypoints and scores, and vectors without numbers.
    files : tuple of FoundFile
        Where it was seen, the canonical path first, with size and time as they were then.
    """

    number: int
    image: ImageRecord
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class PhotosOfStage:
    """Which photos a stage is to look at.

    Attributes
    ----------
    stage, version : str
        Photos that this stage did not look at in this version.
    below : tuple of str
        Only photos with a path that is, or lies below, one of these; all for none.
    failed : bool
        Those where it failed, too.
    done : bool
        Those where it came to something, too.
    """

    stage: str
    version: str
    below: tuple[str, ...] = ()
    failed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class AgeRange:
    """How old somebody is on a photo, in full years, both ends included."""

    youngest: int
    oldest: int
