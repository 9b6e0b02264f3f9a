"""The manifests of face sets for other tools: one of the whole export, and one in each set's folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from facesets.formats.face_models.kinds import BUNDLE_SUFFIX
from facesets.results.manifest import Correction, DroppedFace, FaceEntry, Failure, Provenance
from facesets.results.manifest_values import CropSquare, Finite, Integer, Name, Place, Text


@dataclass(frozen=True, slots=True)
class QualityParts:
    """The five parts of a face's quality, each in [0, 1], and their weighted sum."""

    frontality: float
    det_score: float
    symmetry: float
    face_size: float
    sharpness: float
    total: float


@dataclass(frozen=True, slots=True)
class ExportedFace:
    """One PNG of a face set.

    Attributes
    ----------
    file : str
        Its name in the set's folder: the set's, and the rank, 0 being best.
    crop : tuple of float
        x, y and edge of the square that was cut, in pixels of the upright image.
    masked : int
        How many bystanders were painted over.
    centroid_cosine_distance : float
        From the face to the mean of its set.
    crop_cosine_similarity : float
        Between the cached embedding and that of the face detected again in the PNG.
    duplicates : tuple of str
        Faces that look the same and were dropped for this one.
    """

    file: Name
    face: FaceEntry
    quality: QualityParts
    crop: CropSquare
    masked: Integer
    centroid_cosine_distance: float
    crop_cosine_similarity: float
    duplicates: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Size and digest of a file of ours."""

    size: Integer
    sha256: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SetManifest:
    """The manifest of one face set, in the set's folder.

    Attributes
    ----------
    inputs : str
        Digest of everything that the set was made from, so that a later run can see that it is finished.
    centroid : tuple of float
        Mean of the set's embeddings, unit length.
    bundles : tuple of str
        Files for other programs, relative to the set's folder: bundles, images, models.
    contents : dict
        The content of crops and bundles by name; a file that differs was edited or damaged.
    """

    FORMAT: ClassVar[str] = "facesets/export-set"
    VERSION: ClassVar[int] = 3

    made: Provenance
    name: Place
    inputs: Text
    centroid: tuple[Finite, ...]
    faces: tuple[ExportedFace, ...]
    candidates: tuple[ExportedFace, ...]
    dropped: tuple[DroppedFace, ...]
    failed: tuple[Failure, ...]
    bundles: tuple[Place, ...]
    files: tuple[Place, ...]
    contents: dict[Place, Content]

    @property
    def written_version(self) -> int:
        """Return the earliest version that can hold this manifest."""
        return self.VERSION if has_models(self.bundles) else 2


@dataclass(frozen=True, slots=True)
class SetEntry:
    """One set in the export's table of contents.

    Attributes
    ----------
    source : str
        What the set came from, down to the group; unique in an export.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : tuple of str
        Text files in the set's folder that describe it.
    best : tuple of str
        Ids of a few of its best faces, which identify the person after the folder was deleted.
    """

    name: Place
    source: Text
    kind: Text
    markers: tuple[Name, ...]
    faces: Integer
    candidates: Integer
    dropped: Integer
    failed: Integer
    bundles: tuple[Place, ...]
    best: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportManifest:
    """The manifest of an export folder; details are in the manifest of each set.

    Attributes
    ----------
    removed : tuple of SetEntry
        Sets with a folder that the user deleted: they are not made again.
    statements : tuple of Correction
        The corrections from crops that the user deleted, or moved between sets, oldest first.
    models : tuple of str
        Files with all people that have a model of their own.
    """

    FORMAT: ClassVar[str] = "facesets/export-swap"
    VERSION: ClassVar[int] = 7

    made: Provenance
    counts: dict[Text, Integer]
    sets: tuple[SetEntry, ...]
    removed: tuple[SetEntry, ...]
    sheets: tuple[Place, ...]
    statements: tuple[Correction, ...] = ()
    models: tuple[Place, ...] = ()

    @property
    def written_version(self) -> int:
        """Return the earliest version that can hold this manifest."""
        any_models = self.models or any(has_models(entry.bundles) for entry in (*self.sets, *self.removed))
        return self.VERSION if any_models else 6


def has_models(bundles: Iterable[str]) -> bool:
    """Whether a set has files in a format other than bundles."""
    return not all(name.endswith(BUNDLE_SUFFIX) for name in bundles)
