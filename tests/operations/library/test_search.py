"""Search in the library: by face, person and date, exactly or by the index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import psycopg
import pytest
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

from facesets.errors import RecogniserMismatch, WrongUsage
from facesets.imaging.encode import png_bytes
from facesets.operations.library.photo_search import filter_of, people_meant
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
from facesets.store.postgres.photos.search import photos_near
from facesets.work import SilentProgress


@pytest.fixture
def library(database: Database) -> Library:
    """Forty images with two faces each, a day apart."""
    images = [made_image(f"i{n}", 2, f"2020-01-{n + 1:02d}T12:00:00") for n in range(30)]
    images += [made_image(f"undated{n}", 2) for n in range(10)]
    filled = Library(database)
    with filled.writing(SETTINGS):
        filled.commit([made_file(f"/{image.sha256}.jpg", image) for image in images], images)
    return filled


def shows(library: Library, who: str, limit: int) -> list[ImageHit]:
    return search_photos(library, filter_of(library, people_meant(library, [who])), limit)


def test_the_most_similar_faces_come_first_with_and_without_the_index(library: Library) -> None:
    collection = library.load()
    query = collection.faces.embedding[7]
    similarity = np.sort(collection.faces.embedding @ query)[::-1][:5]
    for prepare in (None, partial(build_index, progress=SilentProgress()), drop_index):
        if prepare is not None:
            prepare(library)
        hits = similar_faces(library, query, PhotoFilter(), 5)
        np.testing.assert_allclose([hit.cosine_similarity for hit in hits], similarity, atol=1e-6)
        assert hits[0].path == collection.images.paths[collection.faces.image[7]][0]


def test_building_the_index_again_replaces_it(library: Library) -> None:
    build_index(library, SilentProgress())
    build_index(library, SilentProgress())
    assert len(similar_faces(library, library.load().faces.embedding[0], PhotoFilter(), 3)) == 3


def test_dates_include_their_ends_and_leave_out_the_undated(library: Library) -> None:
    query = library.load().faces.embedding[0]
    hits = similar_faces(library, query, PhotoFilter(dates=Dates(date(2020, 1, 3), date(2020, 1, 4))), 50)
    assert {hit.taken[:10] for hit in hits} == {"2020-01-03", "2020-01-04"}
    assert len(hits) == 4


def test_photos_of_a_person_are_found_by_name_in_any_case(library: Library, library_url: str) -> None:
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO persons DEFAULT VALUES")
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons")
        connection.execute(
            "UPDATE face_detections SET person_id = (SELECT id FROM persons) WHERE image_id IN (2, 3)"
        )
    assert [hit.taken[:10] for hit in shows(library, "ANNA", 10)] == [
        "2020-01-03",
        "2020-01-02",
    ]
    with pytest.raises(WrongUsage, match="called Bob"):
        shows(library, "Bob", 10)


def test_a_path_is_printed_where_the_photo_is(library: Library, library_url: str, tmp_path: Path) -> None:
    images = [made_image("i2", 2, "2020-01-03T12:00:00")]
    with library.writing(SETTINGS):
        library.commit([made_file(str(tmp_path / "there.jpg"), images[0])], [])
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO persons DEFAULT VALUES")
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons")
        connection.execute(
            """UPDATE face_detections SET person_id = (SELECT id FROM persons)
                WHERE image_id = (SELECT id FROM images WHERE sha256 = %s)""",
            (images[0].sha256,),
        )

    def found() -> list[str]:
        vector = images[0].faces.embedding[0]
        (photo,) = shows(library, "Anna", 1)
        (face,) = similar_faces(library, vector, PhotoFilter(), 1)
        return [photo.path, face.path]

    assert found() == [f"/{images[0].sha256}.jpg"] * 2
    (tmp_path / "there.jpg").touch()
    assert found() == [str(tmp_path / "there.jpg")] * 2


def test_somebody_without_a_name_is_found_by_the_number_that_a_search_prints(
    library: Library, library_url: str
) -> None:
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO persons DEFAULT VALUES")
        connection.execute(
            "UPDATE face_detections SET person_id = (SELECT id FROM persons) WHERE image_id IN (2, 3)"
        )
    collection = library.load()
    (hit,) = similar_faces(library, collection.faces.embedding[2], PhotoFilter(), 1)
    for number in (hit.person, hit.person[:8]):
        assert [found.name for found in shows(library, number, 10)] == [hit.person] * 2


@dataclass(frozen=True)
class Finding:
    """An embedder that finds one face on every photo."""

    face: Faces
    settings: CacheSettings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        return [self.face for _ in pictures]


def test_a_photo_finds_the_faces_like_the_one_on_it_and_never_those_of_another_recogniser(
    library: Library, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8)))
    collection = library.load()
    finding = Finding(collection.faces.take(np.array([7])))
    (hit,) = search_by_face(library, finding, str(photo), PhotoFilter(), 1).faces
    assert hit.path == collection.images.paths[collection.faces.image[7]][0]
    other = replace(finding, settings=replace(SETTINGS, pack="other", recogniser_sha256="dd" * 32))
    with pytest.raises(RecogniserMismatch, match="Search with pack made"):
        search_by_face(library, other, str(photo), PhotoFilter(), 1)


def test_a_group_photo_is_searched_by_the_face_that_is_asked_for(library: Library, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8)))
    collection = library.load()
    rows = np.array([7, 30])
    boxes = np.array([[0, 0, 40, 50], [100, 0, 180, 90]], np.float32)
    faces = replace(collection.faces.take(rows), box=boxes, face_short=np.array([40, 80], np.float32))

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
    with pytest.raises(WrongUsage, match="no face in that box"):
        faces_like(Which(box=(500, 500, 510, 510)))


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
    """A library of embedded images that were not searched for faces; one a day, and an index."""
    images = [
        replace(made_image(f"i{n}", 0, str(np.datetime64("2020-01-01T12:00:00") + n * 86400)), searched=False)
        for n in range(COUNT)
    ]
    images = [replace(image, clip=vector) for image, vector in zip(images, vectors, strict=True)]
    filled = Library(database).looking_for(None, MODEL)
    filled.add([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    build_index(filled, SilentProgress())
    return filled


def similar(library: Library, query: Float32, asked: PhotoFilter, limit: int) -> list[int]:
    """The numbers of the images that are found."""
    (row,) = library.clip_models()
    hits = similar_images(library, row, query, asked, limit)
    assert [hit.cosine_similarity for hit in hits] == sorted(
        (hit.cosine_similarity for hit in hits), reverse=True
    )
    return [int(hit.path.strip("/").removesuffix(".jpg")) for hit in hits]


def test_the_most_similar_images_come_first_with_and_without_the_index(
    embedded: Library, vectors: Float32
) -> None:
    exact = np.argsort(-(vectors @ vectors[3]))[:8].tolist()
    assert similar(embedded, vectors[3], PhotoFilter(), 8) == exact
    drop_index(embedded)
    assert similar(embedded, vectors[3], PhotoFilter(), 8) == exact


def test_days_with_few_images_are_searched_exactly_however_far_their_images_are(
    embedded: Library, vectors: Float32
) -> None:
    farthest = int(np.argmin(vectors @ vectors[0]))
    day = date(2020, 1, 1).fromordinal(date(2020, 1, 1).toordinal() + farthest)
    assert similar(embedded, vectors[0], PhotoFilter(dates=Dates(day, day)), 5) == [farthest]


@pytest.mark.parametrize("most", [0, 50, search.MOST_COMPARED])
def test_however_many_fit_those_found_are_those_that_comparing_all_finds(
    embedded: Library, vectors: Float32, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(search, "MOST_COMPARED", most)
    similarity = vectors @ vectors[0]
    for prepare in (None, drop_index):
        if prepare is not None:
            prepare(embedded)
        for count in (0, 1, 3, 30, 150, COUNT - 30):
            first = date(2020, 1, 1) + timedelta(days=30)
            dates = Dates(first, first + timedelta(days=count - 1)) if count else Dates(date(2030, 1, 1))
            best = sorted(range(30, 30 + count), key=lambda number: -similarity[number])[:10]
            assert similar(embedded, vectors[0], PhotoFilter(dates=dates), 10) == best, (prepare, count)


def test_where_many_fit_only_what_the_index_proposes_is_compared(
    embedded: Library, vectors: Float32, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_COMPARED", 0)
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


def test_where_many_fit_only_faces_that_the_index_proposes_are_compared(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(library, SilentProgress())
    monkeypatch.setattr(search, "MOST_COMPARED", 0)
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


def test_images_whose_files_are_gone_do_not_crowd_out_the_others(embedded: Library, vectors: Float32) -> None:
    order = np.argsort(-(vectors @ vectors[9])).tolist()
    embedded.forget_paths([f"/{n}.jpg" for n in order[:280]])
    assert similar(embedded, vectors[9], PhotoFilter(), 10) == order[280:290]


def test_a_vector_of_another_length_is_refused(embedded: Library) -> None:
    (row,) = embedded.clip_models()
    with pytest.raises(RecogniserMismatch, match="24"):
        similar_images(embedded, row, np.ones(5, np.float32), PhotoFilter(), 1)


def test_a_small_library_wants_no_index(embedded: Library) -> None:
    (row,) = embedded.clip_models()
    drop_index(embedded)
    assert not wants_index(embedded, row)


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
