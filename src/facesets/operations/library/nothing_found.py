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
"""Conditions, and how a filter is without one."""


def explain_nothing_found(library: Library, asked: PhotoFilter) -> list[Sentence]:
    """Explain which conditions of a search to drop; nothing if photos match them."""
    return library.database.run(lambda connection: _why(connection, asked))


def _why(connection: Connection, asked: PhotoFilter) -> list[Sentence]:
    parts = _parts(asked)
    if not parts or _fits(connection, asked):
        return []
    empty = [each for each in parts if not _fits(connection, _alone(asked, each, parts))]
    if "person" in empty and "age" in empty:
        empty.remove("age")
    hints = _when(connection) if "dates" in empty else []
    if "person" in empty and len(asked.persons) > 1:
        hints.append(_of_each(connection, asked.persons))
        # That explains the people, too.
        empty.remove("person")
        if not empty:
            return hints
    if len(parts) == 1:
        return hints
    if empty:
        return [Sentence(f"No photo matches {_named(asked, empty, 'or')}."), *hints]
    return [_conditions_to_drop(connection, asked, parts)]


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


def _conditions_to_drop(connection: Connection, asked: PhotoFilter, parts: Sequence[str]) -> Sentence:
    """Suggest which conditions to drop if each alone has matches."""
    if len(parts) == 2:
        one, other = (_named(asked, [each]) for each in parts)
        return Sentence(f"Some photos match {one} and others {other}, but none matches both.")
    helps = [each for each in parts if _fits(connection, _without(asked, [each]))]
    if not helps:
        return Sentence("Each condition alone has matches. Use fewer conditions.")
    return Sentence(f"The other conditions have matches without {_named(asked, helps, 'or without')}.")


def _when(connection: Connection) -> list[Sentence]:
    times = times_of_photos(connection)
    if times is None:
        return [Sentence("No photo in the library has a date.")]
    first, last = (each.date().isoformat() for each in times)
    return [Sentence(f"The photos in the library were taken from {first} to {last}.")]


def _fits(connection: Connection, asked: PhotoFilter) -> bool:
    return count_photos(connection, asked, most=1) > 0


def _parts(asked: PhotoFilter) -> list[str]:
    is_asked: dict[str, object] = {
        "person": asked.persons,
        "age": asked.ages,
        "dates": not asked.dates.open,
        "place": asked.near,
        "camera": asked.cameras is not None,
        "tag": asked.tags,
        "words": asked.words,
    }
    return [name for name, value in is_asked.items() if value]


def _without(asked: PhotoFilter, parts: Sequence[str]) -> PhotoFilter:
    return replace(asked, **{name: value for each in parts for name, value in _OPEN[each].items()})


def _alone(asked: PhotoFilter, part: str, parts: Sequence[str]) -> PhotoFilter:
    """Return the filter for one condition; an age applies to the person."""
    needed = {part, "person"} if part == "age" else {part}
    return _without(asked, [each for each in parts if each not in needed])


def _named(asked: PhotoFilter, parts: Sequence[str], conjunction: str = "") -> str:
    names = {
        "person": "the person" if len(asked.persons) == 1 else "all of the people",
        "age": "the age",
        "dates": "the dates",
        "place": "the place",
        "camera": "the camera",
        "tag": "the tag" if len(asked.tags) == 1 else "all of the tags",
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


def not_looked_at(library: Library, asked: PhotoFilter) -> list[NotLookedAt]:
    """Return the analysis steps that a search needs and that are not complete, in order."""
    return stages_to_do(library, list(dict.fromkeys(_stages_of(asked))))


def stages_to_do(library: Library, stages: Sequence[str]) -> list[NotLookedAt]:
    """Return which of some steps are not complete."""

    def work(connection: Connection) -> list[NotLookedAt]:
        found = [NotLookedAt(stage, counts_of(connection, library, stage).pending) for stage in stages]
        return [each for each in found if each.photos]

    return library.database.run(work)


def _stages_of(asked: PhotoFilter) -> Iterator[str]:
    if asked.near is not None or asked.cameras is not None:
        yield "metadata"
    yield from (STAGE_OF[tag.target] for tag in asked.tags)
    if asked.ages is not None:
        yield "attributes"
    if asked.words:
        yield "describe"
