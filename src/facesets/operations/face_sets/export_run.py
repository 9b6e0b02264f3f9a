"""What every command that writes to an export works with: read once, and rated once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facesets.imaging.quality import FaceQuality, known_pose, quality
from facesets.interfaces import Embedder, Store
from facesets.operations.face_sets.face_modeller import FaceModeller, require_recogniser
from facesets.operations.options.declaration import for_recogniser
from facesets.operations.options.results import ExportSwapOptions
from facesets.records import Collection, Float32, Int64
from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import ExportManifest
from facesets.results.folder_runs import reserved
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.results.names.naming import Naming, look_for_export
from facesets.results.photo_sources import PhotoSources
from facesets.results.preflight import begin
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class ExportRun:
    """A run that writes to an export.

    Attributes
    ----------
    collection : Collection
        What the store holds; `ids` are those of its faces.
    pose, parts, rating : float32 array, FaceQuality, float32 array
        Of every face of the store: where it looks, the parts of its quality, and their sum.
    sources : PhotoSources
        The photos, which were there a moment ago.
    earlier : EarlierExport
        What is in the export.
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recogniser of the store.
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
        """The modeller, where face models are to be made."""
        if self.modeller is None:
            raise ValueError("face models are asked for, and nothing that makes them is given")
        return self.modeller

    @property
    def out(self) -> Path:
        """The export's folder."""
        return self.earlier.root

    def ids_of(self, rows: Int64) -> frozenset[str]:
        """Ids of some faces."""
        return frozenset(self.ids[row] for row in rows)

    def naming(self) -> Naming:
        """What people are called in all results of the store; errors as `look`."""
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
    """Read what a run into an export works with, while no other run writes there.

    Parameters
    ----------
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recogniser of the store.
    modeller : FaceModeller, optional
        Of the same pack; needed for face models.

    Raises
    ------
    RecogniserMismatch
        Store and embedder do not have the same recogniser, or the consumer of a format knows another.
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
        require_recogniser(options.formats, collection.settings, store.label)
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
            options=for_recogniser(options, collection.settings.recogniser),
            work=work,
            modeller=modeller,
        )
