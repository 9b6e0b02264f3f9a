"""Carry names of people over from other results, as if the user had renamed the folders of this one."""

import os
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from facesets.interfaces import Store
from facesets.records import Collection as FaceCollection
from facesets.results.edits.apply_user_edits import UserConstraints
from facesets.results.edits.folder_contents import folder_of, in_folder
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.moved_photos import with_current_sources
from facesets.results.edits.user_edits import as_groups, read_membership
from facesets.results.manifest import (
    ClusterManifest,
    Correction,
    Group,
    PlacedFile,
    RefineManifest,
    groups_of,
)
from facesets.results.names.naming import Naming, look, seen_by
from facesets.results.ownership import ANNOUNCEMENT, announced_names
from facesets.results.preflight import require_same_faces
from facesets.results.safe_folder import SafeFolder

Result = ClusterManifest | RefineManifest
M = TypeVar("M", bound=ClusterManifest | RefineManifest)


def memberships_with_names(
    store: Store,
    results: Mapping[Path, Result],
    new: Collection[Path],
    collection: FaceCollection,
    *,
    learns: bool,
) -> tuple[dict[Path, GroupMembership], Naming]:
    """Read the people of results, with the names that they have in any result of the store.

    Parameters
    ----------
    results : mapping of Path to manifest
        The results that the command is about to write to.
    new : collection of Path
        Results that do not exist yet.
    learns : bool
        Whether to learn from a folder even after an interrupted run.

    Raises
    ------
    WrongUsage, RecognizerMismatch
        A folder holds corrections of faces that were detected differently; as `read_membership`.
    DamagedFile, NewerFormat
        The file of names cannot be read.
    """
    whole = {root for root in results if not (root / ANNOUNCEMENT).exists()}
    memberships = {root: read_membership(results[root], root, collection) for root in whole}
    own = {root: seen_by(memberships[root], results[root]) if root in whole else None for root in results}
    naming = look(store, dict.fromkeys(new) | own, collection)
    for root, manifest in results.items():
        if root in whole:
            # The manifest names moved photos by their former paths.
            is_news = bool(memberships[root].learned) and not memberships[root].current_paths
            memberships[root].as_left = as_left(manifest, memberships[root]) if is_news else None
        else:
            memberships[root] = _membership_of_interrupted(manifest, root, collection, naming, learns=learns)
        if memberships[root].corrections:
            require_same_faces(collection.settings, manifest.made.models, root)
        _follow(memberships[root], naming, root)
        _sort_new_names(memberships[root].corrections, len(manifest.statements))
    return memberships, naming


def as_left(manifest: M, membership: GroupMembership) -> M:
    """Return the manifest as the user left its folder; its counts stay as they were."""
    is_of_people = isinstance(manifest, ClusterManifest)
    groups = as_groups(membership.groups)
    own = (
        {"persons": groups, "singletons": tuple(membership.single)} if is_of_people else {"facesets": groups}
    )
    return replace(
        manifest,
        **own,
        files=membership.files,
        statements=tuple(membership.corrections),
        hidden=as_groups(membership.hidden),
        set_aside=tuple(membership.set_aside),
        marks=membership.marks,
    )


def _membership_of_interrupted(
    manifest: Result, root: Path, collection: FaceCollection, naming: Naming, *, learns: bool
) -> GroupMembership:
    """As `read_membership`; photos that the run already put into renamed folders count as in place."""
    groups = groups_of(manifest)
    called, _ = naming.names_elsewhere(ids_of(groups))
    announced = announced_names(root)
    moved: dict[str, PlacedFile] = {}
    left: dict[str, PlacedFile] = {}
    for name, put in manifest.files.items():
        new = in_folder(name, called)
        is_moved = new != name and new in announced and not os.path.lexists(root / PurePosixPath(name))
        if is_moved and (root / PurePosixPath(new)).exists():
            moved[new] = put
        else:
            left[name] = put
    membership = read_membership(replace(manifest, files=left), root, collection, learns=learns)
    membership.files |= with_current_sources(moved, membership.current_paths)
    return membership


def _follow(membership: GroupMembership, naming: Naming, root: Path) -> None:
    groups = ids_of(as_groups(membership.groups))
    ours = {folder_of(name) for name in membership.files}.union(groups)
    called, warnings = naming.names_elsewhere(groups, [*membership.hidden, *_folders_of_others(root, ours)])
    membership.warnings += warnings
    membership.rename(called)
    membership.called = called


def _sort_new_names(corrections: list[Correction], known: int) -> None:
    """Sort the new names, so that their order does not depend on an interrupted run."""
    first = len(corrections)
    while len(corrections) > known and first and corrections[first - 1].kind == "named":
        first -= 1
    corrections[first:] = sorted(corrections[first:], key=lambda each: (each.group, each.name))


def _folders_of_others(root: Path, ours: Collection[str]) -> list[str]:
    """Return names in a result folder that are not the result's; none while that is unknown."""
    folder = SafeFolder(root)
    if folder.exists(ANNOUNCEMENT) or not root.is_dir():
        return []
    return [name for name in folder.names_in() if name not in ours]


def ids_of(groups: Iterable[Group]) -> dict[str, frozenset[str]]:
    """Return the ids of the faces of each group."""
    return {group.name: frozenset(face.face for face in group.faces) for group in groups}


def names_of_new(
    naming: Naming,
    root: Path,
    groups: Mapping[str, AbstractSet[str]],
    new: AbstractSet[str],
    hidden: Collection[str],
) -> dict[str, str]:
    """Return the names that new groups of a run have in other results.

    Parameters
    ----------
    groups : mapping
        Ids of the faces of every group of the result.
    new : set of str
        The groups that are new.
    hidden : collection of str
        Names of hidden people.

    Returns
    -------
    dict
        Number to name.
    """
    if not naming.people or not new:
        return {}
    called, _ = naming.names_elsewhere(groups, [*hidden, *_folders_of_others(root, groups)])
    return {old: name for old, name in called.items() if old in new and name not in groups}


def with_names(
    naming: Naming,
    root: Path,
    names: Mapping[int, str],
    members: Mapping[int, Iterable[str]],
    constraints: UserConstraints | None,
) -> dict[str, str]:
    """Return names that clusters have in other results and that are new here: number to name.

    Parameters
    ----------
    names : mapping
        Cluster to its name.
    members : mapping
        Cluster to the ids of its faces.
    """
    known = {} if constraints is None else constraints.names
    hidden = [] if constraints is None else constraints.membership.hidden
    groups = {names[cluster]: frozenset(faces) for cluster, faces in members.items()}
    return names_of_new(naming, root, groups, {names[c] for c in members if c not in known}, hidden)
