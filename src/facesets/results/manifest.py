"""Manifests: JSON files that record what a command wrote and why.

These are the records of commands that sort photos into folders, and common parts; those of face sets for
other tools are in `facesets.results.export_manifest`. `facesets.results.manifest_json` writes and reads them.
The keys in a file are the fields' names. Two equal runs write equal manifests: they hold no times except
those of photos, and no temporary names.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from msgspec import UNSET, UnsetType

from facesets import __version__
from facesets.interfaces import Store
from facesets.records import CacheSettings, Collection, Float32
from facesets.results.manifest_values import Box, FaceId, Finite, Integer, Keypoints, Name, Paths, Place, Text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CLUSTER_MANIFEST = "manifest.json"
REFINE_MANIFEST = "refine_manifest.json"
EXPORT_MANIFEST = "manifest.json"
SET_MANIFEST = "manifest.json"
MANIFEST_NAMES = (CLUSTER_MANIFEST, REFINE_MANIFEST)
"""Names of manifests in result folders."""
SHEET_NAME = "contact_sheet.png"
"""The name of a result's contact sheet."""


@dataclass(frozen=True, slots=True)
class FaceEntry:
    """One face, with the data to find it again in its photo.

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
    taken : str, optional
        When the photo was taken, by the camera's clock, as `2019-07-04T15:30:00`. Absent if unknown, or in
        manifests of earlier versions.
    norm : float, optional
        Length of the embedding before it was scaled to 1: how much the face shows. Absent in the same cases.
    """

    face: FaceId
    paths: Paths
    box: Box
    kps: Keypoints
    det_score: float
    face_short: float
    blur: float
    quality: float
    taken: Text | UnsetType = UNSET
    norm: Finite | UnsetType = UNSET

    @property
    def time(self) -> str:
        """When the photo was taken; empty if unknown."""
        return self.taken if isinstance(self.taken, str) else ""

    @property
    def image(self) -> str:
        """The sha256 of the image."""
        return self.face.partition("#")[0]


@dataclass(frozen=True, slots=True)
class DroppedFace:
    """A dropped face, with the gate, the measured value and the limit.

    Attributes
    ----------
    group : str
        The face set that it would have belonged to, or an initial cluster without a face set.
    gate : str
        The name of the option that decided, or of the reason.
    """

    face: FaceEntry
    group: Text
    gate: Text
    value: int | float
    limit: int | float
    detail: Text = ""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image in which no face was found."""

    sha256: Text
    paths: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be used, with the reason."""

    path: Text
    reason: Text


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of one person's faces. `images` counts distinct contents."""

    name: Name
    images: Integer
    faces: tuple[FaceEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The program and the data that a result was made from.

    Attributes
    ----------
    cache, store : str
        Name and id of the cache or library; empty in manifests of earlier versions.
    options : dict
        The values used, by name.
    """

    program: Text
    cache: Text
    store: Text = ""
    models: CacheSettings
    options: dict[Text, Any]


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A photo in a result folder as it was put there; a file that differs was edited.

    Attributes
    ----------
    source : str
        The photo that it was made from.
    size, mtime_ns : int
        Of the file; of the photo if it is a link. -1 if unknown.
    """

    source: Text
    size: Integer
    mtime_ns: Integer


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of a person that a user made by changing a result folder.

    Attributes
    ----------
    kind : str
        `is`: the face is of the group; `not`: it is not; `named`: the group's name is `name`; `removed`: the
        group is hidden; `without`: the group gets no copy of the photo at the path `name`.
    face : str
        For `is` and `not`; else empty.
    group : str
        By its name at that time.
    """

    kind: Text
    group: Text
    face: Text = ""
    name: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterManifest:
    """The manifest of `cluster`.

    Attributes
    ----------
    reasons : tuple of str
        A sentence for each choice that the method made by itself.
    missing : tuple of Failure
        Unreadable paths of images that also lie at other paths.
    files : dict
        Each name in the folder, with what was put there.
    statements : tuple of Correction
        The corrections from the user's changes in the folder, oldest first.
    hidden : tuple of Group
        People with a folder that the user deleted: their faces get none.
    set_aside : tuple of FaceEntry
        Faces of photos that the user removed from a folder: they are unassigned.
    extended : tuple of Provenance
        The runs of `extend` since the result was made.
    marks : dict
        Group to the id in the hidden file of its folder; absent if no folder has such a file.
    placements : dict
        With the method `auto`, how each face was placed, by its id: a word of
        `facesets.clustering.Placement`, or `said` if the user assigned it.
    """

    FORMAT: ClassVar[str] = "facesets/cluster"
    VERSION: ClassVar[int] = 4

    made: Provenance
    counts: dict[Text, Integer]
    reasons: tuple[Text, ...]
    persons: tuple[Group, ...]
    singletons: tuple[FaceEntry, ...]
    no_face: tuple[ImageEntry, ...]
    failed: tuple[Failure, ...]
    missing: tuple[Failure, ...]
    files: dict[Place, PlacedFile]
    sheets: tuple[Place, ...]
    statements: tuple[Correction, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    extended: tuple[Provenance, ...] = ()
    placements: dict[Text, Text] = field(default_factory=dict)
    marks: dict[Name, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineManifest:
    """The manifest of `refine`; for attributes see `ClusterManifest`."""

    FORMAT: ClassVar[str] = "facesets/refine"
    VERSION: ClassVar[int] = 3

    made: Provenance
    counts: dict[Text, Integer]
    facesets: tuple[Group, ...]
    dropped: tuple[DroppedFace, ...]
    failed: tuple[Failure, ...]
    missing: tuple[Failure, ...]
    files: dict[Place, PlacedFile]
    sheets: tuple[Place, ...]
    statements: tuple[Correction, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    extended: tuple[Provenance, ...] = ()
    marks: dict[Name, Text] = field(default_factory=dict)


def groups_of(manifest: ClusterManifest | RefineManifest) -> tuple[Group, ...]:
    """Return the people or face sets of a manifest."""
    return manifest.persons if isinstance(manifest, ClusterManifest) else manifest.facesets


def sorted_faces(manifest: ClusterManifest | RefineManifest) -> Iterator[FaceEntry]:
    """Return the faces in folders, and faces without one because they are single or were dropped."""
    yield from chain.from_iterable(group.faces for group in groups_of(manifest))
    if isinstance(manifest, ClusterManifest):
        yield from manifest.singletons
    else:
        yield from (drop.face for drop in manifest.dropped)


def every_face(manifest: ClusterManifest | RefineManifest) -> Iterator[FaceEntry]:
    """Return all faces of a manifest; first those that the user left without a folder."""
    yield from chain.from_iterable(group.faces for group in manifest.hidden)
    yield from manifest.set_aside
    yield from sorted_faces(manifest)


def photos_of(manifest: ClusterManifest | RefineManifest) -> set[str]:
    """Return the paths of all images in a manifest."""
    photos = {path for face in every_face(manifest) for path in face.paths}
    if isinstance(manifest, ClusterManifest):
        photos.update(path for image in manifest.no_face for path in image.paths)
    return photos


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
            taken=_time(images.taken[faces.image[row]]),
            norm=UNSET if faces.norm is None else _known(faces.norm[row]),
        )

    return describe


def _time(taken: np.datetime64) -> str | UnsetType:
    return UNSET if np.isnat(taken) else str(taken.astype("M8[s]"))


def _known(norm: np.float32) -> float | UnsetType:
    return round(float(norm), 2) if np.isfinite(norm) else UNSET


def rounded(values: Iterable[float], digits: int) -> tuple[float, ...]:
    """Round numbers as a manifest holds them: short, and the same on every machine."""
    return tuple(round(float(value), digits) for value in values)


_WITHOUT_EFFECT_ON_THE_RESULT = frozenset({"dry_run", "sheet", "merge", "replace"})

_OMITTED_DEFAULTS = frozenset({"min_norm", "min_age", "max_age", "formats", "era"})
"""Options left out of manifests at their default, so that such results equal those of earlier versions."""


def provenance(store: Store, models: CacheSettings, *options: "DataclassInstance") -> Provenance:
    """Return what a result is made by and from."""
    values = {name: value for some in options for name, value in recorded_options(some).items()}
    return Provenance(
        program=__version__, cache=store.label, store=store.identity, models=models, options=values
    )


def recorded_options(options: "DataclassInstance") -> dict[str, Any]:
    """Return the options that a manifest records: those that affect the result."""
    defaults = {each.name: each.default for each in fields(options) if each.name in _OMITTED_DEFAULTS}
    return {
        name: value
        for name, value in asdict(options).items()
        if name not in _WITHOUT_EFFECT_ON_THE_RESULT and not (name in defaults and value == defaults[name])
    }
