"""Workers take jobs that their host can do; the reason is reported for waiting ones."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from facesets.assembly.commands import Needs
from facesets.cli.wording import worded
from facesets.files import has_something
from facesets.inference import providers
from facesets.inference.model_files import ModelFile
from facesets.inference.providers import ProviderChoice
from facesets.jobs import running, trials
from facesets.jobs.hosts import Host
from facesets.jobs.indexing import Models, index_targets
from facesets.jobs.queueing import JobWork, Order, put, retry
from facesets.jobs.trials import TriedServices
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import WORKER_CLAIM, note_taker
from facesets.web.api.jobs import QueuedJobShape
from facesets.work import Stop
from tests.fixtures.library_people import add_person
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.notices import Heard, KeptNotices
from tests.fixtures.program import Result, run
from tests.fixtures.queued import (
    Worker,
    changed,
    host,
    make_pictures,
    queue_index,
    stored,
    the_job,
    work,
)
from tests.fixtures.waiting import PATIENCE_S, wait_for


def waits(session: Database, number: int) -> str:
    job = the_job(session, number)
    return worded(job.waits) if job.state == "waiting" else job.state


def heard(notices: KeptNotices) -> list[str]:
    """The messages of a worker, as its terminal words them."""
    return [worded(line) for line in notices.remarks]


@contextmanager
def host_with_hanging_check(queue: Database, is_back: Event) -> Iterator[Host]:
    """A host with a worker that ended beside a check that hangs until the event is set at the end."""
    worker = Worker(queue)
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(worker.run, until_empty=True).result(timeout=30)
            yield worker.here
        finally:
            is_back.set()


def test_a_worker_runs_in_the_loop_that_the_database_s_driver_can_use(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another() -> asyncio.AbstractEventLoop:
        raise AssertionError("on Windows it is one that psycopg refuses")

    monkeypatch.setattr(asyncio.events, "new_event_loop", another)
    work(queue)


@pytest.mark.slow
def test_a_service_without_the_model_of_the_library_leaves_its_photos_to_one_that_has_it(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    first, second = make_pictures(tmp_path / "first", 2), make_pictures(tmp_path / "second", 3, seed=1)
    asked = ("index", "--target", first, "--ml-uri", service.url, "--database", library_url)
    assert run(*asked).status == 0
    number = queue_index(queue, second)
    with ml_service() as other:
        other.models = ("antelopev2",)
        reported = heard(work(queue, other.url))
        why = (
            f"the machine-learning service {other.url} does not work with the model buffalo_l, from which "
            "the library's faces come: load it there, or start the worker with --ml-uri URL of a service "
            "that has it"
        )
        assert f"Jobs that need the library's models are left to other workers: {why}." in reported
        assert f"Left to other workers: index, because {why}." in reported
        assert waits(queue, number) == f"No worker is running. The last one could not take it: here: {why}."
        assert why in run("jobs", "--database", library_url).out.replace("\n", " ")
        assert json.loads(run("jobs", "show", number, "--json", "--database", library_url).out)["waits"]
    service.models = ("buffalo_l", "ViT-B-32__openai")
    reported = heard(work(queue, service.url))
    assert "The library's models run at the service of --ml-uri." in reported
    assert waits(queue, number) == "done"
    assert len(stored(queue)) == 5


def test_a_service_skips_photos_of_a_library_with_faces_of_local_models(
    queue: Database, service: Service, tmp_path: Path
) -> None:
    add_person(Library(queue), "anna", 3)
    number = queue_index(queue, make_pictures(tmp_path / "photos", 2))
    known = Library(queue).settings
    assert known is not None
    reported = " ".join(heard(work(queue, service.url)))
    assert f"come from the model pack {known.pack}, not from the machine-learning service" in reported
    assert "start the worker without --ml-uri, on a host with that pack." in waits(queue, number)


@pytest.mark.slow
def test_a_service_that_does_not_answer_is_waited_for(
    queue: Database, service: Service, tmp_path: Path
) -> None:
    with ml_service() as ended:
        number = queue_index(queue, make_pictures(tmp_path / "photos", 2), "--ml-uri", ended.url)
    work(queue)
    assert waits(queue, number).endswith("is not responding.")
    work(queue, service.url)
    assert waits(queue, number) == "done"


def test_photos_that_failed_with_a_service_are_done_by_the_same_worker_when_it_is_well(
    queue: Database, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.remote.ml_service.WAITS_S", ())
    monkeypatch.setattr("facesets.jobs.running._UNREACHABLE_ATTEMPTS", 0)
    number = queue_index(
        queue, make_pictures(tmp_path / "photos", 50), "--skip-clip", "--ml-uri", service.url
    )
    others = ["antelopev2"]
    worker = Worker(queue, host(Heard(lambda: setattr(service, "models", tuple(others)))), concurrency=2)
    worker.work_off()
    job = the_job(queue, number)
    assert (job.state, len(stored(queue))) == ("failed", 0)
    assert f"{service.url} responds, but every request fails" in job.reason
    assert "Check that it has the model buffalo_l." in job.reason
    others.clear()
    service.models = ()
    retry(queue, number)
    worker.work_off()
    assert (waits(queue, number), len(stored(queue))) == ("done", 50)


def test_the_service_that_a_job_names_is_tried_with_the_model_that_is_needed(
    queue: Database, service: Service, tmp_path: Path
) -> None:
    service.models = ("antelopev2", "ViT-B-32__openai")
    first, second = make_pictures(tmp_path / "first", 1), make_pictures(tmp_path / "second", 1, seed=1)
    faces = queue_index(queue, first, "--ml-uri", service.url)
    scenes = queue_index(queue, second, "--ml-uri", service.url, "--skip-faces")
    work(queue)
    why = f"{service.url} does not work with the model buffalo_l, the default"
    assert f"{why}: load it there, or name another service when queueing the job." in waits(queue, faces)
    assert waits(queue, scenes) == "done"
    service.models = ()
    work(queue)
    assert waits(queue, faces) == "done"


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
    assert "could not take it: here: it has no valid address" in waits(queue, number)


def test_the_result_for_a_job_with_a_service_applies_to_no_other(
    queue: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_WAITED_S", 0.0)
    library, tried, reported = Library(queue), TriedServices(), list[str]()
    add_person(library, "anna", 1)
    assert isinstance(tried.lacks(service.url, Needs(service=service.url), library), trials.BeingTried)

    def is_known() -> bool:
        reported.append(tried.lacks(service.url, Needs(models=True), library))
        return not isinstance(reported[-1], trials.BeingTried)

    wait_for(is_known)
    assert "not from the machine-learning service" in reported[-1]


def test_commands_that_detect_faces_again_need_models_on_the_host(
    queue: Database, library_url: str, service: Service
) -> None:
    number = int(run("enrich", "--queue", "--database", library_url).out)
    work(queue, service.url)
    assert waits(queue, number).endswith("is not installed.")


def test_reasons_why_a_job_waits_are_reported(queue: Database, library_url: str) -> None:
    first, second = put(queue, Order("cluster")), put(queue, Order("assign"))
    assert waits(queue, first) == "No worker is running."
    assert waits(queue, second) == f"Waiting for job {first}."
    train = Order("train", needs=Needs(extra="none-such"))
    third = put(queue, train)
    why = "there", "it rains"
    # The claim of a worker goes with it, however it ends.
    with opened(Database(library_url)) as alive:
        assert Claims(alive, WORKER_CLAIM).take(["a worker"])
        queue.run(lambda connection: note_taker(connection, train.queue, "a worker", *why))
        assert waits(queue, third) == "No worker can take it. there: it rains."
    # The server ends a session that was closed a moment later.
    wait_for(
        lambda: (
            waits(queue, third) == "No worker is running. The last one could not take it: there: it rains."
        )
    )
    work(queue)
    last = "here: the optional dependency none-such is not installed."
    assert waits(queue, third) == f"No worker is running. The last one could not take it: {last}"
    changed(queue, "UPDATE takers SET noted_at = now() - interval '2 days'")
    assert waits(queue, third) == "No worker is running."


def test_a_service_that_hangs_keeps_no_worker_from_other_jobs(
    queue: Database, service: Service, tmp_path: Path
) -> None:
    service.latency_s = 20.0
    indexing = queue_index(queue, make_pictures(tmp_path / "photos", 1))
    other = put(queue, Order("maintain", {"tasks": ["daily"]}))
    notices = KeptNotices()
    Worker(queue, host(notices, ml_uri=service.url)).until(lambda: waits(queue, other) == "failed")
    # Nothing was indexed that could be maintained; the service has not answered yet.
    assert service.asked == []
    tried = f"the machine-learning service {service.url} is being checked"
    assert waits(queue, indexing) == f"No worker is running. The last one could not take it: here: {tried}."
    assert f"Jobs that need the library's models wait for now: {tried}." in notices.remarks


def test_a_worker_until_empty_waits_for_a_slow_service(
    queue: Database, service: Service, tmp_path: Path
) -> None:
    service.latency_s = 1.5
    number = queue_index(queue, make_pictures(tmp_path / "photos", 1), "--skip-clip")
    reported = work(queue, service.url).remarks
    assert waits(queue, number) == "done"
    assert not any(line.startswith("Left to other workers") for line in reported)


def test_a_worker_can_be_limited_to_the_photos_of_an_index_as_embed(
    queue: Database, library_url: str, service: Service, tmp_path: Path
) -> None:
    number = queue_index(queue, make_pictures(tmp_path / "photos", 2), "--ml-uri", service.url, "--skip-clip")
    worker = ("worker", "--until-empty", "--database", library_url, "--jobs")
    assert run(*worker, "embed").status == 0
    # Its folders are for others to list.
    left_out = ": `facesets worker --jobs` excludes it."
    assert waits(queue, number).endswith(left_out)
    shown = run("jobs", "show", number, "--json", "--database", library_url).out
    assert json.loads(shown)["waits"].endswith(left_out)
    assert QueuedJobShape.of(the_job(queue, number)).waits.endswith(left_out)
    assert run(*worker, "index,embed").status == 0
    assert waits(queue, number) == "done"


def test_a_folder_on_a_drive_that_does_not_answer_keeps_no_worker_from_other_jobs_or_from_ending(
    queue: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, answers, is_back = tmp_path / "hung", has_something, Event()

    def look(folder: Path) -> bool:
        return is_back.wait(PATIENCE_S) if folder == hung else answers(folder)

    monkeypatch.setattr(trials, "has_something", look)
    monkeypatch.setattr(trials, "_ANSWERS_WITHIN_S", 0.5)
    index = Order("index", needs=Needs(folders=(str(hung),)))
    indexing, other = put(queue, index), put(queue, Order("maintain", {"tasks": ["daily"]}))
    with host_with_hanging_check(queue, is_back) as here:
        # Nothing was indexed that could be maintained.
        assert waits(queue, other) == "failed"
        assert waits(queue, indexing).endswith(f"here: the drive of {hung} does not respond.")
        # It is looked at once, however often that is asked.
        assert here.drives.lacks_folder(str(hung)) == f"the drive of {hung} does not respond"
    wait_for(lambda: here.drives.lacks_folder(str(hung)) == "")


def test_models_on_a_drive_that_does_not_answer_keep_no_worker_from_other_jobs_or_from_ending(
    queue: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back, looks = Event(), list[str]()

    def look(name: str, *_: object, **_how: object) -> None:
        looks.append(name)
        assert is_back.wait(PATIENCE_S)

    monkeypatch.setattr("facesets.jobs.hosts.get_pack", look)
    monkeypatch.setattr(trials, "_ANSWERS_WITHIN_S", 0.5)
    needing = put(queue, Order("enrich", needs=Needs(models=True)))
    other = put(queue, Order("maintain", {"tasks": ["daily"]}))
    with host_with_hanging_check(queue, is_back) as here:
        assert waits(queue, other) == "failed"
        assert waits(queue, needing).endswith("here: the drive of the folder of models does not respond.")
        # No second check starts while the first one hangs.
        assert len(looks) == 1
    wait_for(lambda: here.lacks_models(Needs(models=True), Library(queue)) == "")


def test_a_worker_waiting_for_disk_space_reports_it_once_and_so_do_its_jobs(
    queue: Database, library_url: str
) -> None:
    add_person(Library(queue), "anna", 2)
    number = put(queue, Order("people centroids"))
    changed(
        queue,
        """CREATE FUNCTION queue.no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END$$;
        CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON queue.procrastinate_workers
            FOR EACH ROW EXECUTE FUNCTION queue.no_room()""",
    )
    notices = KeptNotices()
    with opened(Database(library_url)) as session, Worker(session, host(notices)).beside():
        wait_for(lambda: "The disk of the database is full" in waits(queue, number))
        assert "Free some space" in run("jobs", "show", number, "--database", library_url).out
        time.sleep(1.5)
        assert len([line for line in notices.notices if "is full. Free some space" in line]) == 1
        changed(queue, "DROP TRIGGER no_room ON queue.procrastinate_workers")
        wait_for(lambda: waits(queue, number) == "done")


def with_pack(root: Path, name: str, pack: Path, chosen: str = "") -> Host:
    """A host that has one pack."""
    (root / "models").mkdir(parents=True)
    (root / "models" / name).symlink_to(pack)
    here = host()
    conf = replace(here.conf, model_roots=(root,), state_dir=root / "state", pack=chosen)
    return replace(here, name=name, conf=conf)


@pytest.mark.parametrize("is_set", [False, True])
def test_photos_of_an_empty_library_go_to_workers_with_the_listing_workers_pack(
    queue: Database,
    small_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_set: bool,
) -> None:
    lists = with_pack(tmp_path / "one", "open", small_pack, "open" if is_set else "")
    other = with_pack(tmp_path / "other", "buffalo_l", small_pack)
    number = queue_index(queue, make_pictures(tmp_path / "photos", 2), "--skip-clip")
    ended = Stop()

    def list_only(work: JobWork, models: Models) -> object:
        summary = index_targets(work, models)
        ended.request()
        return summary

    with monkeypatch.context() as patched:
        patched.setattr(running, "index_targets", list_only)
        Worker(queue, lists, ended).work_off()
    Worker(queue, other).work_off()
    assert stored(queue) == []
    Worker(queue, lists).work_off()
    known = Library(queue).settings
    assert known is not None
    assert (len(stored(queue)), known.pack) == (2, "open")
    assert waits(queue, number) == "done"


def test_the_used_pack_is_reported_only_for_jobs_that_name_none(
    queue: Database, small_pack: Path, tmp_path: Path
) -> None:
    for named, says in (("open", False), ("", True)):
        notices = KeptNotices()
        here = replace(with_pack(tmp_path / f"named{named}", "open", small_pack), notices=notices)
        assert here.lacks_models(Needs(models=True, pack=named), Library(queue)) == ""
        assert any("Using the model pack open" in worded(each) for each in notices.remarks) == says


@pytest.fixture
def worker_with_gpu(
    queue: Database, small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs `worker --gpu` on a host that has the pack `open`."""
    with_pack(tmp_path, "open", small_pack)
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return partial(run, "worker", "--gpu", "--until-empty", "--database", queue.conninfo)


def test_a_gpu_with_a_hanging_driver_is_given_up_in_time(
    worker_with_gpu: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = Event()

    def hangs(_wanted: str, _model: ModelFile) -> ProviderChoice:
        answered.wait(60)
        return ProviderChoice("cuda", ())

    monkeypatch.setattr(providers, "choose_provider", hangs)
    monkeypatch.setattr("facesets.cli.library.jobs._GPU_TRIED_S", 0.3)
    done = worker_with_gpu("--pack", "open")
    answered.set()
    assert done.status == 1
    assert "No working GPU found: the test did not finish in 0 seconds. Remove --gpu" in done.err


def test_the_pack_for_trying_a_gpu_is_reported_as_chosen_only_if_none_is_named(
    worker_with_gpu: Callable[..., Result],
) -> None:
    for named, says in ((("--pack", "open"), False), ((), True)):
        assert ("Using the model pack open" in worker_with_gpu(*named).err) == says
