"""Which files below the targets of `index` differ from what the library knows of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from facesets.errors import SourceGone, WrongUsage
from facesets.files import printable
from facesets.operations.embed import Failure
from facesets.records import FoundFile
from facesets.sources.galleries import Gallery
from facesets.store.postgres.galleries import Linked
from facesets.store.postgres.images import Seen
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import fits

_FORGOTTEN_AT_ONCE = 5_000
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

    def is_there(self) -> bool:
        """Whether the targets can still be read."""
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
    """List the targets, while the library tells what it knows.

    Raises
    ------
    SourceGone
        A target is not there.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ask") as pool:
        asked = pool.submit(library.unchanged_below, source.roots)
        stamps = [stamp for some in source.stamps() for stamp in some]
        unchanged = asked.result()
    differing = [FoundFile.of_stamp(stamp) for stamp in stamps if stamp not in unchanged.stamps]
    known = _known(library, source, differing)
    todo, failed = _differing(differing, known, retry_failed=retry_failed)
    reasons = library.reasons(failed) if failed else {}
    linked = unchanged.linked | library.linked_at(failed) if failed else unchanged.linked
    failures = [Failure(path, reasons.get(path, "")) for path in failed]
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


def refuse_nothing(source: GalleryTargets, library: Library, listed: Sequence[str], *, prune: bool) -> None:
    """Nothing where photos were is rather a drive that is not mounted than what somebody wanted.

    Raises
    ------
    SourceGone
        Photos are known to lie below a target, and there are none.
    WrongUsage
        There are none, nor were there ever.
    """
    found = [FoundFile.of_stamp(stamp) for stamp in listed]
    known = library.known_below(source.roots)
    for root in source.roots:
        below = os.path.join(root, "")  # noqa: PTH118 - keeps the last slash
        if any(file.path == root or file.path.startswith(below) for file in found):
            continue
        missing = sum(path.startswith(below) and not seen.failed for path, seen in known.items())
        if missing and not (prune and source.is_there()):
            forget = "--prune forgets those that are gone"
            if not source.is_there():
                forget = f"--prune with --target {printable(os.path.dirname(root))} forgets them"  # noqa: PTH120
            raise SourceGone(
                f"There are no photos below {printable(root)}, and {missing} are known to lie there. "
                f"Is it mounted? If it is, {forget}."
            )
    if not found and not known:
        raise WrongUsage(f"There are no photos below {source.label}. Check the path.")


def prune(source: GalleryTargets, library: Library, listed: Sequence[str]) -> int:
    """Forget known paths where nothing is any more. A path that cannot be looked at is not gone.

    Raises
    ------
    SourceGone
        A target is empty.
    """
    if not source.is_there():
        raise SourceGone(f"{source.label} is empty, so nothing is forgotten. Is it mounted?")
    there = {FoundFile.of_stamp(stamp).path for stamp in listed}
    gone = [path for path in library.known_below(source.roots) if path not in there and _is_gone(path)]
    starts = range(0, len(gone), _FORGOTTEN_AT_ONCE)
    return sum(library.forget_paths(gone[start : start + _FORGOTTEN_AT_ONCE]) for start in starts)


def _is_gone(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
