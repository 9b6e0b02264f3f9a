"""What `export-xmp` is asked for: whom to name, and how."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.formats.xmp.ownership import Hasher
from facesets.formats.xmp.reading import tidy
from facesets.operations.options.library import ExportXmpOptions
from facesets.operations.people.corrections.who import called, find_person
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.xmp_sidecars import names_of_people

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of all sidecars.

    Attributes
    ----------
    names
        Of everybody who has one that XML can hold.
    people
        Whom to name.
    """

    names: Mapping[UUID, str]
    people: frozenset[UUID]
    microsoft: bool
    replace: bool
    hashed: Hasher
    twins: dict[Path, frozenset[str]] = field(default_factory=dict)
    """By folder, the names whose sidecars may be of several files, as far as that was looked for."""


def request_of(
    connection: Connection, library: Library, who: Sequence[str], options: ExportXmpOptions
) -> tuple[Request, list[str]]:
    """What is asked for, and the names that no XML can hold.

    Raises
    ------
    WrongUsage
        Somebody is not known, or has no name.
    """
    names = names_of_people(connection)
    fit = {person: tidy for person, name in names.items() if (tidy := _fit(name)) is not None}
    people = frozenset(_named(connection, each, names) for each in who) if who else frozenset(names)
    request = Request(fit, people, options.microsoft, options.replace, Hasher(library.identity))
    return request, sorted(names[person] for person in people - fit.keys())


def _named(connection: Connection, who: str, names: Iterable[UUID]) -> UUID:
    state = find_person(connection, who)
    if state.id not in names:
        if state.status == "hidden":
            raise WrongUsage(
                f"{called(state)} is hidden, and is not told to other programs. Run "
                f"{Command('people unhide', called(state))} first."
            )
        raise WrongUsage(
            f"{printable(who)} has no name to tell other programs. Give one: "
            f"{Command('people name', printable(who), 'NAME')}."
        )
    return state.id


def _fit(name: str) -> str | None:
    """A name as XMP takes it; None where no XML can hold it."""
    tidied = tidy(name)
    return None if not tidied or _NOT_IN_XML.search(tidied) else tidied
