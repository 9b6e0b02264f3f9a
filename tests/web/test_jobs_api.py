"""What workers do, as programs and browsers see it."""

import re
from dataclasses import replace

import pytest

from facesets.jobs.queueing import Order, cancel, put, put_parts
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import PART_OF_INDEX, parts_in
from facesets.store.postgres.queue.schema import install, look_into_queue, shipped
from tests.fixtures.website import Website

QUEUE, JOBS = "/api/v1/faces/queue", "/api/v1/faces/jobs"


def test_the_queue_is_shown_where_there_is_one(website: Website, album: Library) -> None:
    assert website.client.get(QUEUE).json() == []
    assert website.client.get(JOBS).json()["queue"] == []
    assert 'aria-labelledby="queue-title" hidden' in website.client.get("/runs").text
    install(album.database)
    number = put(album.database, Order("cluster"))
    (job,) = website.client.get(QUEUE).json()
    assert (job["id"], job["what"], job["state"], job["startedAt"]) == (number, "cluster", "waiting", None)
    assert website.client.get(JOBS).json()["queue"] == [job]
    cancel(album.database, number)
    assert website.client.get(JOBS).json()["queue"] == []
    put(album.database, Order("cluster"))
    page = website.client.get("/runs").text
    assert "In the queue" in page
    assert 'aria-labelledby="queue-title" hidden' not in page
    assert "Waits for a worker" in page


def test_what_is_open_comes_before_all_that_ended_since(
    website: Website, album: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.web.api.jobs._QUEUED_MOST", 3)
    monkeypatch.setattr("facesets.web.pages.runs._QUEUED_ON_PAGE", 3)
    install(album.database)
    with_parts, waiting = put(album.database, Order("index")), put(album.database, Order("assign"))
    put_parts(album.database, [Order(PART_OF_INDEX)] * 2, with_parts, [10, 10])
    ended = []
    for _ in range(4):
        ended.append(put(album.database, Order("cluster")))
        cancel(album.database, ended[-1])

    def begin(connection: Connection) -> None:
        look_into_queue(connection)
        part = parts_in(connection, with_parts, ("todo",))[0]
        for number, statuses in ((with_parts, ("doing", "succeeded")), (part, ("doing",))):
            for status in statuses:
                connection.execute(
                    "UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status WHERE id = %s",
                    (status, number),
                )

    album.database.run(begin)
    queued = website.client.get(JOBS).json()["queue"]
    assert [(job["id"], job["state"]) for job in queued] == [(with_parts, "running"), (waiting, "waiting")]
    shown = website.client.get(QUEUE, params={"limit": 4}).json()
    assert [job["id"] for job in shown] == [with_parts, waiting, ended[3], ended[2]]
    assert re.findall(r"<h3>(\d+): ", website.page("/runs")) == [f"{with_parts}", f"{waiting}", f"{ended[3]}"]
    assert len(website.client.get(QUEUE, params={"limit": 1}).json()) == 1


def test_a_queue_of_an_earlier_version_is_left_out_until_it_is_brought_up_to_date(
    website: Website, album: Library
) -> None:
    now = shipped()
    install(album.database, replace(now, ours=now.ours[:1]))
    put(album.database, Order("cluster"))
    assert website.client.get(QUEUE).json() == []
    assert website.client.get(JOBS).json()["queue"] == []
    assert website.client.get("/runs").status_code == 200
    install(album.database)
    assert len(website.client.get(QUEUE).json()) == 1
