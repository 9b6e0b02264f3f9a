"""Indexing a folder as it was indexed before, and giving what was found to people."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesets.assembly.describing import Asked, describer
from facesets.assembly.notices import Notices
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.imaging.limits import MAX_PIXELS
from facesets.interfaces import Progress
from facesets.operations.ingest.empty_sources import require_a_target
from facesets.operations.ingest.index import IndexSummary, index
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.library import IndexOptions
from facesets.operations.options.stages import IN_EVERY_RUN
from facesets.operations.people.assigning.assigning import assign
from facesets.settings import Settings
from facesets.sources.galleries import GallerySource
from facesets.stop import Stop

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library


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
    As `index`, and as `describer`.
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
    require_a_target(source, library)
    describe, options = describer(library, options, conf, Asked(), notices, progress, stop)
    known = describe.faces_from
    models = StageModels(known, trust_mtime=options.trust_mtime, library=library, describer=describe)
    stages = stages_of_run(options.stages, models, conf, notices, progress, stop, enrich=options.enrich)
    summary = index(source, library, describe, options, stages=stages, progress=progress, stop=stop)
    return summary, library.looking_for(known, None)


def assigned(
    summary: IndexSummary,
    library: "Library",
    began: datetime,
    *,
    by: str,
    progress: Progress,
    stop: Stop,
) -> IndexSummary:
    """The same summary, once the faces found since a time were given to people."""
    if not library.exists():
        return replace(summary, assigned=0, to_review=0)
    given = assign(library, AssignOptions(), progress=progress, stop=stop, by=by, found_since=began)
    return replace(summary, assigned=given.assigned, to_review=given.review)
