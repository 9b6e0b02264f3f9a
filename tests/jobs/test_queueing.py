"""Queued jobs are done once, by a suitable worker, and their results are stored."""

import json
import signal
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facesets.assembly.commands import Needs
from facesets.errors import AlreadyRunning, NotFound, WrongUsage, typed
from facesets.installation import adding
from facesets.jobs.queueing import Order, cancel, put, read_needs, retry, stored_needs
from facesets.jobs.schedule import ScheduledTime
from facesets.path_map import PathMap
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import count_jobs, list_jobs
from facesets.store.postgres.queue.notes import note_death, note_progress, note_start
from tests.fixtures.forked import forked
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import Service
from tests.fixtures.program import Result, run
from tests.fixtures.queued import (
    Worker,
    changed,
    galleries,
    make_pictures,
    photos_of,
    stored,
    the_job,
    with_queue,
    work,
)
from tests.fixtures.waiting import wait_for

pytestmark = pytest.mark.usefixtures("few_tags")


def facesets(url: str, *arguments: object) -> Result:
    done = run(*arguments, "--database", url)
    assert done.status == 0, done.err
    return done


def jobs(url: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(facesets(url, "jobs", "--json").out)["jobs"]
    return listed


@pytest.mark.slow
def test_queued_index_gives_the_library_of_a_direct_run(
    queue: Database, library_url: str, empty_database: Database, service: Service, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 40)
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (photos / "tn").mkdir()
    (photos / "index.json").write_text('{"title": "Summer", "images": ["0-0001.jpg"]}')
    asked = ("index", "--target", photos, "--ml-uri", service.url)
    direct = run(*asked, "--database", empty_database.conninfo)
    assert direct.status == 3
    number = int(facesets(library_url, *asked, "--queue").out)
    assert stored(queue) == []
    work(queue)
    assert stored(queue) == stored(empty_database)
    assert galleries(queue) == galleries(empty_database)
    (job,) = jobs(library_url)
    assert (job["id"], job["what"], job["state"]) == (number, "index", "done")
    assert (job["done"], job["total"], job["result"]["indexed"]) == (41, 41, 40)
    assert (
        f"{photos / 'torn.jpg'}: not a supported photo format"
        in facesets(library_url, "jobs", "show", number).out
    )
    assert len(queue.recorded) == 0
    assert Library(queue).claims("path").take(["free"]) == {"free"}
    # Known files are not queued again.
    facesets(library_url, *asked, "--queue")
    work(queue)
    assert jobs(library_url)[0]["parts"] == dict.fromkeys(
        ("waiting", "running", "done", "failed", "cancelled"), 0
    )


@pytest.mark.slow
def test_direct_and_queued_runs_mix(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 12)
    asked = ("index", "--target", photos, "--ml-uri", service.url)
    facesets(library_url, *asked, "--queue")
    facesets(library_url, *asked)
    assert len(stored(queue)) == 12
    work(queue)
    assert len(stored(queue)) == 12
    assert len(photos_of(service)) == 12


def test_a_worker_with_other_paths_keeps_those_of_the_library(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    here = make_pictures(tmp_path / "here", 9)
    there = tmp_path / "there"
    there.symlink_to(here)
    facesets(library_url, "index", "--target", there, "--ml-uri", service.url, "--queue")
    there.unlink()
    assert "Left to other workers" in "".join(work(queue).remarks)
    assert stored(queue) == []
    work(queue, paths=PathMap.of({str(there): str(here)}))
    assert [path for path, _, _ in stored(queue)] == sorted(
        str(there / p.relative_to(here)) for p in here.rglob("*.jpg")
    )
    assert count_jobs_in(queue) == {"done": 2}


def count_jobs_in(session: Database) -> dict[str, int]:
    return {str(state): count for state, count in session.run(count_jobs).items()}


@pytest.mark.slow
def test_every_command_on_people_is_done_from_the_queue(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 6)
    facesets(library_url, "index", "--target", photos, "--ml-uri", service.url)
    for command in (
        ("cluster", "--method", "components", "--threshold", "0.5", "--min-size", "1"),
        ("people", "centroids"),
        ("assign", "--threshold", "0.6", "--since", "2020-01-01"),
        ("maintain", "daily"),
        ("maintain", "health"),
    ):
        assert int(facesets(library_url, *command, "--queue").out) > 0
    # In the order in which they were queued.
    assert work(queue).notices == []
    facesets(library_url, "cluster", "--dual", "--queue")
    work(queue)
    listed = jobs(library_url)
    assert [job["state"] for job in listed] == ["done"] * 6, [job["reason"] for job in listed]
    ended = [job["ended_at"] for job in reversed(listed)]
    assert ended == sorted(ended)
    assert listed[-1]["result"]["new_persons"] == 6
    assert "6 done" in facesets(library_url, "stats").out
    listed_text = facesets(library_url, "jobs", "--watch").out
    assert "maintain health" in listed_text
    assert "6 faces: 6 form 6 new people" in listed_text


def test_a_job_that_fails_keeps_the_sentence_and_can_be_done_again(queue: Database, library_url: str) -> None:
    # Nothing was indexed yet.
    number = facesets(library_url, "maintain", "daily", "--queue").out.strip()
    notices = work(queue).notices
    shown = facesets(library_url, "jobs", "show", number).out
    assert "failed" in shown
    assert "facesets index" in shown
    assert any("Job" in line for line in notices)
    assert facesets(library_url, "jobs", "retry", number).out
    assert jobs(library_url)[0]["state"] == "waiting"
    facesets(library_url, "jobs", "cancel", number)
    assert jobs(library_url)[0]["state"] == "cancelled"
    assert run("jobs", "retry", number, "--database", library_url).status == 2
    assert run("jobs", "show", 999, "--database", library_url).status == 2


def test_watching_jobs_ends_at_once_on_request(
    queue: Database, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(queue, Order("cluster"))
    monkeypatch.setattr("facesets.cli.library.jobs._EVERY_S", 600.0)
    with forked("jobs", "--watch", "--database", library_url) as process:
        wait_for(lambda: "cluster" in process.written()[0])
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_one_clustering_waits_at_a_time(queue: Database, library_url: str) -> None:
    first = put(queue, Order("cluster"))
    with pytest.raises(AlreadyRunning, match="is already waiting"):
        put(queue, Order("cluster --dual"))
    assert run("cluster", "--queue", "--database", library_url).status == 75
    cancel(queue, first)
    assert put(queue, Order("cluster --dual"))


def test_a_gpu_is_tried_with_the_pack_of_the_library(queue: Database, library_url: str) -> None:
    add_person(Library(queue), "anna", 1)
    done = run("worker", "--gpu", "--until-empty", "--database", library_url)
    assert done.status == 2
    assert "The model pack made is not installed" in done.err


def test_a_queued_clustering_uses_the_requested_engine(
    queue: Database, library_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("--method", "components", "--engine", "dask://10.0.0.5:8786", "--shards", "here")
    facesets(library_url, "cluster", *asked, "--queue")
    workers = {"engine": {"scheduler": "10.0.0.5:8786"}, "shards": str(tmp_path / "here")}
    assert jobs(library_url)[0]["options"]["workers"] == workers
    monkeypatch.setitem(sys.modules, "distributed", None)
    remarks = work(queue).remarks
    assert any("the optional dependency scale is not installed" in line for line in remarks), remarks


def test_missing_or_ended_jobs_cannot_be_changed(queue: Database) -> None:
    with pytest.raises(NotFound):
        cancel(queue, 7)
    number = put(queue, Order("cluster"))
    cancel(queue, number)
    with pytest.raises(WrongUsage, match="cancelled"):
        cancel(queue, number)
    with pytest.raises(WrongUsage, match="has not failed"):
        retry(queue, number)
    assert the_job(queue, number) == the_job(queue)
    assert the_job(queue).state == "cancelled"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("index", "--queue", "--prune"), "--prune"),
        (("index", "--queue", "--assign"), "--assign"),
        (("index", "--queue", "--ml-uri", "http://anna:secret@host"), "password"),
        (("index", "--queue", "--provider", "cpu"), "--provider"),
        (
            ("index", "--queue", "--max-batch", "8", "--body-model", "body.onnx"),
            "--body-model and --max-batch",
        ),
        (("enrich", "--queue", "--provider", "cpu"), "--provider"),
        (("describe", "--queue"), "--yes"),
        (("train", "--queue", "--list"), "--queue"),
        (("cluster", "--queue", "out"), "--queue"),
        (("enrich", "--queue", "faces.npz"), "--queue"),
        (("worker", "--until-empty", "--jobs", "index,indices"), "indices"),
        (("worker", "--until-empty", "--pack", "buffalo_l"), "--gpu"),
        (("worker", "--until-empty", "--gpu", "--ml-uri", "http://127.0.0.1:9"), "--ml-uri"),
    ],
)
def test_invalid_options_of_queues_and_workers_are_refused(
    queue: Database, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    target = ("--target", make_pictures(tmp_path, 1)) if arguments[0] == "index" else ()
    done = run(*arguments, *target, "--database", queue.conninfo)
    assert done.status == 2
    assert reason in done.err
    assert "secret" not in done.err
    assert count_jobs_in(queue) == {}


def test_no_secret_is_stored_with_a_job(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 1)
    url = f"{library_url}{'&' if '?' in library_url else '?'}application_name=s3cret"
    facesets(url, "index", "--target", photos, "--ml-uri", service.url, "--queue")
    facesets(url, "cluster", "--queue")
    stored = queue.run(
        lambda connection: connection.execute("SELECT * FROM queue.procrastinate_jobs").fetchall()
    )
    assert len(stored) == 2
    assert "s3cret" not in str(stored)


def test_needs_come_back_as_they_were() -> None:
    needs = Needs(folders=("/a/\udcff",), models=True, pack="buffalo_l", extra="train")
    assert read_needs(json.loads(json.dumps(stored_needs(needs)))) == needs
    assert read_needs({"folders": ["/a"], "of a later program": 1}) == Needs(folders=("/a",))


def test_scheduled_tasks_are_queued_once_by_any_number_of_workers(queue: Database) -> None:
    before = datetime.now().astimezone() - timedelta(minutes=2)
    schedule = {"daily": ScheduledTime(before.time())}
    for _ in range(2):
        Worker(queue).until(lambda: set(count_jobs_in(queue)) == {"failed"}, schedule)
    # There are no faces that could be maintained.
    (job,) = queue.run(lambda connection: list_jobs(connection, limit=10))
    assert (job.what, job.state, job.options["tasks"]) == ("maintain", "failed", ["daily"])


def test_a_job_that_keeps_killing_workers_fails_with_a_reason(queue: Database) -> None:
    number = put(queue, Order("cluster"))
    assert [queue.run(partial(note_death, job=number)) for _ in range(3)] == [1, 2, 3]
    queue.run(partial(note_start, job=number, host="here"))
    queue.run(partial(note_progress, job=number, stage="Indexing", done=5, total=9))
    # It got further than before.
    assert [queue.run(partial(note_death, job=number)) for _ in range(5)] == [1, 2, 3, 4, 5]
    changed(queue, "UPDATE procrastinate_jobs SET status = 'doing'")
    Worker(queue).until(lambda: count_jobs_in(queue) == {"failed": 1})
    assert "died 6 times" in the_job(queue).reason


@pytest.mark.slow
@pytest.mark.usefixtures("queue")
def test_a_backup_brings_the_queue_back(library_url: str, empty_url: str, tmp_path: Path) -> None:
    facesets(library_url, "cluster", "--queue")
    facesets(library_url, "db", "backup", tmp_path / "library.backup")
    facesets(empty_url, "db", "restore", tmp_path / "library.backup")
    with with_queue(empty_url) as restored:
        assert count_jobs_in(restored) == {"waiting": 1}
        assert put(restored, Order("assign")) > 1


@pytest.mark.parametrize("command", [("cluster", "--queue"), ("jobs",), ("worker", "--until-empty")])
@pytest.mark.parametrize("missing", ["procrastinate", "psycopg_pool"])
def test_where_the_queue_or_half_of_it_is_not_installed_its_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    done = run(*command, "--database", "postgresql://127.0.0.1:9/none")
    assert (done.status, typed(adding("jobs")) in done.err) == (2, True)
