"""Indexing, as the command line and the browser do it, and giving what was found to people."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesets.assembly.describing import Asked, describer
from facesets.assembly.notices import Notices
from facesets.assembly.packs import how_to_change_pack, refuse_to_fetch_another
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.errors import Sentence
from facesets.imaging.limits import MAX_PIXELS
from facesets.inference.catalog import CONVERTED
from facesets.inference.collecting import CollectingDescriber
from facesets.interfaces import Progress
from facesets.operations.ingest.index import IndexSummary, index
from facesets.operations.ingest.stages import at_most
from facesets.operations.ingest.unavailable_sources import require_a_target
from facesets.operations.models.tuning import is_long
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.library import IndexOptions
from facesets.operations.options.stages import IN_EVERY_RUN
from facesets.operations.people.assigning.assigning import assign
from facesets.settings import Settings
from facesets.sources.galleries import GallerySource
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class IndexOutcome:
    """What came of a run.

    Attributes
    ----------
    library : Library
        Sees the faces that were looked for.
    options : IndexOptions
        As they were chosen: how many files were worked on at a time, among others.
    """

    summary: IndexSummary
    library: "Library"
    options: IndexOptions


def index_photos(
    library: "Library",
    source: GallerySource,
    options: IndexOptions,
    asked: Asked,
    conf: Settings,
    notices: Notices,
    *,
    body_model: Path | None = None,
    stopwatch: Stopwatch | None = None,
    progress: Progress,
    stop: Stop,
) -> IndexOutcome:
    """Load the models that are asked for, else the library's own, and index.

    Raises
    ------
    As `index`, and as `describer`.
    """
    require_a_target(source, library)
    is_new = library.settings is None and not options.dry_run
    is_first = is_new and options.max_images is None
    if not asked.skip_faces and library.has_people():
        refuse_to_fetch_another(asked.local_pack, library.searched_by(), conf, library.label)
    asked = replace(asked, is_long=lambda: is_first and is_long(chain.from_iterable(source.stamps()), 0))
    options = replace(options, concurrency=asked.workers or options.concurrency)
    describe, options = describer(library, options, conf, asked, notices, progress, stop, stopwatch=stopwatch)
    known = describe.faces_from
    chosen = asked.ml_uri or asked.local_pack or conf.pack
    note = ""
    if is_new and known is not None and known.pack in CONVERTED and not chosen:
        change = how_to_change_pack()
        # How good it is was said when it was taken.
        notices.remark_once(change, unasked=True)
        pack = CONVERTED[known.pack]
        note = Sentence(f"The library is made with the model pack {pack.name}. {pack.note} {change}")
    models = StageModels(
        known,
        asked.local_pack,
        asked.provider,
        options.trust_mtime,
        library=library,
        describer=describe,
        clip_pack=asked.clip_pack,
        body_model=body_model,
        at_once=options.concurrency,
    )
    stages = (
        []
        if options.dry_run
        else stages_of_run(options.stages, models, conf, notices, progress, stop, enrich=options.enrich)
    )
    if isinstance(describe, CollectingDescriber):
        stages = [at_most(stage, describe.runners) for stage in stages]
    summary = index(
        source, library, describe, options, stages=stages, stopwatch=stopwatch, progress=progress, stop=stop
    )
    summary = replace(summary, pack_note=note)
    return IndexOutcome(summary, library.looking_for(known, None), options)


def index_again(
    library: "Library",
    folder: str,
    before: Mapping[str, Any],
    conf: Settings,
    notices: Notices,
    *,
    progress: Progress,
    stop: Stop,
) -> tuple[IndexSummary, "Library"]:
    """Index a folder with the options that it was indexed with before, and the library's own models.

    Returns
    -------
    IndexSummary, Library
        The latter sees the faces that were looked for.

    Raises
    ------
    As `index_photos`.
    """
    options = IndexOptions(
        fast_decode=bool(before.get("fast_decode")),
        max_pixels=int(before.get("max_pixels", MAX_PIXELS)),
        enrich=bool(before.get("enrich")),
        prune=bool(before.get("prune")),
        stages=tuple(before.get("stages", IN_EVERY_RUN)),
        trust_mtime=bool(before.get("trust_mtime")),
    )
    patterns = {name: tuple(before.get(name) or ()) for name in ("include", "exclude")}
    source = GallerySource([Path(folder)], **patterns)
    done = index_photos(library, source, options, Asked(), conf, notices, progress=progress, stop=stop)
    return done.summary, done.library


def assigned(
    summary: IndexSummary,
    library: "Library",
    began: datetime,
    options: AssignOptions,
    *,
    by: str,
    progress: Progress,
    stop: Stop,
) -> IndexSummary:
    """The same summary, once the faces found since a time were given to people."""
    if not library.exists():
        return replace(summary, assigned=0, to_review=0)
    given = assign(library, options, progress=progress, stop=stop, by=by, found_since=began)
    return replace(summary, assigned=given.assigned, to_review=given.review)
