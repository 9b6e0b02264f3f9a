"""The checks of every command that writes results: that faces, result and photos belong together.

A result folder belongs to the cache or library that it was made from. A forgotten argument must not replace
it by the result of another one.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Generic, TypeVar

import numpy as np

from facesets.errors import Command, Field, RecognizerMismatch, WrongUsage
from facesets.files import RUN_CACHE, RUN_RECORD, printable
from facesets.interfaces import Store
from facesets.plurals import counted
from facesets.records import CacheSettings, Collection, Int64
from facesets.results import Materialize
from facesets.results.current_faces import with_current_ids
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import ClusterManifest, RefineManifest, sorted_faces
from facesets.results.manifest_json import read_manifest, refuse_other_results
from facesets.results.photo_sources import PhotoSources


def require_same_recognizer(ours: CacheSettings, theirs: CacheSettings, where: Path | str) -> None:
    """Refuse embeddings of another recognizer: raises `RecognizerMismatch`."""
    if ours.recognizer_sha256 != theirs.recognizer_sha256:
        raise RecognizerMismatch(
            f"{printable(where)} was made with another recognition model "
            f"({theirs.pack}/{theirs.recognizer}) than the cache ({ours.pack}/{ours.recognizer}). Use a "
            "result made from this cache."
        )


def require_same_faces(ours: CacheSettings, theirs: CacheSettings, where: Path) -> None:
    """Refuse faces of another detection: faces are named by their number in the image, so all must match.

    Raises
    ------
    RecognizerMismatch, WrongUsage
    """
    require_same_recognizer(ours, theirs, where)
    if ours.detection != theirs.detection:
        raise WrongUsage(
            f"{printable(where)} was made with other detection settings ({_detection(theirs)}) than the "
            f"cache ({_detection(ours)}). Run the command that wrote it again, with this cache."
        )


def _detection(models: CacheSettings) -> str:
    return f"{models.detector} at {models.det_size}, minimum score {models.min_det_score:g}"


def rows_of(ids: Sequence[str], rows_by_id: Mapping[str, int], manifest: Path) -> Int64:
    """Return the rows of a manifest's faces; raises `WrongUsage` if the store lacks one."""
    missing = [face for face in ids if face not in rows_by_id]
    if missing:
        raise WrongUsage(
            f"{printable(manifest)} lists {counted(len(missing), 'face')} that the cache does not have. "
            "Give the cache that it was made from, or refine again."
        )
    return np.array([rows_by_id[face] for face in ids], np.int64)


def rows_among(ids: Sequence[str], faces: AbstractSet[str]) -> Int64:
    """Return the rows of those faces that a store has; `ids` are those of all its faces."""
    return np.array([row for row, face in enumerate(ids) if face in faces] if faces else [], np.int64)


Result = ClusterManifest | RefineManifest | ExportManifest
M = TypeVar("M", ClusterManifest, RefineManifest, ExportManifest)


@dataclass(frozen=True, slots=True)
class Beginning(Generic[M]):
    """The data at the beginning of a run.

    Attributes
    ----------
    collection : Collection
        The content of the store.
    before : ClusterManifest, RefineManifest, ExportManifest or None
        The folder's manifest; None if the folder is new.
    sources : PhotoSources
        The photos, which were just available.
    """

    collection: Collection
    before: M | None
    sources: PhotoSources


def begin(
    store: Store,
    out: Path,
    kind: type[M],
    manifest_name: str,
    *,
    replace: bool,
    how: Materialize = "copy",
) -> Beginning[M]:
    """Read a store and a result folder.

    Parameters
    ----------
    replace : bool
        Whether the folder may hold the result of another store.
    how : str
        How photos are placed; with `none`, and if none were placed before, they need not be available.

    Raises
    ------
    WrongUsage
        The folder holds the result of another store or command, or the store is empty.
    SourceGone
        Photos that the store knows are unavailable.
    DamagedFile, NewerFormat
        The manifest, or the cache, cannot be read.
    """
    refuse_other_results(out, kind)
    path = out / manifest_name
    before = read_manifest(path, kind) if path.is_file() else None
    if before is not None and not replace:
        refuse_of_another_store(store, before, out)
    collection = store.load()
    if before is not None and not replace:
        refuse_of_other_photos(store, collection, before, out)
    if isinstance(before, ClusterManifest | RefineManifest):
        before = with_current_ids(before, collection)
    sources = readable_sources(store, collection, *([] if before is None else [before]), how=how)
    return Beginning(collection, before, sources)


def readable_sources(
    store: Store, collection: Collection, *before: Result, how: Materialize = "none"
) -> PhotoSources:
    """Return the photos of a store if a run needs them or an earlier result has any; else none.

    Raises
    ------
    SourceGone
        They are unavailable.
    """
    needed = how != "none" or any(_needs_photos(each) for each in before)
    sources = PhotoSources.of(store, collection.images) if needed else PhotoSources()
    sources.require()
    return sources


def refuse_of_another_store(store: Store, before: Result, out: Path) -> None:
    """Refuse a result of another store; earlier versions did not record the store.

    Raises
    ------
    WrongUsage
    """
    if before.made.store not in ("", store.identity):
        raise _of_another_store(store, before, out)


def refuse_of_other_photos(store: Store, collection: Collection, before: Result, out: Path) -> None:
    """Refuse a result if the store lacks most of its photos, unless the store has the name of its own.

    Caches that begin with the same photo have the same id, and one may hold only a few folders of the other.

    Raises
    ------
    WrongUsage
    """
    if before.made.store and before.made.cache != store.label:
        images = {face.partition("#")[0] for face in _faces(before)}
        known = images.intersection(digest.decode() for digest in collection.images.sha256.tolist())
        if 2 * len(known) < len(images):
            raise _of_another_store(store, before, out)


def _faces(before: Result) -> Iterator[str]:
    if isinstance(before, ExportManifest):
        return (face for entry in before.sets for face in entry.best)
    return (face.face for face in sorted_faces(before))


def _of_another_store(store: Store, before: Result, out: Path) -> WrongUsage:
    return WrongUsage(
        f"{printable(out)} holds a result of {printable(before.made.cache)}, not of {store.label}. Give "
        f"the cache that it was made from, or another folder; with {Field('replace')} it is overwritten."
    )


def cache_of(sets: Path) -> Path | None:
    """Return the cache that face sets were made from, by their manifest; None if that was a library.

    Raises
    ------
    WrongUsage
        It is not there, or there is no manifest; or as `read_manifest`, as all other errors.
    """
    cache = read_manifest(sets, RefineManifest).made.cache
    if not (PurePosixPath(cache).is_absolute() or PureWindowsPath(cache).is_absolute()):
        return None
    if not Path(cache).is_file():
        # The folder of a run may have been moved with its cache.
        above = (sets if sets.is_dir() else sets.parent).absolute().parent
        if (above / RUN_RECORD).is_file() and (above / RUN_CACHE).is_file():
            return above / RUN_CACHE
        raise WrongUsage(
            f"{printable(sets)} was made from the cache {printable(cache)}, which is not there. Give the "
            f"cache first, such as {Command('export-swap', 'faces.npz', printable(sets), 'OUT')}."
        )
    return Path(cache)


def _needs_photos(before: Result) -> bool:
    if isinstance(before, ExportManifest):
        return True
    return bool(before.files) or before.made.options.get("materialize") != "none"
