"""Formats of face sets: names, consumers, and recognition by content."""

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from facesets.files import open_regular_file

Format = Literal["fsz", "images", "safetensors", "visomaster", "rope", "npz"]

FORMATS: tuple[Format, ...] = get_args(Format)
CONSUMERS: dict[Format, str] = {
    "fsz": "roop-unleashed",
    "images": "facefusion",
    "safetensors": "ReActor",
    "visomaster": "VisoMaster",
    "rope": "Rope",
    "npz": "any program with NumPy",
}
"""Program that reads each format; of several, the first that did."""

OF_ONE_RECOGNIZER: tuple[Format, ...] = ("safetensors", "visomaster", "rope")
"""Formats without the recognition model's name: their consumers assume `w600k_r50`."""

SHARED_FILES: dict[Format, str] = {"visomaster": "visomaster.json", "rope": "merged_embeddings.txt"}
"""Formats that can hold all people of an export in one file, and that file's name; Rope's name is fixed by
Rope.
"""

BUNDLE_SUFFIX = ".fsz"
_OWN_SUFFIX: dict[Format, str] = {
    "safetensors": ".safetensors",
    "visomaster": "_visomaster.json",
    "rope": "_rope.txt",
    "npz": ".npz",
}
_FOR_MODELS_ALONE = tuple(suffix for kind, suffix in _OWN_SUFFIX.items() if kind != "npz")
_BY_SUFFIX: dict[str, Format] = {
    BUNDLE_SUFFIX: "fsz",
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".json": "visomaster",
    ".txt": "rope",
}
_LONGEST_HEADER = 100_000_000


def model_name(name: str, kind: Format) -> str:
    """Return a set's file name in a format that stores embeddings.

    `name` is the set's folder; folders above it do not count.
    """
    return f"{PurePosixPath(name).name}{_OWN_SUFFIX[kind]}"


def own_file(names: Iterable[str], kind: Format) -> str:
    """Return a set's own file in a format that stores embeddings; empty if it has none."""
    return next((name for name in names if name.endswith(_OWN_SUFFIX[kind])), "")


def images_folder(name: str, top_n: int) -> str:
    """Return the name of the folder of a set's best images, within the set's own folder."""
    return f"{PurePosixPath(name).name}_top{top_n}"


def is_named_as_model(name: str) -> bool:
    """Whether only face models and bundles have such a name."""
    return name.endswith((BUNDLE_SUFFIX, *_FOR_MODELS_ALONE)) or name in SHARED_FILES.values()


def format_of(path: Path) -> Format | None:
    """Determine the format of a file, by content, or by name if damaged; a folder is `images`.

    None if the format is unknown.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if path.is_dir():
        return "images"
    return seen_in(path) or _BY_SUFFIX.get(path.suffix.lower())


def seen_in(path: Path) -> Format | None:
    """Determine the format by a file's content; None if unknown. Raises `OSError`."""
    with open_regular_file(path) as file:
        begin = file.read(4096)
        if begin.startswith(b"PK"):
            return _in_archive(path)
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"Name:"):
        return "rope"
    if text.startswith((b"[", b"{")):
        return "visomaster" if b'"embedding_store"' in begin else None
    length = int.from_bytes(begin[:8], "little")
    return "safetensors" if begin[8:9] == b"{" and length < _LONGEST_HEADER else None


def _in_archive(path: Path) -> Format | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (
        OSError,
        ValueError,
        NotImplementedError,
        EOFError,
        OverflowError,
        struct.error,
        zipfile.BadZipFile,
    ):
        return None
    if {"embeddings.npy", "mean.npy"} <= set(names):
        return "npz"
    is_array = [name.endswith(".npy") for name in names]
    return None if is_array and all(is_array) else "fsz"
