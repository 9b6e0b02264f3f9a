"""Update the face ids of a result to those in the store, without faces that the store lost.

The number in an id is the face's place in its photo. After a face was erased from the store, the photo's
other faces have other numbers; faces in an earlier manifest are then found by their boxes.
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
class ErasureInResult:
    """The person to remove.

    Attributes
    ----------
    is_at_place : callable
        Whether a face in a manifest lies at a place of one of the person's faces.
    changes : Renumbered
        Faces that get new ids.
    names : set of str
        Names and folders of the person; folded.
    """

    is_at_place: Callable[[FaceEntry], bool]
    changes: Renumbered
    names: AbstractSet[str]

    @property
    def renumbered(self) -> Mapping[str, str]:
        """Old to new id; empty for faces that are removed."""
        return self.changes.new

    def is_theirs(self, face: FaceEntry) -> bool:
        """Whether a face in a manifest is the person's."""
        return self.is_at_place(face) or self.renumbered.get(face.face) == ""

    def among(self, faces: Iterable[FaceEntry]) -> "ErasureInResult":
        """Return a copy with only those changes that a manifest with these faces still needs."""
        return replace(self, changes=self.changes.outstanding((face.face, face.box) for face in faces))


def with_current_ids(manifest: M, collection: Collection) -> M:
    """Return a manifest with the face ids of the store, without faces that the store lost.

    Photos without a face in the store stay as they are.
    """
    changed = _changed(list(every_face(manifest)), collection)
    if not changed:
        return manifest
    missing = {old for old, new in changed.items() if not new}
    person = ErasureInResult(lambda _: False, Renumbered(changed, {}), frozenset())
    return without_faces(manifest, missing, person)


def _changed(faces: Sequence[FaceEntry], collection: Collection) -> Mapping[str, str]:
    """Map old ids to new ones (empty for missing faces) in photos where a number now names another face."""
    row_of = {face: row for row, face in enumerate(collection.face_ids())}
    stale = _stale_images([face for face in faces if face.face in row_of], row_of, collection)
    if not stale:
        return {}
    ours: dict[str, list[FaceEntry]] = defaultdict(list)
    for entry in faces:
        if entry.image in stale:
            ours[entry.image].append(entry)
    person_faces: dict[str, list[str]] = defaultdict(list)
    for face in row_of:
        if (image := image_of(face)) in stale:
            person_faces[image].append(face)
    changed: dict[str, str] = {}
    for image, entries in ours.items():
        known = person_faces[image]
        boxes = collection.faces.box[[row_of[face] for face in known]]
        partner = best_partners(_boxes(entries), boxes, min_iou=_SAME_FACE)
        for entry, place in zip(entries, partner.tolist(), strict=True):
            changed[entry.face] = known[place] if place >= 0 else ""
    return changed


def _stale_images(
    faces: Sequence[FaceEntry], row_of: Mapping[str, int], collection: Collection
) -> AbstractSet[str]:
    """Return images with face ids that now name other faces."""
    rows = np.array([row_of[face.face] for face in faces], np.int64)
    overlap = paired_iou(_boxes(faces), collection.faces.box[rows])
    return {faces[place].image for place in np.flatnonzero(overlap < _SAME_FACE).tolist()}


def _boxes(faces: Sequence[FaceEntry]) -> Float32:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def without_faces(manifest: M, missing: AbstractSet[str], person: ErasureInResult) -> M:
    """Return the manifest without some faces, the others by their current ids; its files stay."""
    left = without_faces_and_groups(manifest, (), missing, person, {})
    return cast("M", replace(left, sheets=manifest.sheets))


def without_faces_and_groups(
    manifest: ClusterManifest | RefineManifest,
    person_groups: Sequence[str],
    person_faces: AbstractSet[str],
    person: ErasureInResult,
    removed_files: Mapping[str, object],
) -> ClusterManifest | RefineManifest:
    """Return the manifest without some faces and groups, the other faces by their current ids."""

    def remaining(faces: Iterable[FaceEntry]) -> tuple[FaceEntry, ...]:
        return tuple(renumbered_face(face, person) for face in faces if face.face not in person_faces)

    def remaining_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
        left = ((group, remaining(group.faces)) for group in groups if group.name not in person_groups)
        return tuple(
            Group(group.name, len({face.image for face in faces}), faces) for group, faces in left if faces
        )

    common = {
        "files": {name: put for name, put in manifest.files.items() if name not in removed_files},
        "sheets": () if person_faces or person_groups else manifest.sheets,
        "statements": corrections_without(manifest.statements, person_groups, person_faces, person),
        "hidden": remaining_groups(manifest.hidden),
        "set_aside": remaining(manifest.set_aside),
        "marks": {name: group for name, group in manifest.marks.items() if name not in person_groups},
    }
    if isinstance(manifest, RefineManifest):
        dropped = tuple(
            replace(item, face=renumbered_face(item.face, person))
            for item in manifest.dropped
            if item.face.face not in person_faces and item.group not in person_groups
        )
        sets = remaining_groups(manifest.facesets)
        return replace(manifest, facesets=sets, dropped=dropped, **common)  # type: ignore[arg-type]
    persons, singletons = remaining_groups(manifest.persons), remaining(manifest.singletons)
    placements = {
        person.renumbered.get(f, f): how for f, how in manifest.placements.items() if f not in person_faces
    }
    counts = manifest.counts | {
        "faces": manifest.counts.get("faces", 0) - len(person_faces),
        "persons": len(persons),
        "singletons": len(singletons),
    }
    changed = replace(manifest, persons=persons, singletons=singletons, placements=placements, counts=counts)
    return replace(changed, **common)  # type: ignore[arg-type]


def renumbered_face(face: FaceEntry, person: ErasureInResult) -> FaceEntry:
    """Return a face by its current id."""
    new = person.renumbered.get(face.face)
    return replace(face, face=new) if new else face


def corrections_without(
    corrections: Iterable[Correction],
    person_groups: Sequence[str],
    person_faces: AbstractSet[str],
    person: ErasureInResult,
) -> tuple[Correction, ...]:
    """Return the corrections of other groups, faces and names."""

    def concerns_person(correction: Correction) -> bool:
        names = {folded(correction.group), folded(correction.name)} & person.names
        return (
            bool(names)
            or correction.face in person_faces
            or correction.group in person_groups
            or (correction.kind == "named" and correction.name in person_groups)
        )

    return tuple(
        replace(correction, face=person.renumbered.get(correction.face, correction.face))
        for correction in corrections
        if not concerns_person(correction)
    )
