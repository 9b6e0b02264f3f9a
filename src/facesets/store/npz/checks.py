"""Checks of the arrays of a cache file, made once when it is read.

All users of a cache may rely on it: a damaged or malicious file gives one clear error, rather than a
failure inside an algorithm.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from facesets.records import CacheSettings, EnrichState, Faces, PoseSource, from_recorded
from facesets.store.npz.columns import let_go

_UNIT_TOLERANCE = 1e-2
_ROWS_AT_A_TIME = 4096
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_MAX_EDGE = 1 << 31
# A cache may come from a machine with another system.
_ABSOLUTE = re.compile(r"/|\\\\|[A-Za-z]:[\\/]").match
_MAX_NUMBER = 1e8
"""Maximum absolute value: far beyond any measure of a picture, and still safe to compute with."""


@dataclass(frozen=True, slots=True)
class _Form:
    """Type of an array, the meaning of its rows, and the shape of one row."""

    dtype: str
    rows: str
    row_shape: tuple[int, ...] = ()
    optional: bool = False


_MEASURES = (
    *("det_score", "face_short", "blur", "kps", "landmark_2d_106", "landmark_3d_68", "pose"),
    *("age", "male", "norm"),
)
_DIMENSION = -1
_FORMS: Mapping[str, _Form] = {
    "path_size": _Form("i8", "path"),
    "path_mtime_ns": _Form("i8", "path"),
    "path_sha256": _Form("S64", "path"),
    "image_sha256": _Form("S64", "image"),
    "image_width": _Form("i8", "image"),
    "image_height": _Form("i8", "image"),
    "image_taken": _Form("M8[s]", "image"),
    "image_fingerprint": _Form("u1", "image", (32,)),
    "face_image": _Form("i8", "face"),
    "face_box": _Form("f4", "face", (4,)),
    "face_kps": _Form("f4", "face", (5, 2)),
    "face_det_score": _Form("f4", "face"),
    "face_embedding": _Form("f4", "face", (_DIMENSION,)),
    "face_short": _Form("f4", "face"),
    "face_blur": _Form("f4", "face"),
    "face_norm": _Form("f4", "face", optional=True),
    "face_landmark_2d_106": _Form("f4", "face", (106, 2), optional=True),
    "face_landmark_3d_68": _Form("f4", "face", (68, 3), optional=True),
    "face_pose": _Form("f4", "face", (3,), optional=True),
    "face_pose_source": _Form("u1", "face", optional=True),
    "face_enrich_state": _Form("u1", "face", optional=True),
    "face_age": _Form("f4", "face", optional=True),
    "face_male": _Form("f4", "face", optional=True),
}


def check_settings(settings: object) -> None:
    """Check the settings in a cache's `meta`. Raises `ValueError` or `TypeError`."""
    if not isinstance(settings, dict):
        raise TypeError("the settings are invalid")
    settings = from_recorded(settings)
    types = get_type_hints(CacheSettings)
    for field in fields(CacheSettings):
        if field.name not in settings:
            continue
        value, kind = settings[field.name], types[field.name]
        if kind is float and isinstance(value, int):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise TypeError(f"the setting {field.name} has the wrong type")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the setting {field.name} is not a number")
    if not (0 < settings["dimension"] <= 1 << 16 and 0 < settings["det_size"] <= 1 << 16):
        raise ValueError("a setting is out of range")


def check_columns(arrays: Mapping[str, NDArray[Any]], dimension: int) -> None:
    """Check types, shapes and cross references of all arrays except texts. Raises `ValueError`."""
    lengths: dict[str, int] = {}
    for name, form in _FORMS.items():
        array = arrays.get(name)
        if array is None:
            if not form.optional:
                raise ValueError(f"{name} is missing")
            continue
        row_shape = tuple(dimension if edge == _DIMENSION else edge for edge in form.row_shape)
        if array.dtype != np.dtype(form.dtype) or array.ndim == 0 or array.shape[1:] != row_shape:
            raise ValueError(f"{name} has the wrong type or shape")
        if lengths.setdefault(form.rows, len(array)) != len(array):
            raise ValueError(f"{name} has the wrong length")
    _check_digests(arrays["image_sha256"], allow_empty=False)
    _check_digests(arrays["path_sha256"], allow_empty=True)
    _check_range(arrays["image_width"], 0, _MAX_EDGE)
    _check_range(arrays["image_height"], 0, _MAX_EDGE)
    image = arrays["face_image"]
    _check_range(image, 0, len(arrays["image_sha256"]) - 1)
    if (image[1:] < image[:-1]).any():
        raise ValueError("the faces are not in the order of their images")
    _check_range(arrays.get("face_pose_source"), 0, max(PoseSource))
    _check_range(arrays.get("face_enrich_state"), 0, max(EnrichState))


def check_paths(paths: object, reasons: object) -> None:
    """Check the texts of a cache: paths that the system can open, and reasons.

    Raises
    ------
    ValueError, TypeError
        One of them is invalid.
    """
    if not isinstance(paths, list) or not all(isinstance(path, str) and _ABSOLUTE(path) for path in paths):
        raise ValueError("a path is not absolute")
    if not isinstance(reasons, dict):
        raise TypeError("the reasons are invalid")
    _check_texts(paths)
    if not all(isinstance(reason, str) for reason in reasons.values()):
        raise ValueError("a reason is invalid")


def _check_texts(paths: Sequence[str]) -> None:
    together = "".join(paths)
    if "\0" in together:
        raise ValueError("a path holds a zero byte")
    os.fsencode(together)


def check_vectors(faces: Faces) -> None:
    """Check every number of the faces. Raises `ValueError`."""
    for start in range(0, len(faces), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        embedding = faces.embedding[rows]
        squares = np.einsum("ij,ij->i", embedding, embedding)
        # Written so that NaN fails as well.
        if not (np.abs(squares - 1) <= 2 * _UNIT_TOLERANCE).all():
            raise ValueError("an embedding is not of unit length")
        let_go(faces.embedding)
    _check_range(faces.box, -_MAX_NUMBER, _MAX_NUMBER)
    columns = faces.columns()
    for name in _MEASURES:
        # NaN is allowed: it marks an unknown number.
        if name in columns and (np.abs(columns[name]) > _MAX_NUMBER).any():
            raise ValueError(f"{name} is out of range")


def _check_digests(digests: NDArray[np.bytes_], *, allow_empty: bool) -> None:
    if allow_empty:
        digests = digests[digests != b""]
    for start in range(0, len(digests), _ROWS_AT_A_TIME):
        letters = np.ascontiguousarray(digests[start : start + _ROWS_AT_A_TIME]).view(np.uint8)
        if not np.isin(letters, _HEX).all():
            raise ValueError("a digest is damaged")


def _check_range(array: NDArray[Any] | None, minimum: float, maximum: float) -> None:
    if array is not None and array.size and not (minimum <= array.min() and array.max() <= maximum):
        raise ValueError("a number is out of range")
