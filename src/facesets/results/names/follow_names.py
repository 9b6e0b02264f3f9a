"""A result takes over what its people are called in other results: as if the user had renamed its folders."""

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
from facesets.results.edits.moved_photos import with_sources_today
from facesets.results.edits.user_edits import as_groups, known_of
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


def known_and_named(
    store: Store,
    results: Mapping[Path, Result],
    new: Collection[Path],
    collection: FaceCollection,
    *,
    learns: bool,
) -> tuple[dict[Path, GroupMembership], Naming]:
    """Who is who in results, under the names that people have in any result of the store.

    Parameters
    ----------
    results : mapping of Path to manifest
        Those that the command is about to write to.
    new : collection of Path
        Further ones, which are not there yet.
    learns : bool
        Whether to learn from a folder even where a run was cut off.

    Raises
    ------
    WrongUsage, RecognizerMismatch
        A folder holds statements about faces that were found otherwise; as `known_of`.
    DamagedFile, NewerFormat
        What is kept of names cannot be read.
    """
    whole = {root for root in results if not (root / ANNOUNCEMENT).exists()}
    known = {root: known_of(results[root], root, collection) for root in whole}
    own = {root: seen_by(known[root], results[root]) if root in whole else None for root in results}
    naming = look(store, dict.fromkeys(new) | own, collection)
    for root, manifest in results.items():
        if root in whole:
            # Photos that lie elsewhere today are called after where they lay, by what the manifest says.
            is_news = bool(known[root].learned) and not known[root].today
            known[root].as_left = as_left(manifest, known[root]) if is_news else None
        else:
            known[root] = _known_of_cut_off(manifest, root, collection, naming, learns=learns)
        if known[root].statements:
            require_same_faces(collection.settings, manifest.made.models, root)
        _follow(known[root], naming, root)
        _sort_new_names(known[root].statements, len(manifest.statements))
    return known, naming


def as_left(manifest: M, known: GroupMembership) -> M:
    """A manifest as the user left its folder; what it counts is of before."""
    is_of_people = isinstance(manifest, ClusterManifest)
    groups = as_groups(known.groups)
    own = {"persons": groups, "singletons": tuple(known.single)} if is_of_people else {"facesets": groups}
    return replace(
        manifest,
        **own,
        files=known.files,
        statements=tuple(known.statements),
        hidden=as_groups(known.hidden),
        set_aside=tuple(known.set_aside),
        marks=known.marks,
    )


def _known_of_cut_off(
    manifest: Result, root: Path, collection: FaceCollection, naming: Naming, *, learns: bool
) -> GroupMembership:
    """As `known_of`; photos that the run gave their new folders already are where they should be."""
    groups = groups_of(manifest)
    called, _ = naming.called(ids_of(groups))
    announced = announced_names(root)
    brought: dict[str, PlacedFile] = {}
    left: dict[str, PlacedFile] = {}
    for name, put in manifest.files.items():
        new = in_folder(name, called)
        is_brought = new != name and new in announced and not os.path.lexists(root / PurePosixPath(name))
        if is_brought and (root / PurePosixPath(new)).exists():
            brought[new] = put
        else:
            left[name] = put
    known = known_of(replace(manifest, files=left), root, collection, learns=learns)
    known.files |= with_sources_today(brought, known.today)
    return known


def _follow(known: GroupMembership, naming: Naming, root: Path) -> None:
    groups = ids_of(as_groups(known.groups))
    ours = {folder_of(name) for name in known.files}.union(groups)
    called, warnings = naming.called(groups, [*known.hidden, *_folders_of_others(root, ours)])
    known.warnings += warnings
    known.rename(called)
    known.called = called


def _sort_new_names(statements: list[Correction], known: int) -> None:
    """A name may have been learned here, or noted by a run that was cut off: that makes no difference."""
    first = len(statements)
    while len(statements) > known and first and statements[first - 1].kind == "named":
        first -= 1
    statements[first:] = sorted(statements[first:], key=lambda said: (said.group, said.name))


def _folders_of_others(root: Path, ours: Collection[str]) -> list[str]:
    """What lies in a result folder and is not of the result; none while that is unknown."""
    folder = SafeFolder(root)
    if folder.exists(ANNOUNCEMENT) or not root.is_dir():
        return []
    return [name for name in folder.names_in() if name not in ours]


def ids_of(groups: Iterable[Group]) -> dict[str, frozenset[str]]:
    """Ids of the faces of each group."""
    return {group.name: frozenset(face.face for face in group.faces) for group in groups}


def names_of_new(
    naming: Naming,
    root: Path,
    groups: Mapping[str, AbstractSet[str]],
    new: AbstractSet[str],
    hidden: Collection[str],
) -> dict[str, str]:
    """What groups that a run has just made are called elsewhere.

    Parameters
    ----------
    groups : mapping
        Ids of the faces of every group of the result.
    new : set of str
        Those that were just made.
    hidden : collection of str
        Names of people who are not wanted.

    Returns
    -------
    dict
        Number to name.
    """
    if not naming.people or not new:
        return {}
    called, _ = naming.called(groups, [*hidden, *_folders_of_others(root, groups)])
    return {old: name for old, name in called.items() if old in new and name not in groups}


def with_names(
    naming: Naming,
    root: Path,
    names: Mapping[int, str],
    members: Mapping[int, Iterable[str]],
    said: UserConstraints | None,
) -> dict[str, str]:
    """Return the names that clusters have elsewhere and that are new here: number to name.

    Parameters
    ----------
    names : mapping
        Cluster to its name.
    members : mapping
        Cluster to the ids of its faces.
    """
    known = {} if said is None else said.names
    hidden = [] if said is None else said.known.hidden
    groups = {names[cluster]: frozenset(faces) for cluster, faces in members.items()}
    return names_of_new(naming, root, groups, {names[c] for c in members if c not in known}, hidden)
