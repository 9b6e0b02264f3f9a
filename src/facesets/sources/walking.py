"""Walk the photos below a folder, at any depth, ordered by name.

Links to files are followed, links to directories are not: so a link that leads back to its own parent costs
nothing. Directories that hold our own results, thumbnails or rubbish are passed over.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

from facesets.files import PAGES, RUN_RECORD
from facesets.imaging.decode import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from facesets.sources.patterns import IGNORE_FILE, IgnoreRules, Patterns

RESULT_MARKERS = frozenset({"manifest.json", "refine_manifest.json"})
"""A directory with one of these, written by facesets, is a result: its photos are copies."""

UNFINISHED_MARKER = ".facesets-writing.json"
"""File that marks an unfinished result."""

NOT_PHOTOS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", ".Trash", ".thumbnails", ".facesets-journal"})
"""Directories for thumbnails of systems, for trash, and for what facesets replaced."""

Entry: TypeAlias = os.DirEntry[str]

_MARKERS = RESULT_MARKERS | {UNFINISHED_MARKER}
_OURS = b'"format": "facesets/'
_OTHER_KINDS = dict.fromkeys(RAW_SUFFIXES, "raw") | dict.fromkeys(VIDEO_SUFFIXES, "videos")


@dataclass(frozen=True, slots=True)
class Listed:
    """Consecutive photos of a directory.

    Attributes
    ----------
    names : collection of str
        Every name in the directory.
    is_closed : bool
        The directory cannot be listed.
    """

    directory: str
    photos: Collection[Entry] = ()
    names: Collection[str] = ()
    is_closed: bool = False


@dataclass(slots=True)
class _Open:
    """A directory being walked, with its remaining entries."""

    directory: str
    relative: str
    rules: IgnoreRules
    names: Collection[str]
    entries: Iterator[Entry]
    photos: list[Entry] = field(default_factory=list)

    def below(self, name: str) -> str:
        return f"{self.relative}/{name}" if self.relative else name

    def listed(self) -> Listed:
        """Return the photos since the last call."""
        photos, self.photos = self.photos, []
        return Listed(self.directory, photos, self.names)


def walk(
    root: str,
    patterns: Patterns,
    *,
    passed_over: Collection[str] = NOT_PHOTOS,
    ignored: set[str],
    others: Counter[str] | None = None,
) -> Iterator[Listed]:
    """Yield every photo below a directory, in batches.

    Parameters
    ----------
    passed_over : collection of str
        Names of directories that hold no photos.
    ignored : set of str
        Is given the files and directories that ignore files leave out.
    others : Counter or None
        Is given how many RAW files, videos and linked folders there are, by kind: none of them is a photo.

    Raises
    ------
    WrongUsage
        An ignore file cannot be used.
    """
    first = _opened(root, "", IgnoreRules())
    if first is None:
        yield Listed(root, is_closed=True)
        return
    # Not by recursion: folders may be nested deeper than Python allows.
    stack = [first]
    while stack:
        folder = stack[-1]
        entry = next(folder.entries, None)
        if entry is None:
            yield folder.listed()
            stack.pop()
        elif entry.is_dir(follow_symlinks=False):
            if entry.name in passed_over or _is_left_out(folder, entry, patterns, ignored):
                continue
            yield folder.listed()
            inner = _opened(entry.path, folder.below(entry.name), folder.rules)
            if inner is None:
                yield Listed(entry.path, is_closed=True)
            else:
                stack.append(inner)
        elif _is_photo(folder, entry, patterns, ignored, others):
            folder.photos.append(entry)


def _is_photo(
    folder: _Open, entry: Entry, patterns: Patterns, ignored: set[str], others: Counter[str] | None
) -> bool:
    suffix = suffix_of(entry.name)
    kind = _OTHER_KINDS.get(suffix, "")
    is_candidate = suffix in SUFFIXES or (others is not None and (kind or entry.is_symlink()))
    if not is_candidate or (patterns and not patterns.want(folder.below(entry.name))):
        return False
    if links_to_directory(entry):
        kind = "linked_folders"
    if _is_ignored(folder, entry, ignored, is_folder=False):
        return False
    if kind and others is not None:
        others[kind] += 1
    return not kind and suffix in SUFFIXES


def _opened(directory: str, relative: str, rules: IgnoreRules) -> _Open | None:
    """Open a directory; None if it cannot be listed. One of our results has no entries."""
    try:
        with os.scandir(directory) as entries:
            listed = by_name(entries)
    except OSError:
        return None
    names = {entry.name for entry in listed}
    if relative and not _MARKERS.isdisjoint(names) and any(map(marks_result, listed)):
        return _Open(directory, relative, rules, (), iter(()))
    if IGNORE_FILE in names:
        rules = rules.with_file_in(directory, relative)
    if RUN_RECORD in names and _is_ours(os.path.join(directory, RUN_RECORD)):  # noqa: PTH118 - see below
        listed = [entry for entry in listed if entry.name != PAGES]
    return _Open(directory, relative, rules, names, iter(listed))


def _is_left_out(folder: _Open, entry: Entry, patterns: Patterns, ignored: set[str]) -> bool:
    if patterns and patterns.exclude_it(folder.below(entry.name)):
        return True
    return _is_ignored(folder, entry, ignored, is_folder=True)


def _is_ignored(folder: _Open, entry: Entry, ignored: set[str], *, is_folder: bool) -> bool:
    if not folder.rules.below or not folder.rules.leave_out(folder.below(entry.name), is_folder=is_folder):
        return False
    ignored.add(entry.path)
    return True


def suffix_of(name: str) -> str:
    """Return the suffix of a file name from its last dot on, in lower case."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""


def links_to_directory(entry: Entry) -> bool:
    """Whether an entry is a link to a directory; those are not followed."""
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False


def by_name(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries of a directory by the bytes of their names."""
    listed = sorted(entries, key=attrgetter("name"))
    # Characters sort like their UTF-8; surrogates, which stand for invalid bytes, do not.
    if not "".join(entry.name for entry in listed).isascii():
        listed.sort(key=lambda entry: os.fsencode(entry.name))
    return listed


def marks_result(entry: Entry) -> bool:
    """Whether an entry marks its directory as one of our results."""
    return entry.name == UNFINISHED_MARKER or (entry.name in RESULT_MARKERS and _is_ours(entry.path))


def _is_ours(path: str) -> bool:
    """Whether this program wrote a manifest, by its first line."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - one for every directory with such a file
            return _OURS in file.read(200)
    except OSError:
        return False


def is_among(path: str, ignored: AbstractSet[str]) -> bool:
    """Whether a path equals, or lies below, one of some others."""
    while path not in ignored:
        above = os.path.dirname(path)  # noqa: PTH120 - a million of these
        if above == path:
            return False
        path = above
    return True
