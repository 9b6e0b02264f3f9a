"""Write a planned export: its sets one by one, its sheets, and its manifest last."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from facesets.operations.face_sets.export_result import WrittenSets, rehearsed, result_of
from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.new_set import PlannedSet
from facesets.operations.face_sets.plan import ExportPlan
from facesets.operations.face_sets.set_outputs import combined_model_names, combined_models
from facesets.operations.face_sets.set_writer import SetWriter
from facesets.operations.grouping.gating import report_unmeasured
from facesets.result import Result
from facesets.results.crop_names import rename_crops
from facesets.results.edits.user_edits import warn_of_deleted
from facesets.results.export_manifest import ExportManifest, SetEntry, SetManifest
from facesets.results.folder import ResultFolder
from facesets.results.folder_runs import finish, writing_results
from facesets.results.manifest import EXPORT_MANIFEST
from facesets.results.manifest_json import manifest_bytes
from facesets.results.pages.contact_sheets import draw_sheets, own_sheet_names, plan_rows
from facesets.results.run_records import clear_restored

# Faces that identify a set after its folder was deleted: enough for a centroid.
_BEST = 8


def export_planned(run: ExportRun, plan: ExportPlan, *, command: str) -> Result:
    """Write what `plan_sets` planned, or report what would be written.

    Raises
    ------
    SourceGone
        Photos that the store knows became unavailable.
    CannotWrite
        The export cannot be written.
    """
    warn_of_deleted(plan.deleted, run.out, run.work.progress)
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *(planned.rows for planned in plan.sets)]))
    report_unmeasured(
        run.collection.faces.take(rows), run.collection.settings, run.options, run.work.progress
    )
    if run.options.dry_run:
        return rehearsed(run, plan)
    with writing_results(run.out, plan.earlier, command, photos=_photos(run, plan)) as folder:
        return _export(folder, run, plan)


def _export(folder: ResultFolder, run: ExportRun, plan: ExportPlan) -> Result:
    writer = SetWriter(folder, run, plan.made)
    _prepare(folder, writer, run, plan)
    run.work.progress.begin("Exporting faces", sum(len(planned.rows) for planned in plan.sets))
    sets = _write_sets(writer, plan)
    if not sets.is_whole:
        return result_of(run, plan, sets, removed=0, stopped=True)
    run.work.progress.end()
    made = (_entry(*each) for each in sets.written if each[1].faces)
    contents = _manifest(plan, (*plan.remaining_sets, *sets.staying, *made))
    people = combined_models(run.out, contents.sets, run.work.progress)
    sheets: dict[str, bytes] = {}
    if run.options.sheet:
        rows = plan_rows(contents, folder.root)
        sheets = draw_sheets(contents, rows, EXPORT_MANIFEST, work=run.work)
    if run.work.stop.requested:
        return result_of(run, plan, sets, removed=0, stopped=True)
    run.sources.require()
    for name, content in (sheets | people).items():
        folder.write(name, content)
    complete = replace(contents, sheets=tuple(sheets), models=tuple(people))
    removed = finish(folder, EXPORT_MANIFEST, manifest_bytes(complete))
    clear_restored(folder.root)
    return result_of(run, plan, sets, removed=removed, stopped=False)


def _photos(run: ExportRun, plan: ExportPlan) -> Iterator[str]:
    """Yield the paths of all photos that the export shows faces of."""
    images = run.collection.images
    rows = [row for planned in plan.sets for row in (*planned.rows.tolist(), *planned.candidates)]
    for image in np.unique(run.collection.faces.image[np.array(rows, np.int64)]):
        yield from images.paths[image]
    for manifest in filter(None, (run.earlier.sets.find(entry.name) for entry in plan.remaining_sets)):
        for item in (*manifest.faces, *manifest.candidates):
            yield from item.face.paths


def _prepare(folder: ResultFolder, writer: SetWriter, run: ExportRun, plan: ExportPlan) -> None:
    """Apply the user's changes, and announce the files that may be written."""
    together = combined_model_names(run, plan)
    if run.options.sheet:
        folder.refuse_conflicts(own_sheet_names(len(plan.remaining_sets) + len(plan.sets)))
    folder.refuse_conflicts(together)
    for name, place in plan.moved.items():
        folder.move(name, place)
    folder.remove(plan.withdrawn)
    if plan.before is not None:
        # Save the user's corrections now: after the next steps, they can no longer be read from the folders.
        folder.write_manifest(EXPORT_MANIFEST, manifest_bytes(plan.before))
    moved = [new for crops in plan.renamed for new in crops.moves.values()]
    possible = [
        *plan.remaining_files,
        *moved,
        *writer.possible_names(plan.sets),
        *own_sheet_names(),
        *together,
    ]
    folder.announce(dict.fromkeys(possible, ""))
    folder.retain(plan.remaining_files)
    for name in plan.edited:
        folder.set_aside_edited(name)
    rename_crops(folder, plan.renamed)


def _write_sets(writer: SetWriter, plan: ExportPlan) -> WrittenSets:
    """Write every set, until one is interrupted."""
    sets = WrittenSets()
    numbers = [planned.name for planned in plan.sets if planned.is_numbered]
    for planned in plan.sets:
        if planned.is_numbered:
            planned = replace(planned, name=numbers[0])  # noqa: PLW2901 - its name from here on
        finished = writer.finished_before(planned)
        sets.unchanged += finished is not None
        manifest = finished or writer.write(planned)
        if manifest is None:
            sets.is_whole = False
            return sets
        if manifest.faces and planned.is_numbered:
            del numbers[0]
        sets.written.append((planned, manifest))
        if manifest.failed and not manifest.faces and planned.before is not None:
            writer.leave(planned.before)
            sets.staying.append(planned.before)
    return sets


def _entry(planned: PlannedSet, manifest: SetManifest) -> SetEntry:
    return SetEntry(
        name=manifest.name,
        source=planned.source,
        kind=planned.kind,
        markers=tuple(planned.markers),
        faces=len(manifest.faces),
        candidates=len(manifest.candidates),
        dropped=len(manifest.dropped),
        failed=len(manifest.failed),
        bundles=manifest.bundles,
        best=tuple(item.face.face for item in manifest.faces[:_BEST]),
    )


def _manifest(plan: ExportPlan, entries: tuple[SetEntry, ...]) -> ExportManifest:
    made = plan.made
    if not plan.takes_over and plan.before is not None and plan.before.made.store:
        # A command that only adds to an export does not change the store that it belongs to.
        made = replace(made, cache=plan.before.made.cache, store=plan.before.made.store)
    return ExportManifest(
        made=made,
        counts={
            "sets": len(entries),
            "faces": sum(entry.faces for entry in entries),
            "candidates": sum(entry.candidates for entry in entries),
            "dropped": sum(entry.dropped for entry in entries),
        },
        sets=entries,
        removed=plan.removed,
        sheets=(),
        statements=plan.corrections,
    )
