"""The data of every command that writes to an export: read and rated once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from facesets.errors import Field, RecognizerMismatch, WrongUsage
from facesets.files import printable
from facesets.formats.face_models.face_model import LEAD_COLUMNS
from facesets.formats.face_models.kinds import CONSUMERS, OF_ONE_RECOGNIZER, Format
from facesets.imaging.quality import FaceQuality, known_pose, quality
from facesets.interfaces import Embedder, Store
from facesets.operations.models.known_packs import PACK, RECOGNIZER, is_of_swappers
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExportSwapOptions
from facesets.records import CacheSettings, Collection, Faces, Float32, Int64, Pixels
from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import ExportManifest
from facesets.results.folder_runs import reserved
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.results.names.naming import Naming, look_for_export
from facesets.results.photo_sources import PhotoSources
from facesets.results.preflight import begin
from facesets.work import Work


class FaceModeller(Protocol):
    """The models of a pack that compute the content of face models."""

    @property
    def lead_columns(self) -> frozenset[str]:
        """The columns of `LEAD_COLUMNS` that it can compute."""
        ...

    def with_lead_columns(self, pixels: Pixels, faces: Faces) -> Faces:
        """Return the faces of a picture with those columns."""
        ...

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Return embeddings (n, d) of faces at keypoints (n, 5, 2), not scaled to unit length."""
        ...


@dataclass(frozen=True, slots=True)
class ExportRun:
    """A run that writes to an export.

    Attributes
    ----------
    collection : Collection
        The content of the store; `ids` are those of its faces.
    pose, parts, rating : float32 array, FaceQuality, float32 array
        Of every face of the store: its pose, the parts of its quality, and their sum.
    sources : PhotoSources
        The photos, which were available at the beginning.
    earlier : EarlierExport
        The content of the export.
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recognizer of the store.
    modeller : FaceModeller or None
        Of the same pack; only face models need it.
    """

    store: Store
    collection: Collection
    ids: tuple[str, ...]
    pose: Float32
    parts: FaceQuality
    rating: Float32
    sources: PhotoSources
    earlier: EarlierExport
    embedder: Embedder
    options: ExportSwapOptions
    work: Work
    modeller: FaceModeller | None = None

    @property
    def modeller_needed(self) -> FaceModeller:
        """The modeller; only for runs that make face models."""
        if self.modeller is None:
            raise ValueError("face models are requested, but no modeller is given")
        return self.modeller

    @property
    def out(self) -> Path:
        """The export's folder."""
        return self.earlier.root

    def ids_of(self, rows: Int64) -> frozenset[str]:
        """Return the ids of some faces."""
        return frozenset(self.ids[row] for row in rows)

    def naming(self) -> Naming:
        """Read the names of people in all results of the store; errors as `look`."""
        return look_for_export(self.store, self.earlier, self.collection)


@contextmanager
def open_export(
    store: Store,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    work: Work,
    modeller: FaceModeller | None = None,
) -> Iterator[ExportRun]:
    """Lock an export, and read the data of a run into it.

    Parameters
    ----------
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recognizer of the store.
    modeller : FaceModeller, optional
        Of the same pack; needed for face models.

    Raises
    ------
    RecognizerMismatch
        Store and embedder have different recognizers, or a format needs another one.
    WrongUsage
        `out` holds something else, or the export of another store.
    SourceGone
        Photos that the store knows are unavailable.
    DamagedFile, NewerFormat
        As `begin`.
    AlreadyRunning
        Another run writes to `out`.
    CannotWrite
        `out` cannot be written.
    """
    with reserved(out, dry_run=options.dry_run):
        begun = begin(store, out, ExportManifest, EXPORT_MANIFEST, replace=options.replace)
        collection = begun.collection
        require_recognizer(options.formats, collection.settings, store.label)
        pose = known_pose(collection.faces)
        parts = quality(collection.faces, pose)
        yield ExportRun(
            store=store,
            collection=collection,
            ids=collection.face_ids(),
            pose=pose,
            parts=parts,
            rating=parts.total,
            sources=begun.sources,
            earlier=EarlierExport(out, begun.before),
            embedder=embedder,
            options=for_recognizer(options, collection.settings.recognizer),
            work=work,
            modeller=modeller,
        )


def require_recognizer(formats: Sequence[Format], models: CacheSettings, store: str) -> None:
    """Refuse formats that need embeddings of `w600k_r50` if the store has others.

    Raises
    ------
    RecognizerMismatch
    """
    keyed = [each for each in formats if each in OF_ONE_RECOGNIZER]
    if not keyed or is_of_swappers(models):
        return
    *first, last = (CONSUMERS[each] for each in keyed)
    consumers = f"{', '.join(first)} and {last}" if first else last
    verb = "works" if len(keyed) == 1 else "work"
    left = [each for each in formats if each not in OF_ONE_RECOGNIZER]
    rest = f"choose {Field('formats', ','.join(left))}" if left else "choose fsz, images or npz"
    raise RecognizerMismatch(
        f"{consumers} {verb} only with embeddings of {RECOGNIZER} ({PACK}), but the faces of {store} were "
        f"embedded with {printable(models.recognizer)} ({printable(models.pack)}). Nothing was exported. "
        f"Embed the photos with {Field('pack', PACK)}, or {rest}."
    )


def require_lead_columns(modeller: FaceModeller, faces: Faces, rows: Int64) -> None:
    """Refuse ReActor's models if neither the pack nor the store has all columns that they need.

    Parameters
    ----------
    rows : int64 array
        The faces of the planned sets.

    Raises
    ------
    WrongUsage
    """
    lacking = [
        name
        for name in LEAD_COLUMNS
        if name not in modeller.lead_columns
        and ((column := getattr(faces, name)) is None or not np.isfinite(column[rows]).all())
    ]
    if lacking:
        raise WrongUsage(
            f"ReActor's face models also need {', '.join(lacking)}, which the model pack cannot estimate "
            f"and some faces lack. Nothing was exported. Use another pack, such as {PACK}, or remove "
            "safetensors from the formats."
        )
