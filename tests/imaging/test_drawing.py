"""Lettering on drawn pages: whatever a file name may hold."""

import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from facesets.imaging.drawing import fitting, width, write
from facesets.records import Pixels


def drawn(text: str, size: int = 24) -> Pixels:
    page = Image.new("L", (900, 60), 255)
    write(ImageDraw.Draw(page), (4, 10), text, 0, size)  # type: ignore[arg-type]
    return np.asarray(page)


@pytest.mark.parametrize(
    "name",
    [
        "Straße Müller Łódź ñ",
        "Σωκράτης",
        "Наталья Йорданова",
        "王小明",
        "田中さん",
        "김민준",
        "محمد علی خان",
        "שרה כהן",
        "प्रिया शर्मा",
        "สมชาย",
        "ქართული",
        "አማርኛ",
        "☃→½♥",
        "😀🎉",
    ],
)
def test_every_letter_of_a_name_is_drawn_as_itself(name: str) -> None:
    letters = {letter for letter in name if unicodedata.category(letter)[0] in "LNS"}
    unknown = drawn("?")
    # What no font has looks like every other such letter; two letters of a name never look alike.
    pictures = [drawn(letter) for letter in sorted(letters)]
    assert all((picture < 128).any() and not np.array_equal(picture, unknown) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(letters)
    box = drawn("\U0010fffd")
    assert not any(np.array_equal(picture, box) for picture in pictures)


def test_a_letter_from_a_decomposed_name_is_one_letter() -> None:
    assert np.array_equal(drawn("Zoe\u0308"), drawn("Zo\u00eb"))


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow shapes no letters")
def test_letters_of_one_script_are_shaped_together() -> None:
    assert width("محمد", 40) != sum(width(letter, 40) for letter in "محمد")
    assert not np.array_equal(drawn("محمد"), drawn("دمحم"))


def test_foreign_bytes_control_characters_and_letters_of_no_font_are_legible() -> None:
    assert np.array_equal(drawn("a\udcffb\x1b[31mc"), drawn("a\\udcffb\\x1b[31mc"))
    assert np.array_equal(drawn("a\u202eb"), drawn("ab"))
    assert np.array_equal(drawn("a\u202fb"), drawn("a b"))
    assert np.array_equal(drawn("\U00013000"), drawn("?"))


def test_a_long_name_is_cut_to_the_width_it_may_have() -> None:
    cut = fitting("王小明" * 20, 20, 200)
    assert cut.endswith("…")
    assert 150 < width(cut, 20) <= 200
    assert fitting("short", 20, 200) == "short"
