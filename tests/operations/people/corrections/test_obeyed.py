"""What humans said about people of the library holds in every command, run and reset."""

import psycopg
import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.people.corrections import correcting, naming
from facesets.operations.people.lists.listing import person
from facesets.store.postgres.library import Library

BY = "anna@home"


template = template_by(grouped(anna=4, ben=4))


def by_hand(library: Library, statement: str) -> None:
    """A statement in psql."""
    with psycopg.connect(library.database._text, autocommit=True) as sql:
        sql.execute(statement.encode())


def move(library: Library, label: str, to: str) -> None:
    """Give the face on a photo to somebody."""
    correcting.move(library.database, [face_of(library, label)], to, by=BY)


def say(library: Library, first: str, second: str, *, same: bool) -> None:
    """Say of the faces on two photos that they show one person, or two."""
    run = correcting.same if same else correcting.different
    run(library.database, *(str(face_of(library, each)) for each in (first, second)), faces=True, by=BY)


def test_faces_said_to_be_two_people_never_come_together_by_a_move_or_a_merge(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    say(library, "anna-0-0", "ben-0-0", same=False)
    with pytest.raises(WrongUsage, match="show two people"):
        move(library, "ben-0-0", anna)
    with pytest.raises(WrongUsage, match="show two people"):
        correcting.merge(library.database, [ben], anna, drop_names=False, by=BY)
    assert (who_is(library, "anna-0-0"), who_is(library, "ben-0-0")) == (anna, ben)


def test_a_face_that_is_said_not_to_be_somebody_does_not_follow_a_face_of_theirs(library: Library) -> None:
    move(library, "anna-0-0", "nobody")
    with pytest.raises(WrongUsage, match="is not"):
        say(library, "anna-0-0", "anna-0-1", same=True)
    assert who_is(library, "anna-0-0") == ""


def test_faces_said_to_be_one_person_move_together(library: Library) -> None:
    say(library, "anna-0-0", "anna-0-1", same=True)
    move(library, "anna-0-0", who_is(library, "ben-0-0"))
    assert who_is(library, "anna-0-1") == who_is(library, "ben-0-0")
    first, second = face_of(library, "anna-0-0"), face_of(library, "anna-0-1")
    with pytest.raises(WrongUsage, match=f"faces {first} and {second} show one person; face {first} is"):
        move(library, "anna-0-1", "nobody")
    correcting.move(library.database, [first, second], "nobody", by=BY)
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-1") == ""
    cluster(library)
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-1") != who_is(library, "ben-0-0")


def test_merged_people_are_one_and_different_ones_are_two_after_a_reset_by_sql(library: Library) -> None:
    add_person(library, "cleo", 3)
    cluster(library)
    anna, ben, cleo = (who_is(library, f"{name}-0-0") for name in ("anna", "ben", "cleo"))
    correcting.merge(library.database, [anna], ben, drop_names=False, by=BY)
    correcting.different(library.database, ben, cleo, faces=False, by=BY)
    by_hand(library, "DELETE FROM persons")
    cluster(library)
    assert [who_is(library, f"{name}-0-0") for name in ("anna", "ben", "cleo")] == [ben, ben, cleo]
    assert rows(library.database, "SELECT count(*) FROM persons") == [(2,)]


def test_a_face_moved_to_an_unnamed_person_stays_theirs_after_a_reset_by_sql(library: Library) -> None:
    ben = who_is(library, "ben-0-0")
    move(library, "anna-0-0", ben)
    by_hand(library, "DELETE FROM persons")
    cluster(library)
    assert who_is(library, "anna-0-0") == ben


def test_a_merge_leaves_how_faces_were_assigned_as_it_was(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    face = face_of(library, "anna-0-0")
    by_hand(library, f"UPDATE face_detections SET assigned_by = 'imported' WHERE id = {face}")
    naming.name(library.database, ben, "Ben", into=False, face=False, by=BY)
    correcting.merge(library.database, [anna], "Ben", drop_names=False, by=BY)
    found = rows(library.database, f"SELECT assigned_by <> 'auto' FROM face_detections WHERE id = {face}")
    assert found == [(True,)]


def test_statements_of_a_person_are_shown_for_thousands_of_faces_too(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    assert all("Anna" in each for each in person(library.database, "Anna", faces=0).statements)


@pytest.mark.parametrize("number", ["²", "0", "99999999999999999999"])
def test_what_is_no_number_of_a_face_is_refused(library: Library, number: str) -> None:
    with pytest.raises(WrongUsage, match="face"):
        naming.name(library.database, number, "Anna", into=False, face=True, by=BY)
    with pytest.raises(WrongUsage, match="face"):
        correcting.same(library.database, number, "1", faces=True, by=BY)
    if number.isdecimal():
        with pytest.raises(WrongUsage, match="face"):
            correcting.move(library.database, [int(number)], "new", by=BY)


def test_a_name_of_bytes_that_are_no_text_is_nobodys(library: Library) -> None:
    with pytest.raises(WrongUsage, match="Nobody is called"):
        person(library.database, "\udcff", faces=0)


def test_faces_said_to_be_one_person_stay_together_when_one_is_said_not_to_be_somebody(
    library: Library,
) -> None:
    say(library, "anna-0-0", "anna-0-1", same=True)
    anna = who_is(library, "anna-0-2")
    by_hand(
        library,
        f"""INSERT INTO said_faces VALUES ({face_of(library, "anna-0-0")}, '{anna}', false);
            UPDATE face_detections SET person_id = NULL
            WHERE id IN ({face_of(library, "anna-0-0")}, {face_of(library, "anna-0-1")})""",
    )
    cluster(library)
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-1") != anna


def test_names_that_only_the_server_takes_for_one_are_somebody_already(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "İpek", into=False, face=False, by=BY)
    with pytest.raises(naming.NameTaken, match=r"say so: `people name .* ipek into`"):
        naming.name(library.database, ben, "ipek", into=False, face=False, by=BY)
    with pytest.raises(naming.NameTaken, match="Somebody is called"):
        naming.rename(library.database, ben, "ipek", by=BY)


def test_a_name_that_shows_nothing_is_none(library: Library) -> None:
    with pytest.raises(WrongUsage, match="at least one letter"):
        naming.name(library.database, who_is(library, "anna-0-0"), "\u200b", into=False, face=False, by=BY)


def test_who_was_merged_into_somebody_that_is_gone_gets_nothing(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    correcting.merge(library.database, [anna], ben, drop_names=False, by=BY)
    by_hand(library, f"DELETE FROM persons WHERE id = '{ben}'")
    with pytest.raises(WrongUsage, match="There is no person"):
        move(library, "anna-0-0", anna)


def test_of_several_who_are_merged_a_face_that_is_said_not_to_be_one_of_them_stays_alone(
    library: Library,
) -> None:
    add_person(library, "cleo", 3)
    cluster(library)
    anna, ben, cleo = (who_is(library, f"{name}-0-0") for name in ("anna", "ben", "cleo"))
    by_hand(library, f"INSERT INTO said_faces VALUES ({face_of(library, 'ben-0-0')}, '{anna}', false)")
    correcting.merge(library.database, [anna, ben], cleo, drop_names=False, by=BY)
    assert [who_is(library, label) for label in ("anna-0-0", "ben-0-0", "ben-0-1")] == [cleo, "", cleo]


def test_a_face_that_is_said_not_to_be_who_joins_its_person_stays_alone(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    move(library, "ben-0-3", "nobody")
    # As a run gives it to somebody else.
    by_hand(
        library,
        f"""UPDATE face_detections SET person_id = '{anna}', assigned_by = 'auto'
            WHERE id = {face_of(library, "ben-0-3")}""",
    )
    correcting.merge(library.database, [ben], anna, drop_names=False, by=BY)
    assert (who_is(library, "ben-0-0"), who_is(library, "ben-0-3")) == (anna, "")


def test_a_best_face_of_somebody_that_is_said_not_to_be_another_stays_alone_when_they_are_one(
    library: Library,
) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    labels = ("ben-0-0", "ben-0-1")
    for to in (anna, "nobody"):
        correcting.move(library.database, [face_of(library, each) for each in labels], to, by=BY)
    cluster(library)
    assert {who_is(library, each) for each in labels} == {ben}
    correcting.merge(library.database, [anna], ben, drop_names=False, by=BY)
    assert {who_is(library, each) for each in labels} == {""}
    said = rows(library.database, "SELECT face_id, is_person FROM said_faces")
    assert {(face_of(library, each), False) for each in labels} <= set(said)


def test_joiners_are_part_of_names_and_what_nobody_sees_tells_nobody_apart(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    name = "\u0632\u0648\u200c\u06cc\u0627"
    assert naming.name(library.database, anna, name, into=False, face=False, by=BY).name == name
    for alike in (name.replace("\u200c", ""), f"{name}\u200d", f"\ufeff{name}"):
        with pytest.raises(naming.NameTaken):
            naming.name(library.database, ben, alike, into=False, face=False, by=BY)
    with pytest.raises(WrongUsage, match="control characters"):
        naming.name(library.database, ben, "Be\u202en", into=False, face=False, by=BY)
