"""Calls that run something, and what workers do: what they do, refuse, and tell of it."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesets import settings
from facesets.assembly.indexing import index_again
from facesets.assembly.stores import LibraryWork
from facesets.errors import typed
from facesets.inference.packs import read_pack
from facesets.installation import adding
from facesets.jobs.queueing import Order, cancel, put, put_parts
from facesets.operations.library.findings import Looked
from facesets.operations.models.known_packs import FILE_NAME, remember_pack
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import PART_OF_INDEX, parts_in
from facesets.store.postgres.queue.schema import install, look_into_queue, shipped
from facesets.store.postgres.runs import IndexedFolder
from facesets.web.api import runs
from facesets.web.background import JobProgress
from facesets.web.site import Models
from facesets.work import Stop
from tests.fixtures.named_library import fill
from tests.fixtures.notices import KeptNotices
from tests.fixtures.photos import copy_photos
from tests.fixtures.vectors import People
from tests.fixtures.waiting import PATIENCE_S
from tests.fixtures.website import BASE, Website, named, served

pytestmark = pytest.mark.slow


@pytest.fixture
def busy(website: Website) -> Iterator[str]:
    """The id of a job that runs until it is stopped."""
    began = threading.Event()

    def work(progress: JobProgress, stop: Stop) -> None:
        progress.begin("Waiting", 10)
        progress.advance(3)
        progress.say("It takes long.")
        began.set()
        while not stop.requested:
            threading.Event().wait(0.01)

    job = website.site.jobs.start("index", work)
    assert began.wait(10)
    yield job.id
    website.site.jobs.close(10)


def ended(website: Website, job: str) -> Any:
    """A job, once it is over."""
    while True:
        answer = website.get(f"/jobs/{job}")
        if answer["status"] != "running":
            return answer
        threading.Event().wait(0.02)


def test_clustering_counts_groups_and_faces_in_none(website: Website) -> None:
    website.change("UPDATE face_detections SET person_id = NULL")
    found = website.post("/cluster", {"minClusterSize": 3, "quality_threshold": 0.4})
    assert (found["status"], found["totalFaces"], found["clustersFound"]) == ("completed", 24, 4)
    assert found["newClusters"] == 4
    again = website.post("/cluster", {"minClusterSize": 3, "qualityThreshold": 0.4})
    assert (again["clustersFound"], again["newClusters"]) == (4, 0)
    assert found["noiseCount"] == again["noiseCount"] > 0
    of_people = "SELECT id FROM face_detections WHERE person_id IS NOT NULL ORDER BY 1"
    before = website.rows(of_people)
    # Assigned faces stay so, even below the quality filter.
    gated = website.post("/cluster", {"qualityThreshold": 1})
    assert gated["leftOut"] == 24 - len(before)
    assert website.rows(of_people) == before


def test_dual_reports_both_phases_and_uses_the_best_faces_only(website: Website, album: Library) -> None:
    named(album, "anna-0", "Anna")
    website.change(
        """UPDATE face_detections SET person_id = NULL WHERE person_id IS DISTINCT FROM
            (SELECT person_id FROM person_names LIMIT 1)"""
    )
    some = website.post("/cluster/dual", {"maxFaces": 5})
    assert (some["totalFaces"], some["unsupervised"]["unlabeledFaces"]) == (5, 5)
    found = website.post("/cluster/dual", {"unknownMethod": "components", "unknownEps": 0.4})
    assert found["status"] == "completed"
    assert found["supervised"]["facesProcessed"] == found["totalFaces"]
    left = found["totalFaces"] - found["supervised"]["assignedToPersons"]
    assert found["unsupervised"]["unlabeledFaces"] == left
    assert found["unsupervised"]["clustersFound"] == 3


def test_centroids_are_made_and_assign_gives_faces_to_people_as_a_step_that_is_undone(
    website: Website, album: Library
) -> None:
    named(album, "anna-0", "Anna")
    made = website.post("/centroids")
    assert (made["status"], made["persons"] > 0, made["prototypes"] > 0) == ("completed", True, True)
    ((face,),) = website.rows(
        """UPDATE face_detections SET person_id = NULL, assigned_by = NULL WHERE id =
            (SELECT f.id FROM face_detections f JOIN image_paths p USING (image_id)
                WHERE p.path LIKE '%/anna-7.jpg') RETURNING id""",
    )
    found = website.post("/assign", {"maxFaces": 100})
    assert found["assignedToPersons"] >= 1
    owner = f"SELECT person_id IS NOT NULL FROM face_detections WHERE id = {face}"
    assert website.rows(owner) == [(True,)]
    website.post("/undo", {"step": found["step"]})
    assert website.rows(owner) == [(False,)]


def test_training_reports_which_people_it_needs(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether its extra is installed or not: that is loaded once there are people.
    monkeypatch.setattr("facesets.installation.find_spec", lambda name: name)
    assert "Training needs 5 named people" in website.post("/train", status=422)["detail"]


def test_training_without_its_extra_names_the_extra(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.installation.find_spec", lambda _: None)
    for queue in (False, True):
        refused = website.post("/train", {"queue": queue}, status=422)
        assert typed(adding("train")) in refused["detail"]
    assert website.get("/jobs")["total"] == 1


def test_work_in_the_background_is_followed_by_its_job(website: Website) -> None:
    queued = website.post("/cluster", {"queue": True}, status=202)
    assert queued["status"] == "queued"
    job = ended(website, queued["jobId"])
    assert (job["status"], job["command"], job["canStop"]) == ("done", "cluster", False)
    assert job["outcome"][0].startswith(f"{job['summary']['faces']} faces: ")
    listed = website.get("/jobs", pageSize=100)
    assert listed["items"][0]["jobId"] == queued["jobId"]
    # The run that the library recorded of it is not listed a second time.
    assert [each["command"] for each in listed["items"]] == ["cluster", "cluster"]
    assert listed["total"] == 2


def test_one_piece_of_long_work_runs_at_a_time(website: Website, busy: str) -> None:
    for path in ("/cluster", "/cluster/dual", "/assign", "/centroids"):
        assert website.post(path, status=409)["detail"].startswith("`index` is still running.")
    job = website.get(f"/jobs/{busy}")
    assert (job["stage"], job["done"], job["total"], job["lines"]) == ("Waiting", 3, 10, ["It takes long."])
    assert job["canStop"]


def test_a_job_is_stopped(website: Website, busy: str) -> None:
    website.post(f"/jobs/{busy}/stop")
    assert ended(website, busy)["status"] == "stopped"
    website.post("/centroids")


def test_a_run_elsewhere_is_a_conflict_and_listed_as_running(website: Website, album_url: str) -> None:
    other = Database(album_url)
    with RunLock(other, "cluster"):
        assert "Another" in website.post("/cluster", status=409)["detail"]
        with Library(other).recorded_run("cluster", {}):
            assert website.get("/jobs")["items"][0]["status"] == "running"
    number = website.get("/jobs")["items"][0]["jobId"]
    assert website.get(f"/jobs/{number}")["status"] == "done"
    refused = website.post(f"/jobs/{number}/stop", status=422)
    assert refused["detail"] == "This run was started elsewhere. Stop it there."
    other.close()


def test_a_killed_run_is_not_listed_as_running(website: Website) -> None:
    website.change(
        "INSERT INTO runs (command, program_version, host, options) VALUES ('cluster', '1', 'far', '{}')"
    )
    assert website.get("/jobs")["items"][0]["status"] == "unknown"


def test_long_work_needs_none_of_the_sessions_that_answers_are_lent(website: Website) -> None:
    lent = [website.site.sessions.lent() for _ in range(4)]
    for each in lent:
        each.__enter__()
    try:
        assert website.post("/centroids")["status"] == "completed"
    finally:
        for each in lent:
            each.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/cluster", {"minClusterSize": 1}),
        ("/cluster", {"qualityThreshold": 1.5}),
        ("/cluster", {"method": "magic"}),
        ("/cluster", {"unknown": 1}),
        ("/cluster/dual", {"unknownEps": 3}),
        ("/train", {"epochs": 1}),
        ("/assign", {"threshold": "high"}),
        ("/index", {"folderIds": ["/etc"]}),
        ("/index", {"folderIds": []}),
        ("/detect/../../etc", {}),
        ("/detect/abc", {}),
        ("/jobs/99999/stop", {}),
        (f"/jobs/{'0' * 32}/stop", {}),
    ],
)
def test_invalid_requests_are_refused(onlooked: Website, path: str, body: dict[str, Any]) -> None:
    answer = onlooked.client.post(BASE + path, json=body)
    assert answer.status_code in {404, 405, 422}
    assert answer.json()["detail"].endswith(".")
    assert "abc" not in path or answer.json()["detail"].startswith("assetId: ")


def test_pages_of_jobs_hold_each_once_however_they_lie(website: Website) -> None:
    for _ in range(3):
        website.change(
            """INSERT INTO runs (command, program_version, host, options, status)
                VALUES ('index', '1', 'elsewhere', '{}', 'done')"""
        )
        website.post("/centroids")
    every = [each["jobId"] for each in website.get("/jobs", pageSize=100)["items"]]
    paged = [website.get("/jobs", pageSize=1, page=page)["items"][0]["jobId"] for page in range(1, 8)]
    assert len(every) == website.get("/jobs")["total"] == 7
    assert paged == every
    assert website.get("/jobs", page=1_000_000)["items"] == []


def test_folders_are_chosen_among_those_indexed_before(
    website: Website, album: Library, tmp_path: Path
) -> None:
    assert website.get("/folders") == []
    missing = tmp_path / "gone"
    with album.recorded_run("index", {"targets": [str(missing)]}):
        pass
    (folder,) = website.get("/folders")
    assert folder["path"] == str(missing)
    assert str(missing) in website.post("/index", {"folderIds": [folder["id"]]}, status=503)["detail"]
    website.post("/index", {"folderIds": ["0" * 16]}, status=404)


def test_reanalyzing_photos_blocks_no_other_request(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.Event()
    monkeypatch.setattr(Models, "faces", lambda *_: None)
    monkeypatch.setattr(runs, "look_again", lambda *_, **__: Looked([], int(seen.wait(PATIENCE_S))))
    with ThreadPoolExecutor(6) as others:
        asked = [others.submit(website.post, f"/detect/{number:064x}") for number in range(6)]
        time.sleep(0.2)
        try:
            assert website.client.get(f"{BASE}/clusters", timeout=5).status_code == 200
        finally:
            seen.set()
        assert [each.result()["facesAdded"] for each in asked] == [1] * 6


def test_indivisible_jobs_cannot_be_stopped(website: Website) -> None:
    go_on = threading.Event()
    job = website.site.jobs.start("people forget", lambda *_: go_on.wait(PATIENCE_S)).id
    try:
        assert website.get(f"/jobs/{job}")["canStop"] is False
        website.post(f"/jobs/{job}/stop", status=422)
    finally:
        go_on.set()
    assert ended(website, job)["status"] == "done"


@pytest.fixture
def photos(tmp_path: Path, lfw_dir: Path) -> Path:
    """Two photos of one person."""
    return copy_photos(sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[:2], tmp_path / "photos")


@pytest.fixture
def site(
    library_url: str, photos: Path, pack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Website]:
    """A library of these photos, served, in which the pack's folder is known from indexing."""
    monkeypatch.setenv("FACESETS_PACK", str(pack_dir))
    conf = settings.load()
    remember_pack(conf.state_dir / FILE_NAME, read_pack(pack_dir))
    session = Database(library_url)
    work = LibraryWork(library=Library(session), settings=conf, notices=KeptNotices())
    index_again(work, [IndexedFolder(str(photos), {}, datetime.now(UTC))], and_assign=False)
    session.close()
    with served(library_url, tmp_path / "crops") as found:
        yield found


def faces(site: Website) -> list[int]:
    """The faces of the library."""
    return [face for (face,) in site.rows("SELECT id FROM face_detections ORDER BY id")]


def test_a_missing_face_is_found_again_by_the_librarys_pack(site: Website) -> None:
    face = faces(site)[0]
    asset = site.get(f"/faces/{face}")["assetId"]
    known = site.post(f"/detect/{asset}")
    assert (face in known["faceIds"], known["facesAdded"]) == (True, 0)
    site.change(f"DELETE FROM face_detections WHERE id = {face}")
    found = site.post(f"/detect/{asset}", {"min_confidence": 0.5})
    assert (found["assetId"], found["facesAdded"]) == (asset, 1)
    assert found["facesDetected"] == len(found["faceIds"]) == known["facesDetected"]
    assert set(found["faceIds"]) <= set(faces(site))
    assert site.post(f"/detect/{asset}", {"minFaceSize": 5000})["faceIds"] == []
    missing = site.post(f"/detect/{'00' * 32}", status=404)
    assert missing["detail"] == "This photo is not in the library."


def test_a_known_folder_is_indexed_again_and_its_new_faces_are_given_to_people(
    site: Website, photos: Path, lfw_dir: Path
) -> None:
    (folder,) = site.get("/folders")
    assert folder["path"] == str(photos)
    before = faces(site)
    shutil.copy2(sorted((lfw_dir / "Ariel_Sharon").glob("*.jpg"))[0], photos)
    found = site.post("/index", {"folderIds": [folder["id"]], "assign": True})
    assert (found["status"], found["newImages"], found["unchanged"]) == ("completed", 1, 2)
    assert found["newFaces"] == len(faces(site)) - len(before) > 0
    assert found["assigned"] == 0
    jobs = site.get("/jobs")["items"]
    assert [job["title"] for job in jobs] == ["Index", "Index"]
    assert jobs[0]["outcome"][0].startswith("1 new photo, ")


@pytest.mark.usefixtures("torch")
def test_training_on_real_faces_reports_its_result_and_use(
    database: Database, library_url: str, real_people: People, tmp_path: Path
) -> None:
    _, owner, faces = np.unique(real_people.name, return_inverse=True, return_counts=True)
    some = np.flatnonzero(np.isin(owner, np.argsort(-faces)[:12]))
    often = np.concatenate([some[owner[some] == person][:10] for person in np.unique(owner[some])])
    fill(database, real_people.embedding[often], np.unique(owner[often], return_inverse=True)[1])
    with served(library_url, tmp_path / "crops") as site:
        asked = {"epochs": 10, "minFacesPerPerson": 5}
        answer = site.client.post(f"{BASE}/train", json=asked, timeout=300)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["status"], found["personsUsed"]) == ("completed", 12)
        assert found["totalFaces"] == len(often)
        assert 0 < found["validationFaces"] < found["trainingFaces"] < found["totalFaces"]
        assert found["finalTrainLoss"] >= 0
        assert Path(found["modelCheckpoint"]).exists()
        # Who is held out decides: hardly a head beats the recognizer itself.
        assert found["reason"].endswith(".")
        job = site.get("/jobs")["items"][0]
        assert (job["title"], job["status"]) == ("Train", "done")


def test_the_queue_is_shown_where_there_is_one(website: Website, album: Library) -> None:
    assert website.get("/queue") == []
    assert website.get("/jobs")["queue"] == []
    assert 'aria-labelledby="queue-title" hidden' in website.page("/runs")
    install(album.database)
    number = put(album.database, Order("cluster"))
    (job,) = website.get("/queue")
    assert (job["id"], job["what"], job["state"], job["startedAt"]) == (number, "cluster", "waiting", None)
    assert website.get("/jobs")["queue"] == [job]
    cancel(album.database, number)
    assert website.get("/jobs")["queue"] == []
    put(album.database, Order("cluster"))
    page = website.page("/runs")
    assert "Job queue" in page
    assert 'aria-labelledby="queue-title" hidden' not in page
    assert "Waiting for a worker" in page


def test_open_jobs_come_before_ended_ones(
    website: Website, album: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.web.api.jobs._MAX_QUEUED", 3)
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
    queued = website.get("/jobs")["queue"]
    assert [(job["id"], job["state"]) for job in queued] == [(with_parts, "running"), (waiting, "waiting")]
    shown = website.get("/queue", limit=4)
    assert [job["id"] for job in shown] == [with_parts, waiting, ended[3], ended[2]]
    assert re.findall(r"<h3>(\d+): ", website.page("/runs")) == [f"{with_parts}", f"{waiting}", f"{ended[3]}"]
    assert len(website.get("/queue", limit=1)) == 1


def test_a_queue_of_an_earlier_version_is_left_out_until_it_is_brought_up_to_date(
    website: Website, album: Library
) -> None:
    now = shipped()
    install(album.database, replace(now, ours=now.ours[:1]))
    put(album.database, Order("cluster"))
    assert website.get("/queue") == []
    assert website.get("/jobs")["queue"] == []
    assert "Job queue" in website.page("/runs")
    install(album.database)
    assert len(website.get("/queue")) == 1
