"""Connect to an Immich server from flags and settings, and find which of its photos are known."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.assembly.stores import has_library, open_cache, open_database
from facesets.errors import Field, WrongUsage
from facesets.files import printable, read_regular_file
from facesets.operations.options.immich import ServerOptions
from facesets.remote.access import Access
from facesets.settings import Settings

if TYPE_CHECKING:
    from facesets.operations.immich.local_people import LocalPeople
    from facesets.operations.immich.stage_asset import IsKnown

_CONNECT_TIMEOUT_S = 10.0


def access_to(settings: Settings, asked: ServerOptions, *, connections: int) -> Access:
    """Return the access to the server that flags or settings name.

    Raises
    ------
    WrongUsage
        They name no server or no key.
    """
    address = asked.url or settings.immich_url
    if not address:
        raise WrongUsage(f"Missing address of the Immich server. Give {Field('url')}, or set IMMICH_URL.")
    return Access(
        url=address,
        api_key=_key(asked.api_key_file, settings),
        connections=connections,
        timeout_s=asked.timeout_s,
        connect_timeout_s=min(asked.timeout_s, _CONNECT_TIMEOUT_S),
        first_wait_s=asked.first_wait_s,
        patience_s=asked.patience_s,
    )


def _key(path: Path | None, settings: Settings) -> str:
    """Return the key. There is no flag for it, because every user of a machine can see flags."""
    if path is not None:
        try:
            return read_regular_file(path, max_bytes=10_000).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUsage(f"Cannot read an API key in {printable(path)}.") from error
    if settings.immich_api_key is None:
        raise WrongUsage(
            f"Missing API key. Set IMMICH_API_KEY, or put the key in a file and give {Field('api_key_file')}."
        )
    return settings.immich_api_key.reveal()


@contextmanager
def known_content(
    caches: Sequence[Path], database: str | None, settings: Settings, notices: Notices, *, library: bool
) -> "Iterator[Sequence[IsKnown]]":
    """Return a check for known content in caches, and optionally the library.

    Does not create a library.

    Raises
    ------
    WrongUsage
        A cache does not exist.
    Unreachable, SchemaOutdated
        The named library cannot be read.
    """
    stores = [open_cache(path) for path in caches]
    for store in stores:
        if not store.exists():
            raise WrongUsage(f"Cache not found: {store.label}. Check {Field('known')}.")
        store.has_image("")  # loads it once, before threads use it
    known = [store.has_image for store in stores]
    if not library or not has_library(database, settings, notices):
        yield known
        return
    from facesets.store.postgres.library import Library

    with open_database(database, settings, notices) as session:
        library_store = Library(session)
        yield [*known, library_store.has_image] if library_store.exists() else known


@contextmanager
def local_people_source(
    folder: Path | None, cache: Path | None, database: str | None, settings: Settings, notices: Notices
) -> "Iterator[Callable[[Sequence[str]], LocalPeople]]":
    """Return the source of people in photos: a result folder with its cache, else the library.

    Raises
    ------
    WrongUsage
        Only one of folder and cache is given.
    Unreachable, SchemaOutdated
        The library cannot be read.
    """
    from facesets.operations.immich.local_people import people_of_folder, people_of_library

    if (folder is None) != (cache is None):
        raise WrongUsage(
            f"{Field('people')} and {Field('cache')} must be given together. Give both, or neither to "
            "use the library."
        )
    if folder is not None and cache is not None:
        yield partial(people_of_folder, open_cache(cache), folder)
        return
    from facesets.store.postgres.library import Library

    with open_database(database, settings, notices) as session:
        yield partial(people_of_library, Library(session))
