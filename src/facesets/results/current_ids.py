"""Faces of a result by the ids that they have now.

The number in an id is the face's place in its photo. Where a face of a photo was erased from the store, the
others have other numbers; what an earlier run wrote down still finds them by their boxes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

import numpy as np

from facesets.imaging.boxes import best_partners, paired_iou
from facesets.imaging.renumbered_faces import Renumbered, image_of
from facesets.records import Collection, Float32
from facesets.results.forgetting import without_faces
from facesets.results.manifest import ClusterManifest, FaceEntry, RefineManifest, every_face
from facesets.results.whom import Whom

_SAME_FACE = 0.5
M = TypeVar("M", bound=ClusterManifest | RefineManifest)


def with_current_ids(manifest: M, collection: Collection) -> M:
    """A manifest in which faces have the ids that they have in the store, without those that it lost.

    Photos of which the store knows no face stay as they are.
    """
    changed = _changed(list(every_face(manifest)), collection)
    if not changed:
        return manifest
    gone = {old for old, new in changed.items() if not new}
    whom = Whom(lambda _: False, Renumbered(changed, {}), frozenset())
    return without_faces(manifest, gone, whom)


def _changed(faces: Sequence[FaceEntry], collection: Collection) -> Mapping[str, str]:
    """Old id to new one, empty for faces that are gone, of photos in which a number is another face's now."""
    row_of = {face: row for row, face in enumerate(collection.face_ids())}
    stale = _stale_images([face for face in faces if face.face in row_of], row_of, collection)
    if not stale:
        return {}
    ours: dict[str, list[FaceEntry]] = defaultdict(list)
    for entry in faces:
        if entry.image in stale:
            ours[entry.image].append(entry)
    theirs: dict[str, list[str]] = defaultdict(list)
    for face in row_of:
        if (image := image_of(face)) in stale:
            theirs[image].append(face)
    changed: dict[str, str] = {}
    for image, entries in ours.items():
        known = theirs[image]
        boxes = collection.faces.box[[row_of[face] for face in known]]
        partner = best_partners(_boxes(entries), boxes, min_iou=_SAME_FACE)
        for entry, place in zip(entries, partner.tolist(), strict=True):
            changed[entry.face] = known[place] if place >= 0 else ""
    return changed


def _stale_images(
    faces: Sequence[FaceEntry], row_of: Mapping[str, int], collection: Collection
) -> AbstractSet[str]:
    """Images of faces whose ids are those of others now."""
    rows = np.array([row_of[face.face] for face in faces], np.int64)
    overlap = paired_iou(_boxes(faces), collection.faces.box[rows])
    return {faces[place].image for place in np.flatnonzero(overlap < _SAME_FACE).tolist()}


def _boxes(faces: Sequence[FaceEntry]) -> Float32:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)
