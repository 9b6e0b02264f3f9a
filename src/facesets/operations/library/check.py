"""`check`: whether everything in the library is as it must be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.errors import Field, WrongUsage
from facesets.files import is_there
from facesets.interfaces import Describer
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.index import index
from facesets.operations.ingest.metadata import metadata_stage
from facesets.operations.ingest.missing_photos import note_missing
from facesets.operations.options.library import IndexOptions
from facesets.operations.people.forgetting.finishing import finish_what_was_cut_off
from facesets.remote.service_embedder import service_model
from facesets.result import Result
from facesets.sources.galleries import GallerySource, thumbnails_of
from facesets.store.postgres.integrity import Place, find_problems, places_to_read, repair_rows
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.missing import missing_photos
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class Skip:
    """What a library does not keep, and nothing is to look for therefore."""

    faces: bool
    clip: bool


Prepare = Callable[[Skip], tuple[Describer, IndexOptions]]
"""Loads what describes pictures; called only when some must be read again."""


def check(library: Library, *, fix: bool, by: str = "") -> Result:
    """Look for what hand-made changes broke; with `fix`, repair what SQL can; `by` is who does it."""
    note_missing(library)
    missing = [photo for _, photo in library.database.run(missing_photos)]
    found = Result(
        problems=library.database.run(find_problems),
        to_index=[],  # paths that `index` must look at again; only after a repair
        # Photos that must be read again and are not there; not after a repair, for then they must be looked
        # for again.
        lost=[],
        can_be_mended=False,  # a repair would put some of it right as things are
        out_of_reach=[],  # what may still hold people who were forgotten
        missing=missing,  # photos of which no file is left: they are no problem, and count nowhere
    )
    if not found.problems:
        return found
    if fix:
        to_index = library.database.run(repair_rows, by)
        return Result(found, to_index=to_index, out_of_reach=finish_what_was_cut_off(library.database))
    places = library.database.run(places_to_read)
    lost = _lost(places)
    by_sql = any(problem.by_sql for problem in found.problems)
    return Result(found, lost=lost, can_be_mended=by_sql or len(lost) < len(places))


def repair(library: Library, prepare: Prepare, *, work: Work) -> tuple[Result, Result, list[FileFailure]]:
    """Repair what SQL can, and read the other images again, those that exist; errors as `index`.

    Returns
    -------
    Result, Result, list of FileFailure
        What was wrong, what is wrong still, and photos that could not be read again.
    """
    found = check(library, fix=True, by=work.by)
    there = [Path(path) for path in found.to_index if is_at_hand(path)]
    failures: list[FileFailure] = []
    if there:
        embeds = bool(library.clip_models())
        describer, options = prepare(Skip(faces=embeds and library.settings is None, clip=not embeds))
        source = GallerySource(there)
        stages = [metadata_stage(lambda: np.datetime64("now", "us"))]
        summary = index(source, library, describer, options, stages=stages, work=work)
        failures = summary.failures
    return found, check(library, fix=False), failures


def require_service(library: Library, ml_uri: str | None) -> None:
    """Refuse to repair here what a service found: its faces are searched for again there or not at all.

    Raises
    ------
    WrongUsage
        A service found the faces, and none is named.
    """
    known = library.settings
    if ml_uri is None and known is not None and service_model(known) is not None:
        raise WrongUsage(
            f"The faces of {library.label} were found by a machine-learning service. Give its address: "
            f"check {Field('fix')} {Field('ml_uri', 'URL')}."
        )


def is_at_hand(path: str) -> bool:
    """Whether there is a file at a path that `index` would read."""
    place = Path(path)
    return is_there(place) and place.is_file() and thumbnails_of(place) is None


def _lost(places: Sequence[Place]) -> list[FileFailure]:
    """Those places of which neither they nor another of the same image is there."""
    there = {place for place in places if place.path and is_at_hand(place.path)}
    images = {place.image for place in there} - {None}
    return [_described(place) for place in places if place not in there and place.image not in images]


def _described(place: Place) -> FileFailure:
    if place.image is None:
        return FileFailure(place.path, "is not there, and its image is not known")
    if not place.path:
        return FileFailure(f"image {place.image}", "no path leads to it")
    return FileFailure(place.path, f"is not there, and was image {place.image}")
