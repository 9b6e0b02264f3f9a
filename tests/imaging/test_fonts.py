"""Where letters come from: the extra's fonts, the system's, and what is drawn without either."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import manimgx_fonts
import noto_cjk_sans_jp_regular
import pytest
from tests.fixtures.program import REPOSITORY

from facesets.imaging.fonts import font_with

_EXTRA = Path(manimgx_fonts.__file__).parent
_HEBREW = "NotoSansHebrew[wght].ttf"
_EAST = Path(noto_cjk_sans_jp_regular.__file__).parent / noto_cjk_sans_jp_regular.FONT_FILE
_NAMES = {
    "accents": "Zoë Müller Añón",
    "Cyrillic": "Жанна Йорданова",
    "Hebrew": "שרה כהן",
    "Arabic": "محمد",
    "Japanese": "田中さん",
}
_WITHOUT_THE_EXTRA = """
import json, sys
sys.modules["manimgx_fonts"] = None
from PIL import Image, ImageDraw
from facesets.imaging import drawing, fonts
from facesets.operations.models.doctor import fonts_finding

fonts._OTHER_FOLDERS, fonts._FOLDERS = json.loads(sys.argv[1]), {}

def drawn(text):
    page = Image.new("L", (900, 60), 255)
    drawing.write(ImageDraw.Draw(page), (4, 10), text, 0, 24)
    return page.tobytes()

def looks(name):
    letters = name.replace(" ", "")
    unknown = sum(drawn(letter) == drawn("?") for letter in letters)
    drawn(name)
    return len({drawn(letter) for letter in letters}) - (unknown > 0), unknown

names = json.loads(sys.argv[2])
files = {key: sorted({*map(fonts.font_with, set(name) - {" "})}) for key, name in names.items()}
finding = fonts_finding()
said = finding.level, finding.state, finding.repair
print(json.dumps([files, {key: looks(name) for key, name in names.items()}, said]))
"""


class Drawn(NamedTuple):
    """What a system without the extra makes of `_NAMES`: fonts, how letters look, and what doctor says."""

    files: dict[str, list[str]]
    looks: dict[str, tuple[int, int]]
    finding: list[str]

    def unknown(self) -> set[str]:
        """The scripts of which each letter is a question mark."""
        return {script for script, (pictures, _) in self.looks.items() if pictures == 0}


def without_the_extra(programs: Path, *folders: Path) -> Drawn:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_THE_EXTRA, json.dumps(list(map(str, folders))), json.dumps(_NAMES)],
        env={"PATH": str(programs), "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Drawn(*json.loads(done.stdout))


def test_with_the_extra_names_look_the_same_on_every_system() -> None:
    letters = {script: set(name) - {" "} for script, name in _NAMES.items()}
    assert {font_with(letter) for letter in letters["accents"] | letters["Cyrillic"]} == {
        str(_EXTRA / "NotoSans[wght].ttf")
    }
    assert {font_with(letter) for letter in letters["Hebrew"]} == {str(_EXTRA / _HEBREW)}
    assert {font_with(letter) for letter in letters["Japanese"]} == {str(_EAST)}


def test_without_any_font_pillows_own_draws_latin_letters_without_accents(tmp_path: Path) -> None:
    done = without_the_extra(tmp_path)
    assert done.looks["accents"][1] == 0
    assert done.unknown() == {"Cyrillic", "Hebrew", "Arabic", "Japanese"}
    level, state, repair = done.finding
    assert level == "note"
    assert "Hebrew, Arabic" in state
    assert "manimgx-fonts" in repair


def test_where_there_is_no_fontconfig_the_usual_folders_are_looked_through(tmp_path: Path) -> None:
    fonts = tmp_path / "fonts"
    (fonts / "of" / "east").mkdir(parents=True)
    shutil.copy(_EXTRA / _HEBREW, fonts / "of" / "hebrew.TTF")
    shutil.copy(_EAST, fonts / "of" / "east")
    (fonts / "broken.ttf").write_bytes(b"no font")
    done = without_the_extra(tmp_path, tmp_path / "none", fonts)
    assert done.files["Hebrew"] == [str(fonts / "of" / "hebrew.TTF")]
    assert done.files["Japanese"] == [str(fonts / "of" / "east" / _EAST.name)]
    assert "Arabic" in done.unknown()
    assert not {"Hebrew", "Japanese"} & done.unknown()


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for fontconfig's program")
def test_fontconfig_says_which_font_has_a_letter(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "fc-match"
    program.write_text(
        f'#!/bin/sh\necho "$3" >>"{asked}"\nprintf %s "{_EXTRA / "NotoSansArabic[wght].ttf"}"\n'
    )
    program.chmod(0o755)
    done = without_the_extra(tmp_path)
    assert done.files["Arabic"] == [str(_EXTRA / "NotoSansArabic[wght].ttf")]
    letters = {f"sans-serif:charset={ord(letter):x}" for letter in _NAMES["Arabic"]}
    assert letters.intersection(asked.read_text().splitlines())
    # What it names need not have the letter: it always names one.
    assert "Japanese" in done.unknown()
