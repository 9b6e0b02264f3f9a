"""`split-eras`: a person photographed over many years becomes a face set for each era."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facesets.clustering.eras import Eras
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.imaging.quality import quality
from facesets.interfaces import Embedder, Progress, Store
from facesets.operations.eras.capture_years import CaptureYears, capture_years
from facesets.operations.eras.era_faces import (
    KIND,
    Curated,
    Era,
    Recovered,
    era_source,
    name_eras,
    read_curated,
    recover,
    split,
)
from facesets.operations.eras.probe import EraProbe, facts_line, judge, probe, probe_png, probe_text
from facesets.operations.face_sets.export_swap import ExportSwapSummary, export_planned
from facesets.operations.face_sets.plan import NewSet, plan_sets
from facesets.operations.face_sets.selection import select_faces
from facesets.operations.face_sets.set_changes import State, set_states, without_empty
from facesets.operations.options.cache import ExportSwapOptions
from facesets.operations.options.face_sets import SplitErasOptions
from facesets.records import Collection, Float32, Int64
from facesets.results.export_manifest import ExportManifest
from facesets.results.folder_runs import write_drawings
from facesets.results.lock import reserved
from facesets.results.manifest import EXPORT_MANIFEST, Failure
from facesets.results.preflight import begin
from facesets.results.provenance import provenance
from facesets.stop import Stop

THIN = "_thin"
THIN_MARKER = "THIN.txt"
ERA_MARKER = "ERA.txt"
_DRAWINGS = "_eras"


@dataclass(frozen=True, slots=True)
class YearSources:
    """Where capture years come from: how many photos each way, and how many headers were read for it."""

    by_exif: int
    by_name: int
    unknown: int
    read: int
    unreadable: int
    damaged_cache: bool


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """What `split-eras --probe` found. `text` is what was written to `text_file`."""

    set: str
    recovered: int
    near: int
    dropped_by: dict[str, int]
    years: YearSources
    evidence: EraProbe
    text: str
    text_file: str
    chart: str
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class EraSet:
    """One era, and the set that it became.

    Attributes
    ----------
    state : str
        `new`, `changed` or `unchanged`: what this run made of the set; `empty`: none of its faces passes.
    first, last, dominant : int
        Capture years; 0 where none is known.
    fragments : int
        Smaller sub-clusters that joined its anchor.
    thin : bool
        It has fewer faces than a set needs.
    """

    set: str
    state: State
    faces: int
    first: int
    last: int
    dominant: int
    fragments: int
    thin: bool


@dataclass(frozen=True, slots=True)
class SplitErasSummary:
    """What `split-eras` found and wrote.

    Attributes
    ----------
    left_out : int
        Faces in fragments too small for an era of their own.
    gone : list of str
        Sets of an earlier split that this one has no more.
    forced : str
        What spoke against splitting, where it was done all the same.
    """

    set: str
    out: str
    recovered: int
    near: int
    dropped_by: dict[str, int]
    years: YearSources
    eras: list[EraSet]
    left_out: int
    gone: list[str]
    export: ExportSwapSummary | None
    failed: int
    failures: list[Failure] = field(default_factory=list)
    forced: str = ""
    dry_run: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Person:
    """Everything that is known before something is written."""

    collection: Collection
    curated: Curated
    recovered: Recovered
    years: CaptureYears
    of_face: Int64
    eras: Eras
    named: list[Era]

    @property
    def embeddings(self) -> Float32:
        return self.collection.faces.embedding[self.recovered.rows]


@dataclass(frozen=True, slots=True)
class EraRequest:
    """Whose eras, and where to look.

    Attributes
    ----------
    out : Path
        The export.
    name : str
        Of the set in it to start from.
    roots : sequence of Path
        Where the person's photos lie; everything that the store holds where none is named.
    years_cache : Path
        Where capture years are kept between runs.
    latest_year : int
        This year.
    force : bool
        Split though the probe says that it makes no sense.
    """

    out: Path
    name: str
    roots: Sequence[Path]
    years_cache: Path
    latest_year: int
    force: bool = False


def probe_eras(
    store: Store,
    request: EraRequest,
    options: SplitErasOptions,
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress,
    stop: Stop,
) -> ProbeSummary:
    """Report whether splitting a set makes sense, as text and as a picture in `_eras` of the export.

    Errors as `split_eras`.
    """
    begun = begin(store, request.out, ExportManifest, EXPORT_MANIFEST, replace=replace)
    person = _find(store, begun.collection, request, options, progress, stop)
    evidence = probe(person.embeddings, person.of_face, person.eras, person.named, options)
    facts = facts_line(person.recovered, person.curated, person.years)
    text = probe_text(request.name, facts, evidence, options)
    folder = request.out / _DRAWINGS
    text_file, chart = folder / f"{request.name}.txt", folder / f"{request.name}.png"
    if not dry_run and not stop.requested:
        picture = probe_png(
            request.name,
            facts,
            evidence,
            person.collection,
            person.recovered.rows,
            person.of_face,
            person.eras,
            options,
            progress,
        )
        drawings = {chart.name: picture, text_file.name: text.encode()}
        write_drawings(
            request.out, {f"{_DRAWINGS}/{n}": content for n, content in drawings.items()}, "split-eras-probe"
        )
    return ProbeSummary(
        set=request.name,
        recovered=len(person.recovered.rows),
        near=person.recovered.near,
        dropped_by=person.recovered.dropped_by,
        years=_sources(person.years),
        evidence=evidence,
        text=text,
        text_file=str(text_file),
        chart=str(chart),
        dry_run=dry_run,
        stopped=stop.requested,
    )


def split_eras(
    store: Store,
    request: EraRequest,
    embedder: Embedder,
    options: SplitErasOptions,
    export: ExportSwapOptions,
    *,
    progress: Progress,
    stop: Stop,
) -> SplitErasSummary:
    """Split a set of an export by era, and merge the eras into the export; other sets are left alone.

    Parameters
    ----------
    embedder : Embedder
        With the consumer's detection settings (640, 0.5) and the recogniser of the store.

    Raises
    ------
    WrongUsage
        There is no such set, or none of its faces under the roots; splitting makes no sense; or the export is
        of another store.
    SourceGone
        Photos that the store knows are unavailable.
    RecogniserMismatch
        Store, set and embedder do not have the same recogniser.
    AlreadyRunning
        Another run writes to the export.
    CannotWrite
        The export or the capture years cannot be written.
    """
    with reserved(request.out, dry_run=export.dry_run):
        return _split_eras(store, request, embedder, options, export, progress=progress, stop=stop)


def _split_eras(
    store: Store,
    request: EraRequest,
    embedder: Embedder,
    options: SplitErasOptions,
    export: ExportSwapOptions,
    *,
    progress: Progress,
    stop: Stop,
) -> SplitErasSummary:
    begun = begin(store, request.out, ExportManifest, EXPORT_MANIFEST, replace=export.replace)
    person = _find(store, begun.collection, request, options, progress, stop)
    if stop.requested:
        return _summary(request, person, [], (), None, dry_run=export.dry_run)
    splits, verdict = judge(person.of_face, person.eras, person.named, options)
    if not splits and not request.force:
        raise WrongUsage(
            f"{printable(request.name)} is left as it is. {verdict} --probe shows more, --force splits "
            "all the same."
        )
    base = era_source(person.curated.source)
    wanted = _wanted(person, base, options, export)
    plan = plan_sets(
        person.collection,
        [new for new, _ in wanted],
        request.out,
        embedder.settings,
        export,
        made=provenance(store, person.collection.settings, options, export),
        replaced=base,
    )
    states = set_states(request.out, plan)
    written = export_planned(
        begun,
        plan,
        request.out,
        embedder,
        export,
        command="split-eras",
        progress=progress,
        stop=stop,
    )
    states = without_empty(states, written)
    lines = [_line(era, *states[new.source], new) for new, era in wanted]
    summary = _summary(request, person, lines, plan.gone, written, dry_run=export.dry_run)
    return summary if splits else replace(summary, forced=verdict)


def _find(
    store: Store,
    collection: Collection,
    request: EraRequest,
    options: SplitErasOptions,
    progress: Progress,
    stop: Stop,
) -> _Person:
    curated = read_curated(request.out, request.name, collection)
    recovered = recover(collection, curated, request.roots, options)
    images, place = np.unique(collection.faces.image[recovered.rows], return_inverse=True)
    cache, latest = request.years_cache, request.latest_year
    years = capture_years(
        collection.images, images, store.files(), cache, latest=latest, progress=progress, stop=stop
    )
    if years.damaged_cache:
        progress.say(f"The capture years kept in {printable(cache)} were damaged, so they are read again.")
    of_face = years.year[place]
    eras = split(collection.faces.embedding[recovered.rows], of_face, options)
    named = name_eras(request.name, eras, recovered.rows, of_face)
    return _Person(collection, curated, recovered, years, of_face, eras, named)


def _wanted(
    person: _Person, base: str, options: SplitErasOptions, export: ExportSwapOptions
) -> list[tuple[NewSet, Era]]:
    """The sets to be, each with its era. What is thin is told by the gates that need no picture."""
    rated = quality(person.collection.faces).total
    wanted = []
    for era in person.named:
        if len(era.rows) < options.min_fragment_faces:
            continue
        years = era.name.removeprefix(f"{person.curated.name}_")
        name, markers = era.name, {ERA_MARKER: _era_text(person, era)}
        fit = len(select_faces(person.collection.faces, era.rows, rated, export).rows)
        if fit < options.min_era_faces:
            name, years = f"{THIN}/{name}", f"{THIN}/{years}"
            markers[THIN_MARKER] = _thin_text(fit, len(era.rows), options)
        wanted.append((NewSet(name, f"{base}#{years}", era.rows, KIND, markers), era))
    return wanted


def _thin_text(fit: int, faces: int, options: SplitErasOptions) -> str:
    return (
        f"{fit} of the {faces} faces of this era pass the gates of the export. What is averaged from fewer "
        f"than {options.min_era_faces} looks more like these photos than like the person.\n"
    )


def _era_text(person: _Person, era: Era) -> str:
    years = person.of_face[np.isin(person.recovered.rows, era.rows)]
    counts = zip(*np.unique(years, return_counts=True), strict=True)
    by_year = "".join(f"    {year or 'unknown'}: {count}\n" for year, count in counts)
    joined = f" Fragments that joined its anchor: {len(era.clusters) - 1}." if len(era.clusters) > 1 else ""
    return (
        f"One era of {printable(person.curated.name)}, by `facesets split-eras`.{joined}\n\n"
        f"Faces by capture year:\n{by_year}"
    )


def _line(era: Era, name: str, state: State, wanted: NewSet) -> EraSet:
    return EraSet(
        set=name,
        state=state,
        faces=len(era.rows),
        first=era.first,
        last=era.last,
        dominant=era.dominant,
        fragments=len(era.clusters) - 1,
        thin=THIN_MARKER in wanted.markers,
    )


def _sources(years: CaptureYears) -> YearSources:
    return YearSources(
        by_exif=years.by_exif,
        by_name=years.by_name,
        unknown=years.unknown,
        read=years.read,
        unreadable=years.unreadable,
        damaged_cache=years.damaged_cache,
    )


def _summary(
    request: EraRequest,
    person: _Person,
    eras: list[EraSet],
    gone: Sequence[str],
    written: ExportSwapSummary | None,
    *,
    dry_run: bool,
) -> SplitErasSummary:
    failures = written.failures if written else []
    return SplitErasSummary(
        set=request.name,
        out=str(request.out),
        recovered=len(person.recovered.rows),
        near=person.recovered.near,
        dropped_by=person.recovered.dropped_by,
        years=_sources(person.years),
        eras=eras,
        left_out=len(person.recovered.rows) - sum(era.faces for era in eras),
        gone=list(gone),
        export=written,
        failed=len(failures),
        failures=failures,
        dry_run=dry_run,
        stopped=written is None or written.stopped,
    )
