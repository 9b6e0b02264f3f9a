"""Search in the library: by face, person and date, exactly or by the index."""

from datetime import date

import numpy as np
import psycopg
import pytest

from facesets.errors import WrongUsage
from facesets.operations.search import build_index, drop_index, search_by_person, similar_faces
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.search import Dates
from tests.store.made import SETTINGS, made_file, made_image


@pytest.fixture
def library(database: Database) -> Library:
    """Forty images with two faces each, a day apart."""
    images = [made_image(f"i{n}", 2, f"2020-01-{n + 1:02d}T12:00:00") for n in range(30)]
    images += [made_image(f"undated{n}", 2) for n in range(10)]
    filled = Library(database)
    with filled.writing(SETTINGS):
        filled.commit([made_file(f"/{image.sha256}.jpg", image) for image in images], images)
    return filled


def test_the_most_similar_faces_come_first_with_and_without_the_index(library: Library) -> None:
    collection = library.load()
    query = collection.faces.embedding[7]
    similarity = np.sort(collection.faces.embedding @ query)[::-1][:5]
    for prepare in (None, build_index, drop_index):
        if prepare is not None:
            prepare(library)
        hits = similar_faces(library, query, Dates(), 5)
        np.testing.assert_allclose([hit.cosine_similarity for hit in hits], similarity, atol=1e-6)
        assert hits[0].path == collection.images.paths[collection.faces.image[7]][0]


def test_building_the_index_again_replaces_it(library: Library) -> None:
    build_index(library)
    build_index(library)
    assert len(similar_faces(library, library.load().faces.embedding[0], Dates(), 3)) == 3


def test_dates_include_their_ends_and_leave_out_the_undated(library: Library) -> None:
    query = library.load().faces.embedding[0]
    hits = similar_faces(library, query, Dates(date(2020, 1, 3), date(2020, 1, 4)), 50)
    assert {hit.taken[:10] for hit in hits} == {"2020-01-03", "2020-01-04"}
    assert len(hits) == 4


def test_photos_of_a_person_are_found_by_name_in_any_case(library: Library, library_url: str) -> None:
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO persons DEFAULT VALUES")
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons")
        connection.execute(
            "UPDATE face_detections SET person_id = (SELECT id FROM persons) WHERE image_id IN (2, 3)"
        )
    assert [hit.taken[:10] for hit in search_by_person(library, "ANNA", Dates(), 10)] == [
        "2020-01-02",
        "2020-01-03",
    ]
    with pytest.raises(WrongUsage, match="called Bob"):
        search_by_person(library, "Bob", Dates(), 10)
