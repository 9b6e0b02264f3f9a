"""The `.fsz` bundle, which roop-unleashed 4.4 loads as a face set.

A flat ZIP without compression that holds `0.png`, `1.png`, … in rank order: 8-bit RGB, square, no alpha.
"""

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image

from facesets.errors import DamagedFile, WrongUsage
from facesets.files import printable
from facesets.formats.face_models.kinds import BUNDLE_SUFFIX
from facesets.records import Pixels

# The earliest time that a ZIP can hold, so that equal faces give equal bundles, byte for byte.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_ENTRY = re.compile(r"(0|[1-9][0-9]*)\.png")
_MAX_ENTRY_BYTES = 64_000_000
_MAX_PIXELS = 40_000_000
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    Image.DecompressionBombError,
    ValueError,
    EOFError,
    SyntaxError,
    RuntimeError,
)
"""Exceptions of zipfile and Pillow for damaged bytes and for encrypted or unknown entries."""


def write_bundle(file: IO[bytes], pngs: Sequence[Path]) -> None:
    """Pack PNG files, best first, one at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for rank, png in enumerate(pngs):
            entry = zipfile.ZipInfo(f"{rank}.png", _NO_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, png.read_bytes())


def bundle_names(name: str, top_n: int) -> tuple[str, str]:
    """Return the file names of a set's bundle of the best faces and of its bundle of all.

    `name` is the set's folder; folders above it do not count.
    """
    stem = PurePosixPath(name).name
    return f"{stem}_top{top_n}{BUNDLE_SUFFIX}", f"{stem}_all{BUNDLE_SUFFIX}"


def read_bundle(path: Path) -> tuple[list[tuple[str, Pixels]], list[str]]:
    """Read a bundle as the consumer does: every top-level name that ends in `.png`, in the file's order.

    Returns
    -------
    pictures : list of (name, uint8 array of shape (h, w, 3))
        RGB.
    problems : list of str
        Violations of the format, a sentence each.

    Raises
    ------
    WrongUsage
        The file is missing.
    DamagedFile
        It is not a ZIP, or an entry is corrupt.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            problems = [problem for entry in entries for problem in _entry_problems(entry)]
            pictures = [
                (entry.filename, _picture(archive, entry))
                for entry in entries
                if "/" not in entry.filename and entry.filename.endswith(".png")
            ]
    except FileNotFoundError as error:
        raise WrongUsage(f"Bundle not found: {printable(path)}") from error
    except OSError as error:
        raise DamagedFile(f"Cannot read {printable(path)} ({error}). Export it again.") from error
    except _DAMAGE as error:
        raise DamagedFile(f"{printable(path)} is damaged ({error}). Export it again.") from error
    expected = [f"{rank}.png" for rank in range(len(pictures))]
    if [name for name, _ in pictures] != expected:
        problems.append("the entries are not 0.png, 1.png, … in order")
    problems += [
        f"{name} is {picture.shape[1]}×{picture.shape[0]}, not square"
        for name, picture in pictures
        if picture.shape[0] != picture.shape[1]
    ]
    return pictures, problems


def _entry_problems(entry: zipfile.ZipInfo) -> list[str]:
    problems = []
    name = printable(entry.filename)
    if "/" in entry.filename:
        problems.append(f"{name} is in a subfolder, which makes loaders fail")
    elif not _ENTRY.fullmatch(entry.filename):
        problems.append(f"{name} is not named by its rank")
    if entry.compress_type != zipfile.ZIP_STORED:
        problems.append(f"{name} is compressed")
    return problems


def _picture(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Pixels:
    if entry.file_size > _MAX_ENTRY_BYTES:
        raise ValueError(f"{printable(entry.filename)} is too large")
    with Image.open(io.BytesIO(archive.read(entry)), formats=["PNG"]) as picture:
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"{printable(entry.filename)} has {picture.width}×{picture.height} pixels")
        if picture.mode != "RGB":
            raise ValueError(f"{printable(entry.filename)} is {picture.mode}, not 8-bit RGB")
        return np.asarray(picture, np.uint8)
