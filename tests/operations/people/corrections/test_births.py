"""Births of people: estimated from faces, and set by a user, which counts for more."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.aged_people import look, looks, photo
from tests.fixtures.corrections import BY, by_sql, call, merge, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster
from tests.fixtures.postgres import Server, temporary

from facesets.errors import WrongUsage
from facesets.operations.people.corrections import correcting
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.exchange.export_people import export_people
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.people_file import read_people
from facesets.operations.people.lists.listing import person
from facesets.result import Result, plain
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.person_ages import PersonAge

TODAY = date(2024, 5, 1)


def fill(database: Database) -> None:
    library = Library(database)
    for name, born in (("anna", 1960), ("ben", 1985)):
        add_person(library, name, 7)
        look(library, name, born, male=0.1 if name == "anna" else 0.9)
    cluster(library)
    for name in ("anna", "ben"):
        call(library, f"{name}-0-0", name.title())


template = template_by(fill)


def age(library: Library, who: str = "Anna") -> PersonAge:
    found = person(library.database, who, faces=0).age
    assert found is not None
    # The data is printed as JSON, too.
    assert json.loads(json.dumps(plain(found)))["said"] == found.set_by_user
    return found


def say(library: Library, who: str = "Anna", **birth: Any) -> Result:
    return set_birth(library.database, who, Birth(**birth), by=BY, today=TODAY)


def test_faces_suggest_birth_and_sex_of_a_person(library: Library) -> None:
    found = age(library)
    assert (found.birth_year, found.spread, found.dated_faces) == (1960, 0, 7)
    assert (found.sex, age(library, "Ben").sex) == ("F", "M")
    assert found.sex_probability is not None
    assert found.sex_probability > 0.99
    assert found.made_at
    # Many faces make it sure.
    add_person(library, "dora", 40)
    look(library, "dora", 1990, male=0.01)
    cluster(library)
    call(library, "dora-0-0", "Dora")
    assert (age(library, "Dora").sex, age(library, "Dora").sex_probability) == ("F", 1)


def test_cached_data_follows_any_change_of_faces(library: Library) -> None:
    age(library)
    for place in range(4):
        looks(library.database, photo(library, "anna", place), 40 + place)
    assert age(library).birth_year == 1950
    by_sql(library, "UPDATE images SET taken = taken + interval '2 years'")
    assert age(library).birth_year == 1952
    moved = [photo(library, "anna", place) for place in range(4)]
    correcting.move(library.database, moved, "Ben", by=BY)
    assert (age(library).birth_year, age(library).dated_faces) == (1962, 3)
    assert age(library, "Ben").dated_faces == 11
    by_sql(library, "UPDATE face_detections SET age = NULL")
    assert (age(library).birth_year, age(library).dated_faces) == (None, 0)


def test_a_birth_set_by_a_user_overrides_the_faces_and_can_be_undone(library: Library) -> None:
    summary = say(library, year=1962)
    assert (summary.did, age(library).born) == ("born 1962", 1962)
    assert age(library).birth_year == 1960
    assert say(library, day=date(1963, 2, 3)).did == "born 1963-02-03 (previously 1962)"
    assert age(library).set_by_user == "1963-02-03"
    undo(library)
    assert age(library).set_by_user == "1962"
    assert say(library, unknown=True).did == "birth removed (previously 1962)"
    assert age(library).set_by_user == ""
    undo(library)
    undo(library)
    assert (age(library).set_by_user, age(library).born) == ("", 1960)
    assert say(library, unknown=True).step is None


def test_contradictions_of_a_birth_are_reported_and_remain(library: Library) -> None:
    assert say(library, year=1992).did == (
        "born 1992; 2 faces in photos dated earlier; 7 faces suggest about 1960"
    )
    assert age(library).born == 1992
    assert say(library, day=date(1990, 6, 2)).did.startswith(
        "born 1990-06-02 (previously 1992); 1 face in photos"
    )


@pytest.mark.parametrize(
    "birth", [{}, {"year": 1700}, {"year": 2025}, {"day": date(2024, 5, 2)}, {"year": 1950, "unknown": True}]
)
def test_a_birth_must_be_a_possible_date(library: Library, birth: dict[str, Any]) -> None:
    with pytest.raises(WrongUsage):
        say(library, **birth)


def test_a_merge_preserves_the_birth_of_the_remaining_person(library: Library) -> None:
    say(library, "Anna", year=1962)
    say(library, "Ben", year=1985)
    summary = merge(library, "Ben", into="Anna")
    assert summary.did == "7 faces merged; birth 1962 kept, discarded: Ben 1985"
    assert age(library).set_by_user == "1962"
    undo(library)
    assert (age(library).set_by_user, age(library, "Ben").set_by_user) == ("1962", "1985")
    say(library, "Anna", unknown=True)
    assert merge(library, "Ben", into="Anna").did == "7 faces merged"
    assert age(library).set_by_user == "1985"


@pytest.fixture
def other(server: Server, template: str) -> Iterator[Library]:
    for url in temporary(server, template):
        session = Database(url)
        yield Library(session)
        session.close()


def test_births_are_carried_to_another_library_which_keeps_its_own(
    library: Library, other: Library, tmp_path: Path
) -> None:
    file = tmp_path / "people.json"
    say(library, "Anna", day=date(1962, 7, 4))
    say(library, "Ben", year=1985)
    say(other, "Ben", year=1986)
    export_people(library.database, file)
    summary = import_people(other.database, read_people(file), file.name, by=BY)
    assert (age(other).set_by_user, age(other, "Ben").set_by_user) == ("1962-07-04", "1986")
    assert "Ben: born 1985, but 1986 here" in summary.skipped
    again = import_people(other.database, read_people(file), file.name, by=BY)
    assert (again.statements, again.step) == (0, None)
    undo(other)
    assert age(other).set_by_user == ""


def test_a_birth_outlives_a_reset(library: Library) -> None:
    say(library, "Anna", day=date(1962, 7, 4))
    by_sql(library, "UPDATE face_detections SET person_id = NULL; DELETE FROM persons")
    cluster(library)
    assert age(library).set_by_user == "1962-07-04"
