"""A search that finds nothing names the condition to blame."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep

from facesets.ages import AgeRange
from facesets.errors import WrongUsage
from facesets.operations.library.nothing_found import explain_nothing_found
from facesets.operations.library.photo_search import filter_of, requested_people
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.corrections.naming import name
from facesets.places import Near
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import Dates, PhotoFilter

MUNICH, SYDNEY, POLE = Near(48.137, 11.575, 10), Near(-33.86, 151.21, 10), Near(90, 0, 10)
Y2019, Y2021, Y1999 = (Dates(date(year, 1, 1), date(year, 12, 31)) for year in (2019, 2021, 1999))


def fill(database: Database) -> None:
    """Anna in Munich in 2019 by a Canon, Ben in Sydney in 2021 by a Nikon."""
    filled = Library(database, SETTINGS)
    sydney = replace(
        METADATA,
        taken=np.datetime64("2021-05-01T12:00:00", "us"),
        latitude=-33.86,
        longitude=151.21,
        make="NIKON",
        model="D90",
    )
    keep(filled, METADATA, sydney)
    for (face,), who in zip(
        rows(database, "SELECT id FROM face_detections ORDER BY image_id"), ("Anna", "Ben"), strict=True
    ):
        name(database, str(face), who, into=True, face=True, by="tester")
    set_birth(database, "Anna", Birth(year=1990), by="tester", today=date(2026, 1, 1))


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database, SETTINGS)


NOT_BOTH = "No photo shows both Anna and Ben. Anna: 1 photo, Ben: 1 photo."
WHEN = "The photos in the library were taken from 2019-07-04 to 2021-05-01."


@pytest.mark.parametrize(
    ("who", "asked", "reported"),
    [
        ([], {"near": MUNICH}, []),
        ([], {"near": POLE}, []),
        ([], {"dates": Y1999}, [WHEN]),
        ([], {"camera": "canon", "near": POLE, "dates": Y2019}, ["No photo matches the place."]),
        ([], {"near": POLE, "dates": Y1999}, ["No photo matches the dates or the place.", WHEN]),
        (["Anna", "Ben"], {}, [NOT_BOTH]),
        (["Anna", "Ben"], {"near": MUNICH}, [NOT_BOTH]),
        (["Anna", "Ben"], {"near": POLE}, ["No photo matches the place.", NOT_BOTH]),
        (["Anna"], {"ages": AgeRange(28, 30)}, []),
        (["Anna"], {"ages": AgeRange(5, 8)}, ["No photo matches the age."]),
        (
            ["Anna"],
            {"camera": "nikon"},
            ["Some photos match the person and others the camera, but none matches both."],
        ),
        (
            ["Anna"],
            {"camera": "canon", "near": SYDNEY, "dates": Y2019},
            ["The other conditions have matches without the place."],
        ),
        (
            ["Anna"],
            {"camera": "nikon", "near": SYDNEY, "dates": Y2019},
            ["Each condition alone has matches. Use fewer conditions."],
        ),
        ([], {"words": "cake", "near": MUNICH}, ["No photo matches the words of the description."]),
    ],
)
def test_conditions_without_a_photo_are_named_and_which_to_drop(
    library: Library, who: list[str], asked: dict[str, Any], reported: list[str]
) -> None:
    found = explain_nothing_found(library, filter_of(library, requested_people(library, who), **asked))
    assert found == reported


def test_no_condition_is_blamed_without_photos(library: Library) -> None:
    rows(library.database, "DELETE FROM images RETURNING id")
    assert explain_nothing_found(library, PhotoFilter()) == []
    assert explain_nothing_found(library, PhotoFilter(dates=Y1999)) == ["No photo in the library has a date."]


def test_invalid_conditions_are_refused(library: Library) -> None:
    with pytest.raises(WrongUsage, match=r"2021-12-31 is after 2019-01-01\. Give the earlier day first"):
        filter_of(library, dates=Dates(date(2021, 12, 31), date(2019, 1, 1)))
    with pytest.raises(
        WrongUsage, match="cannot be searched for the and, because nearly every text contains it"
    ):
        filter_of(library, words=" the and ")
    assert filter_of(library, words="-dog").words == "-dog"
