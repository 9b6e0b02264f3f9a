"""Prototypes: they follow from a person's faces, whatever changed those."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import face_of, forget_prototypes, rows, who_is

from facesets.clustering.vectors import unit_rows
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.prototypes import (
    Prototypes,
    fresh_prototypes,
    refresh_prototypes,
    similar_people,
)


def fill(database: Database) -> None:
    grouped(anna=6, ben=4, cleo=3)(database)
    forget_prototypes(Library(database))


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def with_detector(library: Library, work: Callable[[Connection, DetectorRow], Any]) -> Any:
    detector = library.database.run(library.detector)
    assert detector is not None
    return library.database.run(lambda connection: work(connection, detector))


def fresh(library: Library, persons: Sequence[UUID] | None = None) -> Prototypes:
    found: Prototypes = with_detector(library, lambda c, detector: fresh_prototypes(c, detector, persons))
    return found


def refreshed(library: Library) -> int:
    return int(with_detector(library, refresh_prototypes))


def sql(library: Library, statement: str) -> None:
    library.database.run(lambda connection: connection.execute(statement.encode()))


def of_person(found: Prototypes, person: str) -> Prototypes:
    number = found.persons.index(UUID(person))
    chosen = found.person == number
    return Prototypes(
        [found.persons[number]],
        np.zeros(int(chosen.sum()), np.int64),
        found.face_id[chosen],
        found.embedding[chosen],
    )


def stored(library: Library) -> list[tuple[Any, ...]]:
    return rows(
        library.database,
        """SELECT person_id, kind, face_id, embedding::text, faces, taken_from, taken_until
            FROM person_prototypes ORDER BY person_id, kind, id""",
    )


def plainly_similar(library: Library, face: int) -> dict[UUID, float]:
    """Return the similarity of all people with a face from all vectors; its own person by other faces."""
    found = fresh(library)
    [(vector, owner)] = rows(
        library.database,
        f"""SELECT e.embedding::real[], f.person_id FROM face_embeddings e
            JOIN face_detections f ON f.id = e.face_id WHERE f.id = {face}""",
    )
    similarity = found.embedding @ np.array(vector, np.float32)
    similarity[found.is_exemplar & (found.face_id == face)] = -2
    if owner is not None:
        similarity[~found.is_exemplar & (found.person == found.persons.index(owner))] = similarity.min()
    best = np.full(len(found.persons), -2, np.float32)
    np.maximum.at(best, found.person, similarity)
    return dict(zip(found.persons, best.tolist(), strict=True))


@pytest.mark.parametrize("photo", ["anna-0-0", "ben-0-2", "cleo-0-1"])
def test_the_most_similar_and_the_requested_people_are_found(library: Library, photo: str) -> None:
    face = face_of(library, photo)
    plain = plainly_similar(library, face)
    best = sorted(plain, key=lambda each: (-plain[each], each))
    for most, persons in ((1, []), (2, []), (1, best[2:]), (9, best)):
        found = with_detector(library, partial(similar_people, face=face, persons=persons, most=most))
        assert found == pytest.approx({each: plain[each] for each in {*best[:most], *persons}}, abs=1e-5)


def test_every_person_has_three_exemplars_and_a_centroid_of_unit_length(library: Library) -> None:
    found = fresh(library)
    assert len(found.persons) == 3
    for person in found.persons:
        ours = of_person(found, str(person))
        assert ours.is_exemplar.tolist() == [True, True, True, False]
        assert np.linalg.norm(ours.embedding, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
        faces = rows(library.database, f"SELECT id FROM face_detections WHERE person_id = '{person}'")
        assert {(int(face),) for face in ours.face_id[:3]} <= set(faces)


def test_a_centroid_is_the_mean_of_the_good_faces_weighted_by_quality(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    sql(library, f"UPDATE face_detections SET quality = 0.6 WHERE person_id = '{anna}'")
    sql(library, f"UPDATE face_detections SET quality = 0.9 WHERE id = {face_of(library, 'anna-0-1')}")
    sql(library, f"UPDATE face_detections SET quality = 0.4 WHERE id = {face_of(library, 'anna-0-2')}")
    centroid = of_person(fresh(library), anna).embedding[-1]
    vectors = rows(
        library.database,
        f"""SELECT f.quality, e.embedding::real[] FROM face_detections f
            JOIN face_embeddings e ON e.face_id = f.id WHERE f.person_id = '{anna}' AND f.quality > 0.5""",
    )
    assert len(vectors) == 5
    mean = sum(quality * np.array(vector) for quality, vector in vectors)
    assert centroid == pytest.approx(unit_rows(np.array([mean]))[0], abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE face_detections SET person_id = NULL WHERE id = {face}",
        "DELETE FROM face_detections WHERE id = {face}",
        "DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})",
        "INSERT INTO prototype_corrections VALUES ({face}, '{anna}', false)",
        "UPDATE face_detections SET person_id = '{ben}' WHERE id = {face}",
    ],
)
def test_any_change_of_a_persons_faces_remakes_their_prototypes(library: Library, change: str) -> None:
    fresh(library)
    assert refreshed(library) == 0
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    face = int(of_person(fresh(library), anna).face_id[0])
    sql(library, change.format(face=face, anna=anna, ben=ben))
    assert face not in of_person(fresh(library), anna).face_id
    assert refreshed(library) == 0


def test_remade_prototypes_equal_the_earlier_ones_for_the_same_faces(library: Library) -> None:
    fresh(library)
    before = stored(library)
    face, anna = face_of(library, "anna-0-3"), who_is(library, "anna-0-0")
    sql(library, f"UPDATE face_detections SET person_id = NULL WHERE id = {face}")
    assert refreshed(library) == 1
    assert stored(library) != before
    sql(library, f"UPDATE face_detections SET person_id = '{anna}' WHERE id = {face}")
    assert refreshed(library) == 1
    assert stored(library) == before


@pytest.mark.parametrize("rest", ["", " WHERE kind = 'centroid'"])
def test_manually_deleted_prototypes_are_remade(library: Library, rest: str) -> None:
    fresh(library)
    before = stored(library)
    sql(library, "DELETE FROM person_prototypes" + rest)
    assert refreshed(library) == 3
    assert stored(library) == before


def test_a_face_without_a_vector_leaves_its_person_with_the_others(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    sql(library, f"DELETE FROM face_embeddings WHERE face_id = {face_of(library, 'anna-0-0')}")
    assert face_of(library, "anna-0-0") not in of_person(fresh(library), anna).face_id
    sql(library, "DELETE FROM face_embeddings")
    sql(library, "DELETE FROM prototype_sources")
    assert fresh(library).persons == []
    assert refreshed(library) == 0


def test_requested_people_get_prototypes_even_hidden_but_not_merged_or_without_faces(
    library: Library,
) -> None:
    anna, ben = (UUID(who_is(library, f"{name}-0-0")) for name in ("anna", "ben"))
    assert fresh(library, [anna]).persons == [anna]
    assert len({person for person, *_ in stored(library)}) == 1
    assert fresh(library, []).persons == []
    sql(library, f"UPDATE persons SET status = 'hidden' WHERE id = '{anna}'")
    sql(library, f"UPDATE persons SET status = 'merged' WHERE id = '{ben}'")
    assert {anna, ben} & set(fresh(library).persons) == {anna}
    sql(library, "UPDATE face_detections SET person_id = NULL")
    assert len(fresh(library).face_id) == 0
    assert stored(library) == []


def test_two_refreshes_at_once_make_everything_once(library: Library, library_url: str) -> None:
    barrier = threading.Barrier(4)

    def refresh(_: int) -> int:
        with opened(Database(library_url)) as session:
            barrier.wait()
            return refreshed(Library(session))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(refresh, range(4))) == [0, 0, 0, 3]
    assert len(stored(library)) == 12
