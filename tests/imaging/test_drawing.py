"""Any file name can be drawn on pages, with fonts of the extra, the system, or neither."""

import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import manimgx_fonts
import noto_cjk_sans_jp_regular
import numpy as np
import pytest
from PIL import Image, ImageDraw, features

from facesets.imaging import drawing, fonts
from facesets.imaging.drawing import fitting, width, write
from facesets.operations.models.doctor import fonts_finding
from facesets.records import Pixels

EXTRA = Path(manimgx_fonts.__file__).parent
HEBREW = EXTRA / "NotoSansHebrew[wght].ttf"
EAST = Path(noto_cjk_sans_jp_regular.__file__).parent / noto_cjk_sans_jp_regular.FONT_FILE
NAMES = {
    "accents": "ZoëMüllerAñón",
    "Cyrillic": "ЖаннаЙорданова",
    "Hebrew": "שרהכהן",
    "Arabic": "محمد",
    "Japanese": "田中さん",
}


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
    # Letters that no font has look the same; two letters of a name never do.
    pictures = [drawn(letter) for letter in sorted(letters)]
    assert all((picture < 128).any() and not np.array_equal(picture, unknown) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(letters)
    box = drawn("\U0010fffd")
    assert not any(np.array_equal(picture, box) for picture in pictures)


def test_decomposed_letters_count_as_one_letter() -> None:
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


def fonts_of(script: str) -> set[str]:
    return set(map(fonts.font_with, NAMES[script]))


def unknown() -> set[str]:
    """Return the scripts with letters that are drawn as question marks."""
    mark = drawn("?")
    return {
        script
        for script, name in NAMES.items()
        if any(np.array_equal(drawn(letter), mark) for letter in name)
    }


def forget() -> None:
    """Clear all caches of fonts."""
    for remembered in (*vars(fonts).values(), *vars(drawing).values()):
        if hasattr(remembered, "cache_clear"):
            remembered.cache_clear()
    fonts._found.clear()


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One without the extra and with no font: its folder, with `bin` for programs and `fonts`."""
    monkeypatch.setitem(sys.modules, "manimgx_fonts", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(fonts, "_FOLDERS", {})
    monkeypatch.setattr(fonts, "_OTHER_FOLDERS", (str(tmp_path / "none"), str(tmp_path / "fonts")))
    for folder in ("bin", "fonts"):
        (tmp_path / folder).mkdir()
    forget()
    yield tmp_path
    forget()


def test_the_fonts_extra_draws_names_identically_on_every_system() -> None:
    assert fonts_of("accents") == fonts_of("Cyrillic") == {str(EXTRA / "NotoSans[wght].ttf")}
    assert fonts_of("Hebrew") == {str(HEBREW)}
    assert fonts_of("Japanese") == {str(EAST)}
    assert unknown() == set()


@pytest.mark.usefixtures("system")
def test_without_any_font_pillows_own_draws_latin_letters_without_accents() -> None:
    assert unknown() == {"Cyrillic", "Hebrew", "Arabic", "Japanese"}
    finding = fonts_finding()
    assert finding.level == "note"
    assert "Hebrew, Arabic" in finding.state
    assert "manimgx-fonts" in finding.repair


def test_without_fontconfig_the_standard_folders_are_searched(system: Path) -> None:
    hebrew, east = system / "fonts" / "of" / "hebrew.TTF", system / "fonts" / "of" / "east" / EAST.name
    east.parent.mkdir(parents=True)
    shutil.copy(HEBREW, hebrew)
    shutil.copy(EAST, east)
    (system / "fonts" / "broken.ttf").write_bytes(b"no font")
    assert (fonts_of("Hebrew"), fonts_of("Japanese")) == ({str(hebrew)}, {str(east)})
    assert {"Hebrew", "Arabic", "Japanese"} & unknown() == {"Arabic"}


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for fontconfig's program")
def test_fontconfig_chooses_the_font_of_a_letter(system: Path) -> None:
    arabic = EXTRA / "NotoSansArabic[wght].ttf"
    program, asked = system / "bin" / "fc-match", system / "asked"
    program.write_text(f'#!/bin/sh\necho "$3" >>"{asked}"\nprintf %s "{arabic}"\n')
    program.chmod(0o755)
    assert fonts_of("Arabic") == {str(arabic)}
    assert {f"sans-serif:charset={ord(letter):x}" for letter in NAMES["Arabic"]} & {
        *asked.read_text().splitlines()
    }
    # fontconfig always names a font, even if that lacks the letter.
    assert "Japanese" in unknown()
