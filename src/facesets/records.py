"""Data classes shared by all packages: faces and images as columns.

Boxes and keypoints are in pixels of the upright image (EXIF orientation applied), x to the right and
y down. Embeddings are float32 of unit length. Unknown numbers are NaN, unknown times NaT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, 3), upright, RGB."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class EnrichState(IntEnum):
    """The result of `enrich` for a face."""

    NOT_YET = 0
    DONE = 1
    NOT_FOUND_AGAIN = 2


class PoseSource(IntEnum):
    """The source of a face's pose."""

    UNKNOWN = 0
    LANDMARKS_3D = 1
    KEYPOINTS = 2


_OPTIONAL_SHAPES: Mapping[str, tuple[tuple[int, ...], Any]] = {
    "landmark_2d_106": ((106, 2), np.float32),
    "landmark_3d_68": ((68, 3), np.float32),
    "norm": ((), np.float32),
    "pose": ((3,), np.float32),
    "pose_source": ((), np.uint8),
    "enrich_state": ((), np.uint8),
    "age": ((), np.float32),
    "male": ((), np.float32),
}


@dataclass(frozen=True, slots=True)
class Faces:
    """Many faces as columns, one row a face.

    Attributes
    ----------
    image : int64 array of shape (n,)
        Row of the face's image among the images beside it. A face's ordinal in its image is its
        place among the rows with that image.
    box : float32 array of shape (n, 4)
        x1, y1, x2, y2.
    kps : float32 array of shape (n, 5, 2)
        Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.
    det_score : float32 array of shape (n,)
        The detector's score, in [0, 1].
    embedding : float32 array of shape (n, d)
        Unit length.
    face_short : float32 array of shape (n,)
        Short edge of the box, in pixels.
    blur : float32 array of shape (n,)
        Variance of the Laplacian of the gray face crop: higher is sharper.
    norm : float32 array of shape (n,) or None
        Length of the recognizer's output before it was scaled to unit length: the longer, the more of a
        person the face shows (Kim et al., "AdaFace", CVPR 2022). NaN if the recognizer has none.
    landmark_2d_106, landmark_3d_68, pose, pose_source, enrich_state : arrays or None
        Added by `enrich`: landmarks in pixels, pose as pitch, yaw, roll in degrees.
    age, male : float32 arrays of shape (n,) or None
        Estimates of an attribute model: years, and how likely the face is a man's, from 0 to 1.
    """

    image: Int64
    box: Float32
    kps: Float32
    det_score: Float32
    embedding: Float32
    face_short: Float32
    blur: Float32
    norm: Float32 | None = None
    landmark_2d_106: Float32 | None = None
    landmark_3d_68: Float32 | None = None
    pose: Float32 | None = None
    pose_source: NDArray[np.uint8] | None = None
    enrich_state: NDArray[np.uint8] | None = None
    age: Float32 | None = None
    male: Float32 | None = None

    def __post_init__(self) -> None:
        n = len(self.image)
        shapes = {"box": (n, 4), "kps": (n, 5, 2), "det_score": (n,), "face_short": (n,)}
        shapes |= {"blur": (n,), "embedding": (n, self.embedding.shape[-1])}
        shapes |= {name: (n, *shape) for name, (shape, _) in _OPTIONAL_SHAPES.items()}
        for name, shape in shapes.items():
            column = getattr(self, name)
            if column is not None and column.shape != shape:
                raise ValueError(f"{name} has shape {column.shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def dimension(self) -> int:
        """Length of one embedding."""
        return int(self.embedding.shape[1])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the present columns, by name."""
        named = {name: getattr(self, name) for name in _COLUMNS}
        return {name: column for name, column in named.items() if column is not None}

    def take(self, rows: Int64 | Bool | slice) -> Self:
        """Return the faces of these rows, in this order."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def with_image(self, image: Int64) -> Self:
        """Return the same faces with other image rows."""
        return replace(self, image=image)

    def scaled(self, across: float, down: float) -> Self:
        """Return the same faces in a picture scaled by these factors."""
        if across == down == 1:
            return self
        both = np.array([across, down], np.float32)
        columns: dict[str, Float32] = {"box": self.box * np.tile(both, 2), "kps": self.kps * both}
        if self.landmark_2d_106 is not None:
            columns["landmark_2d_106"] = self.landmark_2d_106 * both
        if self.landmark_3d_68 is not None:
            columns["landmark_3d_68"] = self.landmark_3d_68 * np.append(both, both.mean())
        face_short = (columns["box"][:, 2:] - columns["box"][:, :2]).min(axis=1)
        return replace(self, face_short=face_short, **columns)  # type: ignore[arg-type]

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """Return no faces, with vectors of this length."""
        return cls(
            image=np.empty(0, np.int64),
            box=np.empty((0, 4), np.float32),
            kps=np.empty((0, 5, 2), np.float32),
            det_score=np.empty(0, np.float32),
            embedding=np.empty((0, dimension), np.float32),
            face_short=np.empty(0, np.float32),
            blur=np.empty(0, np.float32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join the faces of all parts, in order. An optional column that a part lacks is unknown there."""
        names = [
            name
            for name in _COLUMNS
            if name not in _OPTIONAL_SHAPES or any(getattr(part, name) is not None for part in parts)
        ]

        def of(part: Self, name: str) -> NDArray[Any]:
            column: NDArray[Any] | None = getattr(part, name)
            return unknown_column(name, len(part)) if column is None else column

        return cls(**{name: np.concatenate([of(part, name) for part in parts]) for name in names})


_COLUMNS = tuple(column.name for column in fields(Faces))


def unknown_column(name: str, length: int) -> NDArray[Any]:
    """Return an optional column of `Faces` in which every row is unknown: NaN, or 0 for states."""
    shape, dtype = _OPTIONAL_SHAPES[name]
    fill = np.nan if dtype == np.float32 else 0
    return np.full((length, *shape), fill, dtype)


@dataclass(frozen=True, slots=True)
class Images:
    """Many images as columns, one row a distinct content.

    Attributes
    ----------
    sha256 : S64 array of shape (n,)
        Hex digest of the file's bytes.
    width, height : int64 arrays of shape (n,)
        Of the upright image, in pixels.
    taken : datetime64[s] array of shape (n,)
        Capture time by the camera's clock; NaT if unknown.
    fingerprint : uint8 array of shape (n, 32)
        Perceptual hash, for near-duplicates.
    paths : tuple of tuples of str
        Absolute paths with these bytes. The first is canonical, the others are aliases.
    """

    sha256: NDArray[np.bytes_]
    width: Int64
    height: Int64
    taken: NDArray[np.datetime64]
    fingerprint: NDArray[np.uint8]
    paths: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.sha256)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The models of a store's vectors. Vectors are comparable if `recognizer_sha256` agrees."""

    pack: str
    recognizer: str = field(metadata={"key": "recogniser"})
    recognizer_sha256: str = field(metadata={"key": "recogniser_sha256"})
    dimension: int
    detector: str
    detector_sha256: str
    det_size: int
    min_det_score: float

    @property
    def detection(self) -> tuple[str, int, float]:
        """The settings that decide which faces are found, independent of the pack's name."""
        return self.detector_sha256, self.det_size, self.min_det_score

    def recorded(self) -> dict[str, Any]:
        """Return the values by their keys in caches and manifests, which keep their first spelling."""
        return {each.metadata.get("key", each.name): getattr(self, each.name) for each in fields(self)}


def from_recorded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file holds of `CacheSettings` by the names of fields; unknown keys stay."""
    names = {each.metadata["key"]: each.name for each in fields(CacheSettings) if each.metadata}
    return {names.get(key, key): value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class ClipModel:
    """A model of whole images. Two models with the same `sha256` give comparable vectors."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted results about a picture."""

    faces: bool = True
    clip: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return self.faces or self.clip


@dataclass(frozen=True, slots=True)
class Description:
    """The results about a picture; None for those not wanted.

    `clip` embeds the whole picture: a float32 array of shape (d,), of unit length.
    """

    faces: Faces | None = None
    clip: Float32 | None = None


@dataclass(frozen=True)
class Collection:
    """The content of a store for algorithms: images, their faces, and the models of the vectors."""

    images: Images
    faces: Faces
    settings: CacheSettings

    def face_ids(self) -> tuple[str, ...]:
        """Ids of faces that outlive row numbers: `<sha256>#<ordinal in the image>`."""
        return self._face_ids

    @cached_property
    def _face_ids(self) -> tuple[str, ...]:
        ordinals = ordinals_in_image(self.faces.image)
        digests = self.images.sha256[self.faces.image]
        return tuple(f"{d.decode()}#{o}" for d, o in zip(digests, ordinals, strict=True))


def ordinals_in_image(image: Int64) -> Int64:
    """Return each face's place among the faces of its image, counted from 0 in row order."""
    order = np.argsort(image, kind="stable")
    ordered = image[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(image) else image
    counts = np.diff(np.r_[starts, len(image)])
    ordinals = np.empty(len(image), np.int64)
    ordinals[order] = np.arange(len(image)) - np.repeat(starts, counts)
    return ordinals


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one step about a photo.

    Attributes
    ----------
    version : str
        Its source: the weights of a model, or the version of a reader.
    value : object
        The stored value; None if the step failed.
    reason : str
        Why it failed; empty if it succeeded.
    """

    version: str
    value: Any = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image with its faces, to add to a store; `faces.image` is all zeros.

    Only the library stores a `clip` embedding, `findings` by the names of their stages, and images that were
    not `searched` for faces.
    """

    sha256: str
    width: int
    height: int
    taken: np.datetime64
    fingerprint: bytes
    faces: Faces = field(repr=False)
    clip: Float32 | None = field(default=None, repr=False)
    searched: bool = True
    findings: Mapping[str, Finding] = field(default_factory=dict, repr=False)

    def with_finding(self, stage: str, finding: Finding) -> "ImageRecord":
        """Return the record with the result of a step."""
        return replace(self, findings={**self.findings, stage: finding})
