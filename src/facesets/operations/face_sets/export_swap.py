"""`export-swap`: square PNGs with one face each for other programs, and `.fsz` bundles of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facesets.clustering import nearest
from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.interfaces import Embedder, Store
from facesets.operations.face_sets.export_run import ExportRun, FaceModeller, open_export
from facesets.operations.face_sets.new_set import REFINED, NewSet, Policy
from facesets.operations.face_sets.plan import ExportPlan, groups_of, plan_sets
from facesets.operations.face_sets.selection import centroid_of
from facesets.operations.face_sets.write_export import export_planned
from facesets.operations.grouping.gating import require_ages
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import ExportSwapOptions
from facesets.records import CacheSettings, Collection, Float32, Int64
from facesets.result import Result
from facesets.results.earlier_export import Succession
from facesets.results.manifest import ClusterManifest, RefineManifest, provenance
from facesets.results.manifest_json import manifest_file, read_manifest
from facesets.results.names.group_names import NUMBERED
from facesets.results.names.naming import Naming
from facesets.results.preflight import require_same_faces, rows_of
from facesets.work import Work

WHOLE = Policy(drops=lambda entry: entry.kind == REFINED, takes_over=True)
"""The policy without `--merge`: sets of the refine manifest replace those of an earlier one."""
MERGED = Policy(remakes=False)
"""The policy with `--merge`: add sets to the existing ones."""


def export_swap(
    store: Store,
    refine_manifest: Path,
    out: Path,
    embedder: Embedder,
    options: ExportSwapOptions,
    *,
    raw_manifest: Path | None = None,
    modeller: FaceModeller | None = None,
    work: Work,
) -> Result:
    """Export the face sets of a refine manifest.

    Parameters
    ----------
    raw_manifest : Path, optional
        The manifest of `cluster`, needed for candidates.

    Raises
    ------
    WrongUsage
        A manifest is missing or of another kind; `out` holds sets from another refine manifest and `merge` is
        off; or as `open_export`, as all other errors.
    """
    with open_export(store, out, embedder, options, work, modeller) as run:
        naming = run.naming()
        plan = plan_export(run, refine_manifest, raw_manifest, naming)
        groups = {out: groups_of(run, plan)}
        if not options.dry_run:
            naming.learn(groups)
        written = export_planned(run, plan, command="export-swap")
        if not options.dry_run and not written.stopped:
            naming.save(groups)
        return written


def plan_export(
    run: ExportRun, refine_manifest: Path, raw_manifest: Path | None, naming: Naming
) -> ExportPlan:
    """Read the manifests, compare recognizers, and settle names; errors as `export_swap`."""
    collection, options = run.collection, run.options
    require_ages(run.store.label, collection.faces, options)
    refined = read_manifest(refine_manifest, RefineManifest)
    require_same_faces(collection.settings, refined.made.models, refine_manifest)
    rows_by_id = {face: row for row, face in enumerate(run.ids)}
    members = {
        group.name: rows_of([entry.face for entry in group.faces], rows_by_id, refine_manifest)
        for group in refined.facesets
    }
    candidates: dict[str, dict[int, float]] = {}
    if options.candidates:
        single = single_faces(raw_manifest, rows_by_id, collection.settings)
        candidates = matched_candidates(collection, members, single, run.rating, options)
    prefix = f"{manifest_file(refine_manifest).absolute()}#"
    called, warnings = naming.names_elsewhere({name: run.ids_of(rows) for name, rows in members.items()})
    wanted = [
        NewSet(called.get(name, name), prefix + name, rows, candidates=candidates.get(name, {}))
        for name, rows in members.items()
    ]
    if not options.merge:
        _refuse_foreign_sets(run, prefix)
    plan = plan_sets(
        run,
        wanted,
        MERGED if options.merge else WHOLE,
        provenance(run.store, collection.settings, options),
        succession=Succession(heirs=_heirs(run, wanted)),
        naming=naming,
    )
    return replace(plan, learned=(*plan.learned, *warnings))


def _heirs(run: ExportRun, wanted: Sequence[NewSet]) -> dict[str, str]:
    """Find wanted sets of people that the export already has from another source.

    `discover` found them before `refine` did, or the user named them in the folder of `refine` or in the
    export since. A set with more than half of the faces of such a person is that person.
    """
    there = run.earlier.entries
    sources = {entry.source for entry in there}
    new = {each.source: run.ids_of(each.rows) for each in wanted if each.source not in sources}
    numbered = {each.source for each in wanted if NUMBERED.fullmatch(each.name)}
    heirs: dict[str, str] = {}
    for entry in there:
        is_replaced = entry.kind == REFINED and all(entry.source != each.source for each in wanted)
        if entry.kind != "discovered" and not is_replaced:
            continue
        faces = run.earlier.sets.faces_of(entry.name)
        # Numbers do not identify sets: a set with another number now is another set.
        of_number = is_replaced and NUMBERED.fullmatch(entry.name)
        shared = {
            source: len(faces & own)
            for source, own in new.items()
            if source not in heirs and not (of_number and source in numbered)
        }
        best = max(shared, key=shared.__getitem__, default="")
        if best and 2 * shared[best] > len(faces):
            heirs[best] = entry.source
    return heirs


def _refuse_foreign_sets(run: ExportRun, prefix: str) -> None:
    there = [entry for entry in run.earlier.entries if entry.kind == REFINED]
    foreign = [entry.name for entry in there if not entry.source.startswith(prefix)]
    if foreign:
        raise WrongUsage(
            f"{printable(run.out)} holds face sets from another manifest ({foreign[0]} and "
            f"{len(foreign) - 1} more). Use {Field('merge')} to add to them, or choose another OUT."
        )


def single_faces(raw_manifest: Path | None, rows_by_id: Mapping[str, int], ours: CacheSettings) -> Int64:
    """Return the rows of faces that a manifest of `cluster` lists as single.

    Raises
    ------
    WrongUsage
        There is no such manifest, or its faces come from another detection.
    """
    if raw_manifest is None:
        raise WrongUsage(
            f"{Field('candidates')} requires {Field('raw_manifest')}: the manifest.json that "
            f"{Command('cluster')} wrote."
        )
    raw = read_manifest(raw_manifest, ClusterManifest)
    require_same_faces(ours, raw.made.models, raw_manifest)
    return rows_of([entry.face for entry in raw.singletons], rows_by_id, raw_manifest)


def matched_candidates(
    collection: Collection,
    members: Mapping[str, Int64],
    single: Int64,
    rated: Float32,
    options: ExportSwapOptions,
) -> dict[str, dict[int, float]]:
    """Return for each set the single faces nearest to it, with their cosine distances."""
    faces = collection.faces
    in_sets = np.concatenate([np.empty(0, np.int64), *members.values()])
    single = single[~np.isin(single, in_sets)]
    good = (rated[single] >= options.candidate_min_score) & (
        faces.face_short[single] >= options.min_face_short
    )
    if options.min_norm is not None and faces.norm is not None:
        good &= ~(faces.norm[single] < options.min_norm)
    single = single[good]
    matched: dict[str, dict[int, float]] = {name: {} for name in members}
    if not len(single) or not members:
        return matched
    references = np.stack([centroid_of(faces.embedding[rows]) for rows in members.values()])
    found = nearest(faces.embedding[single], references)
    names, most = list(members), settled(options.candidate_match_threshold)
    for row, reference, distance in zip(single, found.reference, found.cosine_distance, strict=True):
        if distance <= most:
            matched[names[int(reference)]][int(row)] = round(float(distance), 4)
    return matched
