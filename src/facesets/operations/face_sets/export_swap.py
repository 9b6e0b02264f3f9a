"""Face sets for other programs: square PNGs with one face each, and `.fsz` bundles of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facesets.interfaces import Embedder, Progress, Store
from facesets.operations.face_sets.plan import ExportPlan, PlannedSet, groups_of, plan_export
from facesets.operations.face_sets.selection import select_faces
from facesets.operations.face_sets.set_writer import SetWriter, finished_set
from facesets.operations.options.cache import ExportSwapOptions
from facesets.records import Collection
from facesets.results.contact_sheets import draw_sheets, own_sheet_names, plan_rows
from facesets.results.crop_edits import TAKEN_OUT
from facesets.results.crop_names import rename_crops
from facesets.results.folder import ResultFolder, finish, would_remove, writing_results
from facesets.results.lock import reserved
from facesets.results.manifest import (
    EXPORT_MANIFEST,
    SET_MANIFEST,
    ExportManifest,
    Failure,
    SetEntry,
    SetManifest,
)
from facesets.results.manifest_json import manifest_bytes
from facesets.results.naming import look_for_export
from facesets.results.pardons import clear_pardons
from facesets.results.preflight import Beginning, begin
from facesets.results.provenance import provenance
from facesets.results.user_edits import warn_of_deleted
from facesets.stop import Stop

Written = tuple[PlannedSet, SetManifest]

# Faces by which a set is known again when its folder is gone: enough for a centroid.
_BEST = 8


@dataclass(frozen=True, slots=True)
class EmptySet:
    """A set that was not made, since none of its faces passed.

    Attributes
    ----------
    name : str
        What it would have been called; empty for one that would have had a number.
    source : str
        As `NewSet` has it.
    faces : int
        That it would have been made of.
    dropped_by : dict
        Those by the reason for which each was left out.
    failed : int
        Those whose photo could not be read.
    """

    name: str
    source: str
    faces: int
    dropped_by: dict[str, int]
    failed: int


@dataclass(frozen=True, slots=True)
class ExportSwapSummary:
    """What `export-swap` wrote.

    Attributes
    ----------
    sets, unchanged_sets : int
        Face sets in the export; those of them that this run found finished and left alone.
    faces, masked, candidates : int
        PNGs in the sets of this run; those with bystanders painted over; PNGs for review.
    dropped_by : dict
        Faces left out of the sets of this run, by reason.
    learned : list of str
        What the user's own changes in the export say, a sentence a set.
    hint : str
        What to try where no face was large enough; else empty.
    empty : list of EmptySet
        Sets that were not made.
    """

    out: str
    sets: int
    unchanged_sets: int
    faces: int
    masked: int
    candidates: int
    bundles: int
    dropped: int
    dropped_by: dict[str, int]
    removed: int
    failed: int
    failures: list[Failure] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    hint: str = ""
    empty: list[EmptySet] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False


def export_swap(
    store: Store,
    refine_manifest: Path,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    *,
    raw_manifest: Path | None = None,
    progress: Progress,
    stop: Stop,
) -> ExportSwapSummary:
    """Export the face sets of a refine manifest.

    Parameters
    ----------
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recogniser of the store.
    raw_manifest : Path, optional
        The manifest of `cluster`, needed for candidates.

    Raises
    ------
    WrongUsage
        A manifest is missing or of another kind; `out` holds something else, or the export of another store,
        or sets from another refine manifest and `merge` is off.
    SourceGone
        Photos that the store knows are unavailable.
    RecogniserMismatch
        Store, manifest and embedder do not have the same recogniser.
    AlreadyRunning
        Another run writes to `out`.
    CannotWrite
        `out` cannot be written.
    """
    with reserved(out, dry_run=options.dry_run):
        return _export_swap(
            store,
            refine_manifest,
            out,
            embedder,
            options,
            raw_manifest=raw_manifest,
            progress=progress,
            stop=stop,
        )


def _export_swap(
    store: Store,
    refine_manifest: Path,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    *,
    raw_manifest: Path | None,
    progress: Progress,
    stop: Stop,
) -> ExportSwapSummary:
    begun = begin(store, out, ExportManifest, EXPORT_MANIFEST, replace=options.replace)
    collection = begun.collection
    made = provenance(store, collection.settings, options)
    naming = look_for_export(store, out, begun.before, collection)
    plan = plan_export(
        collection, refine_manifest, raw_manifest, out, embedder, options, made=made, naming=naming
    )
    if not options.dry_run:
        naming.keep({out: groups_of(out, plan, collection)})
    return export_planned(
        begun,
        plan,
        out,
        embedder,
        options,
        command="export-swap",
        progress=progress,
        stop=stop,
    )


def export_planned(
    begun: Beginning[ExportManifest],
    plan: ExportPlan,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    *,
    command: str,
    progress: Progress,
    stop: Stop,
) -> ExportSwapSummary:
    """Write what `plan_export` or `plan_sets` planned, or say what would be written; errors as above."""
    warn_of_deleted(plan.deleted, out, progress)
    if options.dry_run:
        return _rehearsed(begun.collection, plan, out, options)
    with writing_results(out, plan.earlier, command) as folder:
        return _export(folder, begun, plan, embedder, options, progress, stop)


def _export(
    folder: ResultFolder,
    begun: Beginning[ExportManifest],
    plan: ExportPlan,
    embedder: Embedder,
    options: ExportSwapOptions,
    progress: Progress,
    stop: Stop,
) -> ExportSwapSummary:
    writer = SetWriter(folder, begun.collection, begun.sources, plan.made, embedder, options)
    if options.sheet:
        folder.refuse_in_the_way(own_sheet_names(len(plan.kept_sets) + len(plan.sets)))
    for name, place in plan.moved.items():
        folder.move(name, place)
    folder.remove(plan.withdrawn)
    if plan.before is not None:
        # What the user said outlives a kill: from here on the sets do not look as they were left.
        folder.write_manifest(EXPORT_MANIFEST, manifest_bytes(plan.before))
    moved = [new for crops in plan.renamed for new in crops.moves.values()]
    possible = [*plan.kept_files, *moved, *writer.possible_names(plan.sets), *own_sheet_names()]
    folder.announce(dict.fromkeys(possible, ""))
    folder.keep(plan.kept_files)
    for name in plan.edited:
        folder.set_aside_edited(name)
    rename_crops(folder, plan.renamed)
    progress.begin("Exporting faces", sum(len(planned.rows) for planned in plan.sets))
    written, unchanged, is_whole = _write_sets(writer, plan, progress, stop)
    if not is_whole:
        return _summary(folder.root, plan, written, unchanged, removed=0, stopped=True)
    progress.end()
    entries = (*plan.kept_sets, *(_entry(*each) for each in written if each[1].faces))
    contents = _manifest(plan, entries)
    sheets: dict[str, bytes] = {}
    if options.sheet:
        rows = plan_rows(contents, folder.root)
        sheets = draw_sheets(contents, rows, EXPORT_MANIFEST, progress=progress, stop=stop)
    if stop.requested:
        return _summary(folder.root, plan, written, unchanged, removed=0, stopped=True)
    begun.sources.require()
    for name, content in sheets.items():
        folder.write(name, content)
    complete = replace(contents, sheets=tuple(sheets))
    removed = finish(folder, EXPORT_MANIFEST, manifest_bytes(complete))
    clear_pardons(folder.root)
    return _summary(folder.root, plan, written, unchanged, removed=removed, stopped=False)


def _write_sets(
    writer: SetWriter, plan: ExportPlan, progress: Progress, stop: Stop
) -> tuple[list[Written], int, bool]:
    """Write every set: what came of each, how many were finished before, and whether none was cut off."""
    written: list[Written] = []
    unchanged = 0
    numbers = [planned.name for planned in plan.sets if planned.wanted.is_numbered]
    for planned in plan.sets:
        if planned.wanted.is_numbered:
            planned = replace(planned, name=numbers[0])  # noqa: PLW2901 - it is called so from here on
        finished = writer.finished_before(planned)
        unchanged += finished is not None
        manifest = finished or writer.write(planned, progress, stop)
        if manifest is None:
            return written, unchanged, False
        if manifest.faces and planned.wanted.is_numbered:
            del numbers[0]
        written.append((planned, manifest))
    return written, unchanged, True


def _entry(planned: PlannedSet, manifest: SetManifest) -> SetEntry:
    return SetEntry(
        name=manifest.name,
        source=planned.source,
        kind=planned.wanted.kind,
        markers=tuple(planned.wanted.markers),
        faces=len(manifest.faces),
        candidates=len(manifest.candidates),
        dropped=len(manifest.dropped),
        failed=len(manifest.failed),
        bundles=manifest.bundles,
        best=tuple(item.face.face for item in manifest.faces[:_BEST]),
    )


def _empty(planned: PlannedSet, gates: Counter[str], failed: int) -> EmptySet:
    name = "" if planned.wanted.is_numbered else planned.name
    faces = len(planned.rows) + len(planned.taken_out)
    return EmptySet(name, planned.source, faces, dict(sorted(gates.items())), failed)


def _manifest(plan: ExportPlan, entries: Sequence[SetEntry]) -> ExportManifest:
    made = plan.made
    if plan.is_added and plan.before is not None and plan.before.made.store:
        # Whoever adds to an export does not take it over.
        made = replace(made, cache=plan.before.made.cache, store=plan.before.made.store)
    return ExportManifest(
        made=made,
        counts={
            "sets": len(entries),
            "faces": sum(entry.faces for entry in entries),
            "candidates": sum(entry.candidates for entry in entries),
            "dropped": sum(entry.dropped for entry in entries),
        },
        sets=tuple(entries),
        removed=plan.removed,
        sheets=(),
        statements=plan.statements,
    )


def _summary(
    out: Path,
    plan: ExportPlan,
    written: Sequence[Written],
    unchanged: int,
    *,
    removed: int,
    stopped: bool,
) -> ExportSwapSummary:
    manifests = [manifest for _, manifest in written]
    gates = Counter(item.gate for manifest in manifests for item in manifest.dropped)
    failures = [failure for manifest in manifests for failure in manifest.failed]
    full = [manifest for manifest in manifests if manifest.faces]
    return ExportSwapSummary(
        out=str(out),
        sets=len(plan.kept_sets) + len(full),
        unchanged_sets=len(plan.kept_sets) + unchanged,
        faces=sum(len(manifest.faces) for manifest in full),
        masked=sum(item.masked > 0 for manifest in full for item in manifest.faces),
        candidates=sum(len(manifest.candidates) for manifest in full),
        bundles=sum(len(manifest.bundles) for manifest in full),
        dropped=gates.total(),
        dropped_by=dict(sorted(gates.items())),
        removed=removed,
        failed=len(failures),
        failures=failures,
        learned=list(plan.learned),
        hint=_hint([manifest for manifest in manifests if not manifest.faces]),
        empty=[
            _empty(planned, Counter(item.gate for item in manifest.dropped), len(manifest.failed))
            for planned, manifest in written
            if not manifest.faces
        ],
        stopped=stopped,
    )


def _hint(empty: Sequence[SetManifest]) -> str:
    """Which flag to give where sets have no face because their faces are too small."""
    dropped = [drop for manifest in empty for drop in manifest.dropped]
    small = [drop for drop in dropped if drop.gate == "min_face_short"]
    if not small or len(small) < len(dropped) / 2:
        return ""
    sizes = sorted((drop.value for drop in small), reverse=True)
    edge = int(sizes[len(sizes) // 2])
    return (
        f"Faces of {small[0].limit:g} pixels are needed; the largest of those has {int(sizes[0])}: "
        f"--min-face-short {edge} would keep half of them."
    )


def _rehearsed(
    collection: Collection, plan: ExportPlan, out: Path, options: ExportSwapOptions
) -> ExportSwapSummary:
    """What a run would do, as far as that can be told without reading photos."""
    chosen = [
        select_faces(collection.faces, planned.rows, plan.quality, options, given=planned.given)
        for planned in plan.sets
    ]
    by_set = [Counter(drop.gate for drop in selection.dropped) for selection in chosen]
    for planned, of_set in zip(plan.sets, by_set, strict=True):
        of_set.update(TAKEN_OUT for _ in planned.taken_out)
    gates = sum(by_set, Counter[str]())
    empty = [
        _empty(planned, of_set, 0)
        for planned, selection, of_set in zip(plan.sets, chosen, by_set, strict=True)
        if not len(selection.rows)
    ]
    names = [name for entry in plan.sets for name in (f"{entry.name}/{SET_MANIFEST}",)]
    prefixes = tuple(f"{planned.name}/" for planned in plan.sets)
    staying = [name for name in plan.earlier if name.startswith(prefixes)]
    moved = [name for crops in plan.renamed for name in crops.moves]
    return ExportSwapSummary(
        out=str(out),
        sets=len(plan.kept_sets) + len(plan.sets) - len(empty),
        unchanged_sets=len(plan.kept_sets) + sum(finished_set(out, each) is not None for each in plan.sets),
        faces=int(np.sum([len(selection.rows) for selection in chosen])),
        masked=0,
        candidates=sum(len(planned.candidates) for planned in plan.sets),
        bundles=2 * sum(len(selection.rows) > 0 for selection in chosen),
        dropped=gates.total(),
        dropped_by=dict(sorted(gates.items())),
        removed=would_remove(
            out, plan.earlier, [*plan.kept_files, *plan.edited, *moved, *names, *staying, *own_sheet_names()]
        ),
        failed=0,
        learned=list(plan.learned),
        empty=empty,
        dry_run=True,
    )
