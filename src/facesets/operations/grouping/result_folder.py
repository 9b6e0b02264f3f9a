"""What `cluster` and `refine` do alike with their result folder: read what it holds, and write it again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from facesets.interfaces import Progress, Store
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.results.apply_user_edits import Carried
from facesets.results.follow_names import ids_of, known_and_named
from facesets.results.manifest import ClusterManifest, Group, RefineManifest
from facesets.results.membership import GroupMembership
from facesets.results.naming import Naming
from facesets.results.photo_folders import Written, plan_folders, write_plan
from facesets.results.preflight import Beginning, begin
from facesets.results.user_edits import warn
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
    if not options.dry_run:
        folder.naming.keep({folder.out: ids_of(groups)})
    return write_plan(plan, manifest, dry_run=options.dry_run, work=work)


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
