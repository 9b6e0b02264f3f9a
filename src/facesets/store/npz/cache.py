"""The cache as a `Store`."""

import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from facesets.errors import Command, Field, RecognizerMismatch, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import FileLock, atomic_write, printable, sweep_temporaries
from facesets.imaging.renumbered_faces import NOT_RENUMBERED, Renumbered
from facesets.records import (
    Bool,
    CacheSettings,
    Collection,
    Faces,
    ImageRecord,
    Images,
    Int64,
    ordinals_in_image,
)
from facesets.rights import tighten_access
from facesets.store.npz.cache_journal import CacheJournal
from facesets.store.npz.merge import collapse, plan, write_merged
from facesets.store.npz.schema import Part, identity_of, part_of, read_part

_READ_ATTEMPTS = 20


class Cache:
    """A cache file, read with its journal.

    Readers need no lock: they see the state of the last flush. Commits happen within
    `writing`.
    """

    def __init__(self, path: Path) -> None:
        """Name a cache; it is read when needed and created by the first commit."""
        self._path = path
        self._identity = ""
        self._journal = CacheJournal(path)
        self._settings: CacheSettings | None = None
        self._files: dict[str, FileRecord] | None = None
        self._known: set[str] = set()

    @property
    def path(self) -> Path:
        """The cache file."""
        return self._path

    @property
    def kind(self) -> Literal["cache"]:
        """A cache."""
        return "cache"

    @property
    def label(self) -> str:
        """The name for messages."""
        return printable(self._path)

    @property
    def identity(self) -> str:
        """Its id, shared by copies; empty while the cache is empty. Raises as `load`."""
        self._index()
        return self._identity

    @property
    def names_file(self) -> Path:
        """The file beside the cache with the names of people."""
        return self._path.with_name(self._path.name + ".names.json")

    @property
    def settings(self) -> CacheSettings | None:
        """The models of its embeddings; None while it is empty. Raises as `load`."""
        self._index()
        return self._settings

    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return self._path.exists() or bool(self._journal.paths())

    def load(self) -> Collection:
        """Load all images that still have a path, and their faces.

        Raises
        ------
        WrongUsage
            There is no such cache.
        DamagedFile, NewerFormat
            It cannot be read; the sentence gives the reason.
        """
        parts = self._parts()
        if not parts:
            raise WrongUsage(
                f"Cache not found: {self.label}. Create one with {Command('embed', 'PHOTOS', self.label)}."
            )
        return _collection(collapse(plan(parts)))

    def files(self) -> Mapping[str, FileRecord]:
        """Return the record of every path. Raises as `load`."""
        return self._index()

    def has_image(self, sha256: str) -> bool:
        """Whether a content is embedded. Raises as `load`."""
        self._index()
        return sha256 in self._known

    def has_images(self, sha256: Sequence[str]) -> set[str]:
        """Return which of these contents are embedded. Raises as `load`."""
        self._index()
        return self._known.intersection(sha256)

    @contextmanager
    def writing(self, settings: CacheSettings) -> Iterator[None]:
        """Block other writers; at the end fold the journal into the cache file.

        Parameters
        ----------
        settings : CacheSettings
            The models of the vectors that will be added; checked against those of the cache.

        Raises
        ------
        AlreadyRunning
            Another run is writing.
        RecognizerMismatch
            See `require`.
        CannotWrite
            No space or no permission; committed data stays.
        """
        self.require(settings)
        lock = self._path.with_name(self._path.name + ".lock")
        with FileLock(lock, what=f"the cache {self.label}"):
            sweep_temporaries(self._path)
            tighten_access(self._path, self.names_file, self._journal.directory)
            self._files = self._settings = None
            self.require(settings)
            try:
                yield
            finally:
                self.fold()

    def require(self, settings: CacheSettings) -> None:
        """Check that faces made with these settings can be added.

        Raises
        ------
        RecognizerMismatch
            The vectors would not be comparable, or detection would differ from image to image.
        """
        mine = self.settings
        if mine is None:
            self._settings = settings
        elif mine.recognizer_sha256 != settings.recognizer_sha256:
            raise RecognizerMismatch(
                f"The cache {self.label} has embeddings of {mine.recognizer} of {mine.pack}; those of "
                f"{settings.recognizer} of {settings.pack} cannot be added to it. Use "
                f"{Field('pack', printable(mine.pack))}, or another cache."
            )
        elif mine.detection != settings.detection:
            size, score = Field("det_size", str(mine.det_size)), f"{mine.min_det_score:g}"
            raise RecognizerMismatch(
                f"The cache {self.label} was made with {size} {Field('min_det_score', score)} and the "
                f"detector {mine.detector} of {mine.pack}. Use the same settings, or another cache."
            )

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Store these, all or nothing; call within `writing`, after `require`.

        Raises
        ------
        CannotWrite
            No space or no permission.
        """
        index = self._index()
        if self._settings is None:
            raise ValueError("require() comes before commit()")
        if not self._identity:
            self._identity = identity_of(self._settings, [record.path for record in files])
        try:
            self._journal.append(part_of(self._settings, files, images, self._identity))
        except BaseException:
            # Its parent may exist all the same: the next caller checks.
            self._files = None
            raise
        _take_in(index, files)
        self._known.update(image.sha256 for image in images)

    def forget_paths(self, paths: Sequence[str]) -> None:
        """Remove these paths, like `commit`. Their images stay in the file."""
        if paths:
            self.commit([FileRecord.forgotten(path) for path in paths], [])

    def relocate_paths(self, old: str, new: str, paths: Mapping[str, str]) -> None:  # noqa: ARG002 - no galleries
        """Rename paths in place; call within `writing`. Raises `CannotWrite`."""
        self._rewrite(
            [replace(record, path=paths.get(record.path, record.path)) for record in self._index().values()]
        )
        self._files = None

    def annotate(self, images: Sequence[ImageRecord]) -> None:
        """Store what `enrich` found about existing faces, like `commit`."""
        self.commit([], [image for image in images if self.has_image(image.sha256)])

    def renumbered(self, is_removed: Callable[[Part], Bool]) -> Renumbered:
        """Return how `drop_faces` would change face ids."""
        parts = self._parts()
        if not parts:
            return NOT_RENUMBERED
        whole = collapse(plan(parts))
        drop = is_removed(whole)
        before = _ids(whole, whole.faces.image)
        after = iter(_ids(whole, whole.faces.image[~drop]))
        found = [(old, "" if went else next(after)) for old, went in zip(before, drop.tolist(), strict=True)]
        changed = [row for row, (old, new) in enumerate(found) if old != new]
        boxes = whole.faces.box[changed].tolist()
        return Renumbered(
            dict(found[row] for row in changed),
            {found[row][0]: tuple(box) for row, box in zip(changed, boxes, strict=True)},
        )

    def drop_faces(self, is_removed: Callable[[Part], Bool]) -> None:
        """Remove faces permanently, also of images without a path; call within `writing`.

        The remaining faces of these images get new ids, because ids are consecutive.

        Parameters
        ----------
        is_removed : callable
            Returns which faces of a part to remove.

        Raises
        ------
        CannotWrite
            The cache cannot be written; then nothing is removed.
        """
        parts = self._parts()
        if not parts:
            return
        whole = collapse(plan(parts))
        drop = is_removed(whole)
        if not drop.any():
            return
        journal = self._journal.paths()
        with atomic_write(self._path) as file:
            write_merged(file, plan([replace(whole, faces=whole.faces.take(np.flatnonzero(~drop)))]))
        self._journal.remove(journal)
        self._files = None

    def fold(self) -> None:
        """Write everything to the cache file and drop the journal. Raises `CannotWrite`."""
        if self._journal.paths():
            self._rewrite(list(self._index().values()))

    def _rewrite(self, files: Sequence[FileRecord]) -> None:
        """Write one cache file with these paths, and drop the journal."""
        journal = self._journal.paths()
        own = [self._path] if self._path.exists() else []
        parts = [read_part(path, with_files=False) for path in own + journal]
        with atomic_write(self._path) as file:
            write_merged(file, replace(plan(parts), files=files))
        self._journal.remove(journal)

    def _index(self) -> dict[str, FileRecord]:
        """Paths and hashes, read once."""
        if self._files is None:
            parts = self._parts(verify=False)
            self._files = {}
            for part in parts:
                _take_in(self._files, part.files)
            self._known = {digest.decode() for part in parts for digest in part.sha256.tolist()}
            # In an empty cache, the settings given to `require` apply.
            self._settings = parts[-1].settings if parts else self._settings
            self._identity = parts[0].identity if parts else self._identity
        return self._files

    def _parts(self, *, verify: bool = True) -> list[Part]:
        """Read a consistent snapshot of the cache file and its journal.

        A writer may fold the journal while we read; then the cache file is a new one afterwards, and
        we read again.
        """
        for _ in range(_READ_ATTEMPTS):
            before = self._stamp()
            try:
                paths = [*([self._path] if before else []), *self._journal.paths()]
                parts = [read_part(path, verify=verify) for path in paths]
            except FileNotFoundError:
                continue
            if self._stamp() == before:
                return parts
        raise WrongUsage(f"The cache {self.label} keeps changing. Wait until its writer has ended.")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WrongUsage(
                f"Cannot read {self.label} ({error.strerror}). Choose another place for the cache."
            ) from error
        if stat.S_ISDIR(status.st_mode):
            raise WrongUsage(f"{self.label} is a folder. A cache is a file, such as faces.npz.")
        return status.st_ino, status.st_mtime_ns


def _ids(part: Part, image: Int64) -> list[str]:
    """Ids of faces by the images that they are in; as `Collection.face_ids`."""
    ordinals = ordinals_in_image(image).tolist()
    return [f"{d.decode()}#{o}" for d, o in zip(part.sha256[image].tolist(), ordinals, strict=True)]


def _take_in(known: dict[str, FileRecord], records: Sequence[FileRecord]) -> None:
    """Apply later records of paths, or their removal."""
    for record in records:
        if record.is_forgotten:
            known.pop(record.path, None)
        else:
            known[record.path] = record


def _collection(part: Part) -> Collection:
    """Join paths to their images; images without a path are left out."""
    paths: dict[str, list[str]] = {}
    for record in part.files:
        if not record.reason:
            paths.setdefault(record.sha256, []).append(record.path)
    digests = [digest.decode() for digest in part.sha256.tolist()]
    rows = np.array([digest in paths for digest in digests], bool)
    faces = part.faces if rows.all() else _faces_of(part.faces, rows)
    images = Images(
        sha256=part.sha256[rows],
        width=part.width[rows],
        height=part.height[rows],
        taken=part.taken[rows],
        fingerprint=part.fingerprint[rows],
        paths=tuple(tuple(paths[digest]) for digest in digests if digest in paths),
    )
    return Collection(images, faces, part.settings)


def _faces_of(faces: Faces, rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Faces:
    new_row = np.cumsum(rows) - 1
    chosen = faces.take(rows[faces.image])
    return chosen.with_image(new_row[chosen.image])
