"""Places and ages as they are typed."""

import pytest

from facesets.ages import AgeRange
from facesets.errors import WrongUsage
from facesets.operations.options.library import age_range, place_named
from facesets.places import Near


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("48.137,11.575", Near(48.137, 11.575, 10)),
        (" 48.137, 11.575 , 5 km ", Near(48.137, 11.575, 5)),
        ("-33.86,151.21,0.5km", Near(-33.86, 151.21, 0.5)),
        ("90,-180,20016", Near(90, -180, 20016)),
    ],
)
def test_a_place_is_read_however_it_is_spaced(text: str, near: Near) -> None:
    assert place_named("--near", text) == near


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("48,137,11,575", "is not a place"),
        ("48.137N,11.575E", "is not a place"),
        ("48.137", "is not a place"),
        ("nan,1", "is not a place"),
        ("", "is not a place"),
        ("48.137,11.575km", "is not a place"),
        ("148.137,11.575", "148.137 is not a latitude. The first number must be between -90 and 90"),
        ("1,181", "181 is not a longitude"),
        ("1,1,0", "more than 0"),
        ("1,1,20017", "at most 20016, not 20017"),
    ],
)
def test_an_invalid_place_is_refused_with_an_example(text: str, reported: str) -> None:
    with pytest.raises(WrongUsage, match=reported):
        place_named("--near", text)


@pytest.mark.parametrize(("text", "ages"), [("5-8", (5, 8)), ("7", (7, 7)), (" 0-101 ", (0, 101))])
def test_ages_are_given_in_full_years(text: str, ages: tuple[int, int]) -> None:
    assert age_range("--age", text) == AgeRange(*ages)


@pytest.mark.parametrize("text", ["", "old", "8-5", "5.5", "-3", "5-", "1000"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="--age"):
        age_range("--age", text)
