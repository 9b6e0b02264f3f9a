"""Jobs that are cut short, by the end or death of their worker or by who cancels them; and why one failed."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import sleep
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
from facesets.jobs.schedule import Rhythm
from facesets.jobs.worker import work_off
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database, now, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import JobLine, count_jobs, find_job, list_jobs
from facesets.store.postgres.queue.notes import PART_OF_INDEX, left_alone, queues_with_work
from facesets.store.postgres.queue.schema import look_into_queue
from facesets.work import SilentProgress, Stop
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import ml_service
from tests.fixtures.notices import Heard, KeptNotices
from tests.fixtures.program import run
from tests.fixtures.queued import HEARTBEAT_S, ended_when, host, make_pictures, stored, work, worked_off
from tests.fixtures.waiting import PATIENCE_S, wait_for

pytestmark = pytest.mark.usefixtures("few_tags")


def the_job(session: Database) -> JobLine:
    return session.run(lambda connection: list_jobs(connection, limit=1))[0]


def test_upkeep_that_a_worker_did_not_finish_is_finished_by_the_next(queue: Database) -> None:
    add_person(Library(queue), "anna", 3)
    put(queue, Order("maintain", {"tasks": ["daily"]}))
    stop = Stop()
    here = host(Heard(stop.request))
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)
    assert the_job(queue).state == "waiting"
    work(queue)
    job = the_job(queue)
    assert job.state == "done"
    assert [each["task"] for each in job.result["tasks"]][:2] == ["centroids", "empty"]


def test_what_a_cancelled_index_queues_before_it_hears_of_that_is_cancelled_too(
    queue: Database, library_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled_then_put(session: Database, *told: Any) -> None:
        cancel(queue, number)
        put_parts(session, *told)

    monkeypatch.setattr(indexing, "put_parts", cancelled_then_put)
    photos = make_pictures(tmp_path / "photos", 6)
    with ml_service() as service:
        asked = ("index", "--target", photos, "--ml-uri", service.url)
        number = int(run(*asked, "--queue", "--database", library_url).out)
        work(queue, service.url)
    job = the_job(queue)
    assert (job.state, job.parts.waiting, job.parts.done) == ("cancelled", 0, 0)
    assert stored(queue) == []


def test_a_cancelled_job_whose_worker_died_is_cancelled_and_not_failed(queue: Database) -> None:
    number = put(queue, Order("cluster"))
    taken(queue, number)
    cancel(queue, number)
    assert the_job(queue).state == "running"
    stop = Stop()
    here = host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with ended_when(lambda: the_job(queue).state != "running", stop):
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)
    assert the_job(queue).state == "cancelled"


def test_a_job_that_was_cancelled_when_it_failed_can_be_done_again(queue: Database) -> None:
    number = put(queue, Order("cluster"))

    def fail(connection: Connection) -> None:
        look_into_queue(connection)
        # As procrastinate leaves a job that was cancelled in the moment in which it was given back.
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'failed', abort_requested = true WHERE id = %s", (number,)
        )

    queue.run(fail)
    assert retry(queue, number).state == "waiting"


def test_photos_whose_drive_goes_away_are_done_when_it_is_back(
    queue: Database, library_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.jobs.running.AGAIN_IN_S", 0.1)
    monkeypatch.setattr("facesets.jobs.hosts._ASKED_AGAIN_AFTER_S", 0.0)
    photos = make_pictures(tmp_path / "photos", 3)

    def unmount() -> None:
        if the_job(queue).parts.total and photos.exists():
            photos.rename(tmp_path / "away")

    with ml_service() as service:
        asked = ("index", "--target", photos, "--ml-uri", service.url)
        assert run(*asked, "--queue", "--database", library_url).status == 0
        stop = Stop()
        here = host(Heard(unmount))
        models = Models(here, queue, stop, concurrency=1, provider="cpu")
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S, until_empty=True), stop)
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


def test_a_job_for_which_the_server_has_no_session_says_so(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Database, **_within: float) -> Database:
        raise Unreachable("All connections are in use.")

    monkeypatch.setattr(Database, "another", full)
    monkeypatch.setattr("facesets.jobs.running._UNREACHABLE_ATTEMPTS", 0)
    number = put(queue, Order("cluster"))
    work(queue)
    job = queue.run(lambda connection: find_job(connection, number))
    assert job is not None
    assert (job.state, job.where, job.reason) == ("failed", "here", "All connections are in use.")


def test_a_listing_that_failed_is_done_again_with_its_parts(queue: Database) -> None:
    number = put(queue, Order("index"))
    put_parts(queue, [Order(PART_OF_INDEX)], number, [1])

    def fail(connection: Connection) -> None:
        look_into_queue(connection)
        connection.execute("UPDATE procrastinate_jobs SET status = 'failed'")

    queue.run(fail)
    retry(queue, number)
    assert {str(state): count for state, count in queue.run(count_jobs).items()} == {"waiting": 2}


@pytest.mark.parametrize("at_last_moment", [False, True])
def test_a_job_that_was_busy_while_the_same_was_queued_is_done_all_the_same(
    queue: Database, library_url: str, monkeypatch: pytest.MonkeyPatch, at_last_moment: bool
) -> None:
    monkeypatch.setattr("facesets.jobs.running.AGAIN_IN_S", 0.1)
    add_person(Library(queue), "anna", 3)
    first = put(queue, Order("cluster"))
    queued: list[int] = []

    def queue_again() -> None:
        if not queued:
            queued.append(put(queue, Order("cluster")))

    class QueuedAgain(TryAgain):
        """Somebody queues the same between the end of a job and its being queued again."""

        def get_retry_decision(self, **of_job: Any) -> RetryDecision | None:
            queue_again()
            return super().get_retry_decision(**of_job)

    if at_last_moment:
        monkeypatch.setattr("facesets.jobs.worker.TryAgain", QueuedAgain)
    stop = Stop()
    here = host(KeptNotices() if at_last_moment else Heard(queue_again))
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with (
        opened(Database(library_url)) as other,
        RunLock(other, "cluster"),
        ended_when(lambda: state_of(queue, first) == "waiting" and bool(queued), stop),
    ):
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)
    # The first was busy, and waits for a moment before it is tried again.
    wait_for(lambda: bool(queue.run(queues_with_work)))
    work(queue)
    assert [state_of(queue, each) for each in (first, *queued)] == ["done", "done"]


def test_a_job_whose_worker_died_while_the_same_was_queued_is_done_all_the_same(queue: Database) -> None:
    add_person(Library(queue), "anna", 3)
    first = put(queue, Order("cluster"))
    taken(queue, first)
    second = put(queue, Order("cluster"))
    stop = Stop()
    here = host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with ended_when(lambda: state_of(queue, second) == "done", stop):
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)
    assert state_of(queue, first) == "done"


def test_a_job_whose_worker_lives_and_could_not_say_what_came_of_it_is_done_again(queue: Database) -> None:
    add_person(Library(queue), "anna", 3)
    number = put(queue, Order("cluster"))

    def by_a_living_one(connection: Connection) -> None:
        look_into_queue(connection)
        connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 day')"
        )
        connection.execute(
            "UPDATE procrastinate_jobs SET worker_id = (SELECT max(id) FROM procrastinate_workers)"
        )

    queue.run(by_a_living_one)
    taken(queue, number)
    stop = Stop()
    here = host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with ended_when(lambda: state_of(queue, number) == "done", stop):
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)
    assert state_of(queue, number) == "done"


def test_a_job_that_computes_while_the_server_drops_all_sessions_stays_with_its_worker(
    queue: Database, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = Event(), Event()

    def compute(work: JobWork) -> Result:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return Result(at=str(work.session.run(now)))

    monkeypatch.setitem(VERBS, "cluster", Verb(compute))
    number = put(queue, Order("cluster"))
    stop, here = Stop(), host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with opened(Database(library_url)) as other, ThreadPoolExecutor(1) as pool:
        working = pool.submit(work_off, queue, here, models, Rhythm(HEARTBEAT_S), stop)
        try:
            assert begun.wait(PATIENCE_S)
            other.run(drop_other_sessions)
            # As the worker does each second.
            queue.run(now)
            assert other.run(lambda connection: left_alone(connection, 0.0)) == set()
        finally:
            go_on.set()
            stop.request()
        working.result()
        assert state_of(other, number) == "done"


def test_a_worker_whose_signs_of_life_end_keeps_the_job_that_it_is_at(
    queue: Database, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = Event(), Event()

    def compute(_work: JobWork) -> Result:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return Result()

    async def lost(_manager: JobManager, _worker_id: int) -> None:
        # As a server does that is away for that moment; nobody sees that procrastinate ends its task then.
        raise ConnectorException

    monkeypatch.setitem(VERBS, "train", Verb(compute))
    monkeypatch.setattr(JobManager, "update_heartbeat", lost)
    number = put(queue, Order("train"))
    stop, here = Stop(), host()
    with opened(Database(library_url)) as other, ThreadPoolExecutor(2) as pool:
        for session in (queue, other):
            models = Models(here, session, stop, concurrency=1, provider="cpu")
            pool.submit(work_off, session, here, models, Rhythm(HEARTBEAT_S), stop)
        try:
            assert begun.wait(PATIENCE_S)
            wait_for(lambda: silent(other))
            # Another one looks for jobs of the dead as often as it gives signs of life.
            sleep(4 * HEARTBEAT_S)
            assert (state_of(other, number), other.run(deaths)) == ("running", 0)
        finally:
            go_on.set()
            wait_for(lambda: state_of(other, number) == "done")
            stop.request()


def deaths(connection: Connection) -> int:
    """How many workers are said to have died at jobs."""
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


def test_a_worker_goes_on_giving_signs_of_life_after_one_that_failed(
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
    stop, here = Stop(), host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with ended_when(lambda: len(given) > 2, stop):
        worked_off(queue, here, models, Rhythm(HEARTBEAT_S), stop)


def test_what_is_scheduled_is_queued_beside_a_running_job_though_the_server_was_away_for_a_moment(
    queue: Database, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, failed = Event(), Event(), Event()

    def compute(_work: JobWork) -> Result:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return Result()

    def due_meanwhile(*_when: object) -> dict[str, datetime]:
        return {"daily": datetime(2027, 6, 1, 3, tzinfo=UTC)} if begun.is_set() else {}

    async def defer(self: JobManager, *job: Any, **how: Any) -> int | None:
        if not failed.is_set():
            failed.set()
            raise ConnectorException
        return await as_usual(self, *job, **how)

    as_usual = JobManager.defer_periodic_job
    monkeypatch.setitem(VERBS, "train", Verb(compute))
    monkeypatch.setattr("facesets.jobs.worker.due", due_meanwhile)
    monkeypatch.setattr(JobManager, "defer_periodic_job", defer)
    put(queue, Order("train"))
    stop, here = Stop(), host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with opened(Database(library_url)) as other, ThreadPoolExecutor(1) as pool:
        working = pool.submit(work_off, queue, here, models, Rhythm(HEARTBEAT_S), stop)
        try:
            wait_for(lambda: the_job(other).what.startswith("maintain"))
        finally:
            stop.request()
            go_on.set()
        working.result()


def drop_other_sessions(connection: Connection) -> None:
    """End all sessions of this database but one, as a server does that is started again."""
    connection.execute(
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )


def taken(session: Database, number: int) -> None:
    """Let a job be as a worker leaves it that dies in the moment in which it took it."""

    def take(connection: Connection) -> None:
        look_into_queue(connection)
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", (number,))

    session.run(take)


def state_of(session: Database, number: int) -> str:
    job = session.run(lambda connection: find_job(connection, number))
    return "" if job is None else job.state


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\0b", "a\\x00b"),
        ("x\udce9y", "x\\udce9y"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("so " * 20_000, "so so so so"),
    ],
)
def test_a_reason_is_kept_and_shown_as_one_harmless_line(
    queue: Database,
    library_url: str,
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
    told = run("jobs", "show", number, "--json", "--database", library_url).out
    reason = json.loads(told)["reason"]
    assert reason.startswith(f"Leave out --ml-uri. The service said: {shown}")
    assert reason.isprintable()
    assert len(reason) < 5000
