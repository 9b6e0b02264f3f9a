"""Add the new faces of a store to existing results: nothing there is renumbered or moved."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from facesets.clustering import average_linkage, same_image_pairs, singletons_as_noise
from facesets.clustering.poor_faces import Clarity
from facesets.imaging.quality import quality
from facesets.interfaces import Store
from facesets.operations.grouping.cluster import members_by_label, shown_in
from facesets.operations.grouping.extend_sets import ExtendedSets, grown_sets, join_known
from facesets.operations.grouping.extended_result import COMMAND, Grown, completed
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExtendOptions
from facesets.records import Collection, Int64
from facesets.result import Result
from facesets.results.current_faces import with_current_ids
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import as_groups, refuse_interrupted, warn_of_unintended_changes
from facesets.results.folder_runs import reserved
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    REFINE_MANIFEST,
    ClusterManifest,
    ImageEntry,
    Provenance,
    RefineManifest,
    face_describer,
    provenance,
)
from facesets.results.manifest_json import read_manifest
from facesets.results.names.follow_names import ids_of, memberships_with_names
from facesets.results.names.group_names import following_names
from facesets.results.names.naming import Naming
from facesets.results.photo_folders import Written, tighten, write_plan
from facesets.results.preflight import (
    readable_sources,
    refuse_of_another_store,
    refuse_of_other_photos,
    require_same_faces,
)
from facesets.results.run_records import close_run, open_run
from facesets.work import Work

M = TypeVar("M", ClusterManifest, RefineManifest)


def extend(
    store: Store, raw: Path, options: ExtendOptions, *, refine_out: Path | None = None, work: Work
) -> Result:
    """Add the new faces of a store to the folders of `cluster`, and to those of `refine`.

    The user's moves, renames and deletions there are respected and recorded.

    Raises
    ------
    WrongUsage
        A folder holds no such result, one of another store or detection, or an interrupted run of another
        command.
    SourceGone
        Photos that the store knows are unavailable.
    RecognizerMismatch
        The vectors come from another recognizer than those of the result.
    AlreadyRunning
        Another run writes there.
    CannotWrite
        A folder cannot be written.
    """
    with reserved(raw, refine_out or raw, dry_run=options.dry_run):
        return _extend(store, raw, options, refine_out=refine_out, work=work)


def _extend(
    store: Store, raw: Path, options: ExtendOptions, *, refine_out: Path | None, work: Work
) -> Result:
    collection = store.load()
    options = for_recognizer(options, collection.settings.recognizer)
    people = _read(raw, CLUSTER_MANIFEST, ClusterManifest, store, collection, options)
    results: dict[Path, ClusterManifest | RefineManifest] = {raw: people}
    refined = None
    if refine_out is not None:
        refined = _read(refine_out, REFINE_MANIFEST, RefineManifest, store, collection, options)
        results[refine_out] = refined
    folders = list(results)
    sources = readable_sources(store, collection, *results.values())
    work.progress.begin("Comparing new faces with known ones")
    made = provenance(store, collection.settings, options)
    memberships, naming = memberships_with_names(store, results, [], collection, learns=True)
    for folder in folders:
        warn_of_unintended_changes(memberships[folder], folder, work.progress)
    persons = _grown_people(collection, people, memberships[raw], raw, options, made, naming)
    sets = None
    if refined is not None and refine_out is not None:
        found = grown_sets(collection, refined, memberships[refine_out], options, work.progress)
        sets = completed(found, refined, memberships[refine_out], refine_out, made, naming)
    work.progress.end()
    summary = Result(
        raw=persons.result,
        sets=None if sets is None else sets.result,
        failed=0,
        failures=[],
        dry_run=options.dry_run,
        stopped=False,
    )
    held = {folder: ids_of(as_groups(memberships[folder].groups)) for folder in folders}
    if not options.dry_run:
        naming.learn(held)
    # An interrupted run continues under its name in both folders, whichever it had reached.
    run = next((run.name for folder in folders if (run := open_run(folder, COMMAND))), "")
    for grown in (persons, sets):
        if grown is None or summary.stopped:
            continue
        others = tuple(folder for folder in folders if folder != grown.plan.out)
        plan = replace(grown.plan, also=others, run=run, with_sheet=options.sheet, sources=sources)
        written = _write(replace(grown, plan=plan), options, work)
        summary = _with(summary, grown, written)
        run = run or written.run
    if not options.dry_run and not summary.stopped:
        naming.save(held)
        for folder in reversed(folders):
            if finished := open_run(folder, COMMAND):
                close_run(finished)
    return summary


def _read(
    folder: Path, name: str, kind: type[M], store: Store, collection: Collection, options: ExtendOptions
) -> M:
    manifest = read_manifest(folder / name, kind)
    if not options.replace:
        refuse_of_another_store(store, manifest, folder)
        refuse_of_other_photos(store, collection, manifest, folder)
    require_same_faces(collection.settings, manifest.made.models, folder / name)
    refuse_interrupted(folder, resumed_by=COMMAND)
    manifest = with_current_ids(manifest, collection)
    if manifest.made.store == store.identity:
        return manifest
    return replace(manifest, made=replace(manifest.made, cache=store.label, store=store.identity))


def _grown_people(
    collection: Collection,
    before: ClusterManifest,
    membership: GroupMembership,
    raw: Path,
    options: ExtendOptions,
    made: Provenance,
    naming: Naming,
) -> Grown:
    faces, images = collection.faces, collection.images
    ids = collection.face_ids()
    known_ids = membership.face_ids()
    new = np.array([row for row, face in enumerate(ids) if face not in known_ids], np.int64)
    describe = face_describer(collection, quality(faces).total)
    # Other methods than `auto` take every face as it is.
    clarity = shown_in(collection)[new]
    if before.made.options.get("method", "auto") != "auto":
        clarity = np.full(len(new), Clarity.ENOUGH)
    joined = np.full(len(new), -1, np.int64)
    comparable = clarity > Clarity.NOTHING
    joined[comparable] = join_known(collection, membership, new[comparable], options)
    tally = _tally(joined, membership)
    rest = new[joined < 0]
    for row, group in zip(new[joined >= 0], joined[joined >= 0], strict=True):
        [*membership.groups.values(), *membership.hidden.values()][group].append(describe(int(row)))
    labels = np.full(len(rest), -1, np.int64)
    founding = clarity[joined < 0] == Clarity.ENOUGH
    labels[founding] = _labels_of_rest(collection, rest[founding], options)
    fresh = members_by_label(labels)
    names = following_names("person", membership.names_in_use(), len(fresh))
    for name, members in zip(names, fresh, strict=True):
        membership.groups[name] = [describe(int(row)) for row in rest[members]]
    membership.single += [describe(int(row)) for row in rest[labels < 0]]
    without = np.setdiff1d(np.arange(len(images)), faces.image)
    empty = {image.sha256: image for image in before.no_face}
    for row in without:
        sha256 = images.sha256[row].decode()
        empty[sha256] = ImageEntry(sha256, images.paths[row])
    found = ExtendedSets(
        new=len(new),
        joined=tally,
        made={name: len(membership.groups[name]) for name in names},
        alone=int((labels < 0).sum()),
    )
    return completed(found, before, membership, raw, made, naming, no_face=tuple(empty.values()))


def _labels_of_rest(collection: Collection, rest: Int64, options: ExtendOptions) -> Int64:
    some = collection.faces.take(rest)
    apart = None if options.same_image_ok else same_image_pairs(some.embedding, some.image)
    cut = options.cluster_threshold
    labels = average_linkage(some.embedding, max_cosine_distance=cut, constraints=apart, lenient=True)
    return singletons_as_noise(labels)


def _tally(joined: Int64, membership: GroupMembership) -> dict[str, int]:
    names = [*membership.groups, *membership.hidden]
    return {names[group]: int((joined == group).sum()) for group in np.unique(joined[joined >= 0])}


def _write(grown: Grown, options: ExtendOptions, work: Work) -> Written:
    if not grown.changes_nothing:
        return write_plan(grown.plan, grown.manifest, dry_run=options.dry_run, work=work)
    if not options.dry_run:
        tighten(grown.plan, grown.before)
    return Written(0, 0, 0)


def _with(summary: Result, grown: Grown, written: Written) -> Result:
    """Return the summary with one more folder."""
    result = Result(
        grown.result,
        copied=written.copied,
        unchanged=grown.result.unchanged + written.unchanged,
        removed=written.removed,
        run=written.run,
    )
    return Result(
        summary,
        **{"raw" if isinstance(grown.before, ClusterManifest) else "sets": result},
        failed=summary.failed + written.failed,
        failures=[*summary.failures, *written.failures],
        stopped=written.stopped,
    )
