"""Whether a store speaks of the same faces as a manifest, or as what is to be added to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facesets.errors import RecogniserMismatch, WrongUsage
from facesets.files import printable
from facesets.plurals import counted
from facesets.records import CacheSettings, Collection, Int64


def require_same_recogniser(ours: CacheSettings, theirs: CacheSettings, where: Path | str) -> None:
    """Refuse vectors of another recogniser: raises `RecogniserMismatch`."""
    if ours.recogniser_sha256 != theirs.recogniser_sha256:
        raise RecogniserMismatch(
            f"{printable(where)} has vectors of another recogniser ({theirs.pack}/{theirs.recogniser}) than "
            f"the cache ({ours.pack}/{ours.recogniser}). Use what was made from this cache."
        )


def require_same_faces(ours: CacheSettings, theirs: CacheSettings, where: Path) -> None:
    """Refuse faces found otherwise: they are named by their number in the image, so all must be the same.

    Raises
    ------
    RecogniserMismatch, WrongUsage
    """
    require_same_recogniser(ours, theirs, where)
    if ours.detection != theirs.detection:
        raise WrongUsage(
            f"{printable(where)} names faces found with another detection ({_detection(theirs)}) than the "
            f"cache's ({_detection(ours)}). Run the command that wrote it again, with this cache."
        )


def _detection(models: CacheSettings) -> str:
    return f"{models.detector} at {models.det_size}, from score {models.min_det_score:g}"


def rows_of(ids: Sequence[str], rows_by_id: Mapping[str, int], manifest: Path) -> Int64:
    """Rows of a store for the faces that a manifest names; raises `WrongUsage` if the store lacks one."""
    missing = [face for face in ids if face not in rows_by_id]
    if missing:
        raise WrongUsage(
            f"{printable(manifest)} lists {counted(len(missing), 'face')} that the cache does not hold. Give "
            "the cache that it was made from, or refine again."
        )
    return np.array([rows_by_id[face] for face in ids], np.int64)


def rows_among(collection: Collection, faces: frozenset[str]) -> Int64:
    """Rows of those of some faces that a store has."""
    ids = collection.face_ids() if faces else []
    return np.array([row for row, face in enumerate(ids) if face in faces], np.int64)
