"""The library stores bodies with their faces, and suggests people for those without a face."""

import json
from dataclasses import asdict, replace
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import cluster, heart_of
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

from facesets.imaging.bodies import COLOURS, PhotoBodies
from facesets.operations.people.corrections import naming
from facesets.operations.people.lists.listing import bodies_of_person
from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.bodies import BodyOnPhoto, of_image

STANDING = (100, 50, 300, 450)
BY = "tests"


def wearing(name: str) -> NDArray[np.uint8]:
    """The clothes of a person: similar for one name, different for two."""
    return np.random.default_rng(sum(name.encode())).permutation(
        np.concatenate([np.full(20, 200, np.uint8), np.zeros(COLOURS - 20, np.uint8)])
    )


def seen(*people: tuple[tuple[int, int, int, int], str, int]) -> PhotoBodies:
    """Bodies: the box, the name for the clothes, and the row of the face, -1 for none."""
    count = len(people)
    return PhotoBodies(
        box=np.array([box for box, _, _ in people], np.float32).reshape(-1, 4),
        score=np.full(count, 0.9, np.float32),
        face=np.array([face for _, _, face in people], np.int64),
        face_box=np.full((count, 4), np.nan, np.float32),
        face_score=np.full(count, np.nan, np.float32),
        colours=np.array([wearing(clothes) for _, clothes, _ in people], np.uint8).reshape(-1, COLOURS),
    )


def add_photo(
    library: Library, name: str, taken: str, faces: tuple[str, ...], bodies: PhotoBodies
) -> ImageRecord:
    image = made_image(name, len(faces), taken=taken)
    noise = np.random.default_rng(sum(name.encode()))
    vectors = np.array([heart_of(each) + noise.standard_normal(512) * 0.02 for each in faces])
    if len(faces):
        embedding = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        image = replace(image, faces=replace(image.faces, embedding=embedding))
    image = image.with_finding("bodies", Finding("a model", bodies))
    with library.writing(SETTINGS):
        library.commit([made_file(f"/{name}.jpg", image)], [image])
    return image


def on_photo(database: Database, name: str) -> list[BodyOnPhoto]:
    def work(connection: Connection) -> list[BodyOnPhoto]:
        (number,) = connection.one("SELECT image_id FROM image_paths WHERE path = %s", (f"/{name}.jpg",))
        return of_image(connection, number)

    return database.run(work)


def named(database: Database, path: str, name: str) -> None:
    """Name the person of the face on a photo."""
    (person,) = {each.person for each in on_photo(database, path) if each.person is not None}
    naming.name(database, str(person), name, into=False, face=False, by=BY)


def fill(database: Database) -> None:
    """Anna and Ben on photos of two days; on some photos a body has no face."""
    library = Library(database)
    for i in range(3):
        add_photo(library, f"anna{i}", f"2024-05-01T10:0{i}:00", ("anna",), seen((STANDING, "red", 0)))
        add_photo(library, f"ben{i}", f"2024-05-01T11:0{i}:00", ("ben",), seen((STANDING, "blue", 0)))
        add_photo(library, f"later{i}", f"2024-06-01T10:0{i}:00", ("anna",), seen((STANDING, "green", 0)))
    cluster(library)
    named(database, "anna0", "Anna")
    named(database, "ben0", "Ben")


template = template_by(fill)


def test_a_body_in_the_same_clothes_on_the_same_day_is_suggested_and_not_given(database: Database) -> None:
    add_photo(Library(database), "back", "2024-05-01T18:00:00", (), seen(((10, 0, 60, 200), "red", -1)))
    (body,) = on_photo(database, "back")
    assert (body.person, body.face) == (None, None)
    assert body.suggested is not None
    assert (body.suggested.name, body.suggested.why) == ("Anna", "colours")
    assert body.suggested.similarity == pytest.approx(1, abs=1e-3)
    assert json.loads(json.dumps(asdict(body)))["suggested"]["name"] == "Anna"
    found = bodies_of_person(database, "Anna", limit=20)
    assert (found.bodies, [each.path for each in found.suggested]) == (6, ["/back.jpg"])
    assert found.suggested[0].like in {f"/anna{i}.jpg" for i in range(3)}
    assert bodies_of_person(database, "Ben", limit=20).suggested == []


def test_a_person_seen_there_seconds_ago_is_suggested_in_changed_light(database: Database) -> None:
    clothes = seen((STANDING, "red", -1))
    clothes.colours[0] = np.where(np.arange(COLOURS) % 17 < 4, 90, clothes.colours[0])
    add_photo(Library(database), "turned", "2024-05-01T10:01:06", (), clothes)
    (body,) = on_photo(database, "turned")
    assert body.suggested is not None
    assert (body.suggested.name, body.suggested.why) == ("Anna", "burst")


@pytest.mark.parametrize(
    ("taken", "clothes"),
    [
        pytest.param("2024-06-01T18:00:00", "red", id="who wears the same on another day"),
        pytest.param("2024-05-01T10:01:06", "yellow", id="somebody else in that place"),
        pytest.param("NaT", "red", id="whom nobody knows when"),
    ],
)
def test_there_is_no_suggestion(database: Database, taken: str, clothes: str) -> None:
    add_photo(Library(database), "other", taken, (), seen((STANDING, clothes, -1)))
    (body,) = on_photo(database, "other")
    assert (body.box, body.suggested) == (STANDING, None)


def test_hidden_people_and_common_clothes_make_no_suggestion(database: Database) -> None:
    library = Library(database)
    for clothes in ("red", "blue"):
        bodies = seen(((10, 0, 60, 200), clothes, -1))
        add_photo(library, f"in {clothes}", "2024-05-01T18:00:00", (), bodies)
    for i in range(3):
        add_photo(library, f"cleo{i}", f"2024-05-01T12:0{i}:00", ("cleo",), seen((STANDING, "red", 0)))
    cluster(library)
    assert on_photo(database, "in red")[0].suggested is None
    assert on_photo(database, "in blue")[0].suggested is not None
    naming.set_hidden(database, "Ben", hidden=True, by=BY)
    assert on_photo(database, "in blue")[0].suggested is None


def test_no_suggestion_is_made_for_a_person_whose_face_is_seen(database: Database) -> None:
    twice = seen((STANDING, "red", 0), ((400, 50, 500, 450), "red", -1))
    add_photo(Library(database), "twice", "2024-05-01T10:30:00", ("anna",), twice)
    cluster(Library(database))
    assert [body.suggested for body in on_photo(database, "twice")] == [None, None]


def test_each_person_is_suggested_once_for_a_photo(database: Database) -> None:
    two = seen(((0, 50, 90, 450), "red", -1), ((400, 50, 500, 450), "red", -1))
    add_photo(Library(database), "two", "2024-05-01T10:30:00", (), two)
    assert sum(body.suggested is not None for body in on_photo(database, "two")) == 1


def test_searching_again_replaces_earlier_bodies(database: Database) -> None:
    image = add_photo(Library(database), "back", "2024-05-01T18:00:00", (), seen((STANDING, "red", -1)))
    again = image.with_finding("bodies", Finding("another model", seen()))
    Library(database).store_findings([again])
    assert on_photo(database, "back") == []


def test_a_face_seen_only_by_the_body_detector_is_stored_with_its_score(database: Database) -> None:
    bodies = seen((STANDING, "red", -1), (STANDING, "red", -1))
    bodies.face_box[0], bodies.face_score[0] = (150, 60, 190, 110), 0.75
    bodies.face_box[1], bodies.face_score[1] = (500, 60, 540, 110), 0.5
    bodies.box[1], bodies.score[1] = np.nan, np.nan
    add_photo(Library(database), "profile", "2024-05-03T18:00:00", (), bodies)
    both, alone = on_photo(database, "profile")
    assert (both.box, both.face_box, both.face_score) == (STANDING, (150, 60, 190, 110), 0.75)
    assert (alone.box, alone.score, alone.face_box) == (None, None, (500, 60, 540, 110))


def test_a_body_stays_when_its_face_goes_and_goes_with_its_photo(database: Database) -> None:
    (body,) = on_photo(database, "anna0")
    assert body.face_box is not None
    assert (body.name, UUID(str(body.person)).version) == ("Anna", 4)
    database.run(lambda c: c.execute("DELETE FROM face_detections WHERE id = %s", (body.face,)))
    (body,) = on_photo(database, "anna0")
    assert (body.box, body.face_box, body.person) == (STANDING, None, None)
    database.run(lambda c: c.execute("DELETE FROM images"))
    assert database.run(lambda c: c.one("SELECT count(*) FROM bodies"))[0] == 0
