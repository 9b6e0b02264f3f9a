"""Find a font with a letter: one of the extra `fonts`, else of the system, else Pillow's own."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from PIL import ImageFont

_PILLOWS = "that comes with Pillow"
_USUAL = "NotoSans[wght].ttf"
_SYMBOLS = ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
_FOLDERS = {
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts"),
}
_OTHER_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
_PLAIN = ("notosans-regular", "dejavusans.", "liberationsans-regular", "segoeui.", "arial unicode", "arial.")
_ODD = ("bold", "italic", "oblique", "lastresort")
"""`_PLAIN` has starts of the names of fonts to try first, `_ODD` parts of the names of fonts to skip."""

_UNASSIGNED_LETTER = "\U0010ffff"
_PROBE = 24
_MAX_OPEN = 200
_found: list[str] = []
"""System fonts that had letters: tried before others, so that a name is written in one font."""


@cache
def usual() -> str:
    """Return the font for Latin letters and for letters that no font has."""
    return font_with("A")


@cache
def font_with(letter: str) -> str:
    """Return the first font that has a letter; empty if none does."""
    for file in (*_packaged(), *_found):
        if has(file, letter):
            return file
    for file in _of_system(letter):
        if has(file, letter):
            _found.append(file)
            return file
    return _PILLOWS if has(_PILLOWS, letter) else ""


def is_symbols(file: str) -> bool:
    """Whether a font holds symbols; its blanks have an unusual width."""
    return Path(file).name in _SYMBOLS


@cache
def has(file: str, letter: str) -> bool:
    """Whether a font has a letter, rather than drawing its placeholder for missing ones."""
    try:
        return _drawn(file, letter) != _drawn(file, _UNASSIGNED_LETTER)
    except OSError:  # The font cannot be read, or has bitmaps of one size only.
        return False


@lru_cache(_MAX_OPEN)
def font(file: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a font. Raises OSError if it cannot be opened in this size."""
    opened = ImageFont.load_default(size) if file == _PILLOWS else ImageFont.truetype(file, size)
    if not isinstance(opened, ImageFont.FreeTypeFont):
        raise OSError("this Pillow cannot draw text at any size")
    return opened


@cache
def _drawn(file: str, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font(file, _PROBE).getmask(letter)
    return mask.size, bytes(mask)


@cache
def _packaged() -> tuple[str, ...]:
    """Return the extra's fonts: default, one per script, symbols, and the large one of East Asia."""
    try:
        import manimgx_fonts
        import noto_cjk_sans_jp_regular
    except ModuleNotFoundError:
        return ()
    folder = Path(str(files(manimgx_fonts)))
    names = sorted(path.name for path in folder.glob("*.ttf"))
    scripts = [name for name in names if name not in (_USUAL, *_SYMBOLS) and "Italic" not in name]
    east = Path(str(files(noto_cjk_sans_jp_regular)), noto_cjk_sans_jp_regular.FONT_FILE)
    return (*(str(folder / name) for name in (_USUAL, *scripts, *_SYMBOLS)), str(east))


def _of_system(letter: str) -> Iterable[str]:
    """Return system fonts that may have a letter: fontconfig's choice, else all, likelier ones first."""
    if program := shutil.which("fc-match"):
        line = [program, "--format", "%{file}", f"sans-serif:charset={ord(letter):x}"]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
        return done.stdout.splitlines()
    return _in_folders()


@cache
def _in_folders() -> tuple[str, ...]:
    def files_of(folder: str) -> Iterator[Path]:
        for path in Path(folder).expanduser().rglob("*"):
            name = path.name.lower()
            if path.suffix.lower() in (".ttf", ".otf", ".ttc") and not any(odd in name for odd in _ODD):
                yield path

    found = [path for folder in _FOLDERS.get(sys.platform, _OTHER_FOLDERS) for path in files_of(folder)]
    found.sort(key=lambda path: (not path.name.lower().startswith(_PLAIN), path.name))
    return tuple(map(str, found))
