"""Jobs that are cut short, by the end or death of their worker or by who cancels them; and why one failed."""

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from threading import Event
from time import sleep, time
from typing import Any

import pytest
from procrastinate import RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager

from facesets.assembly.commands import VERBS, Verb
from facesets.errors import Field, Unreachable, WrongUsage
from facesets.jobs import indexing
from facesets.jobs.indexing import Models
from facesets.jobs.queueing import JobWork, Order, cancel, put, put_parts, retry
from facesets.jobs.running import TryAgain
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.store.postgres.claims import Claims, RunLock
from facesets.store.postgres.connection import Connection, Database, now, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import count_jobs, list_jobs
from facesets.store.postgres.queue.notes import JOB_CLAIM, PART_OF_INDEX, left_alone, queues_with_work
from facesets.store.postgres.queue.schema import look_into_queue
from facesets.work import SilentProgress, Stop
from tests.fixtures.forked import ForkedRun, forked
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.notices import Heard, KeptNotices
from tests.fixtures.program import run
from tests.fixtures.queued import (
    HEARTBEAT_S,
    Worker,
    changed,
    host,
    make_pictures,
    photos_of,
    queue_index,
    stored,
    the_job,
    with_queue,
    work,
)
from tests.fixtures.waiting import PATIENCE_S, wait_for

pytestmark = pytest.mark.usefixtures("few_tags")


@pytest.fixture
def clustering(queue: Database) -> int:
    """A job that waits."""
    add_person(Library(queue), "anna", 3)
    return put(queue, Order("cluster"))


def test_upkeep_that_a_worker_did_not_finish_is_finished_by_the_next(queue: Database) -> None:
    add_person(Library(queue), "anna", 3)
    put(queue, Order("maintain", {"tasks": ["daily"]}))
    stop = Stop()
    Worker(queue, host(Heard(stop.request)), stop).work_off(until_empty=False)
    assert the_job(queue).state == "waiting"
    work(queue)
    job = the_job(queue)
    assert job.state == "done"
    assert [each["task"] for each in job.result["tasks"]][:2] == ["centroids", "empty"]


def test_jobs_queued_by_a_cancelled_index_are_cancelled_too(
    queue: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled_then_put(session: Database, *notices: Any) -> None:
        cancel(queue, number)
        put_parts(session, *notices)

    monkeypatch.setattr(indexing, "put_parts", cancelled_then_put)
    with ml_service() as service:
        number = queue_index(queue, make_pictures(tmp_path / "photos", 6), "--ml-uri", service.url)
        work(queue, service.url)
    job = the_job(queue)
    assert (job.state, job.parts.waiting, job.parts.done) == ("cancelled", 0, 0)
    assert stored(queue) == []


def test_a_cancelled_job_of_a_dead_worker_is_cancelled_not_failed(queue: Database) -> None:
    number = put(queue, Order("cluster"))
    changed(queue, TAKEN)
    cancel(queue, number)
    assert the_job(queue).state == "running"
    Worker(queue).until(lambda: the_job(queue).state != "running")
    assert the_job(queue).state == "cancelled"


def test_a_job_that_was_cancelled_when_it_failed_can_be_done_again(queue: Database) -> None:
    number = put(queue, Order("cluster"))
    # As procrastinate leaves a job that was cancelled in the moment in which it was given back.
    changed(queue, "UPDATE procrastinate_jobs SET status = 'failed', abort_requested = true")
    assert retry(queue, number).state == "waiting"


def test_photos_of_a_drive_that_goes_away_are_done_when_it_is_back(
    queue: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.jobs.running.AGAIN_IN_S", 0.1)
    monkeypatch.setattr("facesets.jobs.hosts._ASKED_AGAIN_AFTER_S", 0.0)
    photos = make_pictures(tmp_path / "photos", 3)

    def unmount() -> None:
        if the_job(queue).parts.total and photos.exists():
            photos.rename(tmp_path / "away")

    with ml_service() as service:
        queue_index(queue, photos, "--ml-uri", service.url)
        Worker(queue, host(Heard(unmount))).work_off()
        assert (the_job(queue).parts.waiting, the_job(queue).done) == (1, 0)
        (tmp_path / "away").rename(photos)
        wait_for(lambda: bool(queue.run(queues_with_work)))
        work(queue)
    assert the_job(queue).state == "done"
    assert len(stored(queue)) == 3


@pytest.mark.parametrize("is_service", [False, True])
def test_only_a_service_is_connected_to_again_where_something_was_unavailable(
    queue: Database, is_service: bool
) -> None:
    loaded: list[object] = []

    class Counted(Models):
        def _load(self, asked: dict[str, Any], options: IndexOptions) -> Any:
            loaded.append(asked)
            return SilentProgress(), options, []

    asked: dict[str, Any] = {"ml_uri": "http://127.0.0.1:9"} if is_service else {"pack": "buffalo_l"}
    models, options = Counted(host(), queue, Stop(), concurrency=1, provider="cpu"), IndexOptions()
    for _ in range(2):
        models.of(asked, options)
        models.forget(asked, options)
    assert len(loaded) == (2 if is_service else 1)


def test_a_job_without_a_free_session_on_the_server_reports_that(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Database, **_within: float) -> Database:
        raise Unreachable("All connections are in use.")

    monkeypatch.setattr(Database, "another", full)
    monkeypatch.setattr("facesets.jobs.running._UNREACHABLE_ATTEMPTS", 0)
    put(queue, Order("cluster"))
    work(queue)
    job = the_job(queue)
    assert (job.state, job.where, job.reason) == ("failed", "here", "All connections are in use.")


def test_a_listing_that_failed_is_done_again_with_its_parts(queue: Database) -> None:
    number = put(queue, Order("index"))
    put_parts(queue, [Order(PART_OF_INDEX)], number, [1])
    changed(queue, "UPDATE procrastinate_jobs SET status = 'failed'")
    retry(queue, number)
    assert {str(state): count for state, count in queue.run(count_jobs).items()} == {"waiting": 2}


@pytest.mark.parametrize("at_last_moment", [False, True])
def test_a_job_that_was_busy_while_the_same_was_queued_is_done_all_the_same(
    queue: Database, clustering: int, monkeypatch: pytest.MonkeyPatch, at_last_moment: bool
) -> None:
    monkeypatch.setattr("facesets.jobs.running.AGAIN_IN_S", 0.1)
    queued: list[int] = []

    def queue_again() -> None:
        if not queued:
            queued.append(put(queue, Order("cluster")))

    class QueuedAgain(TryAgain):
        """Queues the same between the end of a job and its being queued again."""

        def get_retry_decision(self, **of_job: Any) -> RetryDecision | None:
            queue_again()
            return super().get_retry_decision(**of_job)

    if at_last_moment:
        monkeypatch.setattr("facesets.jobs.worker.TryAgain", QueuedAgain)
    worker = Worker(queue, host(KeptNotices() if at_last_moment else Heard(queue_again)))
    with opened(Database(queue.conninfo)) as other, RunLock(other, "cluster"):
        worker.until(lambda: the_job(queue, clustering).state == "waiting" and bool(queued))
    # The first was busy, and waits for a moment before it is tried again.
    wait_for(lambda: bool(queue.run(queues_with_work)))
    work(queue)
    assert [the_job(queue, each).state for each in (clustering, *queued)] == ["done", "done"]


def test_a_job_of_a_dead_worker_is_done_even_if_the_same_was_queued_meanwhile(
    queue: Database, clustering: int
) -> None:
    changed(queue, TAKEN)
    second = put(queue, Order("cluster"))
    Worker(queue).until(lambda: the_job(queue, second).state == "done")
    assert the_job(queue, clustering).state == "done"


@pytest.mark.usefixtures("clustering")
def test_a_job_without_a_recorded_result_is_done_again_even_if_its_worker_lives(queue: Database) -> None:
    changed(queue, *taken_by_living_worker("1 day"))
    Worker(queue).until(lambda: the_job(queue).state == "done")


@dataclass
class Computing:
    """The computation of a job, until it may end."""

    begun: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)

    def __call__(self, work: JobWork) -> Result:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        return Result(at=str(work.session.run(now)))


@pytest.fixture
def computing(monkeypatch: pytest.MonkeyPatch) -> Computing:
    """Make `train` run this computation."""
    found = Computing()
    monkeypatch.setitem(VERBS, "train", Verb(found))
    return found


def test_a_job_that_computes_while_the_server_drops_all_sessions_stays_with_its_worker(
    queue: Database, library_url: str, computing: Computing
) -> None:
    put(queue, Order("train"))
    with opened(Database(library_url)) as other:
        with Worker(queue).beside():
            assert computing.begun.wait(PATIENCE_S)
            other.run(drop_other_sessions)
            # As the worker does each second.
            queue.run(now)
            assert other.run(lambda connection: left_alone(connection, 0.0)) == set()
            computing.go_on.set()
        assert the_job(other).state == "done"


def test_a_worker_without_heartbeats_keeps_its_current_job(
    queue: Database, library_url: str, computing: Computing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_manager: JobManager, _worker_id: int) -> None:
        # As a server does that is away for that moment; procrastinate ends its task then without notice.
        raise ConnectorException

    monkeypatch.setattr(JobManager, "update_heartbeat", lost)
    put(queue, Order("train"))
    with opened(Database(library_url)) as other, Worker(queue).beside(), Worker(other).beside():
        assert computing.begun.wait(PATIENCE_S)
        wait_for(lambda: silent(other))
        # Another one looks for jobs of the dead as often as it gives signs of life.
        sleep(4 * HEARTBEAT_S)
        assert (the_job(other).state, other.run(deaths)) == ("running", 0)
        computing.go_on.set()
        wait_for(lambda: the_job(other).state == "done")


def deaths(connection: Connection) -> int:
    """Return how many workers are recorded as dead at jobs."""
    return sum(number for (number,) in connection.execute("SELECT deaths FROM queue.job_notes"))


def silent(session: Database) -> bool:
    """Whether every worker was silent for so long that it passes for dead, or is forgotten."""

    def look(connection: Connection) -> bool:
        look_into_queue(connection)
        row = connection.execute(
            """SELECT count(*) FROM procrastinate_workers
                WHERE last_heartbeat > now() - make_interval(secs => %s)""",
            (3 * HEARTBEAT_S,),
        ).fetchone()
        return row == (0,)

    return session.run(look)


def test_a_worker_continues_heartbeats_after_a_failed_one(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Event()
    given: list[int] = []
    as_usual = JobManager.update_heartbeat

    async def give(self: JobManager, worker_id: int) -> None:
        if not failed.is_set():
            failed.set()
            raise ConnectorException
        given.append(worker_id)
        await as_usual(self, worker_id)

    monkeypatch.setattr(JobManager, "update_heartbeat", give)
    Worker(queue).until(lambda: len(given) > 2)


def test_scheduled_tasks_are_queued_beside_a_running_job_despite_a_short_outage(
    queue: Database, library_url: str, computing: Computing, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Event()

    def due_meanwhile(*_when: object) -> dict[str, datetime]:
        return {"daily": datetime(2027, 6, 1, 3, tzinfo=UTC)} if computing.begun.is_set() else {}

    async def defer(self: JobManager, *job: Any, **how: Any) -> int | None:
        if not failed.is_set():
            failed.set()
            raise ConnectorException
        return await as_usual(self, *job, **how)

    as_usual = JobManager.defer_periodic_job
    monkeypatch.setattr("facesets.jobs.worker.due", due_meanwhile)
    monkeypatch.setattr(JobManager, "defer_periodic_job", defer)
    put(queue, Order("train"))
    with opened(Database(library_url)) as other, Worker(queue).beside():
        wait_for(lambda: the_job(other).what.startswith("maintain"))
        computing.go_on.set()


def drop_other_sessions(connection: Connection) -> None:
    """End all sessions of this database but one, as a server does that is started again."""
    connection.execute(
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )


TAKEN = "UPDATE procrastinate_jobs SET status = 'doing'"
"""As a worker leaves a job that dies in the moment in which it took it."""


def taken_by_living_worker(interval: str) -> tuple[str, ...]:
    """Pretend that a worker took the job and gave its last sign of life this much later."""
    return (
        f"INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '{interval}')",
        "UPDATE procrastinate_jobs SET worker_id = (SELECT max(id) FROM procrastinate_workers)",
        TAKEN,
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\0b", "a\\x00b"),
        ("x\udce9y", "x\\udce9y"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("so " * 20_000, "so so so so"),
    ],
)
def test_a_reason_is_stored_and_shown_as_one_harmless_line(
    queue: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    words: str,
    shown: str,
) -> None:
    # What pytest captures of a log goes from process to process as UTF-8, which not all these words are.
    caplog.set_level(logging.CRITICAL, "procrastinate")

    def fail(_: JobWork) -> Result:
        raise WrongUsage(f"Leave out {Field('ml_uri')}. The service said: {words}")

    monkeypatch.setitem(VERBS, "cluster", Verb(fail))
    number = put(queue, Order("cluster"))
    work(queue)
    notices = run("jobs", "show", number, "--json", "--database", queue.conninfo).out
    reason = json.loads(notices)["reason"]
    assert reason.startswith(f"Leave out --ml-uri. The service said: {shown}")
    assert reason.isprintable()
    assert len(reason) < 5000


def test_a_worker_from_a_crontab_takes_up_the_job_of_a_dead_one(
    queue: Database, library_url: str, clustering: int
) -> None:
    changed(queue, TAKEN)
    assert the_job(queue).waits == ""
    changed(queue, "UPDATE procrastinate_events SET at = at - interval '6 seconds'")
    assert the_job(queue).waits == "No worker is processing it now; the next suitable worker resumes it."
    with opened(Database(library_url)) as other:
        Claims(other, JOB_CLAIM).take([str(clustering)])
        assert the_job(queue).waits == ""
    # The server ends a session that was closed a moment later.
    wait_for(lambda: bool(the_job(queue).waits))
    work(queue)
    assert (the_job(queue).state, the_job(queue).waits) == ("done", "")


@pytest.mark.usefixtures("clustering")
def test_a_job_postponed_by_a_host_with_a_fast_clock_is_done(queue: Database) -> None:
    changed(queue, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
    work(queue)
    assert the_job(queue).state == "done"


@pytest.mark.usefixtures("clustering")
def test_a_job_is_taken_up_even_if_the_server_clock_was_set_back_since_it_was_taken(
    queue: Database,
) -> None:
    in_an_hour = "UPDATE procrastinate_events SET at = now() + interval '1 hour'"
    changed(queue, *taken_by_living_worker("1 hour"), in_an_hour)
    assert the_job(queue).took_s == 0.0
    work(queue)
    assert the_job(queue).state == "done"


@pytest.mark.usefixtures("clustering")
def test_a_worker_with_a_fast_clock_does_taken_up_jobs_at_once(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time() + 3600, tz)

    monkeypatch.setattr("facesets.jobs.worker.datetime", Ahead)
    changed(queue, TAKEN, "UPDATE procrastinate_events SET at = at - interval '1 minute'")
    work(queue)
    assert the_job(queue).state == "done"


def test_jobs_of_a_later_version_are_left_to_it(queue: Database) -> None:
    number, other = put(queue, Order("paint")), put(queue, Order("train"))
    of_later = """UPDATE procrastinate_jobs SET args = jsonb_set(args, '{needs,folders}', '{"all": true}')
        WHERE task_name = 'train'"""
    changed(queue, of_later)
    reported = work(queue).remarks
    assert "Left to other workers: paint, because this version of facesets does not know it." in reported
    assert the_job(queue, number).state == "waiting"
    assert "this version of facesets does not know it" in the_job(queue, number).waits
    assert "this version of facesets does not know its needs" in the_job(queue, other).waits


def test_a_worker_that_runs_for_long_deletes_what_ended_weeks_ago(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.jobs.worker._TIDIED_EVERY_S", 0.5)
    with Worker(queue).beside():
        wait_for(lambda: workers(queue) == 1)
        old, new = cancelled(queue, "cluster"), cancelled(queue, "assign")
        age(queue, old, 15)
        age(queue, new, 13)
        wait_for(lambda: [job.id for job in queue.run(lambda c: list_jobs(c, limit=9))] == [new])


def cancelled(session: Database, command: str) -> int:
    return cancel(session, put(session, Order(command))).id


def age(session: Database, number: int, days: int) -> None:
    """Move the events of a job this many days into the past."""
    statement = "UPDATE queue.procrastinate_events SET at = at - make_interval(days => %s) WHERE job_id = %s"
    session.run(lambda connection: connection.execute(statement, (days, number)))


def workers(session: Database) -> int:
    def counted(connection: Connection) -> int:
        row = connection.execute("SELECT count(*) FROM queue.procrastinate_workers").fetchone()
        return int(row[0]) if row else 0

    return session.run(counted)


@contextmanager
def worker(url: str) -> Iterator[ForkedRun]:
    line = ("worker", "--database", url, "--heartbeat", HEARTBEAT_S, "--concurrency", 2)
    with forked(*line) as process:
        yield process


@contextmanager
def asked_slowly(url: str, photos: Path, latency_s: float) -> Iterator[tuple[Database, Service]]:
    """A library in which it is queued that photos are indexed by a service that takes its time."""
    with ml_service() as service, with_queue(url) as session:
        service.latency_s = latency_s
        queue_index(session, photos, "--ml-uri", service.url, "--skip-clip")
        yield session, service


@pytest.mark.slow
def test_the_job_of_a_killed_worker_is_done_by_another(library_url: str, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "photos", 300)
    with asked_slowly(library_url, photos, 0.02) as (session, service):
        with worker(library_url) as first, worker(library_url) as second:
            wait_for(lambda: len(stored(session)) > 20 or second.poll() is not None)
            first.send_signal(signal.SIGKILL)
            wait_for(lambda: the_job(session).state not in ("waiting", "running"))
            assert second.poll() is None
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) == 0, second.written()
        job = the_job(session)
        assert (job.state, job.done, job.total, job.parts.done) == ("done", 300, 300, 5)
        assert [path for path, _, _ in stored(session)] == sorted(map(str, photos.rglob("*.jpg")))
        assert {faces for _, _, faces in stored(session)} == {1}
        assert session.run(find_problems) == []
        # A batch that was at hand when the worker died is asked for again, and nothing else.
        assert len(photos_of(service)) <= 300 + 2 * 50


@pytest.mark.slow
def test_a_stopped_worker_finishes_the_current_photo_and_returns_the_rest(
    library_url: str, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 100)
    with asked_slowly(library_url, photos, 0.05) as (session, service):
        with worker(library_url) as process:
            wait_for(lambda: len(photos_of(service)) > 10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            seen = len(photos_of(service))
            assert "Traceback" not in process.written()[1]
        assert the_job(session).parts.waiting == 2
        assert seen < 100
        assert len(stored(session)) == seen
        assert the_job(session).done <= seen
        service.latency_s = 0.0
        work(session)
        assert the_job(session).state == "done"
        assert len(photos_of(service)) == len(stored(session)) == 100


@pytest.mark.slow
def test_a_running_job_ends_cleanly_when_it_is_cancelled(library_url: str, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "photos", 100)
    with asked_slowly(library_url, photos, 0.1) as (session, service):
        with worker(library_url) as process:
            wait_for(lambda: len(photos_of(service)) > 4)
            assert run("jobs", "cancel", the_job(session).id, "--database", library_url).status == 0
            wait_for(lambda: the_job(session).state == "cancelled")
            assert process.poll() is None
        assert len(stored(session)) < 100
