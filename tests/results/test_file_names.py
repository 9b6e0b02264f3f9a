import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.soak import examples

from facesets.results.names.file_names import (
    MAX_NAME_BYTES,
    flatten,
    flatten_all,
    folder_name,
    label_of_folder,
)

components = st.binary(min_size=1, max_size=120).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
paths = st.lists(components, min_size=1, max_size=4).map(lambda parts: os.fsdecode(b"/" + b"/".join(parts)))
tricky = st.text(alphabet="a/+%~. \\:CON", min_size=1, max_size=12).map(lambda text: "/" + text)


@examples(50)
@given(st.sets(paths | tricky, min_size=2, max_size=8))
def test_no_two_paths_get_the_same_name(some: set[str]) -> None:
    names = [flatten(path) for path in some]
    assert len(set(names)) == len(some)


@examples(50)
@given(paths | tricky)
def test_every_name_is_short_and_valid_on_every_system(path: str) -> None:
    name = flatten(path)
    assert 0 < len(name.encode("utf-8")) <= MAX_NAME_BYTES
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert not name.startswith(".")
    assert not name.endswith((".", " "))


@examples(50)
@given(st.sets(paths, min_size=2, max_size=6))
def test_names_in_one_folder_differ_by_more_than_case(some: set[str]) -> None:
    doubled = some | {path.swapcase() for path in some}
    names = flatten_all(doubled)
    assert len({name.casefold() for name in names.values()}) == len(doubled)


def test_a_name_shows_the_path_it_was_made_from() -> None:
    assert flatten("/home/ann/My photos/a.jpg") == "home+ann+My photos+a.jpg"
    assert flatten("C:\\Users\\ann\\a.jpg") == "C++Users+ann+a.jpg"


def test_a_windows_path_never_meets_a_posix_path() -> None:
    assert len({flatten(p) for p in ("C:\\a", "/C:/a", "/C/a", "/C//a", "\\\\C\\a", "//C/a")}) == 6


def test_a_separator_in_a_name_is_not_mistaken_for_a_folder() -> None:
    assert flatten("/a+b/c") != flatten("/a/b+c") != flatten("/a/b/c")


def test_a_long_name_keeps_its_beginning_and_its_ending() -> None:
    name = flatten("/photos/" + "ü" * 300 + ".jpeg")
    assert name.startswith("photos+üü")
    assert name.endswith(".jpeg")


def test_names_of_windows_devices_are_avoided() -> None:
    assert flatten("/con.jpg") != "con.jpg"
    assert flatten("/LPT1") != "LPT1"


def test_names_that_differ_only_by_unicode_form_both_get_a_hash() -> None:
    composed, decomposed = "/\u00e9.jpg", "/e\u0301.jpg"
    names = flatten_all([composed, decomposed, "/c.jpg"])
    assert all("~" in names[path] for path in (composed, decomposed))
    assert names["/c.jpg"] == "c.jpg"


@given(st.text(min_size=1))
def test_a_label_becomes_one_safe_name_with_room_for_endings(label: str) -> None:
    name = folder_name(label)
    assert len(name.encode()) <= 120
    assert not set(name) & set('/\\:*?"<>|\0')
    assert not name.startswith(("_", ".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].casefold() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Anna Maria", "Anna Maria"),
        ("Zoë + Ben", "Zoë + Ben"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("_thin", "%5Fthin"),
        ("nul", "%6Eul"),
        ("50%", "50%25"),
        ("a\nb", "a%0Ab"),
        ("\udcff", "%FF"),
    ],
)
def test_a_label_stays_readable_if_possible(label: str, name: str) -> None:
    assert folder_name(label) == name


def test_two_long_labels_do_not_get_one_name() -> None:
    assert folder_name("x" * 500 + "a") != folder_name("x" * 500 + "b")


@given(st.text(min_size=1, max_size=9) | st.text(alphabet="a/%2F. ~_", min_size=1, max_size=9))
def test_a_label_comes_back_from_the_folder_that_it_names(label: str) -> None:
    assert label_of_folder(folder_name(label)) == label


@pytest.mark.parametrize("name", ["100%", "50%AB", "a%2f", "%41nna", folder_name("x" * 500)])
def test_a_named_folder_keeps_its_name(name: str) -> None:
    assert label_of_folder(name) == name
