"""`facesets worker`."""

import platform
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import typer

from facesets.cli import console, queueing
from facesets.cli.params import DatabaseOption, MlUriOption, PackOption
from facesets.cli.thresholds import typed_flags
from facesets.errors import WrongUsage, require_extra
from facesets.files import printable
from facesets.operations.options.index import BatchingOptions
from facesets.operations.options.upkeep import WorkerOptions

if TYPE_CHECKING:
    from facesets.inference.providers import ProviderChoice
    from facesets.records import CacheSettings
    from facesets.settings import Settings
    from facesets.stop import Stop


def worker(
    context: typer.Context,
    database: DatabaseOption = None,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    *,
    options: WorkerOptions,
    batching: BatchingOptions,
) -> None:
    """Do what commands with --queue put into the queue, on any host that reaches the library's database.

    A worker takes what its host can do: folders that are there, models, optional parts. Ctrl-C or SIGTERM
    ends it after the photo at hand, and gives the rest back; what a worker that died was at goes to another.
    """
    from facesets import settings
    from facesets.assembly.queue import open_queue
    from facesets.assembly.sessions import few_connections

    _refuse_idle(typed_flags(context), options)
    require_extra("jobs")
    from facesets.jobs.hosts import Host
    from facesets.jobs.indexing import Models
    from facesets.jobs.schedule import read_schedule
    from facesets.jobs.worker import FURTHER_CONNECTIONS, Rhythm, work_off
    from facesets.path_map import PathMap
    from facesets.store.postgres.library import Library

    conf = settings.load()
    schedule = read_schedule(conf.schedule)
    rhythm = Rhythm(options.heartbeat, until_empty=options.until_empty, schedule=schedule)
    with console.stoppable() as stop, open_queue(database, conf, console) as session:
        provider = _gpu(conf, pack, Library(session).settings, stop) if options.gpu else "auto"
        host = Host(
            name=platform.node(),
            conf=conf,
            llm=settings.load_llm(),
            notices=console,
            commands=options.jobs,
            paths=PathMap.of(conf.worker_paths),
            ml_uri=ml_uri,
            gpu=provider if options.gpu else "",
        )
        if room := few_connections(session, FURTHER_CONNECTIONS):
            console.notice(room)
        models = Models(
            host, session, stop, concurrency=options.concurrency, provider=provider, batching=batching
        )
        work_off(session, host, models, rhythm, stop)
    if options.until_empty:
        console.finish()


def _refuse_idle(typed: Collection[str], options: WorkerOptions) -> None:
    """Refuse what a worker would not obey, or would wait for without end. Raises `WrongUsage`."""
    if "pack" in typed and not options.gpu:
        raise WrongUsage("--pack is for --gpu, which is tried with it. Jobs name their own: leave it out.")
    if "ml_uri" in typed and options.gpu:
        raise WrongUsage("With --gpu models run here, with --ml-uri elsewhere. Leave out one of them.")
    unknown = [
        name
        for name in options.jobs
        if not any(f"{command} ".startswith(f"{name} ") for command in queueing.commands())
        and name not in ("cluster --dual", "index photos")
    ]
    if unknown:
        raise WrongUsage(
            f"--jobs {printable(unknown[0])}: no such command goes into the queue. There are "
            f"{', '.join(queueing.commands())}."
        )


_GPU_TRIED_S = 120.0
"""A driver that has to make its programs first takes a minute; one that hangs, for ever."""


def _gpu(conf: "Settings", pack: str | None, known: "CacheSettings | None", stop: "Stop") -> str:
    """What the GPU of this host is called, tried with a pack, by default that of the library.

    Raises `CannotInfer` where none works, or none does so in time.
    """
    from facesets.assembly.models import detection_options
    from facesets.assembly.packs import get_pack
    from facesets.errors import CannotInfer, Command, Field
    from facesets.inference.providers import choose_provider
    from facesets.jobs.trials import tried_once
    from facesets.remote.service_embedder import service_model
    from facesets.work import Work

    own = None if pack or known is None or service_model(known) else known
    name = detection_options(own, pack, None, None, conf).pack
    find = partial(get_pack, known=own, fetch=False, is_named=bool(pack))
    models = find(name, conf, console, Work(stop=stop))
    found: list[ProviderChoice] = []

    def choose() -> str:
        found.append(choose_provider("auto", models.recogniser))
        return found[0].name

    provider = tried_once(choose, stop, ends_within_s=_GPU_TRIED_S)
    if provider in (None, "cpu") and not stop.requested:
        why = found[0].sentence() if found else f"trying it has not ended in {_GPU_TRIED_S:.0f} seconds."
        raise CannotInfer(f"No GPU works here: {why} Leave out {Field('gpu')}, or see {Command('doctor')}.")
    return provider or "cpu"
