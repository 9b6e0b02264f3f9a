"""`enrich`: add landmarks, pose, norm, age and sex to stored faces."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facesets.errors import Field, RecognizerMismatch, UnreadableImage
from facesets.files import printable
from facesets.imaging.boxes import best_partners
from facesets.imaging.originals import read_row
from facesets.imaging.quality import pose_from_keypoints
from facesets.inference.decoders import Detections
from facesets.interfaces import Store
from facesets.operations.ingest.stages import AttributeModel, Photo, Stage
from facesets.operations.options.results import EnrichOptions
from facesets.records import (
    Bool,
    CacheSettings,
    Collection,
    EnrichState,
    Faces,
    Float32,
    ImageRecord,
    Int64,
    Pixels,
    PoseSource,
    unknown_column,
)
from facesets.result import Result
from facesets.results.manifest import Failure
from facesets.results.photo_sources import PhotoSources
from facesets.work import Work

_COLUMNS = ("landmark_2d_106", "landmark_3d_68", "pose", "pose_source", "enrich_state")
_SAME_FACE = 0.9  # Cosine similarity


class FaceFinder(Protocol):
    """Detects and recognises the faces in an image."""

    def detect(self, pixels: Pixels) -> Detections: ...  # noqa: D102 - its name describes it

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Return the recognizer's own output (n, d) for faces given by keypoints (n, 5, 2)."""
        ...


class Landmarker(Protocol):
    """Adds landmarks and pose from the models of a pack."""

    def add(self, pixels: Pixels, faces: Faces) -> Faces:
        """Return the same faces with `landmark_2d_106`, `landmark_3d_68`, `pose`, as the pack has models."""
        ...


def enrich(
    store: Store,
    finder: FaceFinder,
    landmarker: Landmarker,
    options: EnrichOptions,
    *,
    attributes: AttributeModel | None = None,
    norms: bool = False,
    work: Work,
) -> Result:
    """Detect each stored face again and add landmarks and pose, and missing norms, ages and sexes.

    A face that is not found again keeps its row and is marked. Results are stored every `flush_every` images.

    Parameters
    ----------
    finder : FaceFinder
        Must have the detection settings of the store.
    attributes : AttributeModel, optional
        Estimates age and sex of the faces at their stored boxes, whether or not they are found again.
    norms : bool
        Whether norms of the finder's recognizer measure face quality, so that they are stored.

    Raises
    ------
    CannotWrite
        No space; stored results stay.
    SourceGone
        A folder of the photos is unavailable; stored results stay.
    """
    collection = store.load()
    wanted, lacking = _wanted(collection.faces, options, ages=attributes is not None, norms=norms)
    images = np.unique(collection.faces.image[lacking])
    already = int((~lacking).sum())
    done = _before(already, dry_run=options.dry_run)
    if options.dry_run:
        return Result(done, faces=len(collection.faces) - already, images=len(images))
    sources = PhotoSources.of(store, collection.images) if len(images) else PhotoSources()
    sources.require()
    run = _EnrichRun(
        done, store, collection, wanted, finder, landmarker, attributes, options, sources, norms=norms
    )
    work.progress.begin("Enriching", len(images))
    try:
        for image in images:
            if work.stop.requested:
                break
            run.take(int(image))
            work.progress.advance()
    finally:
        run.flush()
        work.progress.end()
    return Result(done, failed=len(done.failures), stopped=done.images < len(images))


def _wanted(faces: Faces, options: EnrichOptions, *, ages: bool, norms: bool) -> tuple[Bool, Bool]:
    """Return which faces to detect again, and which lack any attribute."""
    state = _state(faces)
    wanted = state == EnrichState.NOT_YET
    if options.again:
        wanted |= state == EnrichState.NOT_FOUND_AGAIN
    lacking = wanted.copy()
    for name, is_asked in (("age", ages), ("norm", norms)):
        lacking |= _unknown(faces, name) & is_asked
    return wanted, lacking


def _before(already: int, *, dry_run: bool) -> Result:
    """Return the result of a run before its first image."""
    return Result(
        faces=0,  # looked at in this run
        images=0,
        enriched=0,  # of these faces
        not_found_again=0,
        pose_from_keypoints=0,  # enriched faces with a pose from the five keypoints
        aged=0,  # faces that got age and sex
        norms=0,  # faces that got the norm of their embedding
        already=already,  # faces that earlier runs dealt with
        failed=0,
        failures=[],
        dry_run=dry_run,
        stopped=False,
    )


def require_models(store: Store) -> CacheSettings:
    """Return which models the faces of a store come from.

    Raises
    ------
    WrongUsage
        It is empty; the message is that of its `load`.
    """
    return store.settings or store.load().settings


def refuse_other_models(store: Store, settings: CacheSettings) -> None:
    """Check that these models are the ones that found the faces of a store.

    Raises
    ------
    RecognizerMismatch
        They differ from the models that found the faces.
    """
    known = require_models(store)
    if (known.recognizer_sha256, known.detection) != (settings.recognizer_sha256, settings.detection):
        raise RecognizerMismatch(
            f"The faces of {store.label} come from {known.recognizer} and {known.detector} of "
            f"{printable(known.pack)}, and {printable(settings.pack)} has different models. Use "
            f"{Field('pack', printable(known.pack))}."
        )


def landmarks_stage(landmarker: Landmarker) -> Stage:
    """Make the step that adds landmarks and pose to new faces, as `enrich` does later."""

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if not len(image.faces):
            return image
        rows = np.arange(len(image.faces))
        return replace(image, faces=enrich_rows(photo.pixels, image.faces, rows, landmarker))

    return Stage("landmarks", "", look)


def enrich_rows(pixels: Pixels, faces: Faces, rows: Int64, landmarker: Landmarker) -> Faces:
    """Return the faces of an image with landmarks and pose added in these rows."""
    more = landmarker.add(pixels, faces.take(rows)) if len(rows) else faces.take(rows)
    return replace(faces, **dict(_new_columns(faces, more, rows)))


class _EnrichRun:
    """One run: its counts, and the images that wait for the next flush."""

    def __init__(
        self,
        done: Result,
        store: Store,
        collection: Collection,
        wanted: Bool,
        finder: FaceFinder,
        landmarker: Landmarker,
        attributes: AttributeModel | None,
        options: EnrichOptions,
        sources: PhotoSources,
        *,
        norms: bool,
    ) -> None:
        self._done = done
        self._store = store
        self._sources = sources
        self._wanted = wanted
        self._collection = collection
        self._finder = finder
        self._landmarker = landmarker
        self._attributes = attributes
        self._stores_norms = norms
        self._options = options
        self._order = np.argsort(collection.faces.image, kind="stable")
        self._starts = np.searchsorted(
            collection.faces.image[self._order], np.arange(len(collection.images) + 1)
        )
        self._waiting: list[ImageRecord] = []

    def take(self, image: int) -> None:
        """Process one image; an unreadable one is noted and retried in the next run."""
        self._done["images"] += 1
        try:
            pixels = read_row(self._collection.images, image)
        except UnreadableImage as error:
            self._done.failures.append(Failure(self._collection.images.paths[image][0], error.reason))
            self._sources.one_failed()
            return
        rows = self._order[self._starts[image] : self._starts[image + 1]]
        faces = self._aging(pixels, self._measured(pixels, self._collection.faces.take(rows)))
        if self._wanted[rows].any():
            faces = self._enrich(pixels, faces, self._wanted[rows])
            self._count(faces.take(self._wanted[rows]))
        self._waiting.append(_record(self._collection, image, faces))
        if len(self._waiting) >= self._options.flush_every:
            self.flush()

    def _enrich(self, pixels: Pixels, faces: Faces, wanted: Bool) -> Faces:
        found = self._finder.detect(pixels)
        again = best_partners(faces.box, found.box, min_iou=self._options.min_overlap) >= 0
        rows = np.flatnonzero(again & wanted)
        bare = Faces(**{n: c[rows] for n, c in faces.columns().items() if n not in _COLUMNS})
        more = self._landmarker.add(pixels, bare) if len(rows) else bare
        return replace(faces, **dict(_new_columns(faces, more, rows)))

    def _aging(self, pixels: Pixels, faces: Faces) -> Faces:
        """Add age and sex to the faces of an image."""
        rows = np.flatnonzero(_unknown(faces, "age"))
        if self._attributes is None or not len(rows):
            return faces
        found = self._attributes.of(pixels, faces.box[rows])
        columns = {}
        for name, values in (("age", found.age), ("male", found.male)):
            before = getattr(faces, name)
            columns[name] = unknown_column(name, len(faces)) if before is None else before.copy()
            columns[name][rows] = values
        self._done["aged"] += len(rows)
        return replace(faces, **columns)

    def _measured(self, pixels: Pixels, faces: Faces) -> Faces:
        """Add norms to the faces of an image."""
        rows = np.flatnonzero(_unknown(faces, "norm"))
        if not self._stores_norms or not len(rows):
            return faces
        raw = self._finder.raw_embeddings(pixels, faces.kps[rows])
        length = np.linalg.norm(raw, axis=1)
        # If the file was replaced, the face may not be there now.
        same = np.einsum("ij,ij->i", raw, faces.embedding[rows]) >= _SAME_FACE * np.maximum(length, 1e-12)
        norm = unknown_column("norm", len(faces)) if faces.norm is None else faces.norm.copy()
        norm[rows[same]] = length[same]
        self._done["norms"] += int(same.sum())
        return replace(faces, norm=norm)

    def _count(self, faces: Faces) -> None:
        enriched = int((_state(faces) == EnrichState.DONE).sum())
        self._done["faces"] += len(faces)
        self._done["enriched"] += enriched
        self._done["not_found_again"] += len(faces) - enriched
        if faces.pose_source is not None:
            self._done["pose_from_keypoints"] += int((faces.pose_source == PoseSource.KEYPOINTS).sum())

    def flush(self) -> None:
        """Store the waiting results."""
        if self._waiting:
            self._store.annotate(self._waiting)
            self._waiting = []


def _state(faces: Faces) -> NDArray[np.uint8]:
    return np.zeros(len(faces), np.uint8) if faces.enrich_state is None else faces.enrich_state


def _unknown(faces: Faces, name: str) -> Bool:
    """Return which faces lack a number that they could have."""
    column: Float32 | None = getattr(faces, name)
    return np.ones(len(faces), bool) if column is None else np.isnan(column)


def _new_columns(faces: Faces, more: Faces, rows: Int64) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield columns for all faces of an image: those of `rows` from `more`, the others unchanged."""
    pose = np.full((len(rows), 3), np.nan, np.float32) if more.pose is None else more.pose
    modelled: Bool = np.all(np.isfinite(pose), axis=1)
    pose = np.where(modelled[:, None], pose, pose_from_keypoints(more.kps))
    source = np.where(modelled, PoseSource.LANDMARKS_3D, PoseSource.KEYPOINTS)
    known = {"pose": pose, "pose_source": source, "enrich_state": EnrichState.DONE}
    for name in _COLUMNS:
        before = getattr(faces, name)
        column = unknown_column(name, len(faces)) if before is None else before.copy()
        if name == "enrich_state":
            column[column == EnrichState.NOT_YET] = EnrichState.NOT_FOUND_AGAIN
        values = known.get(name, getattr(more, name))
        if values is not None:
            column[rows] = values
        yield name, column


def _record(collection: Collection, image: int, faces: Faces) -> ImageRecord:
    images = collection.images
    return ImageRecord(
        sha256=images.sha256[image].decode(),
        width=int(images.width[image]),
        height=int(images.height[image]),
        taken=images.taken[image],
        fingerprint=images.fingerprint[image].tobytes(),
        faces=faces.with_image(np.zeros(len(faces), np.int64)),
    )
