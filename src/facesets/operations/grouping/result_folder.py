"""What `cluster` and `refine` do alike with their result folder: read what it holds, and write it again.

Who is who in the library decides about its folders, too: what a human said there holds here.
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
from facesets.results.edits.apply_user_edits import Carried
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import warn
from facesets.results.manifest import ClusterManifest, FaceEntry, Group, RefineManifest
from facesets.results.names.follow_names import ids_of, known_and_named
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
        The store's faces, and the manifest that lay there.
    naming : Naming
        Names that people have in any result of the store.
    known : GroupMembership or None
        Who is who there, by what the user changed; None where there was nothing.
    """

    out: Path
    begun: Beginning[M]
    naming: Naming
    known: GroupMembership | None


def open_result(
    store: Store, out: Path, kind: type[M], manifest_name: str, options: ResultOptions, progress: Progress
) -> FoundResult[M]:
    """Read a store and what lies in a result folder; errors as `begin`."""
    begun = begin(store, out, kind, manifest_name, replace=options.replace, how=options.materialize)
    before = {} if begun.before is None else {out: begun.before}
    results, naming = known_and_named(store, before, [out], begun.collection, learns=False)
    known = results.get(out)
    warn(known, out, progress)
    return FoundResult(out, begun, naming, known)


def write_result(
    folder: FoundResult[M],
    command: str,
    manifest_name: str,
    manifest: M,
    kept: Carried,
    groups: Iterable[Group],
    members: Mapping[str, Iterable[tuple[str, ...]]],
    options: ResultOptions,
    *,
    work: Work,
) -> Written:
    """Lay the photos of a result into its folder, or find out what that would do.

    Parameters
    ----------
    kept : Carried
        What the manifest takes over from the one before it.
    groups : iterable of Group
        The people, whose names are kept for other results.
    members : mapping
        Folder to the paths of each of its images.
    """
    plan = plan_folders(
        folder.out,
        command,
        manifest_name,
        members,
        options.materialize,
        folder.known,
        lying=kept.files,
        unwanted=kept.unwanted,
        with_sheet=options.sheet,
        sources=folder.begun.sources,
    )
    held = {folder.out: ids_of(groups)}
    if not options.dry_run:
        folder.naming.learn(held)
    written = write_plan(plan, manifest, dry_run=options.dry_run, work=work)
    if not options.dry_run and not written.stopped:
        folder.naming.keep(held)
    return written


def files_of(written: Written, options: ResultOptions) -> dict[str, Any]:
    """What happened to the files, as figures of a result."""
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
"""Hidden people of a library among those who get no folder."""


def people_of(store: Store) -> Sequence[KnownPerson] | None:
    """Return the people with corrections in the library; None for a cache."""
    return store.corrected_people() if is_library(store) else None


def follow_library(labels: Int64, ids: Sequence[str], people: Sequence[KnownPerson] | None) -> Int64:
    """Let the faces of each person be one cluster, and what else is in a cluster follow most of its people.

    A face that was said not to be somebody is alone rather than with them.

    Parameters
    ----------
    labels : int64 array of shape (n,)
        Negative for a face that is alone.

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
    known: GroupMembership | None,
    ids: Sequence[str],
    people: Sequence[KnownPerson] | None,
    describe: Callable[[int], FaceEntry],
) -> GroupMembership | None:
    """Return a folder's people, with the library's hidden people among those without a folder."""
    if people is None:
        return known
    hidden = [person for person in people if person.is_hidden and person.faces]
    if known is not None:
        known.hidden = {n: faces for n, faces in known.hidden.items() if not _HIDDEN.fullmatch(n)}
    if not hidden:
        return known
    row = {face: i for i, face in enumerate(ids)}
    known = known or GroupMembership(groups={})
    known.hidden |= {
        f"hidden-{person.id[:8]}": [describe(row[face]) for face in sorted(person.faces) if face in row]
        for person in hidden
    }
    return known
