"""What workers, clocks and other versions left behind in the queue is found by whoever comes next."""

from datetime import datetime, tzinfo
from time import time

import pytest

from facesets.jobs.queueing import Order, put
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import JobLine, find_job
from facesets.store.postgres.queue.notes import JOB_CLAIM
from facesets.store.postgres.queue.schema import look_into_queue
from tests.fixtures.library_people import add_person
from tests.fixtures.queued import work
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
