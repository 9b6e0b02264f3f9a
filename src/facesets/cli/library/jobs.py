"""`facesets jobs` and `facesets worker`: the job queue."""

import platform
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets import settings
from facesets.cli import console, queueing
from facesets.cli.flags import typed_flags
from facesets.cli.params import DatabaseOption, MlUriOption, PackOption
from facesets.cli.wording import worded
from facesets.errors import CannotInfer, Command, Field, WrongUsage, require_extra
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.index import BatchingOptions
from facesets.operations.options.upkeep import WorkerOptions
from facesets.plurals import counted
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.inference.providers import ProviderChoice
    from facesets.records import CacheSettings
    from facesets.settings import Settings
    from facesets.store.postgres.connection import Database
    from facesets.store.postgres.queue.job_list import JobLine
    from facesets.work import Stop

_EVERY_S = 1.0
_PAUSES = 20
"""Pause between two queries, as a multiple of the first one's duration."""
_LONGEST_PAUSE_S = 15.0
_FILES_NAMED, _FILES_LISTED = 20, 1000
_CLEAR = "\x1b[2J\x1b[H"
_HEADINGS = ("id", "command", "host", "state", "progress", "started", "took", "result")


def jobs(
    action: Annotated[
        Literal["show", "cancel", "retry"] | None,
        typer.Argument(
            metavar="[show|cancel|retry]",
            help="show one job, cancel it, or retry a failed one.",
            show_default=False,
        ),
    ] = None,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="The job's number.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    watch: Annotated[bool, Option("Keep showing the list until all jobs are done.")] = False,
    limit: Annotated[int, Option("Maximum number of jobs, latest first.", least=1, most=10_000)] = 20,
) -> None:
    """List jobs; show, cancel or retry one.

    Commands with --queue become jobs, and `facesets worker` does them.
    """
    from facesets import settings
    from facesets.assembly.stores import open_queue

    require_extra("jobs")
    if (action is None) != (number is None):
        raise WrongUsage("Missing N. Usage: `facesets jobs show N`; `facesets jobs` lists the numbers.")
    with open_queue(database, settings.load(), console) as session:
        if action is None or number is None:
            _list(session, limit, watch=watch)
        elif action == "show":
            _show(session, number)
        else:
            _change(session, action, number)
    console.finish()


def _list(session: "Database", limit: int, *, watch: bool) -> None:
    from facesets.remote.retry import Stopped, pausing
    from facesets.store.postgres.queue.job_list import list_jobs

    def listed() -> "list[JobLine]":
        return [_worded(job) for job in session.run(list_jobs, limit=limit)]

    found = listed()
    shown, took_s = "", 0.0
    if watch:
        with console.stoppable() as stop:
            while not stop.requested and any(job.state in ("waiting", "running") for job in found):
                text = jobs_table(found)
                if text != shown and not console.session.json:
                    console.out((_CLEAR if console.terminal_width() else "") + text)
                    shown = text
                # However many jobs there are to count, this takes a small part of the database's time.
                with suppress(Stopped):
                    pausing(stop)(max(_EVERY_S, min(_PAUSES * took_s, _LONGEST_PAUSE_S)))
                began = time.monotonic()
                found = listed()
                took_s = time.monotonic() - began
    if console.session.json or jobs_table(found) != shown:
        console.show_list("jobs", found, jobs_table(found))


def jobs_table(found: "list[JobLine]") -> str:
    """Format jobs as a table."""
    if not found:
        return "There are no jobs. Queue one with `facesets index PHOTOS --queue`."
    rows = [
        (
            job.id,
            _command(job),
            printable(job.where) or "-",
            job.state,
            _progress(job),
            _when(job.started_at),
            _took(job),
            _result(job),
        )
        for job in found
    ]
    return table(_HEADINGS, rows, width=console.terminal_width())


def _command(job: "JobLine") -> str:
    """Return the command, with its step or tasks."""
    return " ".join((job.what, *job.options.get("tasks", ())))


def _progress(job: "JobLine") -> str:
    steps = f"{job.done}/{job.total}" if job.total is not None else (str(job.done) if job.done else "")
    stage = "" if job.parts.total else job.stage
    return f"{stage} {steps}".strip() or "-"


def _when(at: str | None) -> str:
    return "-" if at is None else f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"


def _took(job: "JobLine") -> str:
    from facesets.words.runs import in_words

    return "-" if job.took_s is None else in_words(job.took_s)


def _result(job: "JobLine") -> str:
    from facesets.words.runs import outcome

    if job.reason:
        return job.reason
    if job.waits:
        return job.waits
    if job.state not in ("done", "cancelled") and not job.parts.total:
        return ""
    command = "index" if job.what.startswith("index") else job.what
    return " ".join(outcome(command, job.result))


def _show(session: "Database", number: int) -> None:
    from facesets.jobs.queueing import found
    from facesets.store.postgres.queue.job_list import failed_files, reasons_of_parts

    job = _worded(session.run(found, number))
    reasons = session.run(reasons_of_parts, number)
    if files := session.run(failed_files, number, limit=_FILES_LISTED):
        job = replace(job, result={**job.result, "failures": files})
    rows = [
        ("command", _command(job)),
        ("state", job.state),
        ("host", printable(job.where) or "-"),
        ("progress", _progress(job)),
        ("queued", _when(job.queued_at)),
        ("started", _when(job.started_at)),
        ("ended", _when(job.ended_at)),
        ("took", _took(job)),
        ("result", _result(job) or "-"),
    ]
    lines = [f"{name:<10} {value}" for name, value in rows]
    if parts := job.parts.total:
        p = job.parts
        lines.append(
            f"{'parts':<10} {parts}: {p.waiting} waiting, {p.running} running, {p.done} done, "
            f"{p.failed} failed, {p.cancelled} cancelled"
        )
    lines += [
        f"{'':<10} {counted(count, 'part')} failed: {printable(worded(reason))}"
        for reason, count in reasons.items()
    ]
    lines += [
        f"{'':<10} {printable(file['path'])}: {printable(file['reason'])}" for file in files[:_FILES_NAMED]
    ]
    if len(files) > _FILES_NAMED:
        lines.append(f"{'':<10} … and more (--json lists {counted(len(files), 'file')})")
    console.show(job, lines, asked_for=True)


def _change(session: "Database", action: Literal["cancel", "retry"], number: int) -> None:
    from facesets.jobs.queueing import cancel, retry

    job = cancel(session, number) if action == "cancel" else retry(session, number)
    if action == "retry":
        line = f"Job {number} waits for a worker again."
    elif job.state == "running":
        line = f"Job {number} will stop after its current item."
    else:
        line = f"Job {number} is cancelled."
    advice = worded(f"{line} Check its state with {Command('jobs', 'show', str(number))}.")
    console.show(_worded(job), [advice])


def _worded(job: "JobLine") -> "JobLine":
    """Return a job with flags and commands in its reasons as they are typed."""
    return replace(job, reason=printable(worded(job.reason)), waits=printable(worded(job.waits)))


def worker(
    context: typer.Context,
    database: DatabaseOption = None,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    *,
    options: WorkerOptions,
    batching: BatchingOptions,
) -> None:
    """Do queued jobs, on any host that reaches the library.

    A worker takes the jobs that its host can do: folders that exist, models, optional parts. Ctrl-C or
    SIGTERM ends it after the current photo and releases the rest; another worker takes over the jobs of one
    that died.
    """
    from facesets.assembly.stores import few_connections, open_queue

    _refuse_idle(typed_flags(context), options)
    require_extra("jobs")
    from facesets.jobs.hosts import Host
    from facesets.jobs.indexing import Models
    from facesets.jobs.schedule import WorkerTiming, read_schedule
    from facesets.jobs.worker import FURTHER_CONNECTIONS, work_off
    from facesets.path_map import PathMap
    from facesets.store.postgres.library import Library

    conf = settings.load()
    schedule = read_schedule(conf.schedule)
    timing = WorkerTiming(options.heartbeat, until_empty=options.until_empty, schedule=schedule)
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
        work_off(session, host, models, timing, stop)
    if options.until_empty:
        console.finish()


def _refuse_idle(typed: Collection[str], options: WorkerOptions) -> None:
    """Refuse options that a worker would ignore or wait for forever. Raises `WrongUsage`."""
    if "pack" in typed and not options.gpu:
        raise WrongUsage(
            "--pack needs --gpu, which is tested with it. Jobs name their own packs: remove --pack."
        )
    if "ml_uri" in typed and options.gpu:
        raise WrongUsage("--gpu runs models here, --ml-uri elsewhere. Remove one of them.")
    unknown = [
        name
        for name in options.jobs
        if not any(f"{command} ".startswith(f"{name} ") for command in queueing.commands())
        and name not in ("cluster --dual", "index photos")
    ]
    if unknown:
        raise WrongUsage(
            f"--jobs {printable(unknown[0])} is not a command of the job queue. Choose from: "
            f"{', '.join(queueing.commands())}."
        )


_GPU_TRIED_S = 120.0
"""Maximum duration of a test of the GPU: a driver that compiles its programs first takes a minute."""


def _gpu(conf: "Settings", pack: str | None, known: "CacheSettings | None", stop: "Stop") -> str:
    """Return the name of this host's GPU after testing it with a pack, by default the library's.

    Raises `CannotInfer` if none works, or none in time.
    """
    from facesets.assembly.models import detection_options
    from facesets.assembly.packs import get_pack
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
        found.append(choose_provider("auto", models.recognizer))
        return found[0].name

    provider = tried_once(choose, stop, ends_within_s=_GPU_TRIED_S)
    if provider in (None, "cpu") and not stop.requested:
        why = found[0].sentence() if found else f"the test did not finish in {_GPU_TRIED_S:.0f} seconds."
        raise CannotInfer(f"No working GPU found: {why} Remove {Field('gpu')}, or run {Command('doctor')}.")
    return provider or "cpu"
