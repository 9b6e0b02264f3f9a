"""Check a server: permissions, version, and the requested photos and people."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.interfaces import Progress
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Immich
from facesets.remote.immich_answers import RequestFailed
from facesets.remote.immich_records import Owner, ServerPerson, Version, parse_id

OLDEST_KNOWN = Version(2, 2, 0)
NEWEST_KNOWN_MAJOR = 3

STAGE_PERMISSIONS = ("asset.read", "asset.download", "face.read")
PUSH_PERMISSIONS = (
    "asset.read",
    "face.read",
    "person.read",
    "person.create",
    "person.update",
    "person.merge",
    "person.reassign",
    "face.create",
    "face.update",
    "user.read",
)
UNDO_PERMISSIONS = (*(name for name in PUSH_PERMISSIONS if name != "user.read"), "face.delete")
_HELPFUL = {
    "person.read": "names of people may be missing",
    "user.read": "photos of partners cannot be recognised",
    "asset.statistics": "the remaining time cannot be shown",
}
_HELPFUL_TO_UNDO = {
    "face.delete": "an undo could not remove faces that were added",
    "person.delete": "an undo could not unassign faces again, nor remove people",
    "user.read": "photos of other accounts cannot be recognised",
}


Query = Mapping[str, Any]


def check_server(
    server: Immich, user: str, progress: Progress, *, essential: Sequence[str] = STAGE_PERMISSIONS
) -> Owner | None:
    """Check that the server can be used, and report what will not work.

    Parameters
    ----------
    user : str
        The expected owner of the photos; empty for any.
    essential : sequence of str
        Permissions without which the command can do nothing.

    Returns
    -------
    Owner or None
        The owner of the key's photos, if the key may show it.

    Raises
    ------
    Unreachable
        The server does not answer.
    WrongUsage
        It is no Immich server, or refuses the key or an essential permission.
    """
    version = server.version()
    if version < OLDEST_KNOWN or version.major > NEWEST_KNOWN_MAJOR:
        progress.say(
            f"{server.label} runs Immich {version.text}. Only {OLDEST_KNOWN.text} to "
            f"{NEWEST_KNOWN_MAJOR}.x are supported; others may work."
        )
    _check_permissions(server, essential, progress)
    owner = server.owner()
    if user and owner is not None and not owner.is_called(user):
        progress.say(
            f"The API key belongs to {owner.name or owner.email}, so the photos of that account are "
            f"staged under {user}."
        )
    return owner


def _check_permissions(server: Immich, essential: Sequence[str], progress: Progress) -> None:
    allowed = server.permissions()
    if allowed is None:
        progress.say(
            f"{server.label} does not report the permissions of this API key; missing ones show up later "
            "as errors."
        )
        return
    if "all" in allowed:
        return
    helpful = _HELPFUL_TO_UNDO if "person.update" in essential else _HELPFUL
    missing = [name for name in dict.fromkeys((*essential, *helpful)) if name not in allowed]
    if any(name in essential for name in missing):
        raise WrongUsage(
            f"The API key lacks {', '.join(missing)}. Add these permissions to it in Immich under Account "
            "Settings, API Keys."
        )
    for name in missing:
        progress.say(f"The API key lacks {name}: {helpful[name]}.")


def allows(server: Immich, permission: str) -> bool:
    """Whether the key has a permission, according to the server."""
    allowed = server.permissions()
    return allowed is None or bool(allowed & {permission, "all"})


def stage_permissions(options: StageOptions) -> tuple[str, ...]:
    """Return the permissions that staging needs."""
    albums = ("album.read",) if options.albums else ()
    people = ("person.read",) if options.people else ()
    return (*STAGE_PERMISSIONS, *albums, *people)


def estimate(server: Immich, options: StageOptions, scope: list[Query]) -> int | None:
    """Return the server's estimate of matching assets, which tends to be low."""
    total = 0
    # Keys cannot see locked photos, and requesting their number could end the run.
    for query in queries(replace(options, locked=False), scope):
        counted = server.estimate({key: value for key, value in query.items() if key != "withDeleted"})
        if counted is None:
            return None
        total += counted
    return total


_NAMED_AT_MOST = 8
_OWN_VISIBILITIES = {"archive": "archived", "hidden": "hidden", "locked": "locked"}


def scope_of(server: Immich, options: StageOptions) -> list[Query]:
    """Return the searches that together find what the options ask for.

    Raises
    ------
    WrongUsage
        There is no such album or person, or the key may not ask for it.
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
    """Return the searches that together find what the options ask for.

    There is one for each visibility, because the results of searches without one differ by version.
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
        raise WrongUsage(f"Album not found on {server.label}: {printable(name)}. Albums: {titles}.")
    return found


def _people(server: Immich, name: str) -> list[str]:
    identity = parse_id(name)
    if identity is not None:
        return [identity]
    try:
        found = people_called(server, [name])
    except RequestFailed as error:
        raise WrongUsage(f"{server.label} cannot search people by name: {error.reason}.") from error
    if not found:
        raise WrongUsage(f"Person not found on {server.label}: {printable(name)}. Check the name in Immich.")
    return [person.id for person in found]


def _moment(value: datetime) -> str:
    """Format a time for Immich; a time without a zone is local."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def comparable(name: str) -> str:
    """Normalize a name for comparison: case, spacing, encoding."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def people_called(server: Immich, names: Iterable[str]) -> list[ServerPerson]:
    """Return all people on the server with one of these names, including those without faces.

    Names are searched in several spellings and compared here, because the list of people omits people who are
    only on archived photos, and the search compares encoded letters.
    """
    wanted = {comparable(name): name for name in names}
    searches = dict.fromkeys(text for name in wanted.values() for text in _spellings(name))
    found = {person.id: person for text in searches for person in server.search_people(text)}
    return [person for person in found.values() if comparable(person.name) in wanted]


def _spellings(name: str) -> Iterator[str]:
    words = name.split()
    # On the server, more spaces may separate the words, so the first word is also searched alone.
    for text in (" ".join(words), *words[:1]):
        if text.isascii():
            yield text
            continue
        for spelt in (text, text.casefold(), text.upper()):
            yield unicodedata.normalize("NFC", spelt)
            yield unicodedata.normalize("NFD", spelt)
