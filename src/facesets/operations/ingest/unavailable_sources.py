"""Sources without photos: usually an unmounted drive or a typo."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.errors import Command, FacesetsError, Field, SourceGone, WrongUsage
from facesets.file_records import FileRecord, FoundFile
from facesets.files import is_there, printable
from facesets.interfaces import Source
from facesets.sources.galleries import GallerySource

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library


def require_photos(source: Source, known: Mapping[str, FileRecord]) -> None:
    """Refuse a source without photos, before any model is loaded for it.

    Raises
    ------
    SourceGone
        It does not exist, or is empty although photos in it are known.
    WrongUsage
        It is empty.
    """
    if next(iter(source.files()), None) is None:
        refuse_empty_source(source, known)


def refuse_empty_source(source: Source, known: Mapping[str, FileRecord]) -> None:
    """Explain why a source lists nothing; raises as `require_photos`."""
    if source.chooses and source.is_there():
        raise WrongUsage(
            f"No photo below {source.label} matches {Field('include')} and {Field('exclude')}. Check "
            "the patterns and ignore files."
        )
    missing = sum(map(source.covers, known))
    if missing:
        raise SourceGone(
            f"{source.label} is empty, but {missing} photos are known there. Check that it is mounted."
        )
    raise WrongUsage(f"There are no photos below {source.label}. Check the path.")


def require_a_target(source: GallerySource, library: "Library") -> None:
    """Refuse targets if all are unavailable, before loading models; raises as `unavailable_targets`."""
    if len(source.unavailable()) == len(source.roots):
        unavailable_targets(source, library, [], prune=False)


def unavailable_targets(
    source: GallerySource, library: "Library", listed: Sequence[str], *, prune: bool
) -> list[str]:
    """Return which targets are unavailable: a target that lost all photos is probably an unmounted drive.

    Returns
    -------
    list of str
        A sentence about each unavailable target, if another target has photos.

    Raises
    ------
    SourceGone
        A target with known photos is empty, or a target does not exist.
    WrongUsage
        There are no photos and none are known; or the patterns exclude all.
    """
    unavailable = set(source.unavailable())
    if listed and not unavailable:
        return []
    found = [FoundFile.of_stamp(stamp).path for stamp in listed]
    known = library.known_below(source.roots)
    sentences: list[str] = []
    for root in source.roots:
        if any(belongs(path, root) for path in found):
            continue
        count = sum(belongs(path, root) and not seen.failed for path, seen in known.items())
        if root in unavailable and count:
            error: FacesetsError = _unavailable(root, count)
        elif not is_there(Path(root)):
            error = SourceGone(f"Folder not found: {printable(root)}. Check the path, or mount its drive.")
        elif count and not prune:
            error = _nothing_chosen(source) if source.chooses else _emptied(root, count)
        else:
            continue
        if not found:
            raise error
        sentences.append(error.sentence)
    if not found and not known:
        if source.chooses and not unavailable:
            raise _nothing_chosen(source)
        raise WrongUsage(f"There are no photos below {source.label}. Check the path.")
    return sentences


def _unavailable(root: str, count: int) -> SourceGone:
    name = printable(root)
    return SourceGone(
        f"There are no photos below {name}, but the library has {count} there. Check that it is "
        f"mounted. If it was moved, run {Command('relocate', name, 'NEW')}. If its photos are gone "
        f"for good, run {Command('relocate', name, Field('forget'))}."
    )


def _emptied(root: str, count: int) -> SourceGone:
    return SourceGone(
        f"There are no photos below {printable(root)}, but the library has {count} there. Check that "
        f"it is mounted. If they are gone for good, add {Field('prune')}."
    )


def _nothing_chosen(source: GallerySource) -> WrongUsage:
    return WrongUsage(
        f"No photo below {source.label} matches {Field('include')} and {Field('exclude')}. Check the "
        "patterns and ignore files."
    )


def is_below(path: str, root: str) -> bool:
    """Whether a path lies below a target that is a folder."""
    return path.startswith(os.path.join(root, ""))  # noqa: PTH118 - keeps the last slash


def belongs(path: str, root: str) -> bool:
    """Whether a path is a target, or lies below it."""
    return path == root or is_below(path, root)
