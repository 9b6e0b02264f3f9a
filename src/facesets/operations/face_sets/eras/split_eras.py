"""`split-eras`: split a person photographed over many years into a face set for each era."""

from collections.abc import Sequence

import numpy as np

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.interfaces import Embedder, Store
from facesets.operations.face_sets.eras.era_faces import EraFaces, era_source
from facesets.operations.face_sets.eras.person import EraRequest, FoundPerson, find_person
from facesets.operations.face_sets.eras.probe import facts_line, judge, probe, probe_png, probe_text
from facesets.operations.face_sets.export_result import State, set_states, without_empty
from facesets.operations.face_sets.export_run import ExportRun, FaceModeller, open_export
from facesets.operations.face_sets.new_set import NewSet, Policy
from facesets.operations.face_sets.plan import plan_sets
from facesets.operations.face_sets.selection import select_faces
from facesets.operations.face_sets.write_export import export_planned
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExportSwapOptions, SplitErasOptions
from facesets.result import Result
from facesets.results.earlier_export import ERA, EarlierExport, succession
from facesets.results.export_manifest import ExportManifest
from facesets.results.folder_runs import write_drawings
from facesets.results.manifest import EXPORT_MANIFEST, provenance
from facesets.results.placement import DRAWINGS
from facesets.results.preflight import begin
from facesets.work import Work

THIN = "_thin"
THIN_MARKER = "THIN.txt"
ERA_MARKER = "ERA.txt"


def probe_eras(
    store: Store,
    request: EraRequest,
    options: SplitErasOptions,
    *,
    replace: bool = False,
    dry_run: bool = False,
    work: Work,
) -> Result:
    """Report whether splitting a set makes sense, as text and as a picture in `_eras` of the export.

    Errors as `split_eras`.
    """
    begun = begin(store, request.out, ExportManifest, EXPORT_MANIFEST, replace=replace)
    options = for_recognizer(options, begun.collection.settings.recognizer)
    earlier = EarlierExport(request.out, begun.before)
    person = find_person(store, earlier, begun.collection, request, options, work=work)
    evidence = probe(person.embeddings, person.of_face, person.eras, person.named, options)
    facts = facts_line(person.recovered, person.curated, person.years.sources)
    text = probe_text(request.name, facts, evidence, options)
    folder = request.out / DRAWINGS
    text_file, chart = folder / f"{request.name}.txt", folder / f"{request.name}.png"
    if not dry_run and not work.stop.requested:
        picture = probe_png(
            request.name,
            facts,
            evidence,
            person.collection,
            person.recovered.rows,
            person.of_face,
            person.eras,
            options,
            work.progress,
        )
        drawings = {chart.name: picture, text_file.name: text.encode()}
        write_drawings(
            request.out, {f"{DRAWINGS}/{n}": content for n, content in drawings.items()}, "split-eras-probe"
        )
    return Result(
        set=request.name,
        recovered=len(person.recovered.rows),
        near=person.recovered.near,
        dropped_by=person.recovered.dropped_by,
        years=person.years.sources,
        evidence=evidence,
        text=text,
        text_file=str(text_file),
        chart=str(chart),
        failed=0,
        failures=[],
        dry_run=dry_run,
        stopped=work.stop.requested,
    )


def split_eras(
    store: Store,
    request: EraRequest,
    embedder: Embedder,
    options: SplitErasOptions,
    export: ExportSwapOptions,
    *,
    modeller: FaceModeller | None = None,
    work: Work,
) -> Result:
    """Split a set of an export by era, and merge the eras into the export; other sets are left alone.

    Raises
    ------
    WrongUsage
        There is no such set, or none of its faces under the roots; splitting makes no sense; or as
        `open_export`, as all other errors.
    CannotWrite
        The export or the capture years cannot be written.
    """
    with open_export(store, request.out, embedder, export, work, modeller) as run:
        options = for_recognizer(options, run.collection.settings.recognizer)
        person = find_person(store, run.earlier, run.collection, request, options, work=work)
        if work.stop.requested:
            return _summary(request, person, [], (), None, dry_run=export.dry_run)
        splits, verdict = judge(person.of_face, person.eras, person.named, options)
        if not splits and not request.force:
            raise WrongUsage(
                f"{printable(request.name)} was not split. {verdict} {Field('probe')} shows details, "
                f"{Field('force')} splits it regardless."
            )
        summary = _written(run, request, person, options)
        return summary if splits else Result(summary, forced=verdict)


def _written(run: ExportRun, request: EraRequest, person: FoundPerson, options: SplitErasOptions) -> Result:
    base = era_source(person.curated.source)
    wanted = _wanted(run, person, base, options)
    plan = plan_sets(
        run,
        [new for new, _ in wanted],
        replace_eras(base),
        provenance(run.store, run.collection.settings, options, run.options),
        succession=succession(run.earlier, base, {new.source: run.ids_of(new.rows) for new, _ in wanted}),
    )
    states = set_states(run.out, plan)
    written = export_planned(run, plan, command="split-eras")
    states = without_empty(states, written)
    lines = [_line(era, *states[new.source], new) for new, era in wanted]
    return _summary(request, person, lines, plan.removed_sets, written, dry_run=run.options.dry_run)


def _summary(
    request: EraRequest,
    person: FoundPerson,
    eras: list[Result],
    removed: Sequence[str],
    written: Result | None,
    *,
    dry_run: bool,
) -> Result:
    """Combine the figures of what was found and written; `written` is None if nothing was."""
    failures = written.failures if written else []
    recovered = person.recovered
    return Result(
        set=request.name,
        out=str(request.out),
        recovered=len(recovered.rows),
        near=recovered.near,
        dropped_by=recovered.dropped_by,
        years=person.years.sources,
        eras=eras,
        left_out=len(recovered.rows) - sum(era.faces for era in eras),  # in fragments that are no era
        gone=list(removed),  # sets of an earlier split
        export=written,
        failed=len(failures),
        failures=failures,
        forced="",  # the reason against splitting, if it was forced
        dry_run=dry_run,
        stopped=written is None or written.stopped,
    )


def replace_eras(base: str) -> Policy:
    """Return the policy by which the eras of a set replace those of an earlier split; other sets stay."""
    return Policy(drops=lambda entry: entry.source.rpartition("#")[0] == base)


def _wanted(
    run: ExportRun, person: FoundPerson, base: str, options: SplitErasOptions
) -> list[tuple[NewSet, EraFaces]]:
    """Return the wanted sets, each with its era. Gates that need no picture find the thin ones."""
    wanted = []
    for era in person.named:
        if len(era.rows) < options.min_fragment_faces:
            continue
        years = era.name.removeprefix(f"{person.curated.name}_")
        name, markers = era.name, {ERA_MARKER: _era_text(person, era)}
        fit = len(select_faces(run.collection.faces, era.rows, run.rating, run.options).rows)
        if fit < options.min_era_faces:
            name, years = f"{THIN}/{name}", f"{THIN}/{years}"
            markers[THIN_MARKER] = _thin_text(fit, len(era.rows), options)
        wanted.append((NewSet(name, f"{base}#{years}", era.rows, ERA, markers), era))
    return wanted


def _thin_text(fit: int, faces: int, options: SplitErasOptions) -> str:
    return (
        f"{fit} of the {faces} faces of this era pass the quality filters of the export. An average of "
        f"fewer than {options.min_era_faces} resembles these photos more than the person.\n"
    )


def _era_text(person: FoundPerson, era: EraFaces) -> str:
    years = person.of_face[np.isin(person.recovered.rows, era.rows)]
    counts = zip(*np.unique(years, return_counts=True), strict=True)
    by_year = "".join(f"    {year or 'unknown'}: {count}\n" for year, count in counts)
    joined = f" Fragments that joined its anchor: {len(era.clusters) - 1}." if len(era.clusters) > 1 else ""
    return (
        f"One era of {printable(person.curated.name)}, made by `facesets split-eras`.{joined}\n\nFaces by "
        f"capture year:\n{by_year}"
    )


def _line(era: EraFaces, name: str, state: State, wanted: NewSet) -> Result:
    return Result(
        set=name,
        state=state,  # what this run made of the set
        faces=len(era.rows),
        first=era.first,  # capture years; 0 if none is known
        last=era.last,
        dominant=era.dominant,
        fragments=len(era.clusters) - 1,  # that joined its anchor
        thin=THIN_MARKER in wanted.markers,  # fewer faces than a set needs
    )
