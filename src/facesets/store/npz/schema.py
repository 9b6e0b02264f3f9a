"""The arrays of a cache file: names, meaning, version. docs/cache-format.md describes them for others.

A cache is a sequence of parts of this one form: the `.npz` file itself, then the journal's. A later
part replaces an earlier record of the same image or path, which keeps its place in the order.
So applying a part twice is applying it once.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.errors import Command, DamagedFile, FacesetsError, NewerFormat, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import RUN_RECORD, printable
from facesets.formats.guessed_kind import guessed_kind
from facesets.formats.plain_npz import DAMAGE
from facesets.records import CacheSettings, Faces, ImageRecord, from_recorded
from facesets.store.npz.checks import check_columns, check_paths, check_settings, check_vectors
from facesets.store.npz.columns import let_go, map_columns

VERSION = 1

_FACE = "face_"
_READ_AT_ONCE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one file of a cache. Face rows are grouped by image, in the order of the images.

    `identity` is the cache's own.
    """

    settings: CacheSettings
    files: Sequence[FileRecord]
    sha256: NDArray[np.bytes_]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    taken: NDArray[np.datetime64]
    fingerprint: NDArray[np.uint8]
    faces: Faces
    identity: str = ""


def part_of(
    settings: CacheSettings, files: Sequence[FileRecord], images: Sequence[ImageRecord], identity: str
) -> Part:
    """Make a part from these images, in this order."""
    faces = [image.faces.with_image(np.full(len(image.faces), i)) for i, image in enumerate(images)]
    return Part(
        settings=settings,
        files=files,
        sha256=np.array([image.sha256 for image in images], "S64"),
        width=np.array([image.width for image in images], np.int64),
        height=np.array([image.height for image in images], np.int64),
        taken=np.array([image.taken for image in images], "datetime64[s]"),
        fingerprint=np.frombuffer(b"".join(i.fingerprint for i in images), np.uint8).reshape(-1, 32),
        faces=Faces.concatenate(faces) if faces else Faces.empty(settings.dimension),
        identity=identity,
    )


def small_arrays(
    settings: CacheSettings, files: Sequence[FileRecord], identity: str
) -> dict[str, NDArray[Any]]:
    """Return the arrays with texts: settings, identity, and the record of each path."""
    meta = {
        "format": "facesets/cache",
        "version": VERSION,
        "id": identity,
        "settings": settings.recorded(),
    }
    reasons = {i: record.reason for i, record in enumerate(files) if record.reason}
    return {
        "meta": _text(meta),
        "path_text": _text([record.path for record in files]),
        "path_reason": _text(reasons),
        "path_size": np.array([record.size for record in files], np.int64),
        "path_mtime_ns": np.array([record.mtime_ns for record in files], np.int64),
        "path_sha256": np.array([record.sha256 for record in files], "S64"),
    }


def image_arrays(part: Part) -> dict[str, NDArray[Any]]:
    """Return the arrays with one row per image, by name in the file."""
    return {
        "image_sha256": part.sha256,
        "image_width": part.width,
        "image_height": part.height,
        "image_taken": part.taken,
        "image_fingerprint": part.fingerprint,
    }


def face_arrays(part: Part) -> dict[str, NDArray[Any]]:
    """Return the arrays with one row per face, by name in the file."""
    return {face_array_name(name): column for name, column in part.faces.columns().items()}


def face_array_name(column: str) -> str:
    """Return the name in the file of a column of `Faces`."""
    return column if column.startswith(_FACE) else f"{_FACE}{column}"


def _text(value: object) -> NDArray[np.uint8]:
    # ASCII with \u escapes keeps file names that are not UTF-8, as lone surrogates.
    return np.frombuffer(json.dumps(value).encode("ascii"), np.uint8)


def read_part(path: Path, *, verify: bool = True, with_files: bool = True) -> Part:
    """Read one file of a cache; large ones are mapped rather than read.

    Parameters
    ----------
    verify : bool
        Compare large ones with their checksums, which reads all of them once.
    with_files : bool
        If false, `files` stays empty: for callers that already have them in memory.

    Raises
    ------
    FileNotFoundError
    NewerFormat
        A later version of the program wrote it.
    DamagedFile, WrongUsage
        It is not a cache file, or is incomplete.
    """
    try:
        # Windows cannot replace a file that is mapped.
        at_once = sys.platform == "win32" or path.stat().st_size < _READ_AT_ONCE_BYTES
        arrays = map_columns(path, verify=verify or at_once, in_memory=at_once)
        meta = _parsed(arrays["meta"])
        version = meta["version"] if meta.get("format") == "facesets/cache" else None
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise WrongUsage(
            f"Cannot read {printable(path)} ({error.strerror}): only its owner may read it. Run this "
            "as the owner, or use a copy."
        ) from error
    except DAMAGE as error:
        raise _damaged(path) from error
    if not isinstance(version, int) or version < 1:
        raise _damaged(path)
    if version > VERSION:
        raise NewerFormat(
            f"{printable(path)} was written by a newer facesets (cache version {version}, this one reads "
            f"up to {VERSION}). Upgrade facesets, or use another cache."
        )
    try:
        part = _part(meta, arrays, _files(arrays) if with_files else [])
        if verify:
            check_vectors(part.faces)
    except DAMAGE as error:
        raise _damaged(path) from error
    let_go(part.sha256)
    return part


def _damaged(path: Path) -> FacesetsError:
    kind = guessed_kind(path)
    if kind and path.suffix.lower() != ".npz":
        # The file belongs to another program and must not be moved.
        return WrongUsage(
            f"{printable(path)} is not a facesets cache but {kind}. Give a file made by "
            f"{Command('embed', 'PHOTOS', 'faces.npz')}."
        )
    of_run = (path.parent / RUN_RECORD).exists()
    again = Command("run", "PHOTOS", printable(path.parent)) if of_run else Command("embed")
    return DamagedFile(
        f"{printable(path)} is damaged or not a facesets cache. Restore it from a backup, or move it "
        f"away and run {again} again."
    )


def _part(meta: dict[str, Any], arrays: dict[str, NDArray[Any]], files: list[FileRecord]) -> Part:
    check_settings(meta["settings"])
    settings = CacheSettings(**from_recorded(meta["settings"]))
    check_columns(arrays, settings.dimension)
    names = {face_array_name(name): name for name in Faces.__dataclass_fields__}
    # A cache of an earlier version has no id, until it is written again.
    identity = str(meta.get("id") or identity_of(settings, _parsed(arrays["path_text"])))
    return Part(
        settings=settings,
        files=files,
        sha256=arrays["image_sha256"],
        width=arrays["image_width"],
        height=arrays["image_height"],
        taken=arrays["image_taken"],
        fingerprint=arrays["image_fingerprint"],
        faces=Faces(**{names[name]: column for name, column in arrays.items() if name in names}),
        identity=identity,
    )


def identity_of(settings: CacheSettings, paths: Sequence[str]) -> str:
    """Return the id of a cache that begins with these paths; equal caches have equal ids."""
    facts = [settings.recognizer_sha256, *settings.detection, *paths[:1]]
    return hashlib.sha256(json.dumps(facts).encode("ascii")).hexdigest()[:32]


def _files(arrays: dict[str, NDArray[Any]]) -> list[FileRecord]:
    paths, reasons = _parsed(arrays["path_text"]), _parsed(arrays["path_reason"])
    check_paths(paths, reasons)
    columns = (arrays["path_size"].tolist(), arrays["path_mtime_ns"].tolist(), arrays["path_sha256"].tolist())
    return [
        FileRecord(path, size, mtime_ns, sha256.decode("ascii"), reasons.get(str(i), ""))
        for i, (path, size, mtime_ns, sha256) in enumerate(zip(paths, *columns, strict=True))
    ]


def _parsed(array: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    return json.loads(array.tobytes())
