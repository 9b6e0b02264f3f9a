"""`check`: whether everything in the library is as it must be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facesets.files import is_there
from facesets.operations.ingest.changed_files import FileFailure
from facesets.sources.galleries import thumbnails_of
from facesets.store.postgres.integrity import Place, Problem, find_problems, mend, places_to_read
from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What is wrong.

    Attributes
    ----------
    problems : list of Problem
        As they were found.
    to_index : list of str
        Paths that `index` must look at again; only after a repair.
    lost : list of FileFailure
        Photos that must be read again and are not there, and what the library knows of each; not after a
        repair, for then they must be looked for anew.
    can_be_mended : bool
        A repair would put some of it right as things are.
    """

    problems: list[Problem] = field(default_factory=list)
    to_index: list[str] = field(default_factory=list)
    lost: list[FileFailure] = field(default_factory=list)
    can_be_mended: bool = False


def check(library: Library, *, fix: bool) -> CheckSummary:
    """Look for what hand-made changes broke; with `fix`, repair what SQL can."""
    problems = library.database.run(find_problems)
    if not problems:
        return CheckSummary()
    if fix:
        return CheckSummary(problems, library.database.run(mend))
    places = library.database.run(places_to_read)
    lost = _lost(places)
    by_sql = any(problem.by_sql for problem in problems)
    return CheckSummary(problems, lost=lost, can_be_mended=by_sql or len(lost) < len(places))


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
