"""People of the library: named, corrected, and every change taken back exactly."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.corrections import BY, apart, by_sql, call, merge, move, pair, redo, state, undo
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_like, add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.people.corrections import correcting, history, moving, naming
from facesets.operations.people.corrections.moving import Picked
from facesets.operations.people.corrections.naming import NameTaken
from facesets.operations.people.lists.browsing import about_person, seen_person
from facesets.operations.people.lists.listing import people, person
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.steps import making_step

template = template_by(grouped(anna=6, ben=4, cleo=3))


def test_a_person_gets_names_and_is_found_by_any_of_them(library: Library) -> None:
    number = who_is(library, "anna-0-0")
    summary = call(library, number, "Änne  Müller")
    assert (summary.name, summary.faces) == ("Änne Müller", 6)
    call(library, "änne müller", "Anna")
    for who in ("Anna", "ANNA", "Änne Mü", "A\u0308NNE MÜLLER", number[:8], number):
        assert person(library.database, who, faces=0).person.id == number
    listed = people(library.database, status="active", unnamed=False, sort="faces")
    assert [line.names for line in listed] == [["Änne Müller", "Anna"], [], []]
    assert len(people(library.database, status="active", unnamed=True, sort="faces")) == 2


def test_an_ambiguous_person_changes_nothing_and_lists_the_matches(library: Library) -> None:
    call(library, "anna-0-0", "Anna Bo")
    call(library, "ben-0-0", "Anna Cy")
    before = state(library)
    with pytest.raises(
        WrongUsage, match=r"several people: .*Anna Bo .*Anna Cy|several people: .*Anna Cy .*Anna Bo"
    ):
        naming.rename(library.database, "anna", "Zoe", by=BY)
    for nobody in ("Zoe", "\udcff"):
        with pytest.raises(WrongUsage, match="Person not found"):
            naming.rename(library.database, nobody, "Anna", by=BY)
    assert state(library) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (" \u0007", "at least one letter"),
        ("\u200b", "at least one letter"),
        ("Be\u202en", "control characters"),
        ("new", r"^A person cannot be named new, .* Choose another name\.$"),
        (" Nobody ", r"^A person cannot be named Nobody, .* Choose another name\.$"),
    ],
)
def test_invisible_or_reserved_names_are_refused(library: Library, name: str, sentence: str) -> None:
    with pytest.raises(WrongUsage, match=sentence):
        call(library, "anna-0-0", name)
    call(library, "anna-0-0", "Anna")
    with pytest.raises(WrongUsage, match=sentence):
        naming.rename(library.database, "Anna", name, by=BY)


@pytest.mark.parametrize("word", ["new", "Nobody"])
def test_a_person_with_a_reserved_name_of_before_is_found_by_id(library: Library, word: str) -> None:
    anna = who_is(library, "anna-0-0")
    call(library, anna, "Anna")
    by_sql(library, f"UPDATE person_names SET name = '{word}'")
    assert move(library, "ben-0-0", to=anna).name == word
    assert who_is(library, "ben-0-0") == anna


PERSIAN = "\u0632\u0648\u200c\u06cc\u0627"


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Anna", "ANNA"),
        pytest.param("İpek", "ipek", id="as only the server takes them for one"),
        pytest.param(PERSIAN, PERSIAN.replace("\u200c", ""), id="without a joiner"),
        pytest.param(PERSIAN, f"{PERSIAN}\u200d", id="with a further joiner"),
        pytest.param(PERSIAN, f"\ufeff{PERSIAN}", id="with a mark that nobody sees"),
    ],
)
def test_an_existing_name_joins_people_only_on_request(library: Library, name: str, same: str) -> None:
    assert call(library, "anna-0-0", name).name == name
    with pytest.raises(NameTaken, match=r"same person, use `people name .* into`") as refused:
        call(library, "ben-0-0", same)
    assert not same.isascii() or f" {same} into`" in str(refused.value)
    with pytest.raises(NameTaken, match="is already taken"):
        naming.rename(library.database, who_is(library, "ben-0-0"), same, by=BY)
    assert call(library, "ben-0-0", same, into=True).faces == 10
    assert who_is(library, "ben-0-0") == who_is(library, "anna-0-0")


def test_merging_retains_names_as_further_ones_and_points_to_the_person_now(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    call(library, anna, "Anna")
    call(library, ben, "Ben")
    with pytest.raises(WrongUsage, match="Both people have a name"):
        correcting.same(library.database, "Anna", "Ben", faces=False, by=BY)
    # Who all are may be among those who are merged.
    merged = merge(library, "Ben", "Anna", into="Anna")
    assert (merged.name, merged.faces) == ("Anna", 10)
    found = person(library.database, "Ben", faces=0).person
    assert (found.id, found.names, found.faces) == (anna, ["Anna", "Ben"], 10)
    assert person(library.database, ben, faces=0).person.id == anna
    with pytest.raises(WrongUsage, match="themselves"):
        merge(library, "Ben", into="Anna")


def test_a_contradiction_of_an_earlier_correction_is_refused_and_names_it(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    call(library, "ben-0-0", "Ben")
    apart(library, "Anna", "Ben")
    pair(library, "anna-0-0", "cleo-0-0", same=False)
    before = state(library)
    with pytest.raises(WrongUsage, match=r"correction: (Anna and Ben|Ben and Anna) are two people"):
        merge(library, "Ben", into="Anna")
    first, second = face_of(library, "anna-0-0"), face_of(library, "cleo-0-0")
    with pytest.raises(WrongUsage, match=f"faces {first} and {second} show two people"):
        move(library, "cleo-0-0", to="Anna")
    with pytest.raises(WrongUsage, match="show two people"):
        merge(library, "cleo-0-0", into="Anna")
    assert state(library) == before


def test_an_unassigned_face_is_denied_for_its_person_and_no_run_gives_it_back(library: Library) -> None:
    move(library, "anna-0-0", to="nobody")
    for method in ("components", "agglomerative", "auto"):
        cluster(library, method=method)
        assert who_is(library, "anna-0-0") == ""
    reported = person(library.database, who_is(library, "anna-0-1"), faces=0).corrections
    assert any(f"face {face_of(library, 'anna-0-0')} is not" in each for each in reported)


def test_faces_confirmed_as_two_people_never_share_a_person_and_as_one_always_do(library: Library) -> None:
    add_person(library, "dora", 3)
    add_person(library, "emil", 1)
    pair(library, "dora-0-0", "dora-0-1", same=False)
    pair(library, "dora-0-1", "emil-0-0", same=True)
    cluster(library)
    persons = [who_is(library, f"dora-0-{i}") for i in range(3)]
    assert persons[0] != persons[1] or not persons[0]
    assert who_is(library, "emil-0-0") == persons[1] != ""


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
    call(library, anna, "Anna")
    # A face from behind, as an example: no method would recognise her.
    add_person(library, "anna", 1, seed=9, spread=5.0)
    move(library, "anna-9-0", to="Anna")
    before = {label: who_is(library, label) for label in ("anna-0-1", "anna-0-5", "anna-9-0")}
    by_sql(library, reset)
    summary = cluster(library)
    assert {label: who_is(library, label) for label in before} == before == dict.fromkeys(before, anna)
    assert person(library.database, "anna", faces=0).person.faces == 7
    assert who_is(library, "ben-0-0") not in ("", anna)
    assert summary.faces == 14


def test_undo_reverts_the_last_step_and_redo_restores_it(library: Library) -> None:
    states = [state(library)]
    named = call(library, "anna-0-0", "Anna")
    states.append(state(library))
    merge(library, "ben-0-0", into="Anna")
    states.append(state(library))
    notices = []
    for again, expected in ((undo, 1), (undo, 0), (redo, 1), (redo, 2), (undo, 1)):
        notices.append(again(library))
        assert state(library) == states[expected]
    assert (notices[2].id, "Anna" in notices[2].what) == (named.step, True)
    kinds = [step.kind for step in history.log(library.database, "Anna")]
    assert kinds == ["undo", "redo", "redo", "undo", "undo", "merge", "name", "cluster"]


def test_a_change_is_undone_and_redone_in_whatever_time_zone_the_session_is(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(library, "anna-0-0", "Anna")
    before = state(library)

    def at(zone: str, deed: Callable[[Library], object]) -> None:
        monkeypatch.setenv("PGTZ", zone)
        with opened(Database(library.database.conninfo)) as session:
            deed(Library(session))

    at("Asia/Kolkata", lambda there: merge(there, "ben-0-0", into="Anna"))
    at("America/New_York", undo)
    assert state(library) == before
    at("Asia/Tokyo", redo)
    at("UTC", undo)
    assert state(library) == before


Deed = Callable[[Library], Any]


def the_run(library: Library) -> int:
    """The step that made the people."""
    return min(step.id for step in history.log(library.database))


def rename(who: str, name: str) -> Deed:
    return lambda library: naming.rename(library.database, who, name, by=BY).step


BUILT_ON: dict[str, tuple[Deed, Deed]] = {
    "a name and another in its place": (rename("Anna", "Änne"), rename("Änne", "Zoe")),
    "a name that somebody else has by now": (
        rename("Anna", "Zoe"),
        lambda library: call(library, "ben-0-0", "anna").step,
    ),
    "a run and a name of whom it made": (the_run, rename("Anna", "Zoe")),
    "a run and corrections of people that it made": (
        the_run,
        lambda library: apart(library, "ben-0-0", "cleo-0-0").step,
    ),
    "a merge and corrections of its faces": (
        lambda library: merge(library, "ben-0-0", into="Anna").step,
        lambda library: pair(library, "anna-0-5", "ben-0-3", same=True).step,
    ),
    "a face and the merge of who had it": (
        lambda library: move(library, "ben-0-3", to="cleo-0-0").step,
        lambda library: merge(library, "ben-0-0", into="Anna").step,
    ),
}


@pytest.mark.parametrize("what", BUILT_ON)
def test_a_step_is_not_undone_before_a_later_one_that_builds_on_it(library: Library, what: str) -> None:
    first, later = BUILT_ON[what]
    call(library, "anna-0-0", "Anna")
    before = state(library)
    number = first(library)
    between = state(library)
    builds_on_it = later(library)
    now = state(library)
    with pytest.raises(WrongUsage, match=f"people undo {builds_on_it}"):
        undo(library, number)
    assert state(library) == now
    undo(library, builds_on_it)
    assert state(library) == between
    if first != the_run:
        undo(library, number)
    assert state(library) == before


def test_a_name_by_sql_that_blocks_undo_is_named(library: Library) -> None:
    ben = who_is(library, "ben-0-0")
    call(library, "anna-0-0", "Anna")
    renamed = naming.rename(library.database, "Anna", "Zoe", by=BY)
    by_sql(library, f"INSERT INTO person_names (person_id, name) VALUES ('{ben}', 'ANNA')")
    with pytest.raises(WrongUsage, match="other means"):
        undo(library, renamed.step)


def test_faces_added_since_stay_when_a_merge_is_undone(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    merged = merge(library, ben, into=anna)
    add_person(library, "anna", 1, seed=1)
    cluster(library)
    assert who_is(library, "anna-1-0") == anna
    undo(library, merged.step)
    assert [who_is(library, label) for label in ("ben-0-0", "anna-0-0", "anna-1-0")] == [ben, anna, anna]


def test_a_run_is_undone_after_some_of_its_photos_were_deleted(library: Library) -> None:
    by_sql(
        library,
        """DELETE FROM images WHERE id IN (SELECT image_id FROM image_paths
            WHERE path IN ('/anna-0-0.jpg', '/ben-0-0.jpg'))""",
    )
    undo(library, the_run(library))
    assert rows(library, "SELECT count(person_id), count(*) FROM face_detections") == [(0, 11)]
    redo(library)
    assert rows(library, "SELECT count(person_id) FROM face_detections") == [(11,)]


def test_redo_is_of_the_last_undo_even_if_its_photos_are_missing(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    call(library, anna, "Anna")
    undo(library, naming.rename(library.database, anna, "Zoe", by=BY).step)
    reported = pair(library, "anna-0-0", "ben-0-0", same=False)
    by_sql(
        library,
        f"DELETE FROM images i USING face_detections f WHERE f.image_id = i.id AND f.person_id = '{anna}'",
    )
    assert undo(library).id == redo(library).id == reported.step
    assert rows(library, "SELECT name FROM person_names") == [("Anna",)]


@pytest.mark.parametrize("number", ["²", "0", "99999999999999999999"])
def test_invalid_face_numbers_are_refused(library: Library, number: str) -> None:
    with pytest.raises(WrongUsage, match="face"):
        naming.name(library.database, number, "Anna", into=False, face=True, by=BY)
    with pytest.raises(WrongUsage, match="face"):
        correcting.same(library.database, number, "1", faces=True, by=BY)
    if number.isdecimal():
        with pytest.raises(WrongUsage, match="face"):
            correcting.move(library.database, [int(number)], "new", by=BY)


def test_all_faces_of_a_person_make_no_new_person(library: Library) -> None:
    picked = Picked([face_of(library, f"ben-0-{i}") for i in range(4)], UUID(who_is(library, "ben-0-0")))
    with pytest.raises(WrongUsage, match="These are all of"):
        moving.split_off(library.database, picked, by=BY)


def test_a_person_merged_into_a_removed_one_gets_no_faces(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    merge(library, anna, into=ben)
    by_sql(library, f"DELETE FROM persons WHERE id = '{ben}'")
    with pytest.raises(WrongUsage, match="Person not found"):
        move(library, "anna-0-0", to=anna)


def test_a_person_is_shown_with_clusters_and_the_most_similar_people(library: Library) -> None:
    add_like(library, "annika", "anna", 0.5, 3)
    cluster(library, method="components")
    anna = who_is(library, "anna-0-0")
    people(library.database, status="active", unnamed=False, sort="faces")
    shown = person(library.database, anna, faces=0)
    assert [each.faces for each in shown.clusters] == [6]
    # Ben and Cleo are as different from Anna as strangers: there is no suggestion.
    (nearest,) = shown.nearest
    assert nearest.person == who_is(library, "annika-0-0")[:8]
    assert nearest.cosine_similarity > 0.3
    assert [each.person for each in person(library.database, nearest.person, faces=0).nearest] == [anna[:8]]


def test_no_similar_people_are_listed_if_all_are_as_similar_as_strangers(library: Library) -> None:
    add_like(library, "annika", "anna", 0.22, 3)
    cluster(library, method="components")
    anna = who_is(library, "anna-0-0")
    people(library.database, status="active", unnamed=False, sort="faces")
    assert person(library.database, anna, faces=0).nearest == []
    assert about_person(library.database, UUID(anna)).nearest == []


def test_a_merge_preserves_the_portrait_of_the_named_person(library: Library) -> None:
    anna, ben, cleo = (who_is(library, f"{label}-0-0") for label in ("anna", "ben", "cleo"))

    def shown(who: str) -> int | None:
        return seen_person(library.database, UUID(who)).card.face

    call(library, anna, "Anna")
    best = shown(anna)
    by_sql(library, f"UPDATE face_detections SET quality = 0.99 WHERE person_id IN ('{ben}', '{cleo}')")
    merge(library, ben, into="Anna")
    assert shown(anna) == best
    # Who had no name goes by the other's.
    merge(library, "Anna", into=cleo)
    assert shown(cleo) == best
    undo(library)
    assert shown(anna) == best


def test_two_people_who_are_one_are_merged_and_the_name_stays(library: Library) -> None:
    call(library, "ben-0-0", "Ben")
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    correcting.same(library.database, "Ben", anna, faces=False, by=BY)
    assert who_is(library, "anna-0-0") == who_is(library, "ben-0-0") == ben
    with pytest.raises(WrongUsage, match="Both are the same person, Ben"):
        correcting.same(library.database, "Ben", anna, faces=False, by=BY)


def _change_nothing(connection: Connection) -> None:
    with making_step(connection, "name", BY, "nothing"):
        pass


def test_a_change_of_nothing_is_none_and_uses_up_no_number(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    before = [each.id for each in history.log(library.database)]
    assert naming.rename(library.database, "Anna", "Anna", by=BY).step is None
    library.database.run(_change_nothing)
    assert [each.id for each in history.log(library.database)] == before
    call(library, "ben-0-0", "Ben")
    assert history.log(library.database)[0].id == before[0] + 1
