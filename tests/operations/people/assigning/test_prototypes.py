"""`people prototypes | centroids`: what stands for people, and what humans say about it."""

import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import (
    add_face,
    face_of,
    forget_prototypes,
    heart_of,
    rows,
    who_is,
)
from tests.fixtures.said import BY, by_sql, merge, move, redo, undo

from facesets.errors import WrongUsage
from facesets.operations.people.assigning.prototypes import centroids, prototypes
from facesets.operations.people.corrections import history
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


def fill(database: Database) -> None:
    grouped(anna=8, ben=5)(database)
    forget_prototypes(Library(database))


template = template_by(fill)


def exemplars(database: Database, who: str) -> list[int]:
    return [line.face for line in prototypes(database, who).prototypes if line.face is not None]


def test_they_are_listed_with_face_quality_and_how_many_faces_made_them(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    lines = prototypes(library.database, anna).prototypes
    assert [line.kind for line in lines] == ["exemplar"] * 3 + ["centroid"]
    assert [line.faces for line in lines[:3]] == [1, 1, 1]
    assert lines[0].quality is not None
    assert lines[3].face is None
    assert {line.person for line in lines} == {anna}
    assert len(prototypes(library.database).prototypes) == 8


def test_a_pinned_face_comes_first_and_a_dropped_one_never(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    first = exemplars(database, anna)
    other = min({face_of(library, f"anna-0-{n}") for n in range(8)} - set(first))
    found = prototypes(database, anna, pin=[other], drop=[first[0]], by=BY)
    now = exemplars(database, anna)
    assert now[0] == other
    assert first[0] not in now
    assert [line.pinned for line in found.prototypes] == [True, False, False, False]
    assert (found.did, found.step) == (
        f"1 face fixed as exemplar and 1 face dropped from the exemplars of {anna[:8]}",
        history.log(database)[0].id,
    )


def test_pinning_is_a_step_that_can_be_taken_back_and_done_again(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    before = exemplars(database, anna)
    prototypes(database, drop=before[:1], by=BY)
    dropped = exemplars(database, anna)
    undo(library)
    assert exemplars(database, anna) == before
    redo(library)
    assert exemplars(database, anna) == dropped
    prototypes(database, pin=before[:1], by=BY)
    assert exemplars(database, anna)[0] == before[0]


def test_what_makes_no_sense_is_refused(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    of_ben = face_of(library, "ben-0-0")
    add_face(library, "nobody", heart_of("cleo"))
    with pytest.raises(WrongUsage, match=f"Face {of_ben} is not {anna[:8]}"):
        prototypes(database, anna, pin=[of_ben], by=BY)
    with pytest.raises(WrongUsage, match="cannot be an exemplar and none"):
        prototypes(database, pin=[of_ben], drop=[of_ben], by=BY)
    with pytest.raises(WrongUsage, match="has no person"):
        prototypes(database, pin=[face_of(library, "nobody")], by=BY)
    with pytest.raises(WrongUsage, match="no face 999999"):
        prototypes(database, drop=[999999], by=BY)
    assert rows(database, "SELECT count(*) FROM said_exemplars") == [(0,)]


def test_a_merge_hands_pinned_faces_over_and_undo_gives_them_back(library: Library) -> None:
    database, anna, ben = library.database, who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    theirs = {face_of(library, f"ben-0-{n}") for n in range(5)}
    face = min(theirs - set(exemplars(database, ben)))
    prototypes(database, pin=[face], by=BY)
    before = exemplars(database, ben)
    merge(library, ben, into=anna)
    assert face in exemplars(database, anna)
    undo(library)
    assert exemplars(database, ben) == before
    assert face not in exemplars(database, anna)


def test_a_pinned_face_that_moves_away_is_no_exemplar_any_more(library: Library) -> None:
    prototypes(library.database, pin=[face_of(library, "anna-0-7")], by=BY)
    move(library, "anna-0-7", to="ben-0-0")
    assert face_of(library, "anna-0-7") not in exemplars(library.database, who_is(library, "anna-0-0"))


def test_centroids_are_made_exactly_and_it_says_what_had_changed(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    assert (centroids(database).changed, centroids(database).changed) == (2, 0)
    best = face_of(library, "anna-0-4")
    by_sql(
        library,
        f"""UPDATE face_detections SET quality = CASE id WHEN {best} THEN 1 ELSE 0.1 END
            WHERE person_id = '{anna}'""",
    )
    summary = centroids(database)
    assert (summary.people, summary.prototypes, summary.changed) == (2, 6, 1)


def test_centroids_of_an_empty_library_say_what_to_do(empty_database: Database) -> None:
    with pytest.raises(WrongUsage, match="no faces"):
        centroids(empty_database)
    assert prototypes(empty_database).prototypes == []
