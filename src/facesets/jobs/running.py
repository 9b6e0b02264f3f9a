"""Run one job: by one worker at a time, with its result recorded."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from facesets.assembly.commands import VERBS
from facesets.errors import AlreadyRunning, FacesetsError, SourceGone, Unreachable
from facesets.jobs.hosts import Host
from facesets.jobs.indexing import Models, index_photos, index_targets
from facesets.jobs.queueing import JobWork, cancel_parts
from facesets.result import Result, plain
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import (
    PART_OF_INDEX,
    is_cancelled,
    lift_queueing_lock,
    note_end,
    note_progress,
    note_start,
)
from facesets.work import Stop

_log = logging.getLogger("facesets.jobs")

AGAIN_IN_S = 5.0
_PROGRESS_EVERY_S = 1.0
_UNREACHABLE_ATTEMPTS = 5
_SESSION_BACK_WITHIN_S = 120.0
_MAX_STORED_FAILURES = 100
_UNEXPECTED = "It failed with an unexpected error. See the output of the worker."


class GivenBack(Exception):
    """The worker should stop; the next one resumes the job."""


class HeldElsewhere(Exception):
    """Another worker, wrongly presumed dead, is processing the job."""


class TryAgain(BaseRetryStrategy):
    """Retries a job automatically if it was given back, or something was busy or unavailable."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Decide whether to retry now, later, or never."""
        if isinstance(exception, GivenBack):
            return RetryDecision(retry_at=datetime.now(UTC))
        # Listed photos return with their drive; until then no host takes the job.
        is_for_good = isinstance(exception, SourceGone) and job.task_name != PART_OF_INDEX
        is_away = isinstance(exception, Unreachable) and not is_for_good
        soon = datetime.now(UTC) + timedelta(seconds=AGAIN_IN_S)
        if isinstance(exception, HeldElsewhere | AlreadyRunning) or (
            is_away and job.attempts < _UNREACHABLE_ATTEMPTS
        ):
            return RetryDecision(retry_at=soon)
        return None


class JobStop(Stop):
    """A request to stop, from the worker or from cancelling the job."""

    def __init__(self, worker: Stop, is_cancelled: Callable[[], bool]) -> None:
        super().__init__()
        self._worker = worker
        self._is_cancelled = is_cancelled

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return super().requested or self._worker.requested or self._is_cancelled()


class JobProgress:
    """Progress of a job, to be stored. Safe to use from several threads."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Send lines for the user to a function."""
        self._say = say
        self._lock = threading.Lock()
        self._stage = ""
        self._done = 0
        self._total: int | None = None

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:  # noqa: ARG002
        """Open a stage."""
        with self._lock:
            self._stage, self._done, self._total = what, 0, total

    def advance(self, count: int = 1) -> None:
        """Count steps."""
        with self._lock:
            self._done += count

    def say(self, line: str) -> None:
        """Pass on a line."""
        self._say(line)

    def end(self) -> None:
        """Keep the last stage until the next one."""

    def now(self) -> tuple[str, int, int | None]:
        """Return the stage, steps done, and total steps."""
        with self._lock:
            return self._stage, self._done, self._total


@contextmanager
def reported(database: Database, job: int, progress: JobProgress) -> Iterator[None]:
    """Store the progress of a job during the block, from a separate thread."""
    over = threading.Event()

    def write() -> None:
        written = progress.now()
        while not over.wait(_PROGRESS_EVERY_S):
            if (now := progress.now()) == written:
                continue
            stage, done, total = now
            # If the server is briefly unavailable, the progress is stored the next time.
            with suppress(FacesetsError):
                database.run(partial(note_progress, job=job, stage=stage, done=done, total=total))
                written = now

    thread = threading.Thread(target=write, name=f"progress of job {job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Runner:
    """Shared state of a worker's jobs.

    Attributes
    ----------
    session : Database
        For records of jobs; each job also has its own session.
    claims : Claims
        Claims on jobs, held by that session: it is in constant use, so it is soon reopened if lost.
        The session of a job may be idle while the job computes.
    """

    host: Host
    session: Database
    models: Models
    stop: Stop
    claims: Claims

    def run(self, context: JobContext, /, **arguments: Any) -> None:  # noqa: ANN401 - as they were queued
        """Run a job received from procrastinate.

        Raises
        ------
        GivenBack, HeldElsewhere, JobAborted
            See these classes.
        FacesetsError
            An error of the command; its message is recorded.
        """
        try:
            self._run(context, arguments)
        except (GivenBack, HeldElsewhere, AlreadyRunning, Unreachable) as error:
            if context.should_abort():
                # It was cancelled and must not be retried.
                raise JobAborted from error
            raise

    def _run(self, context: JobContext, arguments: Mapping[str, Any]) -> None:
        number = context.job.id
        if number is None:
            raise ValueError("a job without a number")
        if context.job.queueing_lock is not None:
            # With the lock, the job could not wait again if an identical job was queued meanwhile.
            self.session.run(partial(lift_queueing_lock, job=number))
        with self._claimed(number), opened(self._begun(context.job, number)) as session:
            progress = JobProgress(lambda line: self.host.notices.remark(f"Job {number}: {line}"))
            stop = JobStop(self.stop, context.should_abort)
            work = JobWork(
                number=number,
                library=Library(session),
                paths=self.host.paths,
                settings=self.host.conf,
                llm=self.host.llm,
                notices=self.host.notices,
                options=arguments.get("options", {}),
                by=arguments.get("by", ""),
                progress=progress,
                stop=stop,
            )
            with reported(self.session, number, progress):
                summary = self._done(context.job, work)
            is_over = not (stop.requested and _is_cut(summary))
            self.session.run(partial(note_end, job=number, summary=_short_result(summary), is_over=is_over))
        if context.job.task_name == "index" and self.session.run(partial(is_cancelled, job=number)):
            # It may have queued further parts since, because it notices the cancelling with a delay.
            cancel_parts(self.session, number)
            raise JobAborted
        if not is_over:
            raise JobAborted if context.should_abort() else GivenBack

    @contextmanager
    def _claimed(self, number: int) -> Iterator[None]:
        if not self.claims.take([str(number)]):
            raise HeldElsewhere
        try:
            yield
        finally:
            self.claims.release([str(number)])

    def _begun(self, job: Job, number: int) -> Database:
        """Open a session for a job, and record its start."""
        self.session.run(partial(note_start, job=number, host=self.host.name))
        with self._failure_noted(job, number):
            return self.session.another(reconnect_within_s=_SESSION_BACK_WITHIN_S)

    def _done(self, job: Job, work: JobWork) -> Result:
        """Run the command and return its result; record failures."""
        notices, command = self.host.notices, job.task_name
        (notices.detail if command == PART_OF_INDEX else notices.remark)(f"Job {work.number}: {command}.")
        with self._failure_noted(job, work.number):
            if command == "index":
                return index_targets(work, self.models)
            if command == PART_OF_INDEX:
                return index_photos(work, self.models)
            return _of_table(command, work)

    @contextmanager
    def _failure_noted(self, job: Job, number: int) -> Iterator[None]:
        try:
            yield
        except FacesetsError as error:
            reason, notices = f"{error}", self.host.notices
            self.session.run(partial(note_end, job=number, summary=None, reason=reason))
            is_final = TryAgain().get_retry_decision(exception=error, job=job) is None
            (notices.notice if is_final else notices.detail)(f"Job {number}, {job.task_name}: {reason}")
            raise
        except Exception:
            _log.exception("job %s failed", number)
            self.session.run(partial(note_end, job=number, summary=None, reason=_UNEXPECTED))
            raise


def _of_table(command: str, work: JobWork) -> Result:
    """Run a command of the table with its queued options, and defaults for the rest."""
    verb = VERBS[command]
    given = {
        name: work.read(kind, name)
        for name, kind in verb.kinds().items()
        if name in work.options or is_dataclass(kind)
    }
    return verb.run(work, **given)


def _is_cut(summary: Result) -> bool:
    """Whether the work was cut short."""
    return bool(summary.get("stopped", False))


def _short_result(summary: Result) -> Mapping[str, Any]:
    """Return the result of a job to record, without long lists."""
    figures: dict[str, Any] = plain(summary)
    return {
        name: value[:_MAX_STORED_FAILURES] if isinstance(value, list) else value
        for name, value in figures.items()
    }
