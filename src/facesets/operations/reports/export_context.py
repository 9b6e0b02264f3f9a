"""Read the export around a bundle or face model: the sets to compare it with, and all files to check."""

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
class SetSimilarity:
    """Similarity of a person in a file to their own set, and to the most similar other; None if unknown."""

    own: float | None = None
    other: str = ""
    other_similarity: float | None = None
    name: str = ""

    def problems(self) -> list[str]:
        """Return the problem in a sentence, if there is one."""
        if self.own is None or self.other_similarity is None or self.other_similarity < self.own:
            return []
        subject = f"{printable(self.name)} in it" if self.name else "it"
        return [f"{subject} matches {printable(self.other)} better than its own face set"]


@dataclass(frozen=True, slots=True)
class ExportContext:
    """The export around a file.

    Attributes
    ----------
    own : str
        The set with the file in its folder; empty for a file of the whole export, or outside of an export.
    models : CacheSettings or None
        The models of the export's faces; None outside of an export.
    centroids : dict of str to float32 array of shape (d,)
        The centroid of each set by its name, unit length.
    """

    own: str = ""
    models: CacheSettings | None = None
    centroids: dict[str, Float32] = field(default_factory=dict)

    @property
    def recognizer_sha256(self) -> str:
        """The digest of the export's recognizer; empty outside of an export."""
        return "" if self.models is None else self.models.recognizer_sha256

    def compare(self, name: str, embedding: Float32) -> SetSimilarity:
        """Compare an embedding of unit length with the set of a name, and with all others."""
        own = next((each for each in self.centroids if name in _possible_names(each)), "")
        fitting = {each: c for each, c in self.centroids.items() if c.shape == embedding.shape}
        if own not in fitting:
            return SetSimilarity()
        similarity = {each: round(float(centroid @ embedding), 4) for each, centroid in fitting.items()}
        mine = similarity.pop(own)
        nearest = max(similarity, key=similarity.__getitem__, default="")
        return SetSimilarity(mine, nearest, similarity.get(nearest), "" if self.own else own)


def _possible_names(entry: str) -> tuple[str, ...]:
    """Return the names that a set's person may have in its models."""
    folder = PurePosixPath(entry).name
    return entry, folder, label_of_folder(folder)


def read_export_context(file: Path, read: Read = read_any_manifest) -> ExportContext:
    """Read the manifests around a file, with a function that may cache them for other files.

    Raises
    ------
    DamagedFile, NewerFormat
        One of them cannot be read.
    """
    path = file.absolute().parent / SET_MANIFEST
    manifest = read(path) if path.is_file() else None
    if isinstance(manifest, ExportManifest):
        return ExportContext("", manifest.made.models, dict(_centroids(path.parent, manifest, read)))
    if not isinstance(manifest, SetManifest):
        return ExportContext()
    centroids = {manifest.name: unit(np.array(manifest.centroid, np.float32))}
    root = path.parent
    for _ in PurePosixPath(manifest.name).parts:
        root = root.parent
    export = read(root / EXPORT_MANIFEST) if (root / EXPORT_MANIFEST).is_file() else None
    if isinstance(export, ExportManifest):
        others = _centroids(root, export, read)
        centroids |= {name: centroid for name, centroid in others if name != manifest.name}
    return ExportContext(manifest.name, manifest.made.models, centroids)


def models_of_export(file: Path) -> CacheSettings | None:
    """Return the models of the export around a file, if any; errors as `read_export_context`."""
    return read_export_context(file).models


def _centroids(root: Path, export: ExportManifest, read: Read) -> Iterator[tuple[str, Float32]]:
    for entry in export.sets:
        path = root / entry.name / SET_MANIFEST
        of_set = read(path) if is_inside(entry.name) and path.is_file() else None
        if isinstance(of_set, SetManifest):
            yield entry.name, unit(np.array(of_set.centroid, np.float32))


def bundles_at(paths: Sequence[Path]) -> list[Path]:
    """Return the bundles, folders of images and face models at some paths.

    A folder stands for everything below it, ordered by name; a folder with only pictures is a folder of
    images.

    Raises
    ------
    WrongUsage
        A path does not exist, or a folder has nothing to check.
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
    """Return the existing files that a set lists."""
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
    """Return a vector scaled to unit length; zeros stay."""
    scaled: Float32 = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return scaled
