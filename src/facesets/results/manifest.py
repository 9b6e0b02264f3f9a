"""Manifests: JSON files that say what a command wrote and why.

These are the records; `facesets.results.manifest_json` writes and reads them. The keys in a file are the
fields' names. Two equal runs write equal manifests: they hold no times but those of photos, and no
temporary names.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from facesets.records import CacheSettings, Collection, Float32

CLUSTER_MANIFEST = "manifest.json"
REFINE_MANIFEST = "refine_manifest.json"
EXPORT_MANIFEST = "manifest.json"
SET_MANIFEST = "manifest.json"
MANIFEST_NAMES = (CLUSTER_MANIFEST, REFINE_MANIFEST)
"""What a result's manifest may be called."""


@dataclass(frozen=True, slots=True)
class FaceEntry:
    """One face, with all that is needed to find it again in its photo.

    Attributes
    ----------
    face : str
        `<sha256 of the image>#<ordinal of the face in it>`.
    paths : tuple of str
        Where the image lies; the first is canonical.
    box, kps : tuples of float
        x1, y1, x2, y2 and five times x, y, in pixels of the upright image.
    quality : float
        The weighted sum, in [0, 1].
    """

    face: str
    paths: tuple[str, ...]
    box: tuple[float, ...]
    kps: tuple[float, ...]
    det_score: float
    face_short: float
    blur: float
    quality: float

    @property
    def image(self) -> str:
        """The sha256 of the image."""
        return self.face.partition("#")[0]


@dataclass(frozen=True, slots=True)
class DroppedFace:
    """A face that was left out: by which gate, and what was measured against which limit.

    Attributes
    ----------
    group : str
        The face set that it would have belonged to, or the initial cluster of which none was made.
    gate : str
        The name of the option that decided, or of the reason.
    """

    face: FaceEntry
    group: str
    gate: str
    value: float
    limit: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image in which no face was found."""

    sha256: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be used, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of one person's faces. `images` counts distinct contents."""

    name: str
    images: int
    faces: tuple[FaceEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a result was made by and from.

    Attributes
    ----------
    cache, store : str
        What the cache or library is called, and its id; empty where an earlier version wrote the manifest.
    options : dict
        The values used, by name.
    """

    program: str
    cache: str
    store: str = ""
    models: CacheSettings
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A photo in a result folder as it was put there; a file that differs from this was edited.

    Attributes
    ----------
    source : str
        The photo that it was made from.
    size, mtime_ns : int
        Of the file; of the photo where it is a link. -1 where unknown.
    """

    source: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What a user said about identity by changing a result folder.

    Attributes
    ----------
    kind : str
        `is`: the face is of the group; `not`: it is not; `named`: the group is called `name`; `removed`: the
        group is not wanted; `without`: the copy of the photo at the path `name` is not wanted there.
    face : str
        Of `is` and `not`; else empty.
    group : str
        By its name at that time.
    """

    kind: str
    group: str
    face: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterManifest:
    """What `cluster` wrote.

    Attributes
    ----------
    reasons : tuple of str
        A sentence for each choice that the method made by itself.
    missing : tuple of Failure
        Paths that could not be read, of images that lie at other paths too.
    files : dict
        Each name in the folder, and what was put there.
    statements : tuple of Statement
        What was learned from the user's own changes in the folder, oldest first.
    hidden : tuple of Group
        People whose folder the user deleted: their faces get none.
    set_aside : tuple of FaceEntry
        Faces whose photo the user took out of a folder: they are in none.
    extended : tuple of Provenance
        What the result was extended by since it was made.
    placements : dict
        With the method `auto`, how each face came where it is, by the face's name: a word of
        `facesets.clustering.Placement`, or `said` where the user put it there.
    """

    FORMAT: ClassVar[str] = "facesets/cluster"
    VERSION: ClassVar[int] = 4

    made: Provenance
    counts: dict[str, int]
    reasons: tuple[str, ...]
    persons: tuple[Group, ...]
    singletons: tuple[FaceEntry, ...]
    no_face: tuple[ImageEntry, ...]
    failed: tuple[Failure, ...]
    missing: tuple[Failure, ...]
    files: dict[str, PlacedFile]
    sheets: tuple[str, ...]
    statements: tuple[Statement, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    extended: tuple[Provenance, ...] = ()
    placements: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineManifest:
    """What `refine` wrote.

    Attributes
    ----------
    missing : tuple of Failure
        Paths that could not be read, of images that lie at other paths too.
    files : dict
        Each name in the folder, and what was put there.
    statements : tuple of Statement
        What was learned from the user's own changes in the folder, oldest first.
    hidden : tuple of Group
        People whose folder the user deleted: their faces get none.
    set_aside : tuple of FaceEntry
        Faces whose photo the user took out of a folder: they are in none.
    extended : tuple of Provenance
        What the result was extended by since it was made.
    """

    FORMAT: ClassVar[str] = "facesets/refine"
    VERSION: ClassVar[int] = 3

    made: Provenance
    counts: dict[str, int]
    facesets: tuple[Group, ...]
    dropped: tuple[DroppedFace, ...]
    failed: tuple[Failure, ...]
    missing: tuple[Failure, ...]
    files: dict[str, PlacedFile]
    sheets: tuple[str, ...]
    statements: tuple[Statement, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    extended: tuple[Provenance, ...] = ()


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
        Faces that look the same and were left out for this one.
    """

    file: str
    face: FaceEntry
    quality: QualityParts
    crop: tuple[float, ...]
    masked: int
    centroid_cosine_distance: float
    crop_cosine_similarity: float
    duplicates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a file of ours holds."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetManifest:
    """What `export-swap` wrote for one face set; lies in the set's folder.

    Attributes
    ----------
    inputs : str
        Digest of everything the set was made from, so that a later run can see that it is done.
    centroid : tuple of float
        Mean of the set's embeddings, unit length.
    contents : dict
        What was put under the names of crops and bundles; a file that differs was edited or damaged.
    """

    FORMAT: ClassVar[str] = "facesets/export-set"
    VERSION: ClassVar[int] = 2

    made: Provenance
    name: str
    inputs: str
    centroid: tuple[float, ...]
    faces: tuple[ExportedFace, ...]
    candidates: tuple[ExportedFace, ...]
    dropped: tuple[DroppedFace, ...]
    failed: tuple[Failure, ...]
    bundles: tuple[str, ...]
    files: tuple[str, ...]
    contents: dict[str, Content]


@dataclass(frozen=True, slots=True)
class SetEntry:
    """One line of the export's table of contents.

    Attributes
    ----------
    source : str
        What the set came from, down to the group; two sets of an export never have the same.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : tuple of str
        Text files in the set's folder that say what it is.
    best : tuple of str
        Ids of its best faces, a few: by them the person is known when the folder was deleted.
    """

    name: str
    source: str
    kind: str
    markers: tuple[str, ...]
    faces: int
    candidates: int
    dropped: int
    failed: int
    bundles: tuple[str, ...]
    best: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportManifest:
    """What lies in an export folder; the details are in each set's own manifest.

    Attributes
    ----------
    removed : tuple of SetEntry
        Sets whose folder the user deleted: they are not made again.
    statements : tuple of Statement
        What was learned from crops that the user deleted, or moved from one set to another, oldest first.
    """

    FORMAT: ClassVar[str] = "facesets/export-swap"
    VERSION: ClassVar[int] = 6

    made: Provenance
    counts: dict[str, int]
    sets: tuple[SetEntry, ...]
    removed: tuple[SetEntry, ...]
    sheets: tuple[str, ...]
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class IdenticalFiles:
    """Several files with the same bytes. `size` is that of one of them; `keep` is the first of `paths`."""

    sha256: str
    size: int
    keep: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """One image of a group that looks the same.

    Attributes
    ----------
    bits : int
        Of 256, in which its fingerprint differs from that of the image to keep.
    sharpness : float or None
        Variance of the Laplacian; measured only where resolution does not decide.
    """

    sha256: str
    paths: tuple[str, ...]
    width: int
    height: int
    size: int
    sharpness: float | None
    bits: int


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Images that look the same; `keep` is the sha256 of the one worth keeping, which comes first."""

    keep: str
    images: tuple[NearDuplicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesReport:
    """What `dedup` found."""

    FORMAT: ClassVar[str] = "facesets/duplicates"
    VERSION: ClassVar[int] = 1

    made: Provenance
    counts: dict[str, int]
    identical: tuple[IdenticalFiles, ...]
    near: tuple[NearDuplicates, ...]
    failed: tuple[Failure, ...]


FacesManifest = ClusterManifest | RefineManifest | ExportManifest | SetManifest
Manifest = ClusterManifest | RefineManifest | ExportManifest | SetManifest | DuplicatesReport


def face_describer(collection: Collection, quality: Float32) -> Callable[[int], FaceEntry]:
    """Return a function that describes the face in a row of a store.

    `quality` has one number for each face of the store.
    """
    faces, images = collection.faces, collection.images
    ids = collection.face_ids()

    def describe(row: int) -> FaceEntry:
        return FaceEntry(
            face=ids[row],
            paths=images.paths[faces.image[row]],
            box=rounded(faces.box[row], 2),
            kps=rounded(faces.kps[row].ravel(), 2),
            det_score=round(float(faces.det_score[row]), 4),
            face_short=round(float(faces.face_short[row]), 2),
            blur=round(float(faces.blur[row]), 2),
            quality=round(float(quality[row]), 4),
        )

    return describe


def rounded(values: Iterable[float], digits: int) -> tuple[float, ...]:
    """Numbers as a manifest holds them: short, and the same on every machine."""
    return tuple(round(float(value), digits) for value in values)
