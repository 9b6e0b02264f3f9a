"""Records of files, galleries, runs and tags, between a library and the code that fills it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from facesets.file_records import FoundFile
from facesets.records import ClipModel, Float32, ImageRecord

TagTarget: TypeAlias = Literal["scene", "face"]
SelectionMode: TypeAlias = Literal["single", "multi"]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """The record of a path; `reason` is empty unless the file could not be read."""

    size: int
    mtime_ns: int
    reason: str

    @property
    def failed(self) -> bool:
        """Whether the file could not be read."""
        return bool(self.reason)

    def matches(self, found: FoundFile) -> bool:
        """Whether a file has the recorded size and time."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A model of whole images, as stored in the library."""

    id: int
    model: ClipModel
    dimension: int


@dataclass(frozen=True, slots=True)
class GalleryLink:
    """A directory with known paths, and the path of the gallery that some of them belong to, if any."""

    directory: str
    gallery: str | None


@dataclass(frozen=True, slots=True)
class UnchangedFiles:
    """Files that can be skipped.

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
        Whether the gallery could be read; if not, what is known about it stays.
    """

    path: str
    title: str = ""
    description: str = ""
    entries: Sequence[tuple[str, str]] = ()
    is_read: bool = True


@dataclass
class RecordedRun:
    """A current run; fill in the result before it ends."""

    id: int
    summary: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person with corrections.

    Attributes
    ----------
    names : tuple of str
        The main name first; none for an unnamed person.
    former : tuple of str
        Former names.
    faces : frozenset of str
        Ids of their faces, as `Collection.face_ids` gives them.
    refused : frozenset of str
        Ids of faces denied for them.
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
        The image's number; photos are ordered by it.
    image : ImageRecord
        Its data. Its faces have boxes, keypoints and scores, and empty vectors.
    files : tuple of FoundFile
        Where it was seen, the canonical path first, with size and time as they were then.
    """

    number: int
    image: ImageRecord
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class PhotosOfStage:
    """The photos that a step should process.

    Attributes
    ----------
    stage, version : str
        Photos that this stage did not look at in this version.
    below : tuple of str
        Only photos with a path that is, or lies below, one of these; all if empty.
    failed : bool
        Also photos where the stage failed.
    done : bool
        Also photos where it succeeded.
    """

    stage: str
    version: str
    below: tuple[str, ...] = ()
    failed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class TagWord:
    """A tag, and its phrases for prompts."""

    name: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagCategory:
    """Tags that are compared with each other.

    Attributes
    ----------
    target : str
        The subject: whole photos, or faces.
    selection_mode : str
        `single` keeps the best tag, `multi` every one.
    min_confidence : float
        Tags below it are not stored.
    templates : tuple of str
        Each with `{}` in place of a phrase.
    none_of_these : tuple of str
        Prompts for none of the tags; they take their share of the confidence.
    """

    name: str
    target: TagTarget
    selection_mode: SelectionMode
    min_confidence: float
    templates: tuple[str, ...]
    words: tuple[TagWord, ...]
    none_of_these: tuple[str, ...] = ()

    def prompts(self) -> list[list[str]]:
        """The prompts of each tag in order, then those for none of the tags, if any."""
        of_tags = [
            [template.replace("{}", phrase) for template in self.templates for phrase in word.phrases]
            for word in self.words
        ]
        return of_tags + ([list(self.none_of_these)] if self.none_of_these else [])

    @property
    def prompts_sha256(self) -> str:
        """Hex digest of everything its vectors depend on, apart from the model."""
        return _digest(self.prompts())

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that the tags of photos depend on, apart from model and logit scale."""
        names = [word.name for word in self.words]
        return _digest([self.target, self.selection_mode, self.min_confidence, names, self.prompts()])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredCategory:
    """A category with its number, and those of its tags in their order."""

    number: int
    category: TagCategory
    tags: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """Hex digest of its content and the rows of its tags: a deleted row deletes photos' tags."""
        return _digest([self.number, self.tags, self.category.fingerprint])


@dataclass(frozen=True, slots=True)
class FoundTags:
    """The tags that a CLIP model gave a photo, or the faces on it: the value of a finding.

    Attributes
    ----------
    dimension : int
        Of the model's vectors.
    row, tag, confidence : tuples
        For each tag, the row of the face (0 for a photo), the tag's number, and its confidence in [0, 1].
    embeddings : float32 array of shape (n, dimension) or None
        The vectors of the faces' crops; None for a photo, which has its own elsewhere.
    """

    model: ClipModel
    dimension: int
    row: tuple[int, ...]
    tag: tuple[int, ...]
    confidence: tuple[float, ...]
    embeddings: Float32 | None = None

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """Row, tag and confidence of each."""
        return zip(self.row, self.tag, self.confidence, strict=True)
