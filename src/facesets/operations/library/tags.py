"""`tags`: the categories of a library, the counts of their tags, and tags by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from facesets.errors import Command, Field, NotFound, WrongUsage
from facesets.files import printable
from facesets.library_records import TagCategory, TagTarget
from facesets.operations.library.tag_file import read_tag_file, shipped_categories
from facesets.operations.library.tagging import ensure_categories
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import AskedTag
from facesets.store.postgres.photos.tagging import store_categories, stored_categories
from facesets.store.postgres.photos.tags import all_tag_names, tag_counts, tags_named


@dataclass(frozen=True, slots=True)
class ListedCategory:
    """A category with the number of photos or faces of each tag."""

    name: str
    target: TagTarget
    mode: str
    min_confidence: float
    templates: tuple[str, ...]
    none: tuple[str, ...]
    tags: dict[str, int]
    phrases: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TagList:
    """The categories of a library; `is_shipped` if it has none of its own."""

    categories: list[ListedCategory]
    is_shipped: bool


def categories_of(library: Library) -> list[TagCategory]:
    """Return the categories of a library, or the shipped ones if it has none."""
    stored = library.database.run(stored_categories)
    return [each.category for each in stored] or shipped_categories()


def list_tags(library: Library) -> TagList:
    """Return the categories, their tags, and the number of photos or faces with each."""
    stored = library.database.run(stored_categories)
    if not stored:
        listed = [_listed(each, [0] * len(each.words)) for each in shipped_categories()]
        return TagList(listed, is_shipped=True)
    counts = library.database.run(tag_counts)
    listed = [_listed(each.category, [counts.get(tag, 0) for tag in each.tags]) for each in stored]
    return TagList(listed, is_shipped=False)


def _listed(category: TagCategory, counts: Sequence[int]) -> ListedCategory:
    return ListedCategory(
        category.name,
        category.target,
        category.selection_mode,
        category.min_confidence,
        category.templates,
        category.none_of_these,
        {word.name: count for word, count in zip(category.words, counts, strict=True)},
        {word.name: word.phrases for word in category.words},
    )


def set_tags(library: Library, file: Path, *, only: bool = False, dry_run: bool = False) -> Result:
    """Add the categories of a file, replacing those of the same names.

    Parameters
    ----------
    only : bool
        Delete the categories that the file lacks.

    Raises
    ------
    WrongUsage
        The file cannot be read or is invalid.
    """
    new = read_tag_file(file)
    before = {each.name: each for each in categories_of(library)}
    names = {each.name for each in new}
    summary = Result(
        added=[each.name for each in new if each.name not in before],
        changed=[each.name for each in new if each.name in before and before[each.name] != each],
        unchanged=[each.name for each in new if before.get(each.name) == each],
        removed=[name for name in before if only and name not in names],
        dry_run=dry_run,
    )
    if not dry_run:

        def work(connection: Connection) -> None:
            ensure_categories(connection)
            store_categories(connection, new, only=only)

        library.database.run(work)
    return summary


def tags_called(library: Library, names: Sequence[str]) -> tuple[AskedTag, ...]:
    """Return the tags named by `TAG` or `CATEGORY:TAG`, each once.

    Raises
    ------
    NotFound
        There is no such tag.
    WrongUsage
        Several categories have a tag of that name.
    """
    found = library.database.run(lambda connection: [_tag_called(connection, each) for each in names])
    return tuple(dict.fromkeys(found))


def _tag_called(connection: Connection, text: str) -> AskedTag:
    category, colon, name = text.rpartition(":")
    if not name.strip():
        raise WrongUsage(f"{Field('tag')} is empty. {Command('tags list')} shows all tags.")
    found = tags_named(connection, name.strip(), category.strip() if colon else None)
    if not found:
        names = all_tag_names(connection)
        if not names:
            tagging = Command("index", Field("stage", "scene"))
            raise NotFound(f"No photo is tagged yet. Tag the embedded photos with {tagging}.")
        near = get_close_matches(name.strip().lower(), names, 1)
        rather = f"Did you mean {printable(near[0])}?" if near else f"{Command('tags list')} lists all."
        raise NotFound(f"There is no tag {printable(text)}. {rather}")
    if len(found) > 1:
        choices = " or ".join(f"{each.category}:{each.name}" for each in found)
        raise WrongUsage(f"Several categories have a tag {printable(text)}. Give {printable(choices)}.")
    return AskedTag(found[0].number, found[0].target)
