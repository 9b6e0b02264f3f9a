"""Result folders that can be written repeatedly, and safely interrupted at any moment.

A folder belongs to its user. A run replaces or removes only names that an earlier manifest lists, or that an
interrupted run announced in `.facesets-writing.json`. Edited copies stay, and so do copies without an
original. A copy is edited if its size or time differs from what was written.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import astuple, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from facesets.errors import CannotWrite
from facesets.files import printable, sync_files, writing
from facesets.results import Materialize
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest import MANIFEST_NAMES, Failure, PlacedFile
from facesets.results.ownership import ANNOUNCEMENT, add_states, how_to_restore, linked_folders, safe_names
from facesets.results.placement import (
    DRAWINGS,
    EDITED,
    WITHOUT_ORIGINAL,
    FileStates,
    as_it_is,
    is_copy_of,
    is_in_place,
    is_last_copy,
    may_remove,
    place_for_edited,
    place_for_last_copy,
    produce,
    record_of,
    was_edited,
)
from facesets.results.run_journal import RunJournal
from facesets.results.run_records import JOURNAL
from facesets.results.safe_folder import SafeFolder

TEMPORARY = ".facesets-copying-"

OWN_NAMES = (ANNOUNCEMENT, JOURNAL, WITHOUT_ORIGINAL, EDITED, DRAWINGS, *MANIFEST_NAMES)
"""Names that only the program uses in a result folder: links under them are refused."""

# Photos that get their names together, after one wait for the disk. On an SSD (ext4, 200 kB photos) that
# makes copying a third slower; to wait for each photo's line in the journal made it ten times slower.
_TOGETHER = 64


@dataclass(slots=True)
class ResultFolder:
    """An output folder while one run writes into it; made by `folder_runs.writing_results`.

    Attributes
    ----------
    owned : dict
        Relative names that were ours before this run, or that this run announced, each with the states in
        which we may have written it; none for generated files.
    contents : dict
        Names in the result of this run, each with what was put there; None for generated files.
    journal : RunJournal
        Records every file before it is made, replaced or removed.
    copied, unchanged : int
        Photos written by this run, and photos that were already in place.
    renamed : int
        Files that got a new name; photos among them also count as unchanged.
    failed : list of Failure
        Photos with a file of the user's in their place.
    unreadable : dict
        The reason for each photo that could not be read.
    rights : int
        The permissions of groups and others for what is written.
    linked : dict
        Folders reached through a link, with that link: nothing is changed there.
    """

    root: Path
    owned: dict[str, FileStates]
    journal: RunJournal
    rights: int
    contents: dict[str, PlacedFile | None] = field(default_factory=dict)
    copied: int = 0
    unchanged: int = 0
    renamed: int = 0
    set_aside: int = 0
    failed: list[Failure] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    linked: dict[PurePosixPath, str] = field(default_factory=dict)
    _produced: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    _vacant: Set[str] = frozenset()

    @property
    def inside(self) -> SafeFolder:
        """The output folder as a safe folder."""
        return SafeFolder(self.root, self.rights)

    @property
    def links(self) -> list[str]:
        """The folders of the result that the user replaced by links."""
        return sorted(set(self.linked.values()))

    def refuse_conflicts(self, names: Iterable[str]) -> None:
        """Make sure, before anything is written, that these names are free or ours.

        Raises
        ------
        CannotWrite
            A file of the user's has one of them.
        """
        for name in names:
            if name not in self.owned and self.inside.exists(name):
                raise self._conflict(name)

    def announce(self, names: Mapping[str, str]) -> None:
        """Record durably, before writing, which names this run may write, and from what."""
        folder = self.inside
        self.linked |= linked_folders(folder, names)
        before = {name: puts for name, puts in self.owned.items() if folder.exists(name)}
        self._vacant = self.owned.keys() - before.keys()
        free = {
            n: source
            for n, source in names.items()
            if n in before or not folder.exists(n) or is_copy_of(folder, n, source)
        }
        new = {
            name: add_states(before.get(name, ()), as_it_is(source)) if source else ()
            for name, source in safe_names(folder, free).items()
        }
        self.owned = before | new
        record = {name: [astuple(put) for put in puts] for name, puts in sorted(self.owned.items())}
        folder.write_json(ANNOUNCEMENT, record)

    def place(self, name: str, source: str, how: Materialize) -> None:
        """Put a photo under a relative name. A photo that cannot be read is noted and costs only itself.

        It may get its name later, with others: at the latest when the block of `writing_results` ends.

        Raises
        ------
        CannotWrite
            The folder cannot be written, or cannot hold such links.
        """
        link = self.linked.get(PurePosixPath(name).parent)
        if link and name in self.contents:
            return
        if name not in self.owned:
            reason = f"{printable(self._path(link))} is a link, and links are not followed" if link else ""
            lies = f"your file {printable(self._path(name))} is in the way"
            self.failed.append(Failure(source, reason or lies))
            return
        before = self.owned[name]
        reason, record = self._materialise(name, source, how, before)
        if reason:
            self.unreadable[source] = reason
        if record or self.inside.exists(name):
            self.contents[name] = record or before[0]

    def write(self, name: str, content: bytes) -> None:
        """Write a generated file, unless it already has the same bytes.

        Raises
        ------
        CannotWrite
            The folder cannot be written, or a file of the user's has that name.
        """
        if not self.holds(name, content):
            self.write_with(name, lambda file: file.write(content))
        self.contents[name] = None

    def holds(self, name: str, content: bytes) -> bool:
        """Whether a file has these bytes."""
        there = self.inside.status(name)
        return (
            there is not None
            and stat.S_ISREG(there.st_mode)
            and there.st_size == len(content)
            and self.inside.read(name) == content
        )

    def write_with(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write a file of our own making by a function that fills it; errors as `write`."""
        if name not in self.owned:
            raise self._conflict(name)
        with self.inside.writing(name, before_replacing=partial(self.journal.replacing, name)) as file:
            fill(file)
        self.contents[name] = None

    def retain(self, names: Iterable[str]) -> None:
        """Include generated files of an earlier run in the result, as they are."""
        self.contents |= dict.fromkeys(names)

    def _path(self, name: str) -> Path:
        return self.inside.path(name)

    def _conflict(self, name: str) -> CannotWrite:
        target = printable(self._path(name))
        if restores := how_to_restore(self.root):
            return CannotWrite(f"{target} is unknown because the folder's manifest is missing: {restores}.")
        return CannotWrite(
            f"{target} was not written by facesets and is not replaced. Move it away, or choose another OUT."
        )

    def _materialise(
        self, name: str, source: str, how: Materialize, before: FileStates
    ) -> tuple[str, PlacedFile | None]:
        """Place the photo; return the reason if its source cannot be read, and what was put there.

        An edited copy is not replaced.
        """
        folder = self.inside
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                return "not a regular file", None
            file = Path(source).open("rb")  # noqa: SIM115 - closed below; opening tells whether it is readable
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error), None
        with file:
            in_place = is_in_place(folder, name, source, status, how)
            if in_place or was_edited(folder.status(name), status, before):
                self.unchanged += 1
                return "", record_of(folder, name, source, status) if in_place else None
            temporary = f"{TEMPORARY}{len(self._produced)}.tmp"
            with writing(self._path(name)):
                folder.remove(temporary)
            reason = produce(folder, temporary, file, source, how)
            if reason:
                return reason, None
            record = record_of(folder, temporary, source, status)
        self._produced[name] = (temporary, source)
        self.copied += 1
        if len(self._produced) == _TOGETHER:
            self.flush()
        return "", record

    def flush(self) -> None:
        """Give produced photos their names, after they and the journal are on the disk."""
        if not self._produced:
            return
        sync_files()
        folder = self.inside
        states = {name: (_existing(folder, made), source) for name, (made, source) in self._produced.items()}
        self.journal.replacing_all(states)
        for name, (temporary, _) in self._produced.items():
            with writing(self._path(name)):
                folder.make_folder_of(name)
                folder.rename(temporary, name)
        self._produced = {}

    def remove_leftovers(self) -> int:
        """Remove our files that are not part of this result, and folders that this empties."""
        folder = self.inside
        left = sorted(self.owned.keys() - self.contents.keys())
        removed = {name for name in left if may_remove(folder.status(name), self.owned[name])}
        self.journal.removing(*sorted(removed))
        for name in left:
            if name in removed:
                with writing(self._path(name)):
                    folder.remove(name)
            elif is_last_copy(folder.status(name), self.owned[name]):
                self._set_aside(name)
            folder.remove_empty_folders_above(name)
        for name in self._vacant:
            folder.remove_empty_folders_above(name)
        return sum(not name.endswith(f"/{GROUP_MARK}") for name in removed)

    def set_aside_edited(self, name: str) -> None:
        """Set a file that the user edited aside, under a free name."""
        self.move(name, place_for_edited(self.inside, name))

    def move(self, name: str, place: str) -> None:
        """Rename a file, replacing a file of that name."""
        folder = self.inside
        with writing(self._path(place)):
            self.journal.replacing(place, _existing(folder, name))
            self.journal.removing(name)
            folder.make_folder_of(place)
            folder.rename(name, place)

    def rename(self, names: Mapping[str, str]) -> set[str]:
        """Rename files of ours where the names are free, including files that a user edited.

        Parameters
        ----------
        names : mapping of old name to new name
            The new ones are announced.

        Returns
        -------
        set of str
            The old names that no longer exist.
        """
        folder = self.inside
        free = {
            old: new
            for old, new in names.items()
            if new in self.owned and folder.exists(old) and not folder.exists(new)
        }
        self.journal.replacing_all({new: (_existing(folder, old), None) for old, new in free.items()})
        self.journal.removing(*free)
        for old, new in free.items():
            with writing(self._path(new)):
                folder.make_folder_of(new)
                folder.rename(old, new)
            self.owned[new] = add_states(self.owned[new], *self.owned.get(old, ()))
        self.renamed += len(free)
        return {old for old in names if not folder.exists(old)}

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that are ours."""
        names = [name for name in names if self.inside.exists(name)]
        self.journal.removing(*names)
        for name in names:
            with writing(self._path(name)):
                self.inside.remove(name)

    def write_manifest(self, name: str, content: bytes) -> None:
        """Write the manifest, unless it already has the same bytes."""
        if not self.holds(name, content):
            with self.inside.writing(name, before_replacing=partial(self.journal.replacing, name)) as file:
                file.write(content)

    def _set_aside(self, name: str) -> None:
        """Set the last copy of a photo aside, out of the folder of the person there now."""
        aside, is_there = place_for_last_copy(self.inside, name)
        if is_there:
            with writing(self._path(name)):
                self.journal.removing(name)
                self.inside.remove(name)
            return
        self.move(name, aside)
        self.set_aside += 1


def _existing(folder: SafeFolder, name: str) -> os.stat_result:
    """Return the status of a file that was just made or found; `OSError` if it was removed meanwhile."""
    status = folder.status(name)
    if status is None:
        raise FileNotFoundError(errno.ENOENT, "no longer exists", os.fspath(folder.path(name)))
    return status
