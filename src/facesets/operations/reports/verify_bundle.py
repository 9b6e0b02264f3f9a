"""Load bundles and face models as their consumers do, and check which person they match.

This follows the code of the consumers, not our writers, so that it can also check files of other programs.
roop-unleashed averages every face of every picture of a bundle; others do so with a folder of images. Face
models hold embeddings, so that no model is needed to check them.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.formats.bundle import read_bundle
from facesets.formats.face_models.archive import read_archive
from facesets.formats.face_models.face_model import ModelsRead
from facesets.formats.face_models.images import read_images
from facesets.formats.face_models.kinds import CONSUMERS, FORMATS, OF_ONE_RECOGNIZER, Format, format_of
from facesets.formats.face_models.reactor import read_reactor
from facesets.formats.face_models.rope import read_rope
from facesets.formats.face_models.visomaster import read_visomaster
from facesets.inference.decoders import Detections
from facesets.operations.models.known_packs import RECOGNIZER, is_of_swappers
from facesets.operations.reports.export_context import Read, SetSimilarity, read_export_context, unit
from facesets.plurals import counted
from facesets.records import CacheSettings, Float32, Pixels
from facesets.result import Result
from facesets.results.manifest_json import read_any_manifest
from facesets.work import Work

READERS: dict[Format, Callable[[Path], ModelsRead]] = {
    "safetensors": read_reactor,
    "visomaster": read_visomaster,
    "rope": read_rope,
    "npz": read_archive,
}


class Loader(Protocol):
    """The models of a consumer."""

    @property
    def settings(self) -> CacheSettings:
        """The models that it uses."""
        ...

    def detect(self, pixels: Pixels) -> Detections:
        """Find the faces of one picture."""
        ...

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Return embeddings (n, d) as the network gives them, not scaled to unit length."""
        ...


def verify_bundles(files: list[Path], loader: Loader, *, work: Work) -> Result:
    """Load bundles as the consumer would, and compare the result with the manifests beside them.

    Raises
    ------
    WrongUsage
        A file does not exist.
    """
    work.progress.begin("Checking bundles", len(files))
    checks, read = [], cache(read_any_manifest)
    for file in files:
        if work.stop.requested:
            break
        checks.append(check(file, loader, read))
        work.progress.advance()
    work.progress.end()
    failed = sum(bool(check.problems) for check in checks)
    return Result(bundles=checks, failed=failed, stopped=len(checks) < len(files))


def check(file: Path, loader: Loader, read: Read = read_any_manifest) -> Result:
    """Load one file in any format; a damaged one is a result, not an error.

    Raises
    ------
    WrongUsage
        The file does not exist.
    """
    try:
        kind = format_of(file)
    except FileNotFoundError as error:
        raise WrongUsage(f"Bundle not found: {printable(file)}") from error
    except OSError as error:
        return _unread(file, "", f"Cannot read {printable(file)} ({error.strerror}). Export it again.")
    if kind is None:
        return _unread(file, "", f"unknown format; known are {', '.join(FORMATS)}")
    if kind in ("fsz", "images"):
        return check_bundle(file, loader, read)
    return check_model(file, kind, read)


def check_bundle(file: Path, loader: Loader, read: Read = read_any_manifest) -> Result:
    """Load a bundle, or a folder of images, as its consumer would."""
    kind: Format = "images" if file.is_dir() else "fsz"
    try:
        pictures, problems = read_images(file) if kind == "images" else read_bundle(file)
    except FacesetsError as error:
        if error.exit_status != FacesetsError.exit_status:
            raise
        return _unread(file, kind, error.sentence)
    embeddings = [_all_faces(loader, pixels) for _, pixels in pictures]
    counts = {name: len(found) for (name, _), found in zip(pictures, embeddings, strict=True)}
    odd = {name: count for name, count in counts.items() if count != 1}
    problems += [f"{printable(name)} shows {counted(count, 'face')}" for name, count in odd.items()]
    if not pictures:
        problems.append("it contains no picture")
    similarity, minimum = SetSimilarity(), None
    if sum(counts.values()):
        vectors = np.concatenate(embeddings)
        mean = unit(vectors.mean(axis=0))
        minimum = round(float(min(unit(vector) @ mean for vector in vectors)), 4)
        context = read_export_context(file, read)
        if context.recognizer_sha256 == loader.settings.recognizer_sha256:
            similarity = context.compare(context.own, mean)
        problems += similarity.problems()
    return Result(
        _unread(file, kind),
        pictures=len(pictures),
        faces=sum(counts.values()),
        faces_per_picture=odd,
        own_cosine_similarity=similarity.own,
        nearest_other=similarity.other,
        nearest_other_cosine_similarity=similarity.other_similarity,
        least_cosine_similarity=minimum,
        problems=problems,
        people=1,
    )


def check_model(file: Path, kind: Format, read: Read = read_any_manifest) -> Result:
    """Read a face model as its consumer would, and compare each person in it with the sets of its export."""
    try:
        found = READERS[kind](file)
    except FacesetsError as error:
        if error.exit_status != FacesetsError.exit_status:
            raise
        return _unread(file, kind, error.sentence)
    context = read_export_context(file, read)
    problems = list(found.problems)
    if context.models is not None and kind in OF_ONE_RECOGNIZER and not is_of_swappers(context.models):
        problems.append(
            f"it is in an export made with {printable(context.models.recognizer)}, but {CONSUMERS[kind]} "
            f"expects {RECOGNIZER}"
        )
    similarities = [
        context.compare(context.own or person.name, unit(person.embedding)) for person in found.people
    ]
    problems += [problem for each in similarities for problem in each.problems()]
    nearest = max(similarities, key=lambda each: each.other_similarity or -2, default=SetSimilarity())
    return Result(
        _unread(file, kind),
        faces=found.faces,
        own_cosine_similarity=min((each.own for each in similarities if each.own is not None), default=None),
        nearest_other=nearest.other,
        nearest_other_cosine_similarity=nearest.other_similarity,
        least_cosine_similarity=found.least_cosine_similarity,
        problems=problems,
        people=len(found.people),
    )


def _unread(file: Path, kind: Format | Literal[""], *problems: str) -> Result:
    """Return the result for a file before it is loaded."""
    return Result(
        file=str(file),
        pictures=0,
        faces=0,  # in the pictures; of a face model, its embeddings
        faces_per_picture={},  # by name, if not one
        # From the average to the set in the manifest beside it; for several people the lowest.
        own_cosine_similarity=None,
        nearest_other="",
        nearest_other_cosine_similarity=None,
        least_cosine_similarity=None,  # of a single face to the average
        problems=list(problems),
        format=kind,
        people=0,
    )


def _all_faces(loader: Loader, pixels: Pixels) -> Float32:
    return loader.raw_embeddings(pixels, loader.detect(pixels).kps)
