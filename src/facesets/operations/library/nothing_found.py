"""Why a search finds nothing: conditions that no photo matches, and photos not analysed yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from facesets.errors import Command, Field, Sentence
from facesets.files import printable
from facesets.operations.ingest.tag_stages import STAGE_OF
from facesets.operations.library.stats import counts_of
from facesets.operations.people.corrections.lookup import called, require_person
from facesets.plurals import counted
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.search import count_photos, times_of_photos

_OPEN: Mapping[str, Mapping[str, Any]] = {
    # Without a requested person, an age would apply to any person.
    "person": {"persons": (), "ages": None},
    "age": {"ages": None},
    "dates": {"dates": Dates()},
    "place": {"near": None},
    "camera": {"cameras": None},
    "tag": {"tags": ()},
    "words": {"words": ""},
}
"""Conditions, and the fields of a filter without each."""


def explain_nothing_found(library: Library, photo_filter: PhotoFilter) -> list[Sentence]:
    """Explain which conditions of a search to drop; nothing if photos match them."""
    return library.database.run(lambda connection: _why(connection, photo_filter))


def _why(connection: Connection, photo_filter: PhotoFilter) -> list[Sentence]:
    parts = _parts(photo_filter)
    if not parts or _fits(connection, photo_filter):
        return []
    empty = [each for each in parts if not _fits(connection, _alone(photo_filter, each, parts))]
    if "person" in empty and "age" in empty:
        empty.remove("age")
    hints = _when(connection) if "dates" in empty else []
    if "person" in empty and len(photo_filter.persons) > 1:
        hints.append(_of_each(connection, photo_filter.persons))
        # This also explains why no photo shows the people.
        empty.remove("person")
        if not empty:
            return hints
    if len(parts) == 1:
        return hints
    if empty:
        return [Sentence(f"No photo matches {_named(photo_filter, empty, 'or')}."), *hints]
    return [_conditions_to_drop(connection, photo_filter, parts)]


def _of_each(connection: Connection, persons: Sequence[UUID]) -> Sentence:
    """Count the photos of each of the people if none shows all of them."""
    names = [printable(called(require_person(connection, person))) for person in persons]
    *first, last = names
    all_of_them = f"{'both' if len(names) == 2 else 'all of'} {', '.join(first)} and {last}"
    counts = [count_photos(connection, PhotoFilter(persons=(person,))) for person in persons]
    of_each = ", ".join(
        f"{name}: {counted(count, 'photo')}" for name, count in zip(names, counts, strict=True)
    )
    return Sentence(f"No photo shows {all_of_them}. {of_each}.")


def _conditions_to_drop(connection: Connection, photo_filter: PhotoFilter, parts: Sequence[str]) -> Sentence:
    """Suggest which conditions to drop if each alone has matches."""
    if len(parts) == 2:
        one, other = (_named(photo_filter, [each]) for each in parts)
        return Sentence(f"Some photos match {one} and others {other}, but none matches both.")
    helps = [each for each in parts if _fits(connection, _without(photo_filter, [each]))]
    if not helps:
        return Sentence("Each condition alone has matches. Use fewer conditions.")
    return Sentence(f"The other conditions have matches without {_named(photo_filter, helps, 'or without')}.")


def _when(connection: Connection) -> list[Sentence]:
    times = times_of_photos(connection)
    if times is None:
        return [Sentence("No photo in the library has a date.")]
    first, last = (each.date().isoformat() for each in times)
    return [Sentence(f"The photos in the library were taken from {first} to {last}.")]


def _fits(connection: Connection, photo_filter: PhotoFilter) -> bool:
    return count_photos(connection, photo_filter, most=1) > 0


def _parts(photo_filter: PhotoFilter) -> list[str]:
    is_asked: dict[str, object] = {
        "person": photo_filter.persons,
        "age": photo_filter.ages,
        "dates": not photo_filter.dates.open,
        "place": photo_filter.near,
        "camera": photo_filter.cameras is not None,
        "tag": photo_filter.tags,
        "words": photo_filter.words,
    }
    return [name for name, value in is_asked.items() if value]


def _without(photo_filter: PhotoFilter, parts: Sequence[str]) -> PhotoFilter:
    return replace(photo_filter, **{name: value for each in parts for name, value in _OPEN[each].items()})


def _alone(photo_filter: PhotoFilter, part: str, parts: Sequence[str]) -> PhotoFilter:
    """Return the filter for one condition; an age applies to the person."""
    needed = {part, "person"} if part == "age" else {part}
    return _without(photo_filter, [each for each in parts if each not in needed])


def _named(photo_filter: PhotoFilter, parts: Sequence[str], conjunction: str = "") -> str:
    names = {
        "person": "the person" if len(photo_filter.persons) == 1 else "all of the people",
        "age": "the age",
        "dates": "the dates",
        "place": "the place",
        "camera": "the camera",
        "tag": "the tag" if len(photo_filter.tags) == 1 else "all of the tags",
        "words": "the words of the description",
    }
    *first, last = (names[each] for each in parts)
    return f"{', '.join(first)} {conjunction} {last}" if first else last


@dataclass(frozen=True, slots=True)
class NotLookedAt:
    """Photos not analysed by a step, which a search therefore cannot find."""

    stage: str
    photos: int

    @property
    def sentence(self) -> str:
        """Describe what is missing, and name the command that adds it."""
        by_index = Command("index", Field("stage", self.stage))
        command = Command("describe") if self.stage == "describe" else by_index
        photos = counted(self.photos, "photo")
        return Sentence(f"{photos} cannot be found by this yet: run {command}.")


def not_looked_at(library: Library, photo_filter: PhotoFilter) -> list[NotLookedAt]:
    """Return the analysis steps that a search needs and that are not complete, in order."""
    return stages_to_do(library, list(dict.fromkeys(_stages_of(photo_filter))))


def stages_to_do(library: Library, stages: Sequence[str]) -> list[NotLookedAt]:
    """Return which of some steps are not complete."""

    def work(connection: Connection) -> list[NotLookedAt]:
        found = [NotLookedAt(stage, counts_of(connection, library, stage).pending) for stage in stages]
        return [each for each in found if each.photos]

    return library.database.run(work)


def _stages_of(photo_filter: PhotoFilter) -> Iterator[str]:
    if photo_filter.near is not None or photo_filter.cameras is not None:
        yield "metadata"
    yield from (STAGE_OF[tag.target] for tag in photo_filter.tags)
    if photo_filter.ages is not None:
        yield "attributes"
    if photo_filter.words:
        yield "describe"
