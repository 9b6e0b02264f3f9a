"""What workers do, as programs and browsers see it."""

from facesets.jobs.orders import Order
from facesets.jobs.queueing import cancel, put
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.schema import install
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
