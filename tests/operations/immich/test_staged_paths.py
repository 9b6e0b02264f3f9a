"""Paths made of a server's: safe everywhere, never two in one."""

import re
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.files import printable
from facesets.operations.immich.staged_paths import (
    OWN_NAMES,
    DigestSet,
    UniquePaths,
    is_thumbnail,
    safe_label,
    safe_path,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
JOINED = [
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645/1.jpg",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467.jpg",
]
"""A Persian word, and a family."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


@pytest.mark.parametrize(
    "path",
    ["/data/library/ana/2024/IMG_1.jpg", "photos/K\u00fcche & Bad (2).JPEG", "a b/c.d/e.heic", *JOINED],
)
def test_an_ordinary_path_stays_as_it_is_below_the_folder(path: str) -> None:
    assert safe_path(path) == path.lstrip("/")


@given(ANY_TEXT)
def test_paths_from_any_server_text_are_valid_on_every_system(text: str) -> None:
    path = safe_path(text + ".jpg")
    parts = path.split("/")
    assert not PurePosixPath(path).is_absolute()
    assert not PureWindowsPath(path).drive
    assert len(path.encode("utf-8")) <= 200
    assert parts[0] not in OWN_NAMES
    assert path.endswith(".jpg")
    for part in parts:
        assert part not in ("", ".", "..")
        assert not RESERVED.match(part)
        assert part == part.rstrip(". ")
        assert printable(part) == part
        assert not set(part) & set('<>:"|?*\\')
        assert len(part.encode()) <= 121


@given(st.lists(ANY_TEXT, max_size=12))
def test_no_two_assets_share_a_path_even_where_case_is_ignored(texts: list[str]) -> None:
    names = UniquePaths()
    given_names = [names.give(f"{text}.jpg", f"{n:08}-id") for n, text in enumerate([*texts, *texts])]
    assert len({name.casefold() for name in given_names}) == len(given_names)


def test_joiners_do_not_distinguish_names_and_are_in_no_label() -> None:
    word = JOINED[0][:8]
    names = UniquePaths()
    assert names.give(f"{word}.jpg", "a") == f"{word}.jpg"
    assert names.give(f"{word.replace(chr(0x200C), '')}.jpg", "b").endswith("~b.jpg")
    for length in range(50, 70):
        cut = safe_path(f"{'a' * (length % 4)}{word * 30}.jpg")
        assert printable(cut) == cut
    assert safe_label(word) == word.replace(chr(0x200C), "_")


@given(ANY_TEXT)
def test_a_label_names_one_folder(text: str) -> None:
    label = safe_label(text)
    assert label not in ("", ".", "..")
    assert not set(label) & set('/\\:*?"<>|')


def test_a_folder_of_photos_never_has_the_name_of_a_photo_or_a_file_of_ours() -> None:
    assert safe_path("a.jpg/b.jpg") == "a.jpg_/b.jpg"
    assert safe_path("Queue.json/b.jpg") == "Queue.json_/b.jpg"
    assert safe_path("push/b.jpg") == "push_/b.jpg"
    assert safe_path("push.lock/b.jpg") == "push.lock_/b.jpg"


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/data/thumbs/u/ab/cd/4f0c-preview.jpeg", True),
        ("upload/thumbs/u/ab/cd/4f0c-thumbnail.webp", True),
        ("/data/thumbs/u/ab/cd/4f0c_preview.jpeg", True),
        ("/data/thumbs/u/ab/cd/4f0c_fullsize_edited.webp", True),
        ("/data/thumbs/u/ab/cd/123e4567-e89b-42d3-a456-426614174000.jpeg", True),
        ("/data/library/thumbs-up/holiday-preview.jpeg", False),
        ("/photos/thumbs/IMG_1.jpg", False),
        ("/photos/holiday-preview.jpeg", False),
    ],
)
def test_immichs_own_thumbnails_are_distinguished_from_photos(path: str, verdict: bool) -> None:
    assert is_thumbnail(path) is verdict


@given(st.lists(st.text(st.characters(exclude_categories=[])), max_size=50))
def test_a_set_of_digests_holds_exactly_the_added_texts(texts: list[str]) -> None:
    compact, plain = DigestSet(), set[str]()
    for text in texts:
        assert (text in compact) == (text in plain)
        assert compact.add(text) == (text not in plain)
        plain.add(text)
    assert len(compact) == len(plain)


def test_a_set_of_digests_holds_its_texts_while_it_grows() -> None:
    compact = DigestSet()
    assert all(compact.add(str(n)) for n in range(5_000))
    assert not any(compact.add(str(n)) for n in range(5_000))
    assert all(str(n) in compact for n in range(5_000))
    assert not any(str(n) in compact for n in range(5_000, 10_000))
