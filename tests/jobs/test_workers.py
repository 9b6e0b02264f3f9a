"""Workers as processes: nothing is lost and nothing done twice when they are killed or told to end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.queue.job_list import JobLine, list_jobs
from tests.fixtures.forked import ForkedRun, forked
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.program import run
from tests.fixtures.queued import HEARTBEAT_S, make_pictures, photos_of, stored, with_queue, work
from tests.fixtures.waiting import wait_for

pytestmark = pytest.mark.slow


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
