"""Faces of a result by the ids that they have now, without those that are gone.

The number in an id is the face's place in its photo. Where a face of a photo was erased from the store, the
others have other numbers; what an earlier run wrote down still finds them by their boxes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np

from facesets.imaging.boxes import best_partners, paired_iou
from facesets.imaging.renumbered_faces import Renumbered, image_of
from facesets.records import Collection, Float32
from facesets.results.manifest import (
    ClusterManifest,
    Correction,
    FaceEntry,
    Group,
    RefineManifest,
    every_face,
)
from facesets.results.names.file_names import folded

_SAME_FACE = 0.5
M = TypeVar("M", bound=ClusterManifest | RefineManifest)


@dataclass(frozen=True, slots=True)
class PersonToErase:
    """The person to remove.

    Attributes
    ----------
    is_at_place : callable
        Whether a face in a manifest lies where one of the person's does.
    changes : Renumbered
        Ids of faces that have others afterwards.
    names : set of str
        What the person was called, and folders of the person; folded.
    """

    is_at_place: Callable[[FaceEntry], bool]
    changes: Renumbered
    names: AbstractSet[str]

    @property
    def renumbered(self) -> Mapping[str, str]:
        """Ids, old to new; empty for faces that are gone."""
        return self.changes.new

    def is_theirs(self, face: FaceEntry) -> bool:
        """Whether a face in a manifest is the person's."""
        return self.is_at_place(face) or self.renumbered.get(face.face) == ""

    def among(self, faces: Iterable[FaceEntry]) -> "PersonToErase":
        """The same, with what is not done yet where these faces are written down."""
        return replace(self, changes=self.changes.outstanding((face.face, face.box) for face in faces))


def with_current_ids(manifest: M, collection: Collection) -> M:
    """A manifest in which faces have the ids that they have in the store, without those that it lost.

    Photos of which the store knows no face stay as they are.
    """
    changed = _changed(list(every_face(manifest)), collection)
    if not changed:
        return manifest
    gone = {old for old, new in changed.items() if not new}
    whom = PersonToErase(lambda _: False, Renumbered(changed, {}), frozenset())
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


def without_faces(manifest: M, gone: AbstractSet[str], whom: PersonToErase) -> M:
    """Return the manifest without some faces, the others by the ids that they have now; its files stay."""
    left = without_faces_and_groups(manifest, (), gone, whom, {})
    return cast("M", replace(left, sheets=manifest.sheets))


def without_faces_and_groups(
    manifest: ClusterManifest | RefineManifest,
    own: Sequence[str],
    theirs: AbstractSet[str],
    whom: PersonToErase,
    gone: Mapping[str, object],
) -> ClusterManifest | RefineManifest:
    """The manifest without some faces and groups; faces that have other ids now have these."""

    def kept(faces: Iterable[FaceEntry]) -> tuple[FaceEntry, ...]:
        return tuple(renumbered_face(face, whom) for face in faces if face.face not in theirs)

    def kept_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
        left = ((group, kept(group.faces)) for group in groups if group.name not in own)
        return tuple(
            Group(group.name, len({face.image for face in faces}), faces) for group, faces in left if faces
        )

    common = {
        "files": {name: put for name, put in manifest.files.items() if name not in gone},
        "sheets": () if theirs or own else manifest.sheets,
        "statements": corrections_without(manifest.statements, own, theirs, whom),
        "hidden": kept_groups(manifest.hidden),
        "set_aside": kept(manifest.set_aside),
        "marks": {name: group for name, group in manifest.marks.items() if name not in own},
    }
    if isinstance(manifest, RefineManifest):
        dropped = tuple(
            replace(item, face=renumbered_face(item.face, whom))
            for item in manifest.dropped
            if item.face.face not in theirs and item.group not in own
        )
        sets = kept_groups(manifest.facesets)
        return replace(manifest, facesets=sets, dropped=dropped, **common)  # type: ignore[arg-type]
    persons, singletons = kept_groups(manifest.persons), kept(manifest.singletons)
    placements = {whom.renumbered.get(f, f): how for f, how in manifest.placements.items() if f not in theirs}
    counts = manifest.counts | {
        "faces": manifest.counts.get("faces", 0) - len(theirs),
        "persons": len(persons),
        "singletons": len(singletons),
    }
    changed = replace(manifest, persons=persons, singletons=singletons, placements=placements, counts=counts)
    return replace(changed, **common)  # type: ignore[arg-type]


def renumbered_face(face: FaceEntry, whom: PersonToErase) -> FaceEntry:
    """A face by the id that it has now."""
    new = whom.renumbered.get(face.face)
    return replace(face, face=new) if new else face


def corrections_without(
    statements: Iterable[Correction], own: Sequence[str], theirs: AbstractSet[str], whom: PersonToErase
) -> tuple[Correction, ...]:
    """Return the statements on other groups, faces and names."""

    def is_about_them(said: Correction) -> bool:
        names = {folded(said.group), folded(said.name)} & whom.names
        return (
            bool(names)
            or said.face in theirs
            or said.group in own
            or (said.kind == "named" and said.name in own)
        )

    return tuple(
        replace(said, face=whom.renumbered.get(said.face, said.face))
        for said in statements
        if not is_about_them(said)
    )
