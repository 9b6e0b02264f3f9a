"""What workers do, as programs and browsers see it."""

from dataclasses import replace

from facesets.jobs.orders import Order
from facesets.jobs.queueing import cancel, put
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.schema import install, shipped
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
