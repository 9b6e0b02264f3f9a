"""The result of a run into an export, and a preview of what it would do to each set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.new_set import PlannedSet
from facesets.operations.face_sets.plan import ExportPlan
from facesets.operations.face_sets.selection import select_faces
from facesets.operations.face_sets.set_outputs import combined_model_names, counted_outputs
from facesets.operations.face_sets.set_writer import finished_set
from facesets.operations.options.shared import MIN_SHORT
from facesets.plurals import counted
from facesets.result import Result
from facesets.results.export_manifest import SetEntry, SetManifest
from facesets.results.folder_runs import would_remove
from facesets.results.gates import MIN_FACE_SHORT, TAKEN_OUT
from facesets.results.manifest import SET_MANIFEST
from facesets.results.pages.contact_sheets import own_sheet_names

_LITTLE = 4
"""A limit that rejects less than one in this number of faces needs no advice."""


@dataclass(slots=True)
class WrittenSets:
    """The outcome for the sets of a plan.

    Attributes
    ----------
    written : list of PlannedSet and SetManifest
        A manifest without a face means that the set was not made.
    staying : list of SetEntry
        Sets without a readable photo: they are left as an earlier run made them.
    unchanged : int
        The number of `written` sets that an earlier run had finished.
    is_whole : bool
        Whether no set was interrupted.
    """

    written: list[tuple[PlannedSet, SetManifest]] = field(default_factory=list)
    staying: list[SetEntry] = field(default_factory=list)
    unchanged: int = 0
    is_whole: bool = True


def result_of(run: ExportRun, plan: ExportPlan, sets: WrittenSets, *, removed: int, stopped: bool) -> Result:
    """Return the figures of what was written: the result of `export-swap`, and part of other results."""
    manifests = [manifest for _, manifest in sets.written]
    gates = Counter(item.gate for manifest in manifests for item in manifest.dropped)
    failures = [failure for manifest in manifests for failure in manifest.failed]
    full = [manifest for manifest in manifests if manifest.faces]
    there = {entry.source for entry in sets.staying}
    outputs = [counted_outputs(manifest.bundles) for manifest in full]
    limit = run.options.min_face_short
    return Result(
        out=str(run.out),
        sets=len(plan.remaining_sets) + len(sets.staying) + len(full),  # in the whole export
        unchanged_sets=len(plan.remaining_sets) + len(sets.staying) + sets.unchanged,  # of those
        # What follows counts the sets of this run.
        faces=sum(len(manifest.faces) for manifest in full),
        masked=sum(item.masked > 0 for manifest in full for item in manifest.faces),
        candidates=sum(len(manifest.candidates) for manifest in full),
        bundles=sum(bundles for bundles, _ in outputs),
        dropped=gates.total(),
        dropped_by=dict(sorted(gates.items())),
        removed=removed,  # files of the run before
        failed=len(failures),
        failures=failures,
        learned=list(plan.learned),  # a sentence for each of the user's changes
        hint=_hint([(len(m.faces), [(d.gate, d.value) for d in m.dropped]) for m in manifests], limit),
        # Sets that were not made, because none of their faces passed.
        empty=[
            _empty(planned, Counter(item.gate for item in manifest.dropped), len(manifest.failed))
            for planned, manifest in sets.written
            if not manifest.faces and (planned.before is None or planned.before.source not in there)
        ],
        models=sum(models for _, models in outputs),  # files in other formats
        dry_run=run.options.dry_run,
        stopped=stopped,
    )


def _empty(planned: PlannedSet, gates: Counter[str], failed: int) -> Result:
    return Result(
        name="" if planned.is_numbered else planned.name,
        source=planned.source,
        faces=len(planned.rows) + len(planned.taken_out),  # considered for it
        dropped_by=dict(sorted(gates.items())),
        failed=failed,  # faces whose photo could not be read
    )


_Sets: TypeAlias = Sequence[tuple[int, Sequence[tuple[str, float]]]]
"""For each set, the number of faces that passed, and the gate and the value of each dropped one."""


def _hint(sets: _Sets, limit: float) -> str:
    """Return a flag to set if the limit on size rejects much of an export, or of the sets without a face."""
    return _hint_of(sets, limit) or _hint_of([each for each in sets if not each[0]], limit)


def _hint_of(sets: _Sets, limit: float) -> str:
    dropped = [drop for _, drops in sets for drop in drops]
    sizes = sorted((value for gate, value in dropped if gate == MIN_FACE_SHORT.name), reverse=True)
    total = len(dropped) + sum(faces for faces, _ in sets)
    if not sizes or 2 * len(sizes) < len(dropped) or _LITTLE * len(sizes) < total:
        return ""
    # The default of `refine`, if that helps; else the limit that passes half of them.
    helps = 2 * sum(size >= MIN_SHORT for size in sizes) >= len(sizes)
    edge = MIN_SHORT if helps and limit > MIN_SHORT else int(sizes[len(sizes) // 2])
    kept = sum(size >= edge for size in sizes)
    many = "all" if kept == len(sizes) else kept
    return (
        f"{len(sizes)} of {counted(total, 'face')} are smaller than the {limit:g} pixels that an export "
        f"requires. {MIN_FACE_SHORT.flag} {edge} would let {many} of them in."
    )


def rehearsed(run: ExportRun, plan: ExportPlan) -> Result:
    """Return what a run would do, as far as it is known without reading photos."""
    faces, out = run.collection.faces, run.out
    chosen = [
        select_faces(faces, planned.rows, run.rating, run.options, given=planned.given)
        for planned in plan.sets
    ]
    by_set = [Counter(drop.gate.name for drop in selection.dropped) for selection in chosen]
    for planned, of_set in zip(plan.sets, by_set, strict=True):
        of_set.update(TAKEN_OUT.name for _ in planned.taken_out)
    gates = sum(by_set, Counter[str]())
    empty = [
        _empty(planned, of_set, 0)
        for planned, selection, of_set in zip(plan.sets, chosen, by_set, strict=True)
        if not len(selection.rows)
    ]
    full = sum(len(selection.rows) > 0 for selection in chosen)
    manifests = [f"{planned.name}/{SET_MANIFEST}" for planned in plan.sets]
    prefixes = tuple(f"{planned.name}/" for planned in plan.sets)
    staying = [name for name in plan.earlier if name.startswith(prefixes)]
    moved = [name for crops in plan.renamed for name in crops.moves]
    together = combined_model_names(run, plan)
    named = [*plan.remaining_files, *plan.edited, *moved, *manifests, *staying, *own_sheet_names(), *together]
    removed = would_remove(out, plan.earlier, named)
    unwritten = result_of(run, plan, WrittenSets(), removed=removed, stopped=False)
    return Result(
        unwritten,
        sets=unwritten.sets + len(plan.sets) - len(empty),
        unchanged_sets=unwritten.unchanged_sets
        + sum(finished_set(out, each) is not None for each in plan.sets),
        faces=sum(len(selection.rows) for selection in chosen),
        candidates=sum(len(planned.candidates) for planned in plan.sets),
        bundles=2 * full if "fsz" in run.options.formats else 0,
        dropped=gates.total(),
        dropped_by=dict(sorted(gates.items())),
        hint=_hint(
            [(len(each.rows), [(d.gate.name, d.value) for d in each.dropped]) for each in chosen],
            run.options.min_face_short,
        ),
        empty=empty,
        models=full * len(set(run.options.formats) - {"fsz"}),
    )


State = Literal["new", "changed", "unchanged", "empty"]
"""The outcome for a set; `empty`: none of its faces passes, and there is no such set."""


def set_states(out: Path, plan: ExportPlan) -> dict[str, tuple[str, State]]:
    """Return the name and the outcome of each planned set, by source."""
    return {planned.source: (planned.name, _state(out, planned)) for planned in plan.sets}


def without_empty(states: dict[str, tuple[str, State]], written: Result) -> dict[str, tuple[str, State]]:
    """Update `set_states` with the sets without a passing face, which have no name."""
    return states | {empty.source: ("", "empty") for empty in written.empty}


def _state(out: Path, planned: PlannedSet) -> State:
    if not (out / planned.name / SET_MANIFEST).is_file():
        return "new"
    return "changed" if finished_set(out, planned) is None else "unchanged"
