"""A bundle loaded as its consumer loads it: every face of every picture, averaged.

Written from the published description of roop-unleashed's face-set loader, not from our writer, so that
it also judges bundles that other programs made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.formats.bundle import SUFFIX, read_bundle
from facesets.interfaces import Progress
from facesets.plurals import counted
from facesets.records import CacheSettings, Float32, Pixels
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.inside import is_inside
from facesets.results.manifest import EXPORT_MANIFEST, SET_MANIFEST
from facesets.results.manifest_json import read_manifest
from facesets.stop import Stop


class LoadedFaces(Protocol):
    """Faces of one picture, as a detector gives them."""

    @property
    def kps(self) -> Float32:
        """Keypoints, (n, 5, 2)."""
        ...


class Loader(Protocol):
    """What the consumer does with a picture."""

    @property
    def settings(self) -> CacheSettings:
        """The models behind it."""
        ...

    def detect(self, pixels: Pixels) -> LoadedFaces:
        """Find the faces of one picture."""
        ...

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Return embeddings (n, d) as the network gives them, not scaled to unit length."""
        ...


@dataclass(frozen=True, slots=True)
class BundleCheck:
    """One bundle.

    Attributes
    ----------
    faces_per_picture : dict
        Name of the entry to the number of faces found in it, where that is not one.
    own_cosine_similarity : float or None
        Of the averaged vector to the centroid of the set that the manifest beside the bundle names.
    nearest_other, nearest_other_cosine_similarity
        The most similar other set of that export.
    least_cosine_similarity : float or None
        Of a single face to the average.
    problems : list of str
        What is wrong, a sentence each; empty for a good bundle.
    """

    file: str
    pictures: int
    faces: int
    faces_per_picture: dict[str, int]
    own_cosine_similarity: float | None
    nearest_other: str
    nearest_other_cosine_similarity: float | None
    least_cosine_similarity: float | None
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """All bundles of a run; `failed` counts those with problems."""

    bundles: list[BundleCheck]
    failed: int
    stopped: bool


def verify_bundles(files: list[Path], loader: Loader, *, progress: Progress, stop: Stop) -> VerifySummary:
    """Load bundles as the consumer would, and compare the result with the manifests beside them.

    Raises
    ------
    WrongUsage
        A file is not there.
    """
    progress.begin("Checking bundles", len(files))
    checks = []
    for file in files:
        if stop.requested:
            break
        checks.append(check_bundle(file, loader))
        progress.advance()
    progress.end()
    return VerifySummary(checks, sum(bool(check.problems) for check in checks), len(checks) < len(files))


def bundles_at(paths: Sequence[Path]) -> list[Path]:
    """The bundles that are meant by some paths: a folder means all below it, by name.

    Raises
    ------
    WrongUsage
        Nothing is at a path, or there is no bundle in a folder.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            raise WrongUsage(f"There is no bundle in {printable(path)}. Name the folder of an export.")
        if not inside[0].exists():
            raise WrongUsage(f"There is no bundle at {printable(path)}. Check the path.")
        found += inside
    return found


def models_beside(file: Path) -> CacheSettings | None:
    """What the faces of the export come from that a bundle lies in, if it lies in one."""
    path = file.parent / SET_MANIFEST
    return read_manifest(path, SetManifest).made.models if path.is_file() else None


def check_bundle(file: Path, loader: Loader) -> BundleCheck:
    """Load one bundle; a damaged one is a result, not an error."""
    try:
        pictures, problems = read_bundle(file)
    except FacesetsError as error:
        if error.exit_status != FacesetsError.exit_status:
            raise
        return BundleCheck(str(file), 0, 0, {}, None, "", None, None, [error.sentence])
    embeddings = [_all_faces(loader, pixels) for _, pixels in pictures]
    counts = {name: len(found) for (name, _), found in zip(pictures, embeddings, strict=True)}
    odd = {name: count for name, count in counts.items() if count != 1}
    problems += [f"{name} shows {counted(count, 'face')}" for name, count in odd.items()]
    if not pictures:
        problems.append("there is no picture in it")
    own, other, other_similarity, least = None, "", None, None
    if sum(counts.values()):
        vectors = np.concatenate(embeddings)
        mean = _unit(vectors.mean(axis=0))
        least = round(float(min(_unit(vector) @ mean for vector in vectors)), 4)
        own, other, other_similarity = _compared(file, mean, loader.settings)
        if own is not None and other_similarity is not None and other_similarity >= own:
            problems.append(f"it resembles {other} more than its own set")
    return BundleCheck(
        str(file), len(pictures), sum(counts.values()), odd, own, other, other_similarity, least, problems
    )


def _all_faces(loader: Loader, pixels: Pixels) -> Float32:
    return loader.raw_embeddings(pixels, loader.detect(pixels).kps)


def _compared(file: Path, mean: Float32, models: CacheSettings) -> tuple[float | None, str, float | None]:
    """Similarity to the own set, and to the nearest other; None where no manifest tells."""
    own_path = file.parent / SET_MANIFEST
    if not own_path.is_file():
        return None, "", None
    own = read_manifest(own_path, SetManifest)
    if own.made.models.recogniser_sha256 != models.recogniser_sha256:
        return None, "", None
    similarity = {name: float(_unit(centroid) @ mean) for name, centroid in _other_centroids(file, own)}
    nearest = max(similarity, key=similarity.__getitem__, default="")
    return (
        round(float(_unit(np.array(own.centroid, np.float32)) @ mean), 4),
        nearest,
        round(similarity[nearest], 4) if nearest else None,
    )


def _other_centroids(file: Path, own: SetManifest) -> list[tuple[str, Float32]]:
    root = file.absolute().parent.parent
    if not (root / EXPORT_MANIFEST).is_file():
        return []
    export = read_manifest(root / EXPORT_MANIFEST, ExportManifest)
    names = [entry.name for entry in export.sets if entry.name != own.name and is_inside(entry.name)]
    others = [read_manifest(root / name / SET_MANIFEST, SetManifest) for name in names]
    return [(other.name, np.array(other.centroid, np.float32)) for other in others]


def _unit(vector: Float32) -> Float32:
    unit: Float32 = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit
