"""Index folders for the command line and the browser, and match new faces to people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.assembly.describing import RequestedModels, describer
from facesets.assembly.notices import Notices
from facesets.assembly.packs import how_to_change_pack, refuse_to_fetch_another
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.assembly.stores import LibraryWork
from facesets.errors import Sentence, SourceGone
from facesets.imaging.limits import MAX_PIXELS
from facesets.inference.catalog import CONVERTED
from facesets.inference.collecting import CollectingDescriber
from facesets.interfaces import Describer
from facesets.operations.ingest.index import index, index_result
from facesets.operations.ingest.stages import Stage, at_most
from facesets.operations.ingest.unavailable_sources import require_a_target
from facesets.operations.models.tuning import is_long
from facesets.operations.options.index import IN_EVERY_RUN, IndexOptions
from facesets.operations.options.people import AssignOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.result import Result
from facesets.settings import Settings
from facesets.sources.galleries import GallerySource
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.connection import now
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.runs import IndexedFolder


def index_folders(
    work: LibraryWork,
    source: GallerySource,
    options: IndexOptions,
    asked: RequestedModels,
    *,
    body_model: Path | None = None,
    assign_by: AssignOptions | None = None,
    stopwatch: Stopwatch | None = None,
) -> Result:
    """Index folders, then optionally match the new faces to known people.

    Raises
    ------
    As `index_photos` and `assign`.
    """
    began = work.session.run(now)
    summary, seen = index_photos(work, source, options, asked, body_model=body_model, stopwatch=stopwatch)
    if assign_by is None or options.dry_run or summary.stopped:
        return summary
    return _assigned(work, summary, seen, began, assign_by)


def index_photos(
    work: LibraryWork,
    source: GallerySource,
    options: IndexOptions,
    asked: RequestedModels,
    *,
    body_model: Path | None = None,
    stopwatch: Stopwatch | None = None,
) -> tuple[Result, "Library"]:
    """Load the requested models, else the library's, and index.

    Parameters
    ----------
    stopwatch : Stopwatch, optional
        Records how the time was spent, and how many files were processed at a time.

    Returns
    -------
    Result, Library
        The library sees the faces that were searched for.

    Raises
    ------
    As `index`, and as `describer`.
    """
    library, conf, notices = work.library, work.settings, work.notices
    require_a_target(source, library)
    is_new = library.settings is None and not options.dry_run
    is_first = is_new and options.max_images is None
    if not asked.skip_faces and library.has_people():
        refuse_to_fetch_another(asked.local_pack, library.searched_by(), conf, library.label)
    asked = replace(asked, is_long=lambda: is_first and is_long(chain.from_iterable(source.stamps()), 0))
    options = replace(options, concurrency=asked.workers or options.concurrency)
    describe, options = describer(library, options, conf, asked, notices, work, stopwatch=stopwatch)
    stages: list[Stage] = []
    if not options.dry_run:
        stages = further_stages(library, describe, options, asked, conf, notices, work, body_model=body_model)
    if isinstance(describe, CollectingDescriber):
        stages = [at_most(stage, describe.runners) for stage in stages]
    note = _note(work, asked, describe) if is_new else ""
    summary = index(source, library, describe, options, stages=stages, stopwatch=stopwatch, work=work)
    if stopwatch is not None:
        stopwatch.workers = options.concurrency
    return Result(summary, pack_note=note), library.looking_for(describe.faces_from, None)


def further_stages(
    library: "Library",
    describe: Describer,
    options: IndexOptions,
    asked: RequestedModels,
    conf: Settings,
    notices: Notices,
    work: Work,
    *,
    body_model: Path | None = None,
) -> list[Stage]:
    """Return the analysis steps of the same pass; errors as `stages_of_run`."""
    models = StageModels(
        describe.faces_from,
        asked.local_pack,
        asked.provider,
        options.trust_mtime,
        library=library,
        describer=describe,
        clip_pack=asked.clip_pack,
        body_model=body_model,
        at_once=options.concurrency,
    )
    return stages_of_run(options.stages, models, conf, notices, work, enrich=options.enrich)


def _note(work: LibraryWork, asked: RequestedModels, describe: Describer) -> str:
    """Return a note on the default model pack of a new library; empty if the user chose one."""
    known = describe.faces_from
    chosen = asked.ml_uri or asked.local_pack or work.settings.pack
    if known is None or known.pack not in CONVERTED or chosen:
        return ""
    change = how_to_change_pack()
    # Its accuracy was reported when it was chosen.
    work.notices.remark_once(change, automatic=True)
    pack = CONVERTED[known.pack]
    return Sentence(f"The new library uses the model pack {pack.name}. {pack.note} {change}")


def index_again(work: LibraryWork, folders: Sequence["IndexedFolder"], *, and_assign: bool) -> Result:
    """Index folders again, each with its earlier options and the library's models.

    Returns
    -------
    Result
        Totals of all folders.

    Raises
    ------
    As `index_photos`; a missing folder is skipped if there are others.
    """
    began = work.session.run(now)
    total, seen = index_result(), work.library
    for folder in folders:
        if work.stop.requested:
            return Result(total, stopped=True)
        try:
            summary, seen = _index_again(work, folder)
        except SourceGone as error:
            if len(folders) == 1:
                raise
            work.progress.say(error.sentence)
            summary = index_result(away=[str(error)])
        total = _sum(total, summary)
    return _assigned(work, total, seen, began, AssignOptions()) if and_assign and not total.stopped else total


def _index_again(work: LibraryWork, folder: "IndexedFolder") -> tuple[Result, "Library"]:
    before = folder.options
    options = IndexOptions(
        fast_decode=bool(before.get("fast_decode")),
        max_pixels=int(before.get("max_pixels", MAX_PIXELS)),
        enrich=bool(before.get("enrich")),
        prune=bool(before.get("prune")),
        stages=tuple(before.get("stages", IN_EVERY_RUN)),
        trust_mtime=bool(before.get("trust_mtime")),
    )
    patterns = {name: tuple(before.get(name) or ()) for name in ("include", "exclude")}
    return index_photos(work, GallerySource([Path(folder.path)], **patterns), options, RequestedModels())


def _sum(one: Result, other: Result) -> Result:
    """Sum the results of two runs."""
    both = {
        name: value + other[name] if type(value) is int or isinstance(value, list) else other[name]
        for name, value in one.items()
    }
    both["passed_over"] = dict(Counter(one.passed_over) + Counter(other.passed_over))
    return Result(both, stopped=one.stopped or other.stopped)


def _assigned(
    work: LibraryWork, summary: Result, library: "Library", began: datetime, options: AssignOptions
) -> Result:
    """Add the result of matching the new faces to people."""
    if not library.exists():
        return Result(summary, assigned=0, to_review=0)
    given = assign(library, options, work=work, found_since=began)
    return Result(summary, assigned=given.assigned, to_review=given.review)
