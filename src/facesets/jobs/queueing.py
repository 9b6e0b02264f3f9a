"""Putting jobs into the queue, and taking them back: by the session that one has, without a worker."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from procrastinate import SyncPsycopgConnector, sql
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from facesets.errors import AlreadyRunning, Command, Field, NotFound, WrongUsage
from facesets.jobs.orders import Order
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.queue.job_list import JobLine, find_job
from facesets.store.postgres.queue.notes import failed_of, note_parts, parts_in
from facesets.store.postgres.queue.schema import look_into_queue

T = TypeVar("T")

_GOING = ("todo", "doing")


def put(database: Database, order: Order) -> int:
    """Queue a command; return the number of its job.

    Raises
    ------
    AlreadyRunning
        The same waits there already.
    """
    return _in_queue(database, lambda connection: _put(connection, [order]))[0]


def put_parts(database: Database, orders: Sequence[Order], part_of: int, totals: Sequence[int]) -> None:
    """Queue parts of a job, each with so many things to do; all or none."""

    def work(connection: Connection) -> None:
        note_parts(connection, _put(connection, orders), part_of, totals)

    _in_queue(database, work)


def cancel(database: Database, number: int) -> JobLine:
    """Let a job and its parts not be begun, or end cleanly at the next good moment.

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
            raise WrongUsage(f"Job {number} has ended: it is {job.state}.")
        return found(connection, number)

    return _in_queue(database, work)


def cancel_parts(database: Database, number: int) -> None:
    """Let parts of a job, which is cancelled, not be begun, or end cleanly."""
    _in_queue(database, lambda connection: _cancelled(connection, parts_in(connection, number, _GOING)))


def _cancelled(connection: Connection, jobs: Sequence[int]) -> list[bool]:
    """Cancel jobs; return of each whether it had not ended."""
    manager = JobManager(SyncPsycopgConnector())
    return [manager.cancel_job_by_id(each, abort=True, connection=connection) for each in jobs]


def cancel_waiting_parts(database: Database, number: int) -> None:
    """Let parts of a job not be begun that wait: it is about to queue them again."""

    def work(connection: Connection) -> None:
        manager = JobManager(SyncPsycopgConnector())
        for each in parts_in(connection, number, ("todo",)):
            manager.cancel_job_by_id(each, delete_job=True, connection=connection)

    _in_queue(database, work)


def retry(database: Database, number: int) -> JobLine:
    """Queue a failed job again, and those parts of it that failed.

    Raises
    ------
    NotFound
        There is no such job.
    WrongUsage
        It has not failed.
    AlreadyRunning
        The same waits in the queue.
    """

    def work(connection: Connection) -> JobLine:
        job = found(connection, number)
        failed = failed_of(connection, number)
        if not failed:
            raise WrongUsage(
                f"Job {number} has not failed: it is {job.state}. Queue its command again instead."
            )
        # Of one that was cancelled when it failed procrastinate keeps that, and would not queue it.
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
    """The job of a number. Raises `NotFound`."""
    job = find_job(connection, number)
    if job is None:
        raise NotFound(f"There is no job {number}. {Command('jobs')} lists what there is.")
    return job


def job_of(order: Order) -> Job:
    """A command as procrastinate takes it."""
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
    """Do something in a transaction in which procrastinate finds its tables."""

    def run(connection: Connection) -> T:
        look_into_queue(connection)
        with _plain_errors():
            return work(connection)

    return database.run(run)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What procrastinate says of the server, as the server says it; and of waiting jobs as a sentence."""
    try:
        yield
    except (AlreadyEnqueued, UniqueViolation) as error:
        raise AlreadyRunning(
            f"The same waits in the queue already. {Command('jobs')} shows it, and "
            f"{Command('worker', Field('until_empty'))} does it."
        ) from error
    except ConnectorException as error:
        raise error.__cause__ or error from None
