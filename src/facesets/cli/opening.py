"""Open a cache or the library for a command, with progress and a way to stop."""

import getpass
import platform
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from facesets import settings
from facesets.cli import console
from facesets.work import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from facesets.assembly.stores import LibraryWork
    from facesets.interfaces import Progress, Store
    from facesets.store.postgres.connection import Database
    from facesets.store.postgres.library import Library
    from facesets.work import Work


def current_user() -> str:
    """Return the account and the machine, such as `anna@home`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        # The account has no name, as in some containers, or the environment of Windows lacks it.
        name = "unknown"
    return f"{name}@{platform.node()}"


def agrees_to_open_pack(progress: "Progress") -> "Callable[[str], bool]":
    """Return a function that asks, on a terminal, whether to use the open pack if the default is missing."""

    def agrees(reason: str) -> bool:
        from facesets.inference.packs import DEFAULT_PACK

        if not console.can_ask():
            return True
        with console.paused(progress):
            console.notice(f"The model pack {DEFAULT_PACK} is not available right now. ({reason})")
            return console.agrees("Use the open pack instead? It is free for any use.", default=True)

    return agrees


@contextmanager
def working() -> "Iterator[Work]":
    """Yield the work of the user at the terminal, who sees progress and may stop it."""
    from facesets.work import Work

    with console.stoppable() as stop, console.progress() as progress:
        yield Work(progress=progress, stop=stop, by=current_user())


@contextmanager
def opened_session(database: str | None) -> "Iterator[Database]":
    """Yield a session with the library."""
    from facesets.assembly.stores import open_database

    with open_database(database, settings.load(), console) as session:
        yield session


@contextmanager
def opened_library(database: str | None) -> "Iterator[Library]":
    """Yield the library, in a session of its own."""
    from facesets.store.postgres.library import Library

    with opened_session(database) as session:
        yield Library(session)


@contextmanager
def opened_store(cache: Path | None, database: str | None, *, alone: str = "") -> "Iterator[Store]":
    """Yield the cache if one is given, else the library; `alone` as in `open_store`."""
    from facesets.assembly.stores import open_store

    with open_store(cache, database, settings.load(), console, alone=alone) as store:
        yield store


@contextmanager
def work_on_library(
    database: str | None, *, alone: str = "", is_whole: bool = False
) -> "Iterator[LibraryWork]":
    """Yield the library, for work that takes a while.

    Parameters
    ----------
    alone : str
        A command that may run only once at a time.
    is_whole : bool
        Whether a signal ends the work at once, as it cannot be stopped cleanly.
    """
    from facesets.assembly.stores import LibraryWork
    from facesets.store.postgres.claims import RunLock

    with (
        nullcontext(Stop()) if is_whole else console.stoppable() as stop,
        console.progress() as progress,
        opened_library(database) as library,
        RunLock(library.database, alone) if alone else nullcontext(),
    ):
        yield LibraryWork(
            library=library,
            settings=settings.load(),
            notices=console,
            progress=progress,
            stop=stop,
            by=current_user(),
        )


@contextmanager
def work_on_store(
    cache: Path | None, database: str | None, *, alone: str = ""
) -> "Iterator[tuple[Store, Work]]":
    """Yield the store of `opened_store`, for work that takes a while."""
    with working() as work, opened_store(cache, database, alone=alone) as store:
        yield store, work
