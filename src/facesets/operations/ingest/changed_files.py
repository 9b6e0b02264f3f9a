"""Which files below the targets of `index` differ from what the library knows of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facesets.errors import FacesetsError, SourceGone, WrongUsage
from facesets.files import is_there, printable
from facesets.operations.ingest.embed import Failure
from facesets.records import FoundFile
from facesets.sources.galleries import Gallery
from facesets.sources.missing import is_gone
from facesets.sources.walking import is_among
from facesets.store.postgres.galleries import Linked
from facesets.store.postgres.images import Seen
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import fits

_ASKED_ONE_BY_ONE = 5_000


class GalleryTargets(Protocol):
    """Where `index` finds files; see `sources.galleries`."""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        ...

    @property
    def roots(self) -> list[str]:
        """The targets as absolute paths."""
        ...

    @property
    def galleries(self) -> Mapping[str, Gallery]:
        """The directories that hold photos; complete once `stamps` is through."""
        ...

    def gallery_of(self, path: str) -> str:
        """The directory that a photo belongs to."""
        ...

    def stamps(self) -> Iterator[list[str]]:
        """Every candidate file, some at a time, as `FoundFile.of_stamp` reads it."""
        ...

    @property
    def passed_over(self) -> Mapping[str, int]:
        """How many of what looks like photos, but is none that can be read, by its kind."""
        ...

    @property
    def chooses(self) -> bool:
        """Whether some files below the targets may have been left out."""
        ...

    @property
    def ignored(self) -> AbstractSet[str]:
        """What ignore files leave out; complete once `stamps` is through."""
        ...

    def away(self) -> list[str]:
        """The targets with nothing to read."""
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below some targets.

    Attributes
    ----------
    stamps : list of str
        All of them, as `FoundFile.of_stamp` reads it.
    todo : list of FoundFile
        Those to look into.
    failures : list of Failure
        Those of the others that are known not to be readable, or that cannot be kept.
    linked : set of Linked
        The galleries that the others belong to.
    """

    stamps: list[str]
    todo: list[FoundFile]
    failures: list[Failure]
    linked: set[Linked]


def compare(source: GalleryTargets, library: Library, *, retry_failed: bool) -> Listing:
    """List the targets, while the library tells what it knows."""
    with ThreadPoolExecutor(1, thread_name_prefix="ask") as pool:
        asked = pool.submit(library.unchanged_below, source.roots)
        stamps = [stamp for some in source.stamps() for stamp in some]
        unchanged = asked.result()
    differing = [FoundFile.of_stamp(stamp) for stamp in stamps if stamp not in unchanged.stamps]
    known = _known(library, source, differing)
    todo, failed = _differing(differing, known, retry_failed=retry_failed)
    reasons = library.reasons(failed) if failed else {}
    linked = unchanged.linked | library.linked_at(failed) if failed else unchanged.linked
    failures = [Failure(path, reasons.get(path, ""), known=True) for path in failed]
    failures += [
        Failure(file.path, "its path is too long for a library") for file in todo if not fits(file.path)
    ]
    return Listing(stamps, [file for file in todo if fits(file.path)], failures, linked)


def _known(library: Library, source: GalleryTargets, files: Sequence[FoundFile]) -> Mapping[str, Seen]:
    """What was seen at these paths, and perhaps at others."""
    if len(files) > _ASKED_ONE_BY_ONE:
        return library.known_below(source.roots)
    return library.seen_at([file.path for file in files])


def _differing(
    found: Sequence[FoundFile], known: Mapping[str, Seen], *, retry_failed: bool
) -> tuple[list[FoundFile], list[str]]:
    """Files to look at, and those of the others that are known not to be readable."""
    todo = []
    failed = []
    for file in found:
        seen = known.get(file.path)
        if seen is None or not seen.matches(file) or (seen.failed and retry_failed):
            todo.append(file)
        elif seen.failed:
            failed.append(file.path)
    return todo, failed


def require_a_target(source: GalleryTargets, library: Library) -> None:
    """Refuse targets that are all away, before any model is loaded for them; raises as `targets_away`."""
    if len(source.away()) == len(source.roots):
        targets_away(source, library, [], prune=False)


def targets_away(
    source: GalleryTargets, library: Library, listed: Sequence[str], *, prune: bool
) -> list[str]:
    """Tell which targets are away: nothing where photos were is rather a drive that is not mounted.

    Returns
    -------
    list of str
        A sentence about each, where there are photos below another.

    Raises
    ------
    SourceGone
        Photos are known to lie below a target, and there are none; or it is not there at all.
    WrongUsage
        There are none, nor were there ever; or the patterns leave out all.
    """
    away = set(source.away())
    if listed and not away:
        return []
    found = [FoundFile.of_stamp(stamp).path for stamp in listed]
    known = library.known_below(source.roots)
    sentences = []
    for root in source.roots:
        if any(_belongs(path, root) for path in found):
            continue
        count = sum(_belongs(path, root) and not seen.failed for path, seen in known.items())
        if root in away and count:
            error: FacesetsError = _away(root, count)
        elif not is_there(Path(root)):
            error = SourceGone(
                f"There is no folder {printable(root)} that one can see. Check the path, or mount it."
            )
        elif count and not prune:
            error = _nothing_chosen(source) if source.chooses else _emptied(root, count)
        else:
            continue
        if not found:
            raise error
        sentences.append(str(error))
    if not found and not known:
        if source.chooses and not away:
            raise _nothing_chosen(source)
        raise WrongUsage(f"There are no photos below {source.label}. Check the path.")
    return sentences


def _away(root: str, count: int) -> SourceGone:
    name = printable(root)
    return SourceGone(
        f"There are no photos below {name}, where the library knows {count}. Is it mounted? If it was moved, "
        f"say where to: `facesets relocate {name} NEW`. If its photos are gone for good, `facesets relocate "
        f"{name} --forget` forgets them."
    )


def _emptied(root: str, count: int) -> SourceGone:
    return SourceGone(
        f"There are no photos below {printable(root)}, where the library knows {count}. Is it mounted? If "
        "they are gone for good, --prune forgets them."
    )


def _nothing_chosen(source: GalleryTargets) -> WrongUsage:
    return WrongUsage(
        f"No photo below {source.label} fits --include and --exclude. Check the patterns, and ignore files."
    )


def is_below(path: str, root: str) -> bool:
    """Whether a path lies below a target that is a folder."""
    return path.startswith(os.path.join(root, ""))  # noqa: PTH118 - keeps the last slash


def _belongs(path: str, root: str) -> bool:
    return path == root or is_below(path, root)


def gone_paths(source: GalleryTargets, library: Library, listed: Sequence[str]) -> list[str]:
    """Known paths where no file is any more, but perhaps a folder, and ignored ones; none of a target away.

    A path that cannot be looked at is not gone.
    """
    there = {FoundFile.of_stamp(stamp).path for stamp in listed}
    others = [path for path in library.known_below(source.roots) if path not in there]
    gone = [path for path in others if is_among(path, source.ignored) or _holds_no_file(path)]
    # Asked afterwards, for a drive may go at any moment.
    away = source.away()
    return [path for path in gone if not any(_belongs(path, root) for root in away)]


def _holds_no_file(path: str) -> bool:
    return is_gone(path) or os.path.isdir(path)  # noqa: PTH112 - Path raises where it may not look
