"""`run`: all steps from a folder of photos to people, face sets and pages; each step resumes."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import Command, SourceGone, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import (
    PAGES,
    PEOPLE,
    RUN_CACHE,
    RUN_RECORD,
    SETS,
    path_of_cache,
    plain_path,
    printable,
    sweep_temporaries,
)
from facesets.interfaces import Embedder, Source
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.refine import refine
from facesets.operations.ingest.embed import embed
from facesets.operations.ingest.stages import Stage
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.start import ClusterOptions, EmbedOptions, RefineOptions
from facesets.plurals import counted
from facesets.result import Result
from facesets.results.folder_runs import narrow_root, reserved
from facesets.results.manifest import CLUSTER_MANIFEST, REFINE_MANIFEST, SHEET_NAME, Failure
from facesets.results.ownership import rights_of_result
from facesets.results.pages.html_pages import START
from facesets.results.pages.run_pages import Shown, refuse_foreign_pages, write_pages
from facesets.results.run_records import WRITING, read_runs
from facesets.results.run_sources import sources_of, write_sources
from facesets.results.safe_folder import SafeFolder
from facesets.rights import narrow, report_tightened, rights_in, tighten_access
from facesets.sources.folders import FolderSource, ListedOnce
from facesets.sources.missing import is_missing
from facesets.store.npz.cache import Cache
from facesets.work import Work

DEFAULT_OUT = "facesets-out"
_SHOWN = ("images", "faces", "persons", "singletons", "no_face", "facesets", "gone")
"""Figures that the pages show, too."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of the steps, each as its command takes them.

    Attributes
    ----------
    include, exclude : tuples of str
        Patterns of photos, as `embed` takes them.
    workers : int
        Threads that draw thumbnails.
    """

    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    refine: RefineOptions = field(default_factory=RefineOptions)
    extend: ExtendOptions = field(default_factory=ExtendOptions)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    workers: int = 1
    dry_run: bool = False


Prepare = Callable[[Cache, Source], tuple[Embedder, Sequence[Stage], EmbedOptions]]
"""Loads the models of a cache, which may be new, and of the steps that analyze new photos; called only if
there are photos to embed."""


def default_out(photos: Path, here: Path) -> Path:
    """Return the default result folder: here, or beside the photos if here is among them."""
    photos = plain_path(photos)
    return (photos.parent if here.is_relative_to(photos) else here) / DEFAULT_OUT


def run(photos: Path, out: Path, options: RunOptions, prepare: Prepare, *, work: Work) -> Result:
    """Embed new photos, group them or add them to existing people and face sets, and write pages.

    Raises
    ------
    WrongUsage
        Photos and results are not separate, or `out` belongs to something else.
    SourceGone
        The photos are unavailable.
    AlreadyRunning
        Another run writes to `out`.
    CannotWrite
        `out` cannot be written.
    """
    roots = _roots(photos, out)
    options = _with_own_results(options)
    source = ListedOnce(FolderSource(photos, include=options.include, exclude=options.exclude))
    cache = Cache(path_of_cache(out / RUN_CACHE))
    start = _nothing_yet(photos, out, dry_run=options.dry_run)
    with reserved(out, dry_run=options.dry_run):
        to_do, has_changed = _changes(source, cache)
        start = Result(start, to_do=to_do)
        if options.dry_run:
            return start
        refuse_foreign_pages(out)
        sweep_temporaries(out / RUN_RECORD, out / START)
        tighten_access(cache.path, cache.names_file)
        prepared = prepare(cache, source) if has_changed else None
        if sources_of(out) != list(roots):
            write_sources(out, roots)
        if prepared is not None:
            embedder, stages, how = prepared
            before = set(cache.files())
            with cache.writing(embedder.settings):
                embedded = embed(source, cache, embedder, how, stages=stages, work=work)
            failures = [Failure(each.path, each.reason) for each in embedded.failures if not each.known]
            copies = _new_copies(before, cache.files())
            start = Result(start, new_images=embedded.embedded, copies=copies, failures=failures)
        if work.stop.requested:
            return _ended(start, stopped=True)
        return _sorted(start, cache, roots, options, work)


def _nothing_yet(photos: Path, out: Path, *, dry_run: bool) -> Result:
    """Return the result of a run before its first step."""
    return Result(
        photos=str(photos),
        out=str(out),
        # Files to open: the first page, and the first contact sheet; empty if there is none.
        index="",
        sheet="",
        to_do=0,  # files that were new or changed when the run began
        # The current totals.
        images=0,
        faces=0,
        persons=0,
        singletons=0,
        no_face=0,
        facesets=0,
        gone=0,  # photos that the results show but that no longer exist
        new_images=0,
        copies=0,  # new files of photos that were known as other files
        joined=0,  # new faces that joined existing people
        unreadable=0,  # files, those of earlier runs included
        reasons=[],
        learned=[],
        # As `refine` gives them.
        hint="",
        try_flags=[],
        # Files that this run could not use, and that no earlier run reported.
        failed=0,
        failures=[],
        dry_run=dry_run,
        stopped=False,
    )


def _with_own_results(options: RunOptions) -> RunOptions:
    """Return options that continue the results in OUT even if its cache was lost and made again."""
    return replace(
        options,
        cluster=replace(options.cluster, replace=True),
        refine=replace(options.refine, replace=True),
        extend=replace(options.extend, replace=True),
    )


def _sorted(start: Result, cache: Cache, roots: tuple[str, ...], options: RunOptions, work: Work) -> Result:
    """Run all steps after embedding."""
    out = Path(start.out)
    people, sets = out / PEOPLE, out / SETS
    has_people, has_sets = _is_made(people, CLUSTER_MANIFEST), _is_made(sets, REFINE_MANIFEST)
    summary = start
    if not has_people:
        made = cluster(cache, people, options.cluster, work=work)
        summary = Result(summary, reasons=made.reasons, failures=[*summary.failures, *made.failures])
    if (has_people or has_sets) and not work.stop.requested:
        grown = extend(cache, people, options.extend, refine_out=sets if has_sets else None, work=work)
        summary = Result(
            summary,
            joined=sum(grown.raw.joined.values()),
            learned=[*grown.raw.learned, *(grown.sets.learned if grown.sets else ())],
            failures=[*summary.failures, *grown.failures],
        )
    if not has_sets and not work.stop.requested:
        refined = refine(cache, sets, options.refine, work=work)
        summary = Result(
            summary,
            hint=refined.hint,
            try_flags=refined.try_flags,
            failures=[*summary.failures, *refined.failures],
        )
    if work.stop.requested:
        return _ended(summary, stopped=True)
    failed = _unreadable(cache.files())
    collection = cache.load()
    shown = Shown(out, people, sets, roots, failed)
    before = rights_in(out / START) or 0
    counts = write_pages(shown, collection, workers=options.workers, work=work)
    _narrow(out, rights_of_result(people) or 0, before)
    sheet = people / SHEET_NAME
    return _ended(
        Result(
            summary,
            **{name: counts[name] for name in _SHOWN},
            unreadable=len(failed),
            index=str(out / START),
            sheet=str(sheet) if sheet.is_file() else "",
        ),
        stopped=work.stop.requested,
    )


def _narrow(out: Path, rights: int, before: int) -> None:
    """Narrow the rights of the folder of all results, if it is ours alone, to `rights` and `before`."""
    ours = {PEOPLE, SETS, PAGES, START, RUN_RECORD}
    narrow(out / RUN_RECORD, rights)
    is_ours = all(n in ours or n.startswith((RUN_CACHE, ".facesets")) for n in SafeFolder(out).names_in())
    if is_ours and narrow_root(out, rights, was_open=bool(before & ~rights)):
        report_tightened(out)


def _ended(summary: Result, *, stopped: bool) -> Result:
    failures = list({failure.path: failure for failure in summary.failures}.values())
    return Result(summary, failures=failures, failed=len(failures), stopped=stopped)


def _is_made(folder: Path, manifest: str) -> bool:
    """Whether a result is complete except for what `extend` adds to it."""
    if not (folder / manifest).is_file():
        return False
    runs = read_runs(folder)
    return not (runs and runs[-1].state == WRITING and runs[-1].command != "extend")


def _changes(source: Source, cache: Cache) -> tuple[int, bool]:
    """Count new or changed files, and find whether `embed` has anything to do.

    Raises
    ------
    SourceGone, WrongUsage
        There are no photos.
    """
    known = cache.files()
    if not source.is_there() and any(map(source.covers, known)):
        raise _unavailable(source, cache)
    listed = set()
    to_do = 0
    for file in source.files():
        record = known.get(file.path)
        listed.add(file.path)
        to_do += record is None or not record.matches(file)
    has_missing = any(
        path not in listed and source.covers(path) and not record.is_forgotten and is_missing(path)
        for path, record in known.items()
    )
    if not listed and not has_missing:
        raise WrongUsage(f"No photos found in {source.label}. Check the path.")
    if not listed:
        raise _unavailable(source, cache)
    return to_do, bool(to_do or has_missing)


def _new_copies(before: Collection[str], now: Mapping[str, FileRecord]) -> int:
    """Count the files that were not there before and whose photo is there as another file, too."""
    new, known = Counter[str](), set[str]()
    for path, record in now.items():
        if not record.failed:
            new.update([record.sha256] if path not in before else ())
            known.update([record.sha256] if path in before else ())
    return sum(count - (sha256 not in known) for sha256, count in new.items())


def _unavailable(source: Source, cache: Cache) -> SourceGone:
    known = counted(sum(map(source.covers, cache.files())), "photo")
    follow = Command("relocate", source.label, "NEW", cache.label)
    return SourceGone(
        f"No photos found in {source.label}, which held {known}. If the drive is not mounted, mount it. If "
        f"the folder was moved, run this first: {follow}."
    )


def _unreadable(known: Mapping[str, FileRecord]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (path, record.reason)
        for path, record in sorted(known.items())
        if record.reason and not record.is_forgotten
    )


def _roots(photos: Path, out: Path) -> tuple[str, ...]:
    """Return the folders that the results in `out` come from, including this one.

    Raises
    ------
    WrongUsage
        The photos are results themselves, or `out` holds something else.
    """
    source, target = photos.resolve(), out.resolve()
    if _is_within_results(source):
        raise WrongUsage(
            f"{printable(photos)} is a result folder of {Command('run')}. Give the photo folder."
        )
    if (target / RUN_RECORD).exists():
        return tuple(dict.fromkeys([*sources_of(target), str(plain_path(photos))]))
    if _is_within_results(target):
        raise WrongUsage(
            f"{printable(out)} is inside the result folder of another run. Give that folder, or one "
            "outside it."
        )
    there = [entry.name for entry in target.iterdir()] if target.is_dir() else []
    taken = {RUN_CACHE, PEOPLE, SETS, PAGES, START}
    if target.is_relative_to(source):
        taken |= {name for name in there if not name.startswith(".facesets")}
    if source != target and not taken.isdisjoint(there):
        raise WrongUsage(
            f"{printable(out)} already contains {printable(min(taken.intersection(there)))}. Give a new "
            "folder for the results."
        )
    if source == target:
        raise WrongUsage(f"{printable(out)} is the photo folder. Give another folder for the results.")
    return (str(plain_path(photos)),)


def _is_within_results(folder: Path) -> bool:
    """Whether a folder was made by a run, or is inside of one; the user's photos beside it are not."""
    for above in (folder, *folder.parents):
        place = folder.relative_to(above).parts[:1]
        if (above / RUN_RECORD).exists() and place in ((), (PEOPLE,), (SETS,), (PAGES,)):
            return True
    return False
