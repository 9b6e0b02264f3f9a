"""Detection and indexing over HTTP, with real models on real photos."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from facesets import settings
from facesets.assembly.commands import LibraryWork
from facesets.assembly.indexing import index_again
from facesets.inference.packs import read_pack
from facesets.operations.models.known_packs import FILE_NAME, remember_pack
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.runs import IndexedFolder
from tests.fixtures.library_people import rows
from tests.fixtures.named_library import fill
from tests.fixtures.notices import KeptNotices
from tests.fixtures.photos import copy_photos
from tests.fixtures.vectors import People
from tests.fixtures.website import BASE, Website, served

pytestmark = pytest.mark.slow


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


def faces(library_url: str) -> list[int]:
    """The faces of the library."""
    session = Database(library_url)
    found = rows(session, "SELECT id FROM face_detections ORDER BY id")
    session.close()
    return [face for (face,) in found]


def test_a_face_that_is_missing_is_found_again_by_the_librarys_own_pack(
    site: Website, library_url: str
) -> None:
    session = Database(library_url)
    ((asset, face),) = rows(
        session,
        """SELECT i.sha256, f.id FROM images i JOIN face_detections f ON f.image_id = i.id
            ORDER BY f.id LIMIT 1""",
    )
    known = site.post(f"/detect/{asset}")
    assert (face in known["faceIds"], known["facesAdded"]) == (True, 0)
    rows(session, f"DELETE FROM face_detections WHERE id = {face} RETURNING id")
    session.close()
    found = site.post(f"/detect/{asset}", {"min_confidence": 0.5})
    assert (found["assetId"], found["facesAdded"]) == (asset, 1)
    assert found["facesDetected"] == len(found["faceIds"]) == known["facesDetected"]
    assert set(found["faceIds"]) <= set(faces(library_url))
    assert site.post(f"/detect/{asset}", {"minFaceSize": 5000})["faceIds"] == []
    missing = site.client.post(f"{BASE}/detect/{'00' * 32}", json={})
    assert (missing.status_code, missing.json()["detail"]) == (404, "There is no such photo in the library.")


def test_a_known_folder_is_indexed_again_and_its_new_faces_are_given_to_people(
    site: Website, library_url: str, photos: Path, lfw_dir: Path
) -> None:
    (folder,) = site.get("/folders")
    assert folder["path"] == str(photos)
    before = faces(library_url)
    shutil.copy2(sorted((lfw_dir / "Ariel_Sharon").glob("*.jpg"))[0], photos)
    found = site.post("/index", {"folderIds": [folder["id"]], "assign": True})
    assert (found["status"], found["newImages"], found["unchanged"]) == ("completed", 1, 2)
    assert found["newFaces"] == len(faces(library_url)) - len(before) > 0
    assert found["assigned"] == 0
    jobs = site.get("/jobs")["items"]
    assert [job["title"] for job in jobs] == ["Index", "Index"]
    assert jobs[0]["outcome"][0].startswith("1 new photo, ")


@pytest.mark.usefixtures("torch")
def test_training_on_real_faces_says_what_it_learnt_and_whether_it_is_used(
    database: Database, library_url: str, real_people: People, tmp_path: Path
) -> None:
    _, whose, faces = np.unique(real_people.name, return_inverse=True, return_counts=True)
    some = np.flatnonzero(np.isin(whose, np.argsort(-faces)[:12]))
    often = np.concatenate([some[whose[some] == person][:10] for person in np.unique(whose[some])])
    fill(database, real_people.embedding[often], np.unique(whose[often], return_inverse=True)[1])
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
        # Who is held out decides: hardly a head beats the recogniser itself.
        assert found["reason"].endswith(".")
        job = site.get("/jobs")["items"][0]
        assert (job["title"], job["status"]) == ("Train", "done")
