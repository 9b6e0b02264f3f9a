"""From a connection string, or none, to a library that can be worked on."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.errors import WrongUsage
from facesets.operations.options.library import IndexOptions
from facesets.settings import Settings
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch

if TYPE_CHECKING:
    from facesets.interfaces import Embedder, Progress, Store
    from facesets.records import CacheSettings
    from facesets.remote.ml_service import MlService
    from facesets.store.postgres.connection import Database
    from facesets.store.postgres.embedded import EmbeddedServer

_EMBEDDED_LABEL = "the library of this user"


def embedded_server(settings: Settings) -> "EmbeddedServer":
    """The user's own server; nothing is started yet.

    Raises
    ------
    WrongUsage
        There is none for this system.
    """
    if os.name == "nt":  # pragma: no cover
        raise WrongUsage(
            "On Windows a library needs a PostgreSQL server: name one with --database or DATABASE_URL. "
            "Caches (`facesets embed`) need none."
        )
    from facesets.store.postgres.embedded import EmbeddedServer, default_directory

    directory = settings.data / "postgres" if settings.data else default_directory()
    return EmbeddedServer(directory, say=console.notice, is_stopping=_is_stopping)


def _is_stopping() -> bool:
    return bool(console.session.stopped_by)


def named_database(database: str | None, settings: Settings) -> str:
    """The connection string that a flag or a setting names; empty for the embedded server.

    Raises
    ------
    WrongUsage
        A setting is there and names nothing, such as an unset variable: the embedded server is no wish then.
    """
    if not database and settings.blank_database:
        raise WrongUsage(
            f"{settings.blank_database} is empty. Give the address of a database, or unset it for the "
            "embedded server."
        )
    return database or settings.database


@contextmanager
def database_url(database: str | None, settings: Settings) -> Iterator[str]:
    """The connection string to use; where none is given, the embedded server runs during the block."""
    text = named_database(database, settings)
    if text:
        yield text
        return
    with embedded_server(settings) as server:
        yield server.conninfo


@contextmanager
def open_database(
    database: str | None, settings: Settings, *, check_schema: bool = True
) -> "Iterator[Database]":
    """A session with the library.

    The embedded server's schema is brought up to date by itself; any other is somebody's to migrate.

    Raises
    ------
    Unreachable, WrongUsage
        The server does not answer, or refuses.
    SchemaOutdated
        The schema needs `facesets migrate`; not raised when `check_schema` is off.
    """
    from facesets.store.postgres.connection import Database, opened
    from facesets.store.postgres.migrate import migrate, require_current, shipped_migrations

    text = named_database(database, settings)
    if text:
        with opened(Database(text, is_stopping=_is_stopping)) as session:
            if check_schema:
                require_current(session, shipped_migrations())
            yield session
        return
    with embedded_server(settings) as server:
        session = Database(
            server.conninfo,
            label=_EMBEDDED_LABEL,
            before_connecting=server.ensure_running,
            is_stopping=_is_stopping,
        )
        with opened(session):
            if check_schema:
                migrate(session, shipped_migrations())
            yield session


@contextmanager
def open_store(
    cache: Path | None, database: str | None, settings: Settings, *, alone: str = ""
) -> "Iterator[Store]":
    """The cache if there is one, else the library; see `open_database` for errors.

    Parameters
    ----------
    alone : str
        The command of which only one may work on a library at a time; a cache sees to that itself.

    Raises
    ------
    AlreadyRunning
        Another one does.
    WrongUsage
        There is neither.
    """
    if cache is not None:
        from facesets.cli.assemble import open_cache

        yield open_cache(cache)
        return
    if not named_database(database, settings) and not embedded_server(settings).is_made:
        raise WrongUsage("There is no library yet. Name a cache, or run `facesets index --target DIR` first.")
    from facesets.store.postgres.claims import RunLock
    from facesets.store.postgres.library import Library

    with open_database(database, settings) as session, RunLock(session, alone) if alone else nullcontext():
        yield Library(session)


def index_embedder(
    known: "CacheSettings | None",
    options: IndexOptions,
    settings: Settings,
    *,
    detection: tuple[str | None, int | None, float | None],
    provider: str,
    ml_uri: str | None,
    progress: "Progress",
    stop: Stop,
    workers: int | None = None,
    long_run: bool = False,
    stopwatch: Stopwatch | None = None,
) -> "tuple[Embedder, IndexOptions]":
    """What finds faces for `index`, here or at a service, and the options that fit it.

    Raises
    ------
    MissingModelPack, Unreachable
        The models are not here, or the service does not answer.
    """
    from facesets.cli import assemble
    from facesets.remote.service_embedder import ServiceEmbedder, service_model

    if ml_uri:
        return ServiceEmbedder(service(ml_uri, known, detection, stop=stop)), options
    of_service = known is not None and service_model(known) is not None
    chosen = assemble.detection_options(None if of_service else known, *detection, settings)
    pack = assemble.get_pack(chosen.pack, settings, progress, stop, known=known, fetch=not options.dry_run)
    choice = assemble.choose(provider, pack)
    if workers is None and long_run and not assemble.is_measured(settings, pack, choice):
        assemble.measure(settings, pack, choice, chosen, progress, stop)
    tuning = assemble.divide(settings, pack, choice, workers=workers, batch_size=None)
    embedder = assemble.make_embedder(pack, chosen, choice, tuning=tuning, stopwatch=stopwatch)
    return embedder, dataclasses.replace(
        options, concurrency=tuning.workers, batch_size=tuning.images_per_run
    )


def service(
    ml_uri: str,
    known: "CacheSettings | None",
    detection: tuple[str | None, int | None, float | None],
    *,
    clip: str | None = None,
    stop: Stop,
) -> "MlService":
    """A machine-learning service, for the models of the flags, else the library's, else its usual ones."""
    from facesets.remote.ml_service import MlService, Models
    from facesets.remote.retry import pausing
    from facesets.remote.service_embedder import service_model

    name, _, least = detection
    base = Models()
    of_service = service_model(known) if known is not None else None
    if known is not None and of_service is not None and least is None:
        least = known.min_det_score
    models = Models(
        faces=name or of_service or base.faces,
        clip=clip or base.clip,
        min_det_score=base.min_det_score if least is None else least,
    )
    return MlService(ml_uri, models, pause=pausing(stop))
