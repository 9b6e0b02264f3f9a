"""Search in the library by face, person and date, exactly or by the index, and how that is built."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import errors, sql
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.program import run
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.waiting import wait_for

from facesets.errors import RecognizerMismatch, WrongUsage
from facesets.imaging.encode import png_bytes
from facesets.machine import processors
from facesets.operations.library.photo_search import filter_of, requested_people
from facesets.operations.library.search import (
    FaceSearch,
    ImageHit,
    Which,
    search_by_face,
    search_photos,
    similar_faces,
    similar_images,
)
from facesets.operations.library.search_index import build_index, drop_index, wants_index
from facesets.records import CacheSettings, ClipModel, Faces, Float32, Pixels, Wanted
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import search
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.search import face_vectors, photos_near
from facesets.store.postgres.photos.vector_index import Vectors, has_index
from facesets.store.postgres.server.configuration import start_settings
from facesets.work import SilentProgress

PHOTOS = 40
FACES = 2 * PHOTOS


@pytest.fixture
def library(database: Database) -> Library:
    """Images with two faces each, a day apart, in a table that several processes scan."""
    images = [made_image(f"i{n}", 2, f"2020-01-{n + 1:02d}T12:00:00") for n in range(30)]
    images += [made_image(f"undated{n}", 2) for n in range(PHOTOS - 30)]
    filled = Library(database)
    with filled.writing(SETTINGS):
        filled.commit([made_file(f"/{image.sha256}.jpg", image) for image in images], images)
    database.run(
        lambda connection: connection.execute("ALTER TABLE face_embeddings SET (parallel_workers = 64)")
    )
    return filled


def shows(library: Library, who: str, limit: int) -> list[ImageHit]:
    return search_photos(library, filter_of(library, requested_people(library, [who])), limit)


def test_the_most_similar_faces_of_any_dates_come_first_with_and_without_index(library: Library) -> None:
    collection = library.load()
    query = collection.faces.embedding[7]
    similarity = np.sort(collection.faces.embedding @ query)[::-1][:5]
    build = partial(build_index, progress=SilentProgress())
    # An index that is there already gives way.
    for prepare in ((), (build,), (build,), (drop_index,)):
        for step in prepare:
            step(library)
        hits = similar_faces(library, query, PhotoFilter(), 5)
        np.testing.assert_allclose([hit.cosine_similarity for hit in hits], similarity, atol=1e-6)
        assert hits[0].path == collection.images.paths[collection.faces.image[7]][0]
        # With their ends, and without the undated.
        dates = Dates(date(2020, 1, 3), date(2020, 1, 4))
        hits = similar_faces(library, query, PhotoFilter(dates=dates), 50)
        assert sorted(hit.taken[:10] for hit in hits) == ["2020-01-03"] * 2 + ["2020-01-04"] * 2


def test_a_person_is_found_by_name_in_any_case_and_by_the_printed_id(library: Library) -> None:
    rows(
        library.database,
        """WITH made AS (INSERT INTO persons DEFAULT VALUES RETURNING id)
            UPDATE face_detections SET person_id = made.id FROM made WHERE image_id IN (2, 3) RETURNING 1""",
    )
    (hit,) = similar_faces(library, library.load().faces.embedding[2], PhotoFilter(), 1)
    for number in (hit.person, hit.person[:8]):
        assert [found.name for found in shows(library, number, 10)] == [hit.person] * 2
    rows(
        library.database,
        "INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons RETURNING 1",
    )
    assert [found.taken[:10] for found in shows(library, "ANNA", 10)] == ["2020-01-03", "2020-01-02"]
    with pytest.raises(WrongUsage, match="not found: Bob"):
        shows(library, "Bob", 10)


def test_a_path_is_printed_where_the_photo_is(library: Library, tmp_path: Path) -> None:
    image = made_image("i2", 2, "2020-01-03T12:00:00")
    with library.writing(SETTINGS):
        library.commit([made_file(str(tmp_path / "there.jpg"), image)], [])

    def found() -> list[str]:
        photo = search_photos(library, PhotoFilter(dates=Dates(date(2020, 1, 3), date(2020, 1, 3))), 2)
        (face,) = similar_faces(library, image.faces.embedding[0], PhotoFilter(), 1)
        return [*(each.path for each in photo), face.path]

    assert found() == [f"/{image.sha256}.jpg"] * 2
    (tmp_path / "there.jpg").touch()
    assert found() == [str(tmp_path / "there.jpg")] * 2


@dataclass(frozen=True)
class Finding:
    """An embedder that finds the same faces on every photo."""

    faces: Faces
    settings: CacheSettings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        return [self.faces for _ in pictures]


def test_a_group_photo_is_searched_by_the_requested_face_and_the_librarys_recognizer(
    library: Library, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8)))
    collection = library.load()
    asked = np.array([7, 30])
    boxes = np.array([[0, 0, 40, 50], [100, 0, 180, 90]], np.float32)
    faces = replace(collection.faces.take(asked), box=boxes, face_short=np.array([40, 80], np.float32))

    def faces_like(which: Which | None = None, least: float | None = None) -> FaceSearch:
        return search_by_face(
            library, Finding(faces), str(photo), PhotoFilter(), 100, which=which, min_cosine_similarity=least
        )

    def path_of(row: int) -> str:
        return str(collection.images.paths[collection.faces.image[row]][0])

    largest = faces_like()
    assert largest.on_photo == [(100, 0, 180, 90), (0, 0, 40, 50)]
    assert largest.asked == [(100, 0, 180, 90)]
    assert largest.faces[0].path == path_of(30)
    assert largest.min_cosine_similarity == pytest.approx(0.37)
    assert min(hit.cosine_similarity for hit in largest.faces) >= 0.37
    assert len(largest.faces) < len(faces_like(least=-1).faces) == 80
    assert faces_like(Which(box=(5, 5, 45, 55))).faces[0].path == path_of(7)
    both = faces_like(Which(every=True))
    assert [(both.faces[0].of, both.faces[0].path), (both.faces[-1].of)] == [(1, path_of(30)), 2]
    with pytest.raises(WrongUsage, match="No face found in that box"):
        faces_like(Which(box=(500, 500, 510, 510)))
    other = Finding(faces, replace(SETTINGS, pack="other", recognizer_sha256="dd" * 32))
    with pytest.raises(RecognizerMismatch, match="Search with pack made"):
        search_by_face(library, other, str(photo), PhotoFilter(), 1)


COUNT = 320
MODEL = ClipModel("made", "cc" * 32)


@pytest.fixture(scope="module")
def vectors() -> Float32:
    """An embedding for each of many images."""
    made = np.random.default_rng(5).standard_normal((COUNT, 24)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


@pytest.fixture
def embedded(database: Database, vectors: Float32) -> Library:
    """A library of embedded images that were face detection has not run; one a day, and an index."""
    images = [
        replace(made_image(f"i{n}", 0, str(np.datetime64("2020-01-01T12:00:00") + n * 86400)), searched=False)
        for n in range(COUNT)
    ]
    images = [replace(image, clip=vector) for image, vector in zip(images, vectors, strict=True)]
    filled = Library(database).looking_for(None, MODEL)
    filled.add([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    build_index(filled, SilentProgress())
    return filled


def similar(library: Library, query: Float32, limit: int) -> list[int]:
    """The numbers of the images that are found."""
    (row,) = library.clip_models()
    hits = similar_images(library, row, query, PhotoFilter(), limit)
    assert [hit.cosine_similarity for hit in hits] == sorted(
        (hit.cosine_similarity for hit in hits), reverse=True
    )
    return [int(hit.path.strip("/").removesuffix(".jpg")) for hit in hits]


def test_the_most_similar_images_come_first_with_or_without_index(
    embedded: Library, vectors: Float32
) -> None:
    (row,) = embedded.clip_models()
    exact = np.argsort(-(vectors @ vectors[3]))[:8].tolist()
    assert similar(embedded, vectors[3], 8) == exact
    drop_index(embedded)
    assert not wants_index(embedded, row), "few images are compared soon enough"
    assert similar(embedded, vectors[3], 8) == exact
    with pytest.raises(RecognizerMismatch, match="24"):
        similar_images(embedded, row, np.ones(5, np.float32), PhotoFilter(), 1)


def test_with_many_matches_only_candidates_of_the_index_are_compared(
    embedded: Library, vectors: Float32, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_COMPARED", 0)
    (row,) = embedded.clip_models()
    dates = Dates(date(2020, 1, 2))
    best = np.argsort(-(vectors[1:] @ vectors[9]))[:5] + 1

    def work(connection: Connection) -> tuple[list[str], int]:
        before = connection.scalar(_READ.format("image_embeddings"))
        found = photos_near(connection, row, vectors[9], PhotoFilter(dates=dates), limit=5)
        read = connection.scalar(_READ.format("image_embeddings")) - before
        return [photo.paths[0] for photo in found], read

    found, read = embedded.database.run(work)
    assert found == [f"/{number}.jpg" for number in best]
    assert 0 < read < COUNT / 4


def test_with_many_matches_only_face_candidates_of_the_index_are_compared(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(library, SilentProgress())
    monkeypatch.setattr(search, "MAX_COMPARED", 0)
    query = library.load().faces.embedding[0]

    def work(connection: Connection) -> tuple[list[search.FaceHit], int]:
        detector, asked = library.require_detector(connection), PhotoFilter(dates=Dates(date(2020, 1, 1)))
        before = connection.scalar(_READ.format("face_embeddings"))
        found = search.similar_faces(connection, detector, query, asked, limit=3)
        return found, connection.scalar(_READ.format("face_embeddings")) - before

    found, read = library.database.run(work)
    assert [round(face.cosine_similarity, 4) for face in found][:1] == [1.0]
    # Forty of the sixty of these dates, and those that were refused before them.
    assert 0 < read < 60


_READ = """SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE relname = '{}'"""


def test_images_that_were_only_embedded_are_no_problem_and_get_their_faces_later(
    embedded: Library, database: Database
) -> None:
    assert not database.run(find_problems)
    image = made_image("i0", 2)
    assert embedded.lacking(image.sha256) == (True, Wanted(faces=False, clip=False))
    later = Library(database).looking_for(SETTINGS, MODEL)
    assert embedded.lacking(image.sha256) == (True, Wanted(faces=False, clip=False))
    assert later.lacking(image.sha256) == (True, Wanted(faces=True, clip=False))
    later.add([], [image])
    assert len(later.load().faces) == 2
    assert later.lacking(image.sha256)[1] == Wanted(faces=False, clip=False)
    assert later.lacking("00" * 32) == (False, Wanted(faces=True, clip=True))


def face_vectors_of(library: Library) -> Vectors:
    return library.database.run(lambda connection: face_vectors(library.require_detector(connection)))


@contextmanager
def remarks(database: Database) -> Iterator[list[str]]:
    """Collect the server's notices within the block."""
    reported: list[str] = []

    def listen(connection: Connection) -> None:
        connection.add_notice_handler(lambda each: reported.append(each.message_primary or ""))
        connection.execute("SET client_min_messages = debug1")

    database.run_alone(listen)
    yield reported
    database.run_alone(lambda connection: connection.execute("SET client_min_messages = warning"))


def server_messages(library: Library, reported: list[str]) -> list[str]:
    """Return the server's notices during the index build."""
    reported.clear()
    build_index(library, SilentProgress())
    return reported


def test_as_many_processes_build_it_as_the_server_lets_work_on_one_statement(library: Library) -> None:
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 3"))
    with remarks(library.database) as reported:
        # Other tests on the same server may have its workers for a moment.
        wait_for(lambda: "using 2 parallel workers" in server_messages(library, reported))
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 0"))
    with remarks(library.database) as reported:
        build_index(library, SilentProgress())
    assert [line for line in reported if "parallel workers" in line] == []
    assert library.database.run(lambda connection: has_index(connection, face_vectors_of(library)))


def test_the_embedded_server_lets_all_processors_work() -> None:
    given = dict(setting.removeprefix("-c").split("=") for setting in start_settings())
    assert int(given["max_parallel_workers"]) == processors()
    assert int(given["max_worker_processes"]) > processors()


def test_one_process_builds_it_where_several_lack_shared_memory(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 3"))
    real = psycopg.Connection.execute

    def execute(self: Connection, query: Any, *rest: Any) -> Any:
        several = self.scalar("SHOW max_parallel_maintenance_workers") != "0"
        if several and isinstance(query, sql.Composed) and "CREATE INDEX" in query.as_string():
            # The error of a server with a full /dev/shm, which only a container of its own can cause.
            raise errors.DiskFull("could not resize shared memory segment")
        return real(self, query, *rest)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    progress = RecordingProgress()
    build_index(library, progress)
    assert library.database.run(lambda connection: has_index(connection, face_vectors_of(library)))
    (line,) = progress.lines
    assert "shared memory" in line


def test_progress_follows_the_servers_report_of_the_build(
    library: Library, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.library.search_index._LOOKS_EVERY_S", 0.01)
    progress = RecordingProgress()
    builder = threading.Thread(target=lambda: build_index(library, progress))
    with psycopg.connect(library_url) as older:
        # A build ends by waiting for those who may see the table as it was before.
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM face_embeddings")
        builder.start()
        wait_for(lambda: len(progress.stages) > 1)
        assert progress.stages == [("Indexing faces", FACES), ("Checking the index of faces", None)]
        assert progress.done == FACES
    builder.join()


def test_it_is_built_where_there_is_no_second_connection_to_follow_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.library.search_index._LOOKS_EVERY_S", 0.0)
    database = library.database
    monkeypatch.setattr(database, "_text", "postgresql://nobody@127.0.0.1:1/none")
    progress = RecordingProgress()
    build_index(library, progress)
    assert database.run(lambda connection: has_index(connection, face_vectors_of(library)))
    assert (progress.stages, progress.done, progress.lines) == (
        [("Indexing faces", FACES)],
        FACES,
        [],
    )


@pytest.mark.usefixtures("library")
def test_a_log_has_progress_only_where_it_is_asked_for(library_url: str) -> None:
    def written(*words: str) -> tuple[int, str, str]:
        result = run("db", "index", *words, "--database", library_url)
        return result.status, result.out, result.err

    assert written() == (0, "Built the index.\n", "")
    assert written("-q") == (0, "", "")
    status, _, log = written("-v")
    assert status == 0
    assert f"{FACES}/{FACES} (" in log
