"""Which part of a server's photos is staged: that of an account, an album, a person, a time."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.immich.same_names import comparable, people_called
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Immich
from facesets.remote.immich_answers import RequestFailed
from facesets.remote.immich_records import parse_id

Query = Mapping[str, Any]
_NAMED_AT_MOST = 8
_OWN_VISIBILITIES = {"archive": "archived", "hidden": "hidden", "locked": "locked"}


def scope_of(server: Immich, options: StageOptions) -> list[Query]:
    """What searches are restricted to: together they find what is wanted.

    Raises
    ------
    WrongUsage
        There is no such album or person, or the key may not ask.
    Unreachable
        The server fails.
    """
    albums = [{"albumIds": [album]} for name in options.albums for album in _albums(server, name)]
    people = [{"personIds": [person]} for name in options.people for person in _people(server, name)]
    time = {
        name: _moment(value)
        for name, value in (("takenAfter", options.since), ("takenBefore", options.until))
        if value is not None
    }
    return [{**album, **person, **time} for album, person in product(albums or [{}], people or [{}])]


def queries(options: StageOptions, scope: list[Query]) -> Iterator[Query]:
    """Searches that together find what the options ask for.

    One for each visibility: what a server answers to a search that names none differs by version.
    """
    for visibility, part in product(("timeline", "archive", "hidden", "locked"), scope):
        option = _OWN_VISIBILITIES.get(visibility)
        if option is None or getattr(options, option):
            trashed = {"withDeleted": True} if options.trashed else {}
            yield {"type": "IMAGE", "visibility": visibility, **part, **trashed}


def _albums(server: Immich, name: str) -> list[str]:
    identity = parse_id(name)
    if identity is not None:
        return [identity]
    try:
        albums = server.albums()
    except RequestFailed as error:
        raise WrongUsage(f"{server.label} does not list its albums: {error.reason}.") from error
    found = [album for album, title in albums if comparable(title) == comparable(name)]
    if not found:
        titles = ", ".join(sorted(printable(title) for _, title in albums)[:_NAMED_AT_MOST]) or "none"
        raise WrongUsage(
            f"There is no album called {printable(name)} on {server.label}. There are: {titles}."
        )
    return found


def _people(server: Immich, name: str) -> list[str]:
    identity = parse_id(name)
    if identity is not None:
        return [identity]
    try:
        found = people_called(server, [name])
    except RequestFailed as error:
        raise WrongUsage(f"{server.label} does not say who is called so: {error.reason}.") from error
    if not found:
        raise WrongUsage(f"There is nobody called {printable(name)} on {server.label}. Check the name there.")
    return [person.id for person in found]


def _moment(value: datetime) -> str:
    """A time as Immich takes it; one without a zone is this machine's."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
