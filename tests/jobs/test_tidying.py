"""What ended long ago does not stay in the queue."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from facesets.jobs.indexing import Models
from facesets.jobs.queueing import Order, cancel, put
from facesets.jobs.schedule import Rhythm
from facesets.jobs.worker import work_off
from facesets.stop import Stop
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.queue.job_list import list_jobs
from tests.fixtures.queued import HEARTBEAT_S, host
from tests.fixtures.waiting import wait_for


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
