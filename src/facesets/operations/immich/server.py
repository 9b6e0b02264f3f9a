"""What is asked of a server before anything is staged, and what of it is said to the user."""

from collections.abc import Sequence
from dataclasses import replace

from facesets.errors import WrongUsage
from facesets.interfaces import Progress
from facesets.operations.immich.stage_scope import Query, queries
from facesets.operations.options.immich import StageOptions
from facesets.remote.immich import Immich
from facesets.remote.immich_records import Owner, Version

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
    "user.read": "it stays unknown which photos are those of partners",
    "asset.statistics": "the time left stays unknown",
}
_HELPFUL_TO_UNDO = {
    "face.delete": "an undo could not remove faces that were added",
    "person.delete": "an undo could not unassign faces again, nor remove people",
    "user.read": "it stays unknown whose photos they are",
}


def check_server(
    server: Immich, user: str, progress: Progress, *, essential: Sequence[str] = STAGE_PERMISSIONS
) -> Owner | None:
    """Check that the server can be worked with, and say what will not work.

    Parameters
    ----------
    user : str
        Whose photos are expected; empty for whoever's they are.
    essential : sequence of str
        Permissions without which there is nothing to be done.

    Returns
    -------
    Owner or None
        Whose photos the key leads to, where it may say.

    Raises
    ------
    Unreachable
        The server does not answer.
    WrongUsage
        It is no Immich server, or refuses the key or what is essential.
    """
    version = server.version()
    if version < OLDEST_KNOWN or version.major > NEWEST_KNOWN_MAJOR:
        progress.say(
            f"{server.label} runs Immich {version.text}. This program knows {OLDEST_KNOWN.text} to "
            f"{NEWEST_KNOWN_MAJOR}.x: it may work."
        )
    _check_permissions(server, essential, progress)
    owner = server.owner()
    if user and owner is not None and not owner.is_called(user):
        progress.say(
            f"The API key is that of {owner.name or owner.email}, and a key sees what its owner sees: that "
            f"is what is staged under {user}."
        )
    return owner


def _check_permissions(server: Immich, essential: Sequence[str], progress: Progress) -> None:
    allowed = server.permissions()
    if allowed is None:
        progress.say(f"{server.label} does not say what this API key may do; that shows when it is used.")
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
    """Whether the key has a permission, as far as the server says."""
    allowed = server.permissions()
    return allowed is None or bool(allowed & {permission, "all"})


def stage_permissions(options: StageOptions) -> tuple[str, ...]:
    """Permissions without which nothing of this can be staged."""
    albums = ("album.read",) if options.albums else ()
    people = ("person.read",) if options.people else ()
    return (*STAGE_PERMISSIONS, *albums, *people)


def estimate(server: Immich, options: StageOptions, scope: list[Query]) -> int | None:
    """How many assets the server counts for these searches; it tends to count too few."""
    total = 0
    # What is locked is not open to a key, and asking for its number could end the run.
    for query in queries(replace(options, locked=False), scope):
        counted = server.estimate({key: value for key, value in query.items() if key != "withDeleted"})
        if counted is None:
            return None
        total += counted
    return total
