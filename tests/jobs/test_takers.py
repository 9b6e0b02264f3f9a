"""Workers take what their host can do; of what waits it is said why."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from facesets.jobs.orders import Needs, Order
from facesets.jobs.queueing import put
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import find_job
from facesets.store.postgres.queue.schema import look_into_queue
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.program import run
from tests.fixtures.queued import make_pictures, stored, with_queue, work


@pytest.fixture
def queue(library_url: str) -> Iterator[Database]:
    with with_queue(library_url) as session:
        yield session


@pytest.fixture
def service() -> Iterator[Service]:
    with ml_service() as running:
        yield running


def waits(session: Database, number: int) -> str:
    job = session.run(lambda connection: find_job(connection, number))
    assert job is not None
    return job.waits if job.state == "waiting" else job.state


@pytest.mark.slow
def test_a_service_without_the_model_of_the_library_leaves_its_photos_to_one_that_has_it(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    first, second = make_pictures(tmp_path / "first", 2), make_pictures(tmp_path / "second", 3, seed=1)
    index = ("index", "--database", library_url, "--target")
    assert run(*index, first, "--ml-uri", service.url).status == 0
    number = int(run(*index, second, "--queue").out)
    with ml_service() as other:
        other.models = ("antelopev2",)
        said = work(queue, other.url).remarks
        why = f"the machine-learning service {other.url} does not work with the model buffalo_l"
        assert f"Jobs that need the library's models are left to others: {why}." in said
        assert f"Left to others: index, for {why}." in said
        assert waits(queue, number) == f"No worker takes it. here: {why}."
        assert why in run("jobs", "--database", library_url).out.replace("\n", " ")
        assert json.loads(run("jobs", "show", number, "--json", "--database", library_url).out)["waits"]
    service.models = ("buffalo_l", "ViT-B-32__openai")
    said = work(queue, service.url).remarks
    assert "The library's models are at the service that --ml-uri names." in said
    assert waits(queue, number) == "done"
    assert len(stored(queue)) == 5


def test_a_service_leaves_photos_of_a_library_whose_faces_come_from_models_of_its_own(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    add_person(Library(queue), "anna", 3)
    photos = make_pictures(tmp_path / "photos", 2)
    number = int(run("index", "--target", photos, "--queue", "--database", library_url).out)
    known = Library(queue).settings
    assert known is not None
    said = " ".join(work(queue, service.url).remarks)
    assert f"come from the model pack {known.pack}, not from the machine-learning service" in said
    assert "not from the machine-learning service" in waits(queue, number)


@pytest.mark.slow
def test_a_service_that_does_not_answer_is_waited_for(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 2)
    with ml_service() as ended:
        index = ("index", "--target", photos, "--ml-uri", ended.url, "--queue")
        number = int(run(*index, "--database", library_url).out)
    work(queue)
    assert waits(queue, number).endswith("does not answer.")
    work(queue, service.url)
    assert waits(queue, number) == "done"


def test_a_job_that_names_no_valid_address_ends_no_worker(
    queue: Database, library_url: str, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "photos", 1)
    asked = ("index", "--target", photos, "--ml-uri", "host:3003", "--queue", "--database", library_url)
    refused = run(*asked)
    assert refused.status == 2
    assert "needs http://" in refused.err
    # As another version may queue it.
    number = put(queue, Order("index", needs=Needs(service="host:3003")))
    work(queue)
    assert waits(queue, number).startswith("No worker takes it. here: it names no valid address")


def test_what_looks_at_faces_again_needs_models_on_the_host_itself(
    queue: Database, library_url: str, service: Service
) -> None:
    number = int(run("enrich", "--queue", "--database", library_url).out)
    work(queue, service.url)
    assert waits(queue, number).endswith("is not here.")


def test_it_is_said_what_else_a_job_waits_for(queue: Database) -> None:
    first, second = put(queue, Order("cluster")), put(queue, Order("assign"))
    assert waits(queue, first) == "No worker runs."
    assert waits(queue, second) == f"It waits for job {first}."
    third = put(queue, Order("train", needs=Needs(extra="none-such")))
    work(queue)
    assert waits(queue, third) == "No worker takes it. here: facesets[none-such] is not installed."

    def age(connection: Connection) -> None:
        look_into_queue(connection)
        connection.execute("UPDATE takers SET noted_at = now() - interval '2 minutes'")

    queue.run(age)
    assert waits(queue, third) == "No worker runs."
