"""A photo of the library searched for faces once more, by real models."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_faces
from tests.fixtures.photos import wide_picture

from facesets.errors import AlreadyRunning, NotFound, RecognizerMismatch, UnreadableImage
from facesets.file_records import FileRecord
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.operations.library.findings import Looked, look_again
from facesets.operations.people.corrections.naming import name
from facesets.operations.people.forgetting.forget import forget
from facesets.records import ImageRecord
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work


@pytest.fixture
def photo(tmp_path: Path, lfw_dir: Path) -> Path:
    """A photo of two people."""
    pair = [sorted((lfw_dir / name).glob("*.jpg"))[0] for name in ("Hugo_Chavez", "Ariel_Sharon")]
    path = tmp_path / "two.png"
    wide_picture(pair, 600, 300).save(path)
    return path


def sha(photo: Path) -> str:
    """The content of a photo."""
    return hashlib.sha256(photo.read_bytes()).hexdigest()


@pytest.fixture
def library(database: Database, embedder: LocalEmbedder, photo: Path) -> Library:
    """A library that knows the one on the left only, who is called Hugo."""
    decoded = decode(photo)
    (faces,) = embedder.embed([decoded.pixels])
    assert len(faces) == 2
    left = faces.take(np.array([int(faces.box[:, 0].argmin())]))
    image = ImageRecord(sha(photo), decoded.width, decoded.height, np.datetime64("NaT", "s"), bytes(32), left)
    filled = Library(database)
    with filled.writing(embedder.settings):
        filled.commit([FileRecord(str(photo), 1, 1, image.sha256)], [image])
    name(database, str(known(database)[0]), "Hugo", into=False, face=True, by="tester")
    return filled


def known(database: Database) -> list[int]:
    """The faces of the library."""
    return [face for (face,) in rows(database, "SELECT id FROM face_detections ORDER BY id")]


def look(
    library: Library, embedder: LocalEmbedder, photo: Path, *, score: float = 0.5, short: float = 20
) -> Looked:
    return look_again(library, embedder, sha(photo), min_det_score=score, min_short=short)


def test_a_new_face_is_added_and_a_known_one_keeps_its_person(
    library: Library, embedder: LocalEmbedder, photo: Path, database: Database
) -> None:
    (hugo,) = known(database)
    for gate in ({"score": 1.0}, {"short": 10_000.0}):
        assert look(library, embedder, photo, **gate) == Looked([], 0)
    assert known(database) == [hugo], "a gate lets nothing go that is known"
    found = look(library, embedder, photo)
    assert found.added == 1
    assert sorted(found.faces) == known(database)
    assert hugo in found.faces
    assert rows(database, "SELECT id FROM face_detections WHERE person_id IS NOT NULL") == [(hugo,)]
    assert len(library.load().faces) == 2
    assert look(library, embedder, photo) == replace(found, added=0)


def test_a_forgotten_face_does_not_come_back(
    library: Library, embedder: LocalEmbedder, photo: Path, database: Database
) -> None:
    forget(library.database, "Hugo", [], [], exports=False, work=Work(by="tester"))
    found = look(library, embedder, photo)
    assert (len(found.faces), found.added, len(known(database))) == (1, 1, 1)
    assert not rows(database, "SELECT id FROM face_detections WHERE x1 < 250")


def test_a_photo_claimed_by_another_run_is_left_to_it(
    library: Library, embedder: LocalEmbedder, photo: Path, library_url: str
) -> None:
    other = Database(library_url)
    claims = Library(other).claims("content")
    assert claims.take([sha(photo)])
    with pytest.raises(AlreadyRunning, match="processing this photo"):
        look(library, embedder, photo)
    claims.release([sha(photo)])
    other.close()
    assert look(library, embedder, photo).added == 1


def test_inaccessible_files_are_reported(library: Library, embedder: LocalEmbedder, photo: Path) -> None:
    with pytest.raises(NotFound, match="photo is not in the library"):
        look_again(library, embedder, "00" * 32, min_det_score=0.5, min_short=20)
    digest = sha(photo)
    photo.unlink()
    with pytest.raises(UnreadableImage):
        look_again(library, embedder, digest, min_det_score=0.5, min_short=20)


def test_faces_of_another_recognizer_stay_out(
    database: Database, embedder: LocalEmbedder, photo: Path
) -> None:
    library = Library(database)
    image = ImageRecord(sha(photo), 600, 300, np.datetime64("NaT", "s"), bytes(32), made_faces(0))
    with library.writing(SETTINGS):
        library.commit([FileRecord(str(photo), 1, 1, image.sha256)], [image])
    with pytest.raises(RecognizerMismatch):
        look(library, embedder, photo)
