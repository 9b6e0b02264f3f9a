"""Read and write the result folder of `cluster` or `refine`.

Corrections in a library also apply to its result folders.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from facesets.interfaces import Progress, Store, is_library
from facesets.library_records import KnownPerson
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.records import Int64
from facesets.results.edits.apply_user_edits import Inherited
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import warn_of_unintended_changes
from facesets.results.manifest import ClusterManifest, FaceEntry, Group, RefineManifest
from facesets.results.names.follow_names import ids_of, memberships_with_names
from facesets.results.names.naming import Naming
from facesets.results.photo_folders import Written, plan_folders, write_plan
from facesets.results.preflight import Beginning, begin
from facesets.work import Work

M = TypeVar("M", ClusterManifest, RefineManifest)
ResultOptions = ClusterOptions | RefineOptions


@dataclass(frozen=True, slots=True)
class FoundResult(Generic[M]):
    """A result folder as it was found.

    Attributes
    ----------
    begun : Beginning
        The store's faces, and the folder's manifest.
    naming : Naming
        Names that people have in any result of the store.
    membership : GroupMembership or None
        The people there, after the user's changes; None if the folder was new.
    """

    out: Path
    begun: Beginning[M]
    naming: Naming
    membership: GroupMembership | None


def open_result(
    store: Store, out: Path, kind: type[M], manifest_name: str, options: ResultOptions, progress: Progress
) -> FoundResult[M]:
    """Read a store and a result folder; errors as `begin`."""
    begun = begin(store, out, kind, manifest_name, replace=options.replace, how=options.materialize)
    before = {} if begun.before is None else {out: begun.before}
    results, naming = memberships_with_names(store, before, [out], begun.collection, learns=False)
    membership = results.get(out)
    warn_of_unintended_changes(membership, out, progress)
    return FoundResult(out, begun, naming, membership)


def write_result(
    folder: FoundResult[M],
    command: str,
    manifest_name: str,
    manifest: M,
    inherited: Inherited,
    groups: Iterable[Group],
    members: Mapping[str, Iterable[tuple[str, ...]]],
    options: ResultOptions,
    *,
    work: Work,
) -> Written:
    """Write the photos of a result into its folder, or only find out what that would do.

    Parameters
    ----------
    inherited : Inherited
        What the manifest inherits from the one before it.
    groups : iterable of Group
        The people; other results use their names.
    members : mapping
        Folder to the paths of each of its images.
    """
    plan = plan_folders(
        folder.out,
        command,
        manifest_name,
        members,
        options.materialize,
        folder.membership,
        present=inherited.files,
        unwanted=inherited.unwanted,
        with_sheet=options.sheet,
        sources=folder.begun.sources,
    )
    held = {folder.out: ids_of(groups)}
    if not options.dry_run:
        folder.naming.learn(held)
    written = write_plan(plan, manifest, dry_run=options.dry_run, work=work)
    if not options.dry_run and not written.stopped:
        folder.naming.save(held)
    return written


def files_of(written: Written, options: ResultOptions) -> dict[str, Any]:
    """Return the changes to files as figures of a result."""
    return {
        "copied": written.copied,
        "unchanged": written.unchanged,
        "removed": written.removed,
        "failed": written.failed,
        "failures": written.failures,
        "dry_run": options.dry_run,
        "stopped": written.stopped,
        "renamed": written.renamed,
    }


_HIDDEN = re.compile(r"hidden-[0-9a-f]{8}")
"""Names of a library's hidden people among the people without a folder."""


def people_of(store: Store) -> Sequence[KnownPerson] | None:
    """Return the people with corrections in the library; None for a cache."""
    return store.corrected_people() if is_library(store) else None


def follow_library(labels: Int64, ids: Sequence[str], people: Sequence[KnownPerson] | None) -> Int64:
    """Make one cluster of the faces of each person; unassigned faces in a cluster follow its main person.

    A face that a correction denies to that person becomes single instead.

    Parameters
    ----------
    labels : int64 array of shape (n,)
        Negative for a single face.

    Returns
    -------
    int64 array of shape (n,)
        Numbered as before, people's clusters after these.
    """
    if not people:
        return labels
    row = {face: i for i, face in enumerate(ids)}
    owner = np.full(len(labels), -1, np.int64)
    for number, person in enumerate(people):
        owner[[row[face] for face in person.faces if face in row]] = number
    followed = labels.copy()
    first = int(labels.max(initial=-1)) + 1
    for label in np.unique(labels[(owner >= 0) & (labels >= 0)]).tolist():
        members = np.flatnonzero(labels == label)
        most = int(np.bincount(owner[members][owner[members] >= 0]).argmax())
        refused = {row[face] for face in people[most].refused if face in row}
        free = members[owner[members] < 0]
        followed[free] = [-1 if face in refused else first + most for face in free.tolist()]
    followed[owner >= 0] = first + owner[owner >= 0]
    return followed


def with_hidden(
    membership: GroupMembership | None,
    ids: Sequence[str],
    people: Sequence[KnownPerson] | None,
    describe: Callable[[int], FaceEntry],
) -> GroupMembership | None:
    """Return a folder's people, with the library's hidden people among those without a folder."""
    if people is None:
        return membership
    hidden = [person for person in people if person.is_hidden and person.faces]
    if membership is not None:
        membership.hidden = {n: faces for n, faces in membership.hidden.items() if not _HIDDEN.fullmatch(n)}
    if not hidden:
        return membership
    row = {face: i for i, face in enumerate(ids)}
    membership = membership or GroupMembership(groups={})
    membership.hidden |= {
        f"hidden-{person.id[:8]}": [describe(row[face]) for face in sorted(person.faces) if face in row]
        for person in hidden
    }
    return membership
