"""The manifest and the folders of a result that `extend` extended."""

from dataclasses import dataclass, replace
from pathlib import Path

from facesets.operations.grouping.cluster import ASSIGNED_BY_USER, NO_FACE
from facesets.operations.grouping.extend_sets import ExtendedSets
from facesets.result import Result
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import SINGLETONS, as_groups
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    REFINE_MANIFEST,
    ClusterManifest,
    ImageEntry,
    Provenance,
    RefineManifest,
)
from facesets.results.names.follow_names import as_left, ids_of, names_of_new
from facesets.results.names.naming import Naming
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.photo_folders import PhotoFolders, plan_folders

COMMAND = "extend"


@dataclass(frozen=True, slots=True)
class Grown:
    """An extended result before it is written.

    Attributes
    ----------
    result : Result
        The figures of `extend` for the folder.
    """

    before: ClusterManifest | RefineManifest
    manifest: ClusterManifest | RefineManifest
    plan: PhotoFolders
    result: Result

    @property
    def changes_nothing(self) -> bool:
        """Whether the folder needs no change."""
        interrupted = (self.plan.out / ANNOUNCEMENT).exists()
        return self.manifest == self.before and not self.plan.files and not interrupted


def completed(
    found: ExtendedSets,
    before: ClusterManifest | RefineManifest,
    membership: GroupMembership,
    out: Path,
    made: Provenance,
    naming: Naming,
    *,
    no_face: tuple[ImageEntry, ...] = (),
) -> Grown:
    """Return the manifest and the planned photos of a folder's people."""
    found = _with_names(found, membership, out, naming)
    folders = {name: [face.paths for face in faces] for name, faces in membership.groups.items()}
    folders[SINGLETONS] = [face.paths for face in membership.single]
    folders[NO_FACE] = [image.paths for image in no_face]
    name = CLUSTER_MANIFEST if isinstance(before, ClusterManifest) else REFINE_MANIFEST
    how = before.made.options.get("materialize", "copy")
    plan = plan_folders(
        out,
        COMMAND,
        name,
        folders,
        how,
        membership,
        present=membership.files,
        unwanted=membership.unwanted(),
        with_sheet=True,
        adds=True,
    )
    membership.files = dict(plan.retained)
    manifest: ClusterManifest | RefineManifest
    if isinstance(before, ClusterManifest):
        manifest = _of_people(before, membership, no_face)
    else:
        manifest = _of_sets(before, membership, found)
    if manifest != before and before.extended[-1:] != (made,):
        manifest = replace(manifest, extended=(*before.extended, made))
    result = Result(
        out=str(out),
        new=found.new,  # faces that the result did not know
        joined=found.joined,  # faces by the person or face set
        made=found.made,  # faces of each person or face set that is new
        alone=found.alone,  # new faces; of face sets, those that were dropped
        dropped_by=found.dropped_by,
        learned=membership.learned,
        written=sorted(plan.files),  # also what a dry run would write
        copied=0,
        unchanged=len(membership.files),
        removed=0,
        run="",  # what `facesets undo` undoes; empty if nothing changed
    )
    return Grown(before, manifest, plan, result)


def _with_names(found: ExtendedSets, membership: GroupMembership, out: Path, naming: Naming) -> ExtendedSets:
    """Give new groups the names that they have in other results."""
    groups = ids_of(as_groups(membership.groups))
    names = names_of_new(naming, out, groups, found.made.keys(), membership.hidden)
    membership.rename(names)
    return replace(
        found,
        made={names.get(name, name): count for name, count in found.made.items()},
        dropped=tuple(replace(drop, group=names.get(drop.group, drop.group)) for drop in found.dropped),
    )


def _of_people(
    before: ClusterManifest, membership: GroupMembership, no_face: tuple[ImageEntry, ...]
) -> ClusterManifest:
    faces = membership.face_ids()
    corrected = {each.face for each in membership.corrections if each.kind in ("is", "not")}
    images = {face.partition("#")[0] for face in faces} | {image.sha256 for image in no_face}
    return replace(
        as_left(before, membership),
        counts={
            "faces": len(faces),
            "images": len(images),
            "persons": len(membership.groups),
            "singletons": len(membership.single),
            "no_face": len(no_face),
        },
        no_face=no_face,
        placements=before.placements
        | {face: ASSIGNED_BY_USER for face in corrected if face in before.placements},
    )


def _of_sets(before: RefineManifest, membership: GroupMembership, found: ExtendedSets) -> RefineManifest:
    return replace(
        as_left(before, membership),
        counts={
            "faces": len(membership.face_ids()) + len(found.dropped),
            "images": before.counts["images"] + found.new_images,
            "facesets": len(membership.groups),
            "kept": sum(len(faces) for faces in membership.groups.values()),
            "dropped": len(found.dropped),
        },
        dropped=found.dropped,
    )
