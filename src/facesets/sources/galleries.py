"""Galleries and plain directories of photos below some targets.

A gallery is a directory with `index.json` and `tn/`, its thumbnails. A target may be a gallery, a chunk
of galleries, a root of chunks, or any directory: everything below is walked, and every directory that
holds photos counts.
"""

import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import has_something, is_there, mtime_ns_of, plain_path, printable, read_regular_file
from facesets.sources.patterns import Patterns
from facesets.sources.walking import NOT_PHOTOS, Entry, walk

INDEX = "index.json"
THUMBNAILS = "tn"

_NO_PHOTOS = NOT_PHOTOS | {THUMBNAILS}
_LARGEST_INDEX_BYTES = 50_000_000
_LISTS = ("images", "photos", "files", "items", "entries", "pictures")
_NAMES = ("file", "filename", "name", "src", "path", "url")
_CAPTIONS = ("caption", "description", "title", "text")


@dataclass(frozen=True, slots=True)
class Gallery:
    """A directory of photos, and the content of its `index.json`.

    Attributes
    ----------
    entries : tuple of (file name, caption)
        In the gallery's own order.
    problem : str
        Why its `index.json` could not be used.
    """

    path: str
    title: str = ""
    description: str = ""
    entries: tuple[tuple[str, str], ...] = ()
    problem: str = ""


class GallerySource:
    """All images below some targets, each once, ordered by name.

    Passed over: thumbnails under `tn/`, our own results, rubbish, links to directories, and what the
    patterns leave out. `galleries` then has the directories with photos.
    """

    def __init__(
        self, targets: Sequence[Path], *, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        """Store the targets; nothing below them is read yet.

        Parameters
        ----------
        targets : sequence of Path
            One inside another counts once.
        include, exclude : sequences of str
            As in `Patterns`.

        Raises
        ------
        WrongUsage
            A target is, or lies among, the thumbnails of a gallery.
        """
        self._roots: list[Path] = []
        for root in sorted(set(map(plain_path, targets))):
            # Sorted like this, nested targets directly follow the one that contains them.
            if not (self._roots and root.is_relative_to(self._roots[-1])):
                self._roots.append(root)
                _refuse_thumbnails(root)
        self._ends = frozenset(self.roots)
        self._patterns = Patterns(tuple(include), tuple(exclude))
        self._ignored: set[str] = set()
        self._galleries: dict[str, Gallery] = {}
        self._passed_over: Counter[str] = Counter()

    @property
    def label(self) -> str:
        """Return the source's name for messages."""
        return ", ".join(printable(root) for root in self._roots)

    @property
    def roots(self) -> list[str]:
        """Return the targets as absolute paths."""
        return [str(root) for root in self._roots]

    @property
    def galleries(self) -> dict[str, Gallery]:
        """Return the directories that hold photos, by path; complete once `stamps` is exhausted."""
        return self._galleries

    @property
    def patterns(self) -> dict[str, list[str]]:
        """Return the given `include` and `exclude`, for the record of a run."""
        return {"include": list(self._patterns.include), "exclude": list(self._patterns.exclude)}

    def gallery_of(self, path: str) -> str:
        """Return the photo's directory: the nearest true gallery above it, else its own."""
        own = os.path.dirname(path)  # noqa: PTH120 - a million of these
        directory = own
        while len(directory) > 1:
            known = self._galleries.get(directory)
            if known is not None and (known.title or known.entries):
                return directory
            parent = os.path.dirname(directory)  # noqa: PTH120
            if parent == directory or directory in self._ends:
                break
            directory = parent
        return own

    @property
    def passed_over(self) -> Mapping[str, int]:
        """Count the RAW files, videos and linked folders that `stamps` left out, by kind."""
        return self._passed_over

    @property
    def chooses(self) -> bool:
        """Whether there are patterns or ignore files, which may leave out everything."""
        return bool(self._patterns or self._ignored)

    @property
    def ignored(self) -> AbstractSet[str]:
        """Return what ignore files leave out; complete once `stamps` is exhausted."""
        return self._ignored

    def unavailable(self) -> list[str]:
        """Return the targets without content: an unmounted share leaves an empty folder."""
        return [str(root) for root in self._roots if not has_something(root)]

    def stamps(self) -> Iterator[list[str]]:
        """Yield every file that looks like an image, in batches, by target and name.

        A stamp is size, time and path, with tabs between, which compares at once; see `FoundFile.of_stamp`.
        A target that is not there has none; see `unavailable`.

        Raises
        ------
        WrongUsage
            An ignore file cannot be used.
        """
        self._ignored = set()
        self._passed_over.clear()
        for root in filter(is_there, self._roots):
            if root.is_dir():
                yield from self._below(str(root))
            else:
                self._notice(str(root.parent))
                yield [stamp_of(root, str(root))]

    def _notice(self, directory: str) -> None:
        """Remember the directory of a single file, as directories are noted only while walking."""
        if directory in self._galleries:
            return
        if all(is_there(Path(directory) / name) for name in (INDEX, THUMBNAILS)):
            self._galleries[directory] = read_gallery(directory)
        self._galleries.setdefault(directory, Gallery(directory))

    def _below(self, root: str) -> Iterator[list[str]]:
        found = walk(
            root, self._patterns, passed_over=_NO_PHOTOS, ignored=self._ignored, others=self._passed_over
        )
        for listed in found:
            directory = listed.directory
            if listed.is_closed:
                yield [f"-1\t-1\t{directory}"]
            elif directory not in self._galleries and INDEX in listed.names and THUMBNAILS in listed.names:
                self._galleries[directory] = read_gallery(directory)
            yield self._stamped(directory, listed.photos)

    def _stamped(self, directory: str, photos: Collection[Entry]) -> list[str]:
        if photos:
            self._galleries.setdefault(directory, Gallery(directory))
        return [stamp_of(entry, entry.path) for entry in photos]


def _refuse_thumbnails(root: Path) -> None:
    gallery = thumbnails_of(root)
    if gallery is not None:
        raise WrongUsage(
            f"{printable(root)} holds thumbnails of the gallery {printable(gallery)}, which are not "
            "indexed. Index the gallery instead."
        )


def thumbnails_of(path: Path) -> Path | None:
    """Return the gallery to which a path's thumbnails belong; None for any other path."""
    folders = (folder for folder in (path, *path.parents) if folder.name == THUMBNAILS)
    return next((folder.parent for folder in folders if is_there(folder.parent / INDEX)), None)


def stamp_of(file: Entry | Path, path: str) -> str:
    """Return the stamp of a file; with -1 if it is inaccessible or no regular file."""
    try:
        status = file.stat()
    except OSError:
        return f"-1\t-1\t{path}"
    if not stat.S_ISREG(status.st_mode):
        return f"-1\t-1\t{path}"
    return f"{status.st_size}\t{mtime_ns_of(status)}\t{path}"


def read_gallery(directory: str) -> Gallery:
    """Read a gallery's `index.json`; any part may be missing, as other programs write it."""
    path = Path(directory) / INDEX
    try:
        # From bytes: programs on Windows write any of the encodings of Unicode.
        content = json.loads(read_regular_file(path, max_bytes=_LARGEST_INDEX_BYTES))
    except OSError as error:
        return Gallery(directory, problem=f"it cannot be read: {error.strerror}")
    except (ValueError, RecursionError):
        return Gallery(directory, problem="it is not JSON")
    if isinstance(content, list):
        content = {"images": content}
    if not isinstance(content, dict):
        return Gallery(directory, problem="it is not a gallery")
    listed: list[Any] = next((content[name] for name in _LISTS if isinstance(content.get(name), list)), [])
    return Gallery(
        path=directory,
        title=_text(content, ("title", "name")),
        description=_text(content, ("description", "caption")),
        entries=tuple(entry for item in listed if (entry := _entry(item)) is not None),
    )


def _entry(item: Any) -> tuple[str, str] | None:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(item, str):
        return _clean(item), ""
    if not isinstance(item, dict):
        return None
    name = _text(item, _NAMES)
    return (name, _text(item, _CAPTIONS)) if name else None


def _text(content: dict[str, Any], names: Sequence[str]) -> str:
    return next((_clean(content[name]) for name in names if isinstance(content.get(name), str)), "")


def _clean(text: str) -> str:
    """Remove what no database takes: NUL, and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


class ListedPhotos(GallerySource):
    """A list of files, with the galleries that a walk over their targets would have found."""

    def __init__(self, targets: Sequence[Path], files: Sequence[str]) -> None:
        """Store the targets, and files below them by absolute paths; nothing is read yet."""
        super().__init__(targets)
        self._files = list(files)

    def stamps(self) -> Iterator[list[str]]:
        """Yield stamps as any source of galleries; a missing file has -1 for size and time."""
        for directory in dict.fromkeys(os.path.dirname(path) for path in self._files):  # noqa: PTH120 - many
            self._notice_above(directory)
        yield [stamp_of(Path(path), path) for path in self._files]

    def _notice_above(self, directory: str) -> None:
        """Remember a directory and those above it up to its target; any may be the gallery."""
        while directory not in self._galleries:
            self._notice(directory)
            if not any(directory.startswith(os.path.join(end, "")) for end in self._ends):  # noqa: PTH118
                return
            directory = os.path.dirname(directory)  # noqa: PTH120
