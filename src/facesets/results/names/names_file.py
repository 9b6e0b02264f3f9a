"""The file of names beside a cache, by which its results share the names of people.

`faces.npz.names.json` lists the result folders that were made from the cache, with the names in each when it
was last read, and the named people, the newest last. A person is identified by the ids of their faces, so
that folders may be renumbered, moved and removed.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facesets.errors import AlreadyRunning, DamagedFile, NewerFormat
from facesets.files import FileLock, atomic_write, json_bytes, printable, sweep_temporaries
from facesets.results.inside import is_inside
from facesets.results.manifest_values import is_sound_text
from facesets.rights import tighten_access

_FORMAT, _VERSION = "facesets/names", 1
_PATIENCE_S = 30.0
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """A named person.

    Attributes
    ----------
    folder : str
        The result where the user gave the name, relative to the folder of the file.
    faces : frozenset of str
        Ids of the person's faces in that result.
    """

    name: str
    folder: str
    faces: frozenset[str]


@dataclass(frozen=True, slots=True)
class PeopleNames:
    """The content of the file.

    Attributes
    ----------
    store : str
        The id of the cache that the faces belong to.
    folders : mapping
        Each result folder, relative to the folder of the file, and the names in it.
    people : tuple of NamedPerson
        The person who was named last comes last.
    """

    store: str = ""
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[NamedPerson, ...] = ()

    def of(self, store: str) -> "PeopleNames":
        """Return the content for a store: empty if the file belongs to another store of the same path."""
        return self if self.store == store else PeopleNames(store)


def people_in(
    people: Iterable[NamedPerson], groups: Mapping[str, AbstractSet[str]]
) -> dict[str, list[NamedPerson]]:
    """Return the people of each group: those with most of their grouped faces in it."""
    owner = {face: name for name, faces in groups.items() for face in faces}
    held: dict[str, list[NamedPerson]] = defaultdict(list)
    for person in people:
        where = Counter(owner[face] for face in person.faces if face in owner)
        if where:
            name, most = min(where.items(), key=lambda item: (-item[1], item[0]))
            if 2 * most > where.total():
                held[name].append(person)
    return held


def read_names(path: Path) -> PeopleNames:
    """Read the file; without a file, no person has a name.

    Raises
    ------
    DamagedFile
        It cannot be read.
    NewerFormat
        A later version of this program wrote it.
    """
    try:
        raw = json.loads(path.read_bytes())
        version = raw["version"]
        if raw["format"] != _FORMAT or type(version) is not int:
            raise _damaged(path)
        if version > _VERSION:
            raise NewerFormat(
                f"{printable(path)} was written by a later version of facesets. Upgrade facesets."
            )
        store = _text(raw["store"])
        folders = {_text(name): tuple(map(_text, names)) for name, names in raw["folders"].items()}
        people = tuple(
            NamedPerson(_name(each["name"]), _text(each["folder"]), frozenset(map(_text, each["faces"])))
            for each in raw["people"]
        )
    except FileNotFoundError:
        return PeopleNames()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path) from error
    return PeopleNames(store, folders, people)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, str) and is_sound_text(value):
        return value
    raise TypeError


def _name(value: Any) -> str:  # noqa: ANN401
    """Check a name of a top folder of a result."""
    name = _text(value)
    if is_person_name(name):
        return name
    raise ValueError


def is_person_name(name: str) -> bool:
    """Whether a folder of that name in a result can be a person's."""
    return is_inside(name) and "/" not in name and not name.startswith(("_", "."))


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} cannot be read. Remove it; names that you give after that are carried over again."
    )


def update_names(path: Path, change: Callable[[PeopleNames], PeopleNames]) -> None:
    """Replace the content of the file by what `change` makes of it; equal content is not written again.

    Raises
    ------
    AlreadyRunning
        Other runs lock the file for half a minute.
    CannotWrite
        It cannot be written.
    DamagedFile, NewerFormat
        As `read_names`.
    """
    with _patient_lock(path):
        sweep_temporaries(path)
        tighten_access(path)
        before = path.read_bytes() if path.exists() else b""
        after = _content(change(read_names(path)))
        if after != before:
            with atomic_write(path) as file:
                file.write(after)


def _content(names: PeopleNames) -> bytes:
    return json_bytes(
        {
            "format": _FORMAT,
            "version": _VERSION,
            "store": names.store,
            "folders": {folder: sorted(of) for folder, of in sorted(names.folders.items())},
            "people": [
                {"name": person.name, "folder": person.folder, "faces": sorted(person.faces)}
                for person in names.people
            ],
        }
    )


@contextmanager
def _patient_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the file, after waiting for other runs: these hold it only briefly."""
    lock = FileLock(path.with_name(path.name + ".lock"), what=printable(path))
    until = time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock)
                break
            except AlreadyRunning:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_S)
        yield
