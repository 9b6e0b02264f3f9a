"""People of the library: named, corrected, and every change taken back exactly."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_like, add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.corrections.naming import NameTaken
from facesets.operations.people.lists.browsing import about_person, seen_person
from facesets.operations.people.lists.listing import people, person
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.people_list import PersonLine

BY = "anna@home"


template = template_by(grouped(anna=6, ben=4, cleo=3))


def state(database: Database) -> tuple[list[tuple[Any, ...]], ...]:
    """Everything that says who is who."""
    return (
        rows(
            database,
            "SELECT id, person_id, assigned_by, assigned_at, cluster FROM face_detections ORDER BY 1",
        ),
        rows(database, "SELECT * FROM persons ORDER BY id"),
        rows(database, "SELECT * FROM person_names ORDER BY id"),
        rows(database, "SELECT * FROM said_people ORDER BY person_id"),
        rows(database, "SELECT * FROM said_faces ORDER BY face_id, person_id"),
        rows(database, "SELECT * FROM said_of_faces ORDER BY face_a, face_b"),
        rows(database, "SELECT * FROM said_of_people ORDER BY person_a, person_b"),
        rows(database, "SELECT * FROM said_exemplars ORDER BY face_id, person_id"),
    )


def test_a_person_gets_names_and_is_found_by_any_of_them(library: Library) -> None:
    number = who_is(library, "anna-0-0")
    summary = naming.name(library.database, number, "Änne  Müller", into=False, face=False, by=BY)
    assert (summary.name, summary.faces) == ("Änne Müller", 6)
    naming.name(library.database, "änne müller", "Anna", into=False, face=False, by=BY)
    for who in ("Anna", "ANNA", "Änne Mü", "A\u0308NNE MÜLLER", number[:8], number):
        assert person(library.database, who, faces=0).person.id == number
    assert [
        line.names for line in people(library.database, status="active", unnamed=False, sort="faces")
    ] == [
        ["Änne Müller", "Anna"],
        [],
        [],
    ]
    assert len(people(library.database, status="active", unnamed=True, sort="faces")) == 2


def test_an_unclear_person_changes_nothing_and_lists_who_it_may_be(library: Library) -> None:
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna Bo", into=False, face=False, by=BY)
    naming.name(library.database, who_is(library, "ben-0-0"), "Anna Cy", into=False, face=False, by=BY)
    before = state(library.database)
    with pytest.raises(WrongUsage, match=r"may be .*Anna Bo .*Anna Cy|may be .*Anna Cy .*Anna Bo"):
        naming.rename(library.database, "anna", "Zoe", by=BY)
    with pytest.raises(WrongUsage, match="Nobody is called Zoe"):
        naming.rename(library.database, "Zoe", "Anna", by=BY)
    with pytest.raises(WrongUsage, match="at least one letter"):
        naming.rename(library.database, "Anna Bo", " \u0007", by=BY)
    assert state(library.database) == before


@pytest.mark.parametrize("word", ["new", " Nobody "])
def test_nobody_gets_a_word_for_a_name_that_means_somebody_else_in_commands(
    library: Library, word: str
) -> None:
    anna = who_is(library, "anna-0-0")
    with pytest.raises(WrongUsage, match=rf"^Nobody can be called {word.strip()}: .* Choose another name\.$"):
        naming.name(library.database, anna, word, into=False, face=False, by=BY)
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    with pytest.raises(WrongUsage, match="Nobody can be called"):
        naming.rename(library.database, "Anna", word, by=BY)
    # Whoever was called so before is found by number.
    rows(library.database, f"UPDATE person_names SET name = '{word.strip()}' RETURNING 1")
    moved = correcting.move(library.database, [face_of(library, "ben-0-0")], anna, by=BY)
    assert (moved.name, who_is(library, "ben-0-0")) == (word.strip(), anna)


def test_a_name_that_exists_joins_two_people_only_when_that_is_said(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    with pytest.raises(NameTaken, match=r"say so: `people name .* ANNA into`"):
        naming.name(library.database, ben, "ANNA", into=False, face=False, by=BY)
    assert naming.name(library.database, ben, "ANNA", into=True, face=False, by=BY).faces == 10
    assert who_is(library, "ben-0-0") == anna


def test_merging_keeps_names_as_further_ones_and_points_to_whom_they_are_now(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    naming.name(library.database, ben, "Ben", into=False, face=False, by=BY)
    correcting.merge(library.database, ["Ben"], "Anna", drop_names=False, by=BY)
    found = person(library.database, "Ben", faces=0).person
    assert (found.id, found.names, found.faces) == (anna, ["Anna", "Ben"], 10)
    assert person(library.database, ben, faces=0).person.id == anna
    with pytest.raises(WrongUsage, match="themselves"):
        correcting.merge(library.database, ["Ben"], "Anna", drop_names=False, by=BY)


def test_who_all_are_may_be_among_those_who_are_merged(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    merged = correcting.merge(library.database, ["Anna", ben], "Anna", drop_names=False, by=BY)
    assert (merged.name, merged.faces) == ("Anna", 10)


def test_a_merge_that_was_excluded_is_refused_by_both_names(library: Library) -> None:
    for label, name in (("anna-0-0", "Anna"), ("ben-0-0", "Ben")):
        naming.name(library.database, who_is(library, label), name, into=False, face=False, by=BY)
    correcting.different(library.database, "Anna", "Ben", faces=False, by=BY)
    with pytest.raises(WrongUsage, match=r"before: (Anna and Ben|Ben and Anna) are two people"):
        correcting.merge(library.database, ["Ben"], "Anna", drop_names=False, by=BY)


def test_a_face_moved_to_nobody_is_said_not_to_be_them_and_no_run_gives_it_back(library: Library) -> None:
    face = face_of(library, "anna-0-0")
    correcting.move(library.database, [face], "nobody", by=BY)
    for method in ("components", "agglomerative", "auto"):
        cluster(library, method=method)
        assert who_is(library, "anna-0-0") == ""
    assert any(f"face {face} is not" in said for said in person(
        library.database, who_is(library, "anna-0-1"), faces=0
    ).statements)  # fmt: skip


def test_faces_said_to_be_two_people_never_share_one_and_those_said_to_be_one_always_do(
    library: Library,
) -> None:
    add_person(library, "dora", 3)
    add_person(library, "emil", 1)
    dora = [face_of(library, f"dora-0-{i}") for i in range(3)]
    correcting.different(library.database, str(dora[0]), str(dora[1]), faces=True, by=BY)
    correcting.same(library.database, str(dora[1]), str(face_of(library, "emil-0-0")), faces=True, by=BY)
    cluster(library)
    persons = [who_is(library, f"dora-0-{i}") for i in range(3)]
    assert persons[0] != persons[1] or not persons[0]
    assert who_is(library, "emil-0-0") == persons[1] != ""


def test_what_contradicts_an_earlier_statement_is_refused_and_names_it(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    correcting.different(library.database, anna, ben, faces=False, by=BY)
    with pytest.raises(WrongUsage, match="are two people"):
        correcting.merge(library.database, [ben], anna, drop_names=False, by=BY)
    first, second = face_of(library, "anna-0-0"), face_of(library, "cleo-0-0")
    correcting.different(library.database, str(first), str(second), faces=True, by=BY)
    correcting.move(library.database, [first], "new", by=BY)
    with pytest.raises(WrongUsage, match=f"faces {first} and {second} show two people"):
        correcting.move(library.database, [second], who_is(library, "anna-0-0"), by=BY)


@pytest.mark.parametrize(
    "reset",
    [
        "UPDATE face_detections SET person_id = NULL; DELETE FROM persons",
        "DELETE FROM persons",
        "UPDATE face_detections SET person_id = NULL",
    ],
)
def test_after_a_reset_by_sql_the_next_cluster_brings_named_people_back(library: Library, reset: str) -> None:
    anna = who_is(library, "anna-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    # Of the back, say: no method would know her.
    add_person(library, "anna", 1, seed=9, spread=5.0)
    correcting.move(library.database, [face_of(library, "anna-9-0")], "Anna", by=BY)
    before = {label: who_is(library, label) for label in ("anna-0-1", "anna-0-5", "anna-9-0")}
    with psycopg.connect(library.database._text, autocommit=True) as sql:
        sql.execute(reset.encode())
    summary = cluster(library)
    assert {label: who_is(library, label) for label in before} == before == dict.fromkeys(before, anna)
    assert person(library.database, "anna", faces=0).person.faces == 7
    assert who_is(library, "ben-0-0") not in ("", anna)
    assert summary.faces == 14


def test_undo_takes_back_the_last_step_and_redo_makes_it_stand_again(library: Library) -> None:
    start = state(library.database)
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    named = state(library.database)
    correcting.merge(library.database, [who_is(library, "ben-0-0")], "Anna", drop_names=False, by=BY)
    merged = state(library.database)
    history.undo(library.database, by=BY)
    assert state(library.database) == named
    history.undo(library.database, by=BY)
    assert state(library.database) == start
    history.redo(library.database, by=BY)
    assert state(library.database) == named
    history.redo(library.database, by=BY)
    assert state(library.database) == merged
    history.undo(library.database, by=BY)
    assert state(library.database) == named
    kinds = [step.kind for step in history.log(library.database, "Anna")]
    assert kinds == ["undo", "redo", "redo", "undo", "undo", "merge", "name", "cluster"]


def test_a_step_that_a_later_one_builds_on_is_not_taken_back_before_that(library: Library) -> None:
    first = naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    later = naming.rename(library.database, "Anna", "Änne", by=BY)
    before = state(library.database)
    with pytest.raises(WrongUsage, match=f"undo {later.step}"):
        history.undo(library.database, first.step, by=BY)
    clustered = min(step.id for step in history.log(library.database))
    with pytest.raises(WrongUsage, match=f"undo {later.step}"):
        history.undo(library.database, clustered, by=BY)
    assert state(library.database) == before


def test_faces_that_were_added_since_stay_where_they_are_when_a_merge_is_taken_back(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    merged = correcting.merge(library.database, [ben], anna, drop_names=False, by=BY)
    add_person(library, "anna", 1, seed=1)
    cluster(library)
    assert who_is(library, "anna-1-0") == anna
    history.undo(library.database, merged.step, by=BY)
    assert [who_is(library, label) for label in ("ben-0-0", "anna-0-0", "anna-1-0")] == [ben, anna, anna]


@pytest.mark.parametrize(
    ("change", "faces", "photos", "first"),
    [
        ("UPDATE face_detections SET person_id = NULL WHERE id = {face}", 5, 5, ""),
        ("DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})", 5, 5, ""),
        ("UPDATE face_detections SET person_id = '{anna}' WHERE person_id <> '{anna}'", 13, 13, ""),
        ("UPDATE images SET taken = '2001-02-03 04:05:06'", 6, 6, "2001-02-03"),
        ("UPDATE face_detections SET person_id = NULL", 0, 0, ""),
        ("DELETE FROM person_totals", 6, 6, ""),
        ("SELECT 1", 6, 6, ""),
    ],
)
def test_lists_count_again_whatever_changed(
    library: Library, change: str, faces: int, photos: int, first: str
) -> None:
    anna = who_is(library, "anna-0-0")

    def line() -> PersonLine:
        listed = people(library.database, status="active", unnamed=False, sort="faces")
        return next(each for each in listed if each.id == anna)

    assert (line().faces, line().photos, line().prototypes, line().first) == (6, 6, 4, "")
    statement = change.format(face=face_of(library, "anna-0-0"), anna=anna)
    library.database.run(lambda connection: connection.execute(statement.encode()))
    assert (line().faces, line().photos, line().first) == (faces, photos, first)
    assert line().prototypes == (4 if faces else 0)
    assert person(library.database, anna, faces=0).person == line()


def test_a_person_is_shown_with_the_clusters_and_with_who_resembles_them_most(library: Library) -> None:
    add_like(library, "annika", "anna", 0.5, 3)
    cluster(library, method="components")
    anna = who_is(library, "anna-0-0")
    people(library.database, status="active", unnamed=False, sort="faces")
    shown = person(library.database, anna, faces=0)
    assert [each.faces for each in shown.clusters] == [6]
    nearest = shown.nearest[0]
    assert nearest.person == who_is(library, "annika-0-0")[:8]
    assert nearest.cosine_similarity > 0.3
    # Ben and Cleo are as strange to Anna as people are: nobody asks whether they are her.
    assert len(shown.nearest) == 1
    assert [each.person for each in person(library.database, nearest.person, faces=0).nearest] == [anna[:8]]


def test_nobody_resembles_a_person_whom_all_others_resemble_as_strangers_do(library: Library) -> None:
    add_like(library, "annika", "anna", 0.22, 3)
    cluster(library, method="components")
    anna = who_is(library, "anna-0-0")
    people(library.database, status="active", unnamed=False, sort="faces")
    assert person(library.database, anna, faces=0).nearest == []
    assert about_person(library.database, UUID(anna)).nearest == []


def test_the_face_that_shows_whoever_has_the_name_goes_on_showing_them_after_a_merge(
    library: Library,
) -> None:
    database = library.database
    anna, ben, cleo = (who_is(library, f"{label}-0-0") for label in ("anna", "ben", "cleo"))
    naming.name(database, anna, "Anna", into=False, face=False, by=BY)
    shown = seen_person(database, UUID(anna)).card.face
    better = f"UPDATE face_detections SET quality = 0.99 WHERE person_id IN ('{ben}', '{cleo}')"
    database.run(lambda connection: connection.execute(better.encode()))
    correcting.merge(database, [ben], "Anna", drop_names=False, by=BY)
    assert seen_person(database, UUID(anna)).card.face == shown
    # Who had no name goes by the other's.
    correcting.merge(database, ["Anna"], cleo, drop_names=False, by=BY)
    assert seen_person(database, UUID(cleo)).card.face == shown
    history.undo(database, by=BY)
    assert seen_person(database, UUID(anna)).card.face == shown
