"""Read names from digiKam's database, the SQLite file `digikam4.db`, without writing to it.

A confirmed face is a row of ImageTagProperties called `tagRegion`, with a rectangle in
pixels of the upright picture; people are tags that TagProperties calls so, and those below the tag `People`.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from facesets.errors import WrongUsage
from facesets.files import open_regular_file, printable
from facesets.formats.named_photos import Box, NamedPhoto, NamedRegion, box_within, plain_name

HEADER = b"SQLite format 3\0"
"""First bytes of each SQLite file."""

_TABLES = frozenset(
    {
        "albumroots",
        "albums",
        "images",
        "imageinformation",
        "imagetags",
        "imagetagproperties",
        "tags",
        "tagproperties",
    }
)
_ROOT_OF_PEOPLE = "People"
_UNNAMED_TAGS = frozenset({"unknownperson", "unconfirmedperson", "ignoredperson"})
_ON_ITS_SIDE = (5, 6, 7, 8)
_BROKEN = (sqlite3.Error, OverflowError, MemoryError, UnicodeDecodeError)
"""The last one is raised if SQLite's own message about a damaged schema is not valid text."""
_LONGEST_VALUE = 1_000_000
_STEPS_BETWEEN_LOOKS = 1_000_000
_MAX_LOOKS = 20_000
"""Maximum millions of SQLite's machine steps before a row; far beyond what sorting takes."""
_RECT = re.compile(r'\b(x|y|width|height)="(-?\d{1,9}(?:\.\d{1,9})?)"')


@dataclass(slots=True)
class _Reading:
    """A database being read, as long as rows keep coming."""

    database: sqlite3.Connection
    looks: int = 0

    def is_stuck(self) -> bool:
        """Whether SQLite takes too long without a row; SQLite calls this from time to time."""
        self.looks += 1
        return self.looks > _MAX_LOOKS

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        for row in self.database.execute(query):
            self.looks = 0
            yield row


def read_digikam(path: Path) -> Iterator[NamedPhoto]:
    """Return the photos with named people, in the order of their numbers.

    Raises
    ------
    WrongUsage
        The file is no such database, it is damaged, or digiKam has not written everything into it yet.
    OSError
        It cannot be read.
    """
    require_database(path)
    try:
        # Immutable: SQLite writes no files beside it and waits for no lock of a share.
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            _require_tables(database)
            reading = _Reading(database)
            database.set_progress_handler(reading.is_stuck, _STEPS_BETWEEN_LOOKS)
            yield from _photos(reading)
    except _BROKEN as error:
        raise WrongUsage(
            f"Cannot read {printable(path)} as a digiKam database ({printable(str(error))}). Give the "
            "digikam4.db of digiKam 5 or later, or a copy made while digiKam is closed."
        ) from error


def require_database(path: Path) -> None:
    """Refuse a file that is not SQLite or is being written. Raises as `read_digikam`."""
    with open_regular_file(path) as file:
        if file.read(len(HEADER)) != HEADER:
            raise WrongUsage(f"{printable(path)} is not an SQLite database. Give digiKam's digikam4.db.")
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise WrongUsage(
            f"{printable(path)} is in use, so digiKam's latest changes are not in it yet. Close digiKam "
            "and try again."
        )


def _require_tables(database: sqlite3.Connection) -> None:
    """Accept only plain tables whose values fit into memory. Raises `sqlite3.Error`."""
    database.text_factory = lambda content: content.decode("utf-8", "replace")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    for statement in ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON"):
        database.execute(statement)
    schema = database.execute("SELECT lower(name), upper(ltrim(sql)) FROM sqlite_master WHERE type = 'table'")
    tables = {name for name, sql in schema if not str(sql).startswith("CREATE VIRTUAL")}
    if missing := _TABLES - tables:
        raise sqlite3.DatabaseError(f"no table {', '.join(sorted(missing))}")


def _photos(reading: _Reading) -> Iterator[NamedPhoto]:
    people = _people(reading)
    roots = _roots(reading)
    # ORDER BY, so that one photo's rows follow one another: of each query a row at a time is in memory.
    regions = reading.rows(
        """SELECT imageid, tagid, value FROM ImageTagProperties
            WHERE property = 'tagRegion' AND typeof(imageid) = 'integer' ORDER BY imageid""",
    )
    tagged = reading.rows(
        "SELECT imageid, tagid, NULL FROM ImageTags WHERE typeof(imageid) = 'integer' ORDER BY imageid",
    )
    images = reading.rows(
        """SELECT i.id, i.name, i.fileSize, a.albumRoot, a.relativePath, n.width, n.height, n.orientation
            FROM Images i JOIN Albums a ON a.id = i.album LEFT JOIN ImageInformation n ON n.imageid = i.id
            WHERE i.status = 1 AND typeof(i.id) = 'integer' ORDER BY i.id""",
    )
    image = next(images, None)
    for number, rows in groupby(merge(regions, tagged, key=itemgetter(0)), key=itemgetter(0)):
        while image is not None and image[0] < number:
            image = next(images, None)
        named = [(people[tag], value) for _, tag, value in rows if tag in people]
        if image is not None and image[0] == number and named:
            yield _photo(image, named, roots)


def _people(reading: _Reading) -> dict[object, str]:
    """Return names by the number of their tag."""
    tags = {
        tag: (parent, plain_name(name))
        for tag, parent, name in reading.rows("SELECT id, pid, name FROM Tags")
    }
    kinds: dict[object, set[str]] = {}
    for tag, kind in reading.rows("SELECT tagid, property FROM TagProperties"):
        kinds.setdefault(tag, set()).add(str(kind).casefold())
    people: dict[object, str] = {}
    for tag, (_, name) in tags.items():
        theirs = kinds.get(tag, set())
        if name and not theirs & _UNNAMED_TAGS and ("person" in theirs or _is_below_people(tag, tags)):
            people[tag] = name
    return people


def _is_below_people(tag: object, tags: dict[object, tuple[object, str]]) -> bool:
    above = tags[tag][0]
    for _ in range(100):
        if above not in tags:
            return False
        parent, name = tags[above]
        if name == _ROOT_OF_PEOPLE and parent not in tags:
            return True
        above = parent
    return False


def _roots(reading: _Reading) -> dict[object, str]:
    """Return the folders of collections by their numbers."""
    return {
        root: _folder(str(identifier or ""), str(path or ""))
        for root, identifier, path in reading.rows("SELECT id, identifier, specificPath FROM AlbumRoots")
    }


def _folder(identifier: str, path: str) -> str:
    """Return the folder of a collection: on a volume with a path, or with a number, which counts as `/`."""
    parameters: dict[str, str] = {}
    for each in identifier.partition("?")[2].split("&"):
        key, _, value = each.partition("=")
        parameters.setdefault(key, unquote(value))
    volume = parameters.get("path") or parameters.get("mountpath") or ""
    return f"{volume.rstrip('/')}/{path.strip('/')}".rstrip("/")


def _photo(image: tuple[Any, ...], named: list[tuple[str, Any]], roots: dict[object, str]) -> NamedPhoto:
    _, name, size, root, folder, width, height, orientation = image
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    placed = [(person, _box(value, width, height)) for person, value in named if value is not None]
    with_region = {person for person, _ in placed}
    placed += [(person, None) for person, _ in named if person not in with_region]
    path = "/".join(each for each in (roots.get(root, ""), str(folder).strip("/"), str(name)) if each)
    return NamedPhoto(
        path,
        tuple(NamedRegion(person, box, "upright", "digikam") for person, box in dict.fromkeys(placed)),
        str(name),
        size if type(size) is int and size >= 0 else -1,
    )


def _box(value: object, width: object, height: object) -> Box | None:
    """Convert a rectangle in pixels to fractions; None if invalid, or if the picture's size is unknown."""
    edges = {key: float(digits) for key, digits in _RECT.findall(value)} if isinstance(value, str) else {}
    if len(edges) < 4 or not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        return None
    x, y = edges["x"], edges["y"]
    return box_within(x / width, y / height, (x + edges["width"]) / width, (y + edges["height"]) / height)
