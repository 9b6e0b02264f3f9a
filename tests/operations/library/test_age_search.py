"""`search --person NAME --age 5-8`: by the birth where that is known, else by how old the face looks."""

from datetime import date

import pytest
from tests.fixtures.aged_people import look
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster, who_is

from facesets.ages import AgeRange
from facesets.operations.library.photo_search import filter_of, requested_people
from facesets.operations.library.search import ImageHit, search_photos
from facesets.operations.people.corrections import naming
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

BY = "anna@home"


def fill(database: Database) -> None:
    library = Library(database)
    add_person(library, "anna", 8)
    # One photo a year from 1990 on, on which the face looks ten years older than the others say.
    look(library, "anna", 1985, [5, 6, 7, 8, 9, 10, 11, 22])
    add_person(library, "ben", 3)
    look(library, "ben", 1985, [30, 40, 50])
    cluster(library)
    for name in ("anna", "ben"):
        naming.name(database, who_is(library, f"{name}-0-0"), name.title(), into=False, face=False, by=BY)


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def shown(library: Library, who: str, youngest: int, oldest: int) -> list[ImageHit]:
    asked = filter_of(library, requested_people(library, [who]), ages=AgeRange(youngest, oldest))
    return search_photos(library, asked, 50)


def years(library: Library, who: str, youngest: int, oldest: int) -> list[int]:
    return sorted(int(hit.taken[:4]) for hit in shown(library, who, youngest, oldest))


def test_many_faces_together_give_a_persons_age_and_few_each_their_own(library: Library) -> None:
    assert years(library, "Anna", 5, 8) == [1990, 1991, 1992, 1993]
    assert years(library, "Anna", 12, 12) == [1997]
    assert years(library, "Anna", 20, 30) == []
    assert years(library, "Ben", 35, 50) == [1991, 1992]


def test_a_photo_without_a_date_goes_by_the_face(library: Library) -> None:
    library.database.run(
        lambda each: each.execute("UPDATE images SET taken = NULL WHERE taken >= '1997-01-01'")
    )
    assert [hit.taken for hit in shown(library, "Anna", 22, 22)] == [""]


def test_a_birth_set_by_a_user_decides_to_the_day(library: Library) -> None:
    set_birth(library.database, "Anna", Birth(day=date(1980, 6, 2)), by=BY, today=date(2024, 1, 1))
    # The photos are of the first of June: the day before the birthday.
    assert years(library, "Anna", 10, 12) == [1991, 1992, 1993]
    set_birth(library.database, "Anna", Birth(1980), by=BY, today=date(2024, 1, 1))
    assert years(library, "Anna", 10, 12) == [1990, 1991, 1992]


@pytest.mark.parametrize("who", [["Anna"], []])
def test_no_age_matches_on_a_photo_before_the_birth(library: Library, who: list[str]) -> None:
    set_birth(library.database, "Anna", Birth(day=date(1991, 1, 5)), by=BY, today=date(2024, 1, 1))
    asked = filter_of(library, requested_people(library, who), ages=AgeRange(0, 0))
    assert [hit.taken[:4] for hit in search_photos(library, asked, 50)] == ["1991"]


@pytest.mark.parametrize("birth", [Birth(1984), Birth(day=date(1984, 2, 29)), 1984.6, 1985.0])
def test_an_age_is_that_of_the_birth_to_the_end_of_its_year(library: Library, birth: Birth | float) -> None:
    if isinstance(birth, Birth):
        set_birth(library.database, "Anna", birth, by=BY, today=date(2024, 1, 1))
    else:
        library.database.run(
            lambda each: each.execute(
                """UPDATE face_detections f SET age = extract(year FROM i.taken) - %s::real
                        + CASE WHEN i.taken < '1997-01-01' THEN 0 ELSE 20 END
                    FROM images i WHERE i.id = f.image_id AND f.person_id = %s""",
                (birth, who_is(library, "anna-0-0")),
            )
        )
    born = birth if isinstance(birth, float) else 1984
    for youngest in range(14):
        for oldest in (youngest, youngest + 1):
            right = [year for year in range(1990, 1998) if youngest <= year - born < oldest + 1]
            assert years(library, "Anna", youngest, oldest) == right
