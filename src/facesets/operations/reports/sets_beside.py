"""The export that a bundle or face model lies in: the sets it is compared with, and what else is there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.formats.face_models.kinds import is_named_as_model, seen_in
from facesets.imaging.decode import SUFFIXES
from facesets.records import CacheSettings, Float32
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.inside import is_inside
from facesets.results.manifest import EXPORT_MANIFEST, SET_MANIFEST
from facesets.results.manifest_json import Manifest, read_any_manifest
from facesets.results.names.file_names import label_of_folder

Read = Callable[[Path], Manifest]
"""Reads a manifest; errors as `read_any_manifest`."""

_MODEL_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".npz"})


@dataclass(frozen=True, slots=True)
class SetLikeness:
    """How much a person of a file resembles their own set, and the most similar other; None where unknown."""

    own: float | None = None
    other: str = ""
    other_similarity: float | None = None
    name: str = ""

    def problems(self) -> list[str]:
        """What is wrong with that, in a sentence."""
        if self.own is None or self.other_similarity is None or self.other_similarity < self.own:
            return []
        who = f"{printable(self.name)} in it" if self.name else "it"
        return [f"{who} matches {printable(self.other)} better than its own face set"]


@dataclass(frozen=True, slots=True)
class Beside:
    """The sets of an export.

    Attributes
    ----------
    own : str
        The set in whose folder a file lies; empty for a file of the whole export, or of none.
    models : CacheSettings or None
        What the faces of the export come from; None outside of an export.
    centroids : dict of str to float32 array of shape (d,)
        Of each set by its name, unit length.
    """

    own: str = ""
    models: CacheSettings | None = None
    centroids: dict[str, Float32] = field(default_factory=dict)

    @property
    def recognizer_sha256(self) -> str:
        """Of the recognizer of the export; empty outside of one."""
        return "" if self.models is None else self.models.recognizer_sha256

    def likeness(self, name: str, embedding: Float32) -> SetLikeness:
        """Compare an embedding of unit length with the set of a name, and with all others."""
        own = next((each for each in self.centroids if name in _called(each)), "")
        fitting = {each: c for each, c in self.centroids.items() if c.shape == embedding.shape}
        if own not in fitting:
            return SetLikeness()
        similarity = {each: round(float(centroid @ embedding), 4) for each, centroid in fitting.items()}
        mine = similarity.pop(own)
        nearest = max(similarity, key=similarity.__getitem__, default="")
        return SetLikeness(mine, nearest, similarity.get(nearest), "" if self.own else own)


def _called(entry: str) -> tuple[str, ...]:
    """What the person of a set may be called in its models."""
    folder = PurePosixPath(entry).name
    return entry, folder, label_of_folder(folder)


def sets_beside(file: Path, read: Read = read_any_manifest) -> Beside:
    """Read the manifests around a file, by a function that may know them from other files of the export.

    Raises
    ------
    DamagedFile, NewerFormat
        One of them cannot be read.
    """
    path = file.absolute().parent / SET_MANIFEST
    there = read(path) if path.is_file() else None
    if isinstance(there, ExportManifest):
        return Beside("", there.made.models, dict(_centroids(path.parent, there, read)))
    if not isinstance(there, SetManifest):
        return Beside()
    centroids = {there.name: unit(np.array(there.centroid, np.float32))}
    root = path.parent
    for _ in PurePosixPath(there.name).parts:
        root = root.parent
    export = read(root / EXPORT_MANIFEST) if (root / EXPORT_MANIFEST).is_file() else None
    if isinstance(export, ExportManifest):
        others = _centroids(root, export, read)
        centroids |= {name: centroid for name, centroid in others if name != there.name}
    return Beside(there.name, there.made.models, centroids)


def models_beside(file: Path) -> CacheSettings | None:
    """What the faces of the export come from that a file lies in, if any; errors as `sets_beside`."""
    return sets_beside(file).models


def _centroids(root: Path, export: ExportManifest, read: Read) -> Iterator[tuple[str, Float32]]:
    for entry in export.sets:
        path = root / entry.name / SET_MANIFEST
        of_set = read(path) if is_inside(entry.name) and path.is_file() else None
        if isinstance(of_set, SetManifest):
            yield entry.name, unit(np.array(of_set.centroid, np.float32))


def bundles_at(paths: Sequence[Path]) -> list[Path]:
    """The bundles, folders of images and face models that are meant by some paths.

    A folder means all below it, by name; one that holds pictures and nothing of these is a folder of images.

    Raises
    ------
    WrongUsage
        Nothing is at a path, or there is nothing to check in a folder.
    """
    found: list[Path] = []
    for path in paths:
        inside = _below(path) if path.is_dir() else [path]
        if not inside:
            raise WrongUsage(f"No bundle in {printable(path)}. Give an export folder.")
        if not inside[0].exists():
            raise WrongUsage(f"Bundle not found: {printable(path)}")
        found += inside
    return found


def _below(folder: Path) -> list[Path]:
    found: set[Path] = set()
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.name == SET_MANIFEST:
            found |= _listed(path)
        elif is_named_as_model(path.name) or (path.suffix in _MODEL_SUFFIXES and _is_model(path)):
            found.add(path)
    has_pictures = any(path.suffix.lower() in SUFFIXES for path in folder.glob("*"))
    return sorted(found) if found or not has_pictures else [folder]


def _listed(manifest: Path) -> set[Path]:
    """What a set says that it has; a file that is not there is none."""
    try:
        read = read_any_manifest(manifest)
    except FacesetsError:
        return set()
    if not isinstance(read, SetManifest):
        return set()
    listed = {manifest.parent / PurePosixPath(name).parts[0] for name in read.bundles}
    return {path for path in listed if path.exists()}


def _is_model(path: Path) -> bool:
    try:
        return path.is_file() and seen_in(path) is not None
    except OSError:
        return False


def unit(vector: Float32) -> Float32:
    """A vector scaled to unit length; zeros stay."""
    scaled: Float32 = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return scaled
