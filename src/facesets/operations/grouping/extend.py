"""Faces that are new in a store, folded into results that exist: nothing there is renumbered or moved."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from facesets.clustering import average_linkage, same_image_pairs, singletons_as_noise
from facesets.imaging.quality import quality
from facesets.interfaces import Progress, Store
from facesets.operations.grouping.cluster import NO_FACE, SAID, members_by_label
from facesets.operations.grouping.extend_sets import ExtendedSets, grown_sets
from facesets.operations.grouping.nearest_group import join_known
from facesets.operations.options.face_sets import ExtendOptions
from facesets.records import Collection, Int64
from facesets.results.follow_names import ids_of, known_and_named, names_of_new
from facesets.results.group_names import following_names
from facesets.results.lock import reserved
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    REFINE_MANIFEST,
    ClusterManifest,
    Failure,
    ImageEntry,
    Provenance,
    RefineManifest,
    face_describer,
)
from facesets.results.manifest_json import read_manifest
from facesets.results.membership import Known
from facesets.results.naming import Naming
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.photo_folders import (
    PhotoFolders,
    Written,
    plan_additions,
    rehearse,
    write_photo_folders,
)
from facesets.results.preflight import readable_sources, refuse_of_another_store, refuse_of_other_photos
from facesets.results.provenance import provenance
from facesets.results.run_records import close_run, open_run
from facesets.results.same_faces import require_same_faces
from facesets.results.user_edits import SINGLETONS, as_groups, refuse_cut_off, warn
from facesets.stop import Stop

COMMAND = "extend"

M = TypeVar("M", ClusterManifest, RefineManifest)


@dataclass(frozen=True, slots=True)
class ExtendedResult:
    """What `extend` did to one result folder.

    Attributes
    ----------
    new : int
        Faces that the result did not know.
    joined : dict
        New faces by the person or face set that they joined.
    made : dict
        Faces of each person or face set that is new, by its name.
    alone : int
        New faces that stay single; of face sets, those that were dropped.
    dropped_by : dict
        Those, by the gate that dropped them.
    learned : list of str
        What the user's own changes in the folder said, a sentence each.
    written : list of str
        Names of the photos that were put there, or would be.
    run : str
        What `facesets undo` takes back; empty if nothing changed.
    """

    out: str
    new: int
    joined: dict[str, int]
    made: dict[str, int]
    alone: int
    dropped_by: dict[str, int]
    learned: list[str]
    written: list[str]
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    run: str = ""


@dataclass(frozen=True, slots=True)
class ExtendSummary:
    """What `extend` found and wrote."""

    raw: ExtendedResult
    sets: ExtendedResult | None
    failed: int
    failures: list[Failure] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False


def extend(
    store: Store,
    raw: Path,
    options: ExtendOptions,
    *,
    refine_out: Path | None = None,
    progress: Progress,
    stop: Stop,
) -> ExtendSummary:
    """Fold the faces that are new in a store into the folders of `cluster`, and into those of `refine`.

    What the user moved, renamed and deleted there is respected and recorded.

    Raises
    ------
    WrongUsage
        A folder holds no such result, or one of another store or detection, or the run of another command
        there was cut off.
    SourceGone
        Photos that the store knows are unavailable.
    RecogniserMismatch
        The vectors come from another recogniser than those of the result.
    AlreadyRunning
        Another run writes there.
    CannotWrite
        A folder cannot be written.
    """
    with reserved(raw, refine_out or raw, dry_run=options.dry_run):
        return _extend(store, raw, options, refine_out=refine_out, progress=progress, stop=stop)


def _extend(
    store: Store,
    raw: Path,
    options: ExtendOptions,
    *,
    refine_out: Path | None,
    progress: Progress,
    stop: Stop,
) -> ExtendSummary:
    collection = store.load()
    people = _read(raw, CLUSTER_MANIFEST, ClusterManifest, store, collection, options)
    results: dict[Path, ClusterManifest | RefineManifest] = {raw: people}
    refined = None
    if refine_out is not None:
        refined = _read(refine_out, REFINE_MANIFEST, RefineManifest, store, collection, options)
        results[refine_out] = refined
    folders = list(results)
    sources = readable_sources(store, collection, *results.values())
    progress.begin("Comparing new faces with known ones")
    made = provenance(store, collection.settings, options)
    known, naming = known_and_named(store, results, [], collection, learns=True)
    for folder in folders:
        warn(known[folder], folder, progress)
    persons = _grown_people(collection, people, known[raw], raw, options, made, naming)
    sets = None
    if refined is not None and refine_out is not None:
        found = grown_sets(collection, refined, known[refine_out], options)
        sets = _completed(found, refined, known[refine_out], refine_out, made, naming)
    progress.end()
    grown_result = None if sets is None else sets.result
    summary = ExtendSummary(persons.result, grown_result, 0, dry_run=options.dry_run)
    if not options.dry_run:
        naming.keep({folder: ids_of(as_groups(known[folder].groups)) for folder in folders})
    # A run that was cut off goes on under its name in both, whichever of them it had come to.
    run = next((run.name for folder in folders if (run := open_run(folder, COMMAND))), "")
    for grown in (persons, sets):
        if grown is None or summary.stopped:
            continue
        others = tuple(folder for folder in folders if folder != grown.plan.out)
        plan = replace(grown.plan, also=others, run=run, with_sheet=options.sheet, sources=sources)
        written = _write(replace(grown, plan=plan), options, progress, stop)
        summary = _with(summary, grown, written)
        run = run or written.run
    if not options.dry_run and not summary.stopped:
        for folder in reversed(folders):
            if finished := open_run(folder, COMMAND):
                close_run(finished)
    return summary


@dataclass(frozen=True, slots=True)
class Grown:
    """A result as it is to be.

    Attributes
    ----------
    before, manifest : ClusterManifest or RefineManifest
    plan : PhotoFolders
    result : ExtendedResult
        Before anything was written.
    """

    before: ClusterManifest | RefineManifest
    manifest: ClusterManifest | RefineManifest
    plan: PhotoFolders
    result: ExtendedResult

    @property
    def changes_nothing(self) -> bool:
        """Whether the folder is complete as it is."""
        interrupted = (self.plan.out / ANNOUNCEMENT).exists()
        return self.manifest == self.before and not self.plan.files and not interrupted


def _read(
    folder: Path, name: str, kind: type[M], store: Store, collection: Collection, options: ExtendOptions
) -> M:
    manifest = read_manifest(folder / name, kind)
    if not options.replace:
        refuse_of_another_store(store, manifest, folder)
        refuse_of_other_photos(store, collection, manifest, folder)
    require_same_faces(collection.settings, manifest.made.models, folder / name)
    refuse_cut_off(folder, but=COMMAND)
    if manifest.made.store == store.identity:
        return manifest
    return replace(manifest, made=replace(manifest.made, cache=store.label, store=store.identity))


def _grown_people(
    collection: Collection,
    before: ClusterManifest,
    known: Known,
    raw: Path,
    options: ExtendOptions,
    made: Provenance,
    naming: Naming,
) -> Grown:
    faces, images = collection.faces, collection.images
    ids = collection.face_ids()
    known_ids = known.face_ids()
    new = np.array([row for row, face in enumerate(ids) if face not in known_ids], np.int64)
    describe = face_describer(collection, quality(faces).total)
    joined = join_known(collection, known, new, options)
    tally = _tally(joined, known)
    rest = new[joined < 0]
    for row, group in zip(new[joined >= 0], joined[joined >= 0], strict=True):
        [*known.groups.values(), *known.hidden.values()][group].append(describe(int(row)))
    labels = _labels_of_rest(collection, rest, options)
    fresh = members_by_label(labels)
    names = following_names("person", known.names_in_use(), len(fresh))
    for name, members in zip(names, fresh, strict=True):
        known.groups[name] = [describe(int(row)) for row in rest[members]]
    known.single += [describe(int(row)) for row in rest[labels < 0]]
    without = np.setdiff1d(np.arange(len(images)), faces.image)
    empty = {image.sha256: image for image in before.no_face}
    for row in without:
        sha256 = images.sha256[row].decode()
        empty[sha256] = ImageEntry(sha256, images.paths[row])
    found = ExtendedSets(
        new=len(new),
        joined=tally,
        made={name: len(known.groups[name]) for name in names},
        alone=int((labels < 0).sum()),
    )
    return _completed(found, before, known, raw, made, naming, no_face=tuple(empty.values()))


def _labels_of_rest(collection: Collection, rest: Int64, options: ExtendOptions) -> Int64:
    some = collection.faces.take(rest)
    apart = None if options.same_image_ok else same_image_pairs(some.embedding, some.image)
    labels = average_linkage(some.embedding, max_cosine_distance=options.cluster_threshold, constraints=apart)
    return singletons_as_noise(labels)


def _tally(joined: Int64, known: Known) -> dict[str, int]:
    names = [*known.groups, *known.hidden]
    return {names[group]: int((joined == group).sum()) for group in np.unique(joined[joined >= 0])}


def _completed(
    found: ExtendedSets,
    before: ClusterManifest | RefineManifest,
    known: Known,
    out: Path,
    made: Provenance,
    naming: Naming,
    *,
    no_face: tuple[ImageEntry, ...] = (),
) -> Grown:
    """The manifest and the photos that follow from who is who."""
    found = _with_names(found, known, out, naming)
    folders = {name: [face.paths for face in faces] for name, faces in known.groups.items()}
    folders[SINGLETONS] = [face.paths for face in known.single]
    folders[NO_FACE] = [image.paths for image in no_face]
    name = CLUSTER_MANIFEST if isinstance(before, ClusterManifest) else REFINE_MANIFEST
    how = before.made.options.get("materialize", "copy")
    plan = plan_additions(
        out,
        COMMAND,
        name,
        folders,
        known.files,
        known.unwanted(),
        known.today,
        known.called,
        how,
        with_sheet=True,
    )
    known.files = dict(plan.keep)
    manifest: ClusterManifest | RefineManifest
    if isinstance(before, ClusterManifest):
        manifest = _of_people(before, known, no_face)
    else:
        manifest = _of_sets(before, known, found)
    if manifest != before and before.extended[-1:] != (made,):
        manifest = replace(manifest, extended=(*before.extended, made))
    result = ExtendedResult(
        out=str(out),
        new=found.new,
        joined=found.joined,
        made=found.made,
        alone=found.alone,
        dropped_by=found.dropped_by,
        learned=known.learned,
        written=sorted(plan.files),
        unchanged=len(known.files),
    )
    return Grown(before, manifest, plan, result)


def _with_names(found: ExtendedSets, known: Known, out: Path, naming: Naming) -> ExtendedSets:
    """Give groups that were just made the names that they have elsewhere."""
    groups = ids_of(as_groups(known.groups))
    names = names_of_new(naming, out, groups, found.made.keys(), known.hidden)
    known.rename(names)
    return replace(
        found,
        made={names.get(name, name): count for name, count in found.made.items()},
        dropped=tuple(replace(drop, group=names.get(drop.group, drop.group)) for drop in found.dropped),
    )


def _of_people(before: ClusterManifest, known: Known, no_face: tuple[ImageEntry, ...]) -> ClusterManifest:
    faces = known.face_ids()
    said = {statement.face for statement in known.statements if statement.kind in ("is", "not")}
    images = {face.partition("#")[0] for face in faces} | {image.sha256 for image in no_face}
    return replace(
        before,
        counts={
            "faces": len(faces),
            "images": len(images),
            "persons": len(known.groups),
            "singletons": len(known.single),
            "no_face": len(no_face),
        },
        persons=as_groups(known.groups),
        singletons=tuple(known.single),
        no_face=no_face,
        files=known.files,
        statements=tuple(known.statements),
        hidden=as_groups(known.hidden),
        set_aside=tuple(known.set_aside),
        placements=before.placements | {face: SAID for face in said if face in before.placements},
    )


def _of_sets(before: RefineManifest, known: Known, found: ExtendedSets) -> RefineManifest:
    return replace(
        before,
        counts={
            "faces": len(known.face_ids()) + len(found.dropped),
            "images": before.counts["images"] + found.new_images,
            "facesets": len(known.groups),
            "kept": sum(len(faces) for faces in known.groups.values()),
            "dropped": len(found.dropped),
        },
        facesets=as_groups(known.groups),
        dropped=found.dropped,
        files=known.files,
        statements=tuple(known.statements),
        hidden=as_groups(known.hidden),
        set_aside=tuple(known.set_aside),
    )


def _write(grown: Grown, options: ExtendOptions, progress: Progress, stop: Stop) -> Written:
    manifest = grown.manifest
    if grown.changes_nothing:
        return Written(0, 0, 0)
    if isinstance(manifest, ClusterManifest):
        if options.dry_run:
            return rehearse(grown.plan, manifest)
        return write_photo_folders(grown.plan, manifest, progress=progress, stop=stop)
    if options.dry_run:
        return rehearse(grown.plan, manifest)
    return write_photo_folders(grown.plan, manifest, progress=progress, stop=stop)


def _with(summary: ExtendSummary, grown: Grown, written: Written) -> ExtendSummary:
    """The summary after one more folder."""
    result = replace(
        grown.result,
        copied=written.copied,
        unchanged=grown.result.unchanged + written.unchanged,
        removed=written.removed,
        run=written.run,
    )
    is_raw = isinstance(grown.before, ClusterManifest)
    return replace(
        summary,
        raw=result if is_raw else summary.raw,
        sets=summary.sets if is_raw else result,
        failed=summary.failed + written.failed,
        failures=[*summary.failures, *written.failures],
        stopped=written.stopped,
    )
