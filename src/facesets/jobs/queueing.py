"""Queue commands for workers, with their options.

The current session queues and cancels them; no worker is needed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from procrastinate import SyncPsycopgConnector, sql
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from facesets.assembly.commands import VERBS, Needs
from facesets.assembly.stores import LibraryWork
from facesets.errors import AlreadyRunning, Command, Field, NotFound, WrongUsage
from facesets.files import printable
from facesets.path_map import PathMap
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.queue.job_list import JobLine, find_job
from facesets.store.postgres.queue.notes import PART_OF_INDEX, failed_of, note_parts, parts_in
from facesets.store.postgres.queue.schema import look_into_queue

T = TypeVar("T")

_GOING = ("todo", "doing")


@dataclass(frozen=True, slots=True)
class Order:
    """A command to queue.

    Attributes
    ----------
    options : mapping
        The arguments of its operation, as JSON values. Never anything secret.
    by : str
        Who queued it, for the log of changes.
    """

    command: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)
    by: str = ""

    @property
    def queue(self) -> str:
        """The queue of all jobs of this command with the same needs."""
        text = json.dumps(stored_needs(self.needs), sort_keys=True)
        return f"{self.command}/{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    @property
    def lock(self) -> str | None:
        """Jobs with the same lock run one after another."""
        if self.command in VERBS and VERBS[self.command].changes_people:
            return "people"
        return None if self.command in ("index", PART_OF_INDEX) else self.command

    @property
    def queueing_lock(self) -> str | None:
        """Only one job with the same lock waits at a time."""
        if self.command in ("index", PART_OF_INDEX):
            return None
        if self.command == "maintain":
            return f"maintain {' '.join(self.options.get('tasks', ()))}"
        return "cluster" if self.command == "cluster --dual" else self.command

    def arguments(self) -> dict[str, Any]:
        """The arguments that procrastinate stores."""
        return {"options": dict(self.options), "needs": stored_needs(self.needs), "by": self.by}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWork(LibraryWork):
    """A job at hand.

    Attributes
    ----------
    paths : PathMap
        The library's folders on this host.
    options : mapping
        The arguments of its command, as queued.
    """

    number: int
    paths: PathMap
    options: Mapping[str, Any]

    def read(self, kind: type[T], name: str = "options") -> T:
        """Read an argument of the command as a kind."""
        return read(self.options.get(name, {}), kind)


def stored_needs(needs: Needs) -> dict[str, Any]:
    """Return needs as stored with a job."""
    stored: dict[str, Any] = msgspec.to_builtins(needs)
    return {**stored, "folders": [to_text(folder) for folder in needs.folders]}


def read_needs(stored: Mapping[str, Any]) -> Needs:
    """Read stored needs, ignoring unknown ones of newer versions."""
    needs = msgspec.convert(dict(stored), Needs)
    return replace(needs, folders=tuple(map(from_text, needs.folders)))


def as_json(options: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return options as JSON values."""
    return json.loads(msgspec.json.encode(options, enc_hook=_as_text))


def read(stored: object, kind: type[T]) -> T:
    """Read options from the output of `as_json`.

    Raises
    ------
    WrongUsage
        Another version of the program made them; or the options themselves raise it.
    """
    try:
        return msgspec.convert(stored, kind, strict=False, dec_hook=_of_text)
    except msgspec.ValidationError as error:
        raise WrongUsage(
            f"This job was queued by another version of facesets ({printable(str(error))}). Install "
            "the same version on all hosts, then queue the command again."
        ) from error


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return to_text(str(value.absolute()))
    raise NotImplementedError(type(value))


def _of_text(kind: type, value: object) -> object:
    if issubclass(kind, Path):
        return kind(from_text(str(value)))
    raise NotImplementedError(kind)


def put(database: Database, order: Order) -> int:
    """Queue a command; return its job number.

    Raises
    ------
    AlreadyRunning
        An identical job is waiting already.
    """
    return _in_queue(database, lambda connection: _put(connection, [order]))[0]


def put_parts(database: Database, orders: Sequence[Order], part_of: int, totals: Sequence[int]) -> None:
    """Queue parts of a job with their numbers of items; all or none."""

    def work(connection: Connection) -> None:
        note_parts(connection, _put(connection, orders), part_of, totals)

    _in_queue(database, work)


def cancel(database: Database, number: int) -> JobLine:
    """Cancel a job and its parts; running ones stop at the next safe point.

    Raises
    ------
    NotFound
        There is no such job.
    WrongUsage
        It has ended.
    """

    def work(connection: Connection) -> JobLine:
        job = found(connection, number)
        if not any(_cancelled(connection, [number, *parts_in(connection, number, _GOING)])):
            raise WrongUsage(f"Job {number} has already ended ({job.state}).")
        return found(connection, number)

    return _in_queue(database, work)


def cancel_parts(database: Database, number: int) -> None:
    """Cancel the parts of a cancelled job."""
    _in_queue(database, lambda connection: _cancelled(connection, parts_in(connection, number, _GOING)))


def _cancelled(connection: Connection, jobs: Sequence[int]) -> list[bool]:
    """Cancel jobs; return for each whether it was still open."""
    manager = JobManager(SyncPsycopgConnector())
    return [manager.cancel_job_by_id(each, abort=True, connection=connection) for each in jobs]


def cancel_waiting_parts(database: Database, number: int) -> None:
    """Cancel the waiting parts of a job that will queue them again."""

    def work(connection: Connection) -> None:
        manager = JobManager(SyncPsycopgConnector())
        for each in parts_in(connection, number, ("todo",)):
            manager.cancel_job_by_id(each, delete_job=True, connection=connection)

    _in_queue(database, work)


def retry(database: Database, number: int) -> JobLine:
    """Queue a failed job again, with its failed parts.

    Raises
    ------
    NotFound
        There is no such job.
    WrongUsage
        It has not failed.
    AlreadyRunning
        An identical job is waiting already.
    """

    def work(connection: Connection) -> JobLine:
        job = found(connection, number)
        failed = failed_of(connection, number)
        if not failed:
            raise WrongUsage(
                f"Job {number} has not failed (it is {job.state}). Queue its command again instead."
            )
        # If the job was cancelled when it failed, procrastinate remembers that and would not queue it.
        connection.execute(
            "UPDATE procrastinate_jobs SET abort_requested = false WHERE id = ANY(%s)", (failed,)
        )
        connector = SyncPsycopgConnector()
        for each in failed:
            connector.execute_query_all_with_connection(
                connection,
                query=sql.queries["retry_job"],
                job_id=each,
                retry_at=datetime.now(UTC),
                new_priority=None,
                new_queue_name=None,
                new_lock=None,
            )
        return found(connection, number)

    return _in_queue(database, work)


def found(connection: Connection, number: int) -> JobLine:
    """Find a job by number. Raises `NotFound`."""
    job = find_job(connection, number)
    if job is None:
        raise NotFound(f"Job {number} not found. List the jobs with {Command('jobs')}.")
    return job


def job_of(order: Order) -> Job:
    """Return a command for procrastinate."""
    return Job(
        queue=order.queue,
        lock=order.lock,
        queueing_lock=order.queueing_lock,
        task_name=order.command,
        task_kwargs=order.arguments(),
    )


def _put(connection: Connection, orders: Sequence[Order]) -> list[int]:
    jobs = [job_of(order) for order in orders]
    deferred = JobManager(SyncPsycopgConnector()).batch_defer_jobs(jobs, connection=connection)
    return [job.id for job in deferred if job.id is not None]


def _in_queue(database: Database, work: Callable[[Connection], T]) -> T:
    """Run work in a transaction in which procrastinate finds its tables."""

    def run(connection: Connection) -> T:
        look_into_queue(connection)
        with _plain_errors():
            return work(connection)

    return database.run(run)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Translate errors of procrastinate."""
    try:
        yield
    except (AlreadyEnqueued, UniqueViolation) as error:
        raise AlreadyRunning(
            f"The same job is already waiting. Show it with {Command('jobs')}, or run it with "
            f"{Command('worker', Field('until_empty'))}."
        ) from error
    except ConnectorException as error:
        raise error.__cause__ or error from None
