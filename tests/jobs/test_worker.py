"""Workers take up what others left behind; killed or told to end, they lose nothing and do nothing twice."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from time import time

import pytest

from facesets.jobs.indexing import Models
from facesets.jobs.queueing import Order, cancel, put
from facesets.jobs.schedule import Rhythm
from facesets.jobs.worker import work_off
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import JobLine, find_job, list_jobs
from facesets.store.postgres.queue.notes import JOB_CLAIM
from facesets.store.postgres.queue.schema import look_into_queue
from facesets.work import Stop
from tests.fixtures.forked import ForkedRun, forked
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.program import run
from tests.fixtures.queued import HEARTBEAT_S, host, make_pictures, photos_of, stored, with_queue, work
from tests.fixtures.waiting import wait_for


@pytest.fixture
def clustering(queue: Database) -> int:
    """A job that waits."""
    add_person(Library(queue), "anna", 3)
    return put(queue, Order("cluster"))


def changed(queue: Database, *statements: str) -> None:
    """Change the one job that there is, or what is noted of it."""

    def change(connection: Connection) -> None:
        look_into_queue(connection)
        for statement in statements:
            connection.execute(statement.encode())

    queue.run(change)


def found(queue: Database, number: int) -> JobLine:
    job = queue.run(lambda connection: find_job(connection, number))
    assert job is not None
    return job


def test_a_worker_from_a_crontab_takes_up_what_one_that_died_was_at(
    queue: Database, library_url: str, clustering: int
) -> None:
    changed(queue, "UPDATE procrastinate_jobs SET status = 'doing'")
    assert found(queue, clustering).waits == ""
    changed(queue, "UPDATE procrastinate_events SET at = at - interval '6 seconds'")
    assert found(queue, clustering).waits == "No worker is at it right now; one that can do it goes on."
    with opened(Database(library_url)) as other:
        Claims(other, JOB_CLAIM).take([str(clustering)])
        assert found(queue, clustering).waits == ""
    # The server ends a session that was closed a moment later.
    wait_for(lambda: bool(found(queue, clustering).waits))
    work(queue)
    assert (found(queue, clustering).state, found(queue, clustering).waits) == ("done", "")


def test_a_job_is_done_that_a_host_put_off_whose_clock_is_ahead(queue: Database, clustering: int) -> None:
    changed(queue, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
    work(queue)
    assert found(queue, clustering).state == "done"


def test_a_job_is_taken_up_though_the_clock_of_the_server_was_set_back_since_its_worker_took_it(
    queue: Database, clustering: int
) -> None:
    changed(
        queue,
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour')",
        "UPDATE procrastinate_jobs SET worker_id = (SELECT max(id) FROM procrastinate_workers)",
        "UPDATE procrastinate_jobs SET status = 'doing'",
        "UPDATE procrastinate_events SET at = now() + interval '1 hour'",
    )
    assert found(queue, clustering).took_s == 0.0
    work(queue)
    assert found(queue, clustering).state == "done"


def test_a_worker_whose_clock_is_ahead_does_at_once_what_it_takes_up(
    queue: Database, clustering: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time() + 3600, tz)

    monkeypatch.setattr("facesets.jobs.worker.datetime", Ahead)
    changed(
        queue,
        "UPDATE procrastinate_jobs SET status = 'doing'",
        "UPDATE procrastinate_events SET at = at - interval '1 minute'",
    )
    work(queue)
    assert found(queue, clustering).state == "done"


def test_what_a_later_version_queues_is_left_to_it(queue: Database) -> None:
    number, other = put(queue, Order("paint")), put(queue, Order("train"))
    of_later = """UPDATE procrastinate_jobs SET args = jsonb_set(args, '{needs,folders}', '{"all": true}')
        WHERE task_name = 'train'"""
    changed(queue, of_later)
    said = work(queue).remarks
    assert "Left to others: paint, for this version of facesets does not know it." in said
    assert found(queue, number).state == "waiting"
    assert "this version of facesets does not know it" in found(queue, number).waits
    assert "this version of facesets does not know what it needs" in found(queue, other).waits


def test_a_worker_that_runs_for_long_deletes_what_ended_weeks_ago(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.jobs.worker._TIDIED_EVERY_S", 0.5)
    stop, here = Stop(), host()
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work_off, queue, here, models, Rhythm(HEARTBEAT_S), stop)
        try:
            wait_for(lambda: workers(queue) == 1)
            old, new = cancelled(queue, "cluster"), cancelled(queue, "assign")
            age(queue, old, 15)
            age(queue, new, 13)
            wait_for(lambda: [job.id for job in queue.run(lambda c: list_jobs(c, limit=9))] == [new])
        finally:
            stop.request()
        working.result()


def cancelled(session: Database, command: str) -> int:
    return cancel(session, put(session, Order(command))).id


def age(session: Database, number: int, days: int) -> None:
    """Let what happened to a job have happened so many days ago."""
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


def queue_index(url: str, photos: Path, service: Service) -> None:
    asked = ("index", "--target", photos, "--ml-uri", service.url, "--skip-clip")
    assert run(*asked, "--queue", "--database", url).status == 0


def the_job(session: Database) -> JobLine:
    return session.run(lambda connection: list_jobs(connection, limit=1))[0]


@pytest.mark.slow
def test_what_a_killed_worker_was_at_is_done_by_another(library_url: str, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "photos", 300)
    with ml_service() as service, with_queue(library_url) as session:
        service.latency_s = 0.02
        queue_index(library_url, photos, service)
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
def test_a_worker_that_is_told_to_end_finishes_the_photo_at_hand_and_gives_the_rest_back(
    library_url: str, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 100)
    with ml_service() as service, with_queue(library_url) as session:
        service.latency_s = 0.05
        queue_index(library_url, photos, service)
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
    with ml_service() as service, with_queue(library_url) as session:
        service.latency_s = 0.1
        queue_index(library_url, photos, service)
        with worker(library_url) as process:
            wait_for(lambda: len(photos_of(service)) > 4)
            assert run("jobs", "cancel", the_job(session).id, "--database", library_url).status == 0
            wait_for(lambda: the_job(session).state == "cancelled")
            assert process.poll() is None
        assert len(stored(session)) < 100
