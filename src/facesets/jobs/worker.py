"""The worker: does jobs that this host can do, one at a time, also those of dead workers.

A worker is known to run by its heartbeats in the database, which procrastinate records, and by its claims,
which the server drops at once when the worker dies. A job is requeued if its worker gave no heartbeat for a
while and holds no claim on it. It is also requeued if no worker has been processing it for long: then its
worker is alive, but could not record the result.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from procrastinate.worker import Worker

from facesets.assembly.commands import VERBS
from facesets.errors import CannotWrite, FacesetsError
from facesets.jobs.hosts import Choice, Host, announced
from facesets.jobs.indexing import Models
from facesets.jobs.queueing import Order, cancel_parts, job_of
from facesets.jobs.running import AGAIN_IN_S, Runner, TryAgain
from facesets.jobs.schedule import WorkerTiming, due
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database, ServerError, now
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import (
    FREE_SOME,
    JOB_CLAIM,
    PART_OF_INDEX,
    WORKER_CLAIM,
    WaitForRoom,
    bring_forward,
    forget_takers,
    is_cancelled,
    is_disk_full,
    left_alone,
    lift_queueing_lock,
    not_at_hand,
    note_death,
    note_end,
    queues_with_work,
)
from facesets.store.postgres.queue.schema import queue_conninfo
from facesets.work import Stop

_LOOK_EVERY_S = 1.0
_SIGNS_MISSED = 3
_MAX_DEATHS = 5
_DIED = (
    "The worker died {} times in a row at the same point of this job. The host may lack memory, or a "
    "photo may crash it."
)
_RETENTION_HOURS = 14 * 24
_TIDIED_EVERY_S = 3600.0
_MAX_PUT_OFF_S = 2 * AGAIN_IN_S
"""No job is postponed longer, except by a host with a fast clock."""
_LATE = timedelta(minutes=10)
"""A new worker still queues scheduled tasks that are late by up to this."""
_KNOWN = (*VERBS, PART_OF_INDEX)
_CONNECTIONS = 2
FURTHER_CONNECTIONS = _CONNECTIONS + 1
"""Connections of a worker beside its session, with that of the current job."""


def work_off(session: Database, host: Host, models: Models, timing: WorkerTiming, stop: Stop) -> None:
    """Do jobs until a stop is requested, or until there are none.

    Raises
    ------
    Unreachable
        The database became unavailable and did not come back.
    """
    for name in ("procrastinate", "psycopg.pool", "asyncio"):
        # Failures are recorded with the job, and the worker waits for the end of outages.
        logging.getLogger(name).addHandler(logging.NullHandler())
    for line in announced(host, Library(session)):
        host.notices.remark(line)
    runner = Runner(host, session, models, stop, Claims(session, JOB_CLAIM))
    worker = _Worker(session, host, runner, timing, stop)
    # On Windows asyncio has another loop by default, which psycopg cannot use.
    with (
        _present(session, worker.name),
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as loop,
    ):
        loop.run(worker.run())


@contextmanager
def _present(session: Database, name: str) -> Iterator[None]:
    """Publish that a worker runs, and withdraw it at once at its end."""
    claims = Claims(session, WORKER_CLAIM)
    claims.take([name])
    try:
        yield
    finally:
        # If the server is unavailable, the claim has ended, too.
        with suppress(FacesetsError, ServerError):
            claims.release([name])


class _Worker:
    def __init__(
        self, session: Database, host: Host, runner: Runner, timing: WorkerTiming, stop: Stop
    ) -> None:
        self._session = session
        self._host = host
        self._timing = timing
        self._stop = stop
        self._queues: list[str] = []
        self._choice = Choice(host, Library(session), _KNOWN)
        self.name = self._choice.worker
        self._sweeping = Claims(session, "sweep")
        self._app = _app(session, runner)
        self._scheduled_until = datetime.now(UTC) - _LATE
        self._tidied_at = time.monotonic()
        self._alone: set[int] = set()
        self._is_swept = False
        self._for_room = WaitForRoom(session)

    async def run(self) -> None:
        """Work, and restart after database outages."""
        while not self._stop.requested:
            try:
                async with self._app.open_async():
                    await self._tidy()
                    await self._while_open()
            except (ConnectorException, ServerError, CannotWrite) as error:
                await asyncio.to_thread(self._session.run, now)
                await self._warn_if_full(error)
                await asyncio.sleep(_LOOK_EVERY_S)
            else:
                return

    async def _warn_if_full(self, error: Exception) -> None:
        """Report once that the worker waits for disk space. Raises other errors."""
        if is_disk_full(error):
            if await asyncio.to_thread(self._for_room.begin):
                self._host.notices.notice(f"The disk of {self._session.label} is full. {FREE_SOME}")
        elif isinstance(error, CannotWrite):
            raise error

    async def _while_open(self) -> None:
        before: list[str] = []
        while not self._stop.requested:
            await self._queue_due_tasks()
            await self._look()
            if self._timing.until_empty and not (self._queues or self._choice.is_open):
                if not await self._find_left_behind():
                    return
                continue
            if self._choice.is_open or (self._queues and self._queues == before):
                # Remaining jobs wait for a job of another worker, or for a service that is being checked.
                await asyncio.sleep(_LOOK_EVERY_S)
            before = list(self._queues)
            await self._take()

    async def _find_left_behind(self) -> bool:
        """Requeue abandoned jobs; return whether there may be more.

        A worker from a crontab may be the only one that ever comes after one that died.
        """
        if not self._is_swept:
            self._is_swept = True
            await self._sweep()
            return True
        if not await asyncio.to_thread(self._session.run, partial(left_alone, after_s=0.0)):
            return False
        began = time.monotonic()
        while not self._stop.requested and time.monotonic() - began < self._timing.heartbeat_s:
            await asyncio.sleep(min(_LOOK_EVERY_S / 5, self._timing.heartbeat_s))
        await self._sweep()
        return True

    async def _take(self) -> None:
        """Run procrastinate until it ends or should stop."""
        heartbeat_s = self._timing.heartbeat_s
        taker = Worker(
            self._app,
            queues=self._queues,
            name=self._host.name,
            wait=not self._timing.until_empty,
            fetch_job_polling_interval=_LOOK_EVERY_S,
            abort_job_polling_interval=_LOOK_EVERY_S,
            listen_notify=False,
            install_signal_handlers=False,
            update_heartbeat_interval=heartbeat_s,
            stalled_worker_timeout=_SIGNS_MISSED * heartbeat_s,
        )
        taking = asyncio.create_task(taker.run())  # type: ignore[no-untyped-call]
        ending = asyncio.create_task(self._end_when_asked(taking))
        looking = asyncio.create_task(self._look_again_and_again(taker))
        try:
            await asyncio.wait((taking, looking), return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                # The database is permanently unavailable; the current job notices that, too.
                taking.cancel()
                await looking
            with suppress(asyncio.CancelledError):
                await taking
        finally:
            for each in (taking, ending, looking):
                each.cancel()
            await asyncio.gather(taking, ending, looking, return_exceptions=True)

    async def _end_when_asked(self, taking: asyncio.Task[None]) -> None:
        while not self._stop.requested:
            await asyncio.sleep(_LOOK_EVERY_S / 5)
        taking.cancel()

    async def _look_again_and_again(self, taker: Worker) -> None:
        swept_s = 0.0
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            swept_s += _LOOK_EVERY_S
            await self._look()
            # If the server is briefly unavailable, try the next time.
            try:
                await self._queue_due_tasks()
                if swept_s >= self._timing.heartbeat_s:
                    swept_s = 0.0
                    await self._give_sign_of_life(taker)
                    await self._sweep()
            except (ConnectorException, ServerError, CannotWrite) as error:
                await self._warn_if_full(error)

    async def _give_sign_of_life(self, taker: Worker) -> None:
        """Send heartbeats, since procrastinate stops sending them after an outage."""
        if taker.worker_id is not None:
            await self._app.job_manager.update_heartbeat(taker.worker_id)
            await asyncio.to_thread(self._for_room.end)

    async def _look(self) -> None:
        """Find jobs that this host can do."""
        waiting = await asyncio.to_thread(self._session.run, queues_with_work)
        # Change the list in place, because procrastinate holds it.
        self._queues[:] = await asyncio.to_thread(self._choice.of, waiting, time.monotonic())

    async def _queue_due_tasks(self) -> None:
        """Queue scheduled tasks that are due."""
        now = datetime.now(UTC)
        for tasks, moment in due(self._timing.schedule, self._scheduled_until, now).items():
            at = int(moment.timestamp())
            job = job_of(Order("maintain", {"tasks": [tasks]}, by="schedule"))
            job = job.evolve(task_kwargs={**job.task_kwargs, "timestamp": at})
            # An identical job that still waits will do it.
            with suppress(AlreadyEnqueued):
                await self._app.job_manager.defer_periodic_job(job, periodic_id=tasks, defer_timestamp=at)
        self._scheduled_until = max(now, self._scheduled_until)

    async def _tidy(self) -> None:
        """Delete old finished jobs."""
        await self._app.job_manager.delete_old_jobs(
            _RETENTION_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )
        await asyncio.to_thread(self._session.run, forget_takers)
        self._tidied_at = time.monotonic()

    async def _sweep(self) -> None:
        """Requeue jobs of dead workers and tidy up; one worker at a time does so."""
        if not await asyncio.to_thread(self._sweeping.take, ["sweep"]):
            return
        manager = self._app.job_manager
        try:
            if time.monotonic() - self._tidied_at >= _TIDIED_EVERY_S:
                await self._tidy()
            await asyncio.to_thread(self._session.run, partial(bring_forward, most_s=_MAX_PUT_OFF_S))
            silent_s = _SIGNS_MISSED * self._timing.heartbeat_s
            stalled = await manager.get_stalled_jobs(seconds_since_heartbeat=silent_s)
            alone = await asyncio.to_thread(self._session.run, partial(left_alone, after_s=silent_s))
            silent = [each.id for each in stalled if each.id is not None]
            # A worker that processes a job is alive, even if it cannot send heartbeats.
            dead = await asyncio.to_thread(self._session.run, partial(not_at_hand, jobs=silent))
            # A worker that just ended a job still records it: only jobs open until the next sweep count.
            for job in dead | (alone & self._alone):
                await self._requeue(job)
            self._alone = alone
        finally:
            await asyncio.to_thread(self._sweeping.release, ["sweep"])

    async def _requeue(self, job: int) -> None:
        """Requeue a job of a dead worker, unless it is cancelled or keeps killing workers."""
        manager = self._app.job_manager
        if await asyncio.to_thread(self._session.run, partial(is_cancelled, job=job)):
            await asyncio.to_thread(cancel_parts, self._session, job)
            await manager.finish_job_by_id_async(job, Status.ABORTED, delete_job=False)
            return
        deaths = await asyncio.to_thread(self._session.run, partial(note_death, job=job))
        if deaths <= _MAX_DEATHS:
            await asyncio.to_thread(self._session.run, partial(lift_queueing_lock, job=job))
            # Due by the server's clock, because a worker with --until-empty does not wait for its own clock.
            await manager.retry_job_by_id_async(job, await asyncio.to_thread(self._session.run, now))
            return
        reason = _DIED.format(deaths)
        await asyncio.to_thread(self._session.run, partial(note_end, job=job, summary=None, reason=reason))
        await manager.finish_job_by_id_async(job, Status.FAILED, delete_job=False)


def _app(session: Database, runner: Runner) -> App:
    """Make the procrastinate app of a library, with a task for each command."""
    app = App(
        connector=PsycopgConnector(
            conninfo=queue_conninfo(session),
            min_size=1,
            max_size=_CONNECTIONS,
            kwargs={"application_name": "facesets"},
        )
    )
    for command in _KNOWN:
        app.task(name=command, pass_context=True, retry=TryAgain())(runner.run)
    return app
