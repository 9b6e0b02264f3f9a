"""What has to hold of the records of a manifest beyond their types, checked once where they are read."""

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from facesets.results.manifest import (
    ClusterManifest,
    ExportedFace,
    ExportManifest,
    FaceEntry,
    Group,
    RefineManifest,
    SetEntry,
    SetManifest,
)
from facesets.results.safe_folder import is_inside

_FACE = re.compile(r"[0-9a-f]{64}#[0-9]{1,6}")
_LARGEST_INTEGER = 1 << 63


def is_sound_text(value: str) -> bool:
    """Whether a text can be a path: the system can encode it, and it holds no zero byte."""
    if value.isascii():
        return "\0" not in value
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def is_sound_number(value: float) -> bool:
    """Whether a number fits into 64 bits, as integer or as float; NaN and infinity do."""
    return not isinstance(value, int) or -_LARGEST_INTEGER <= value < _LARGEST_INTEGER


def _face(face: FaceEntry) -> bool:
    return (
        _FACE.fullmatch(face.face) is not None
        and len(face.paths) > 0
        and _are_finite(face.box, 4)
        and len(face.kps) == 10
        and not any(math.isinf(number) for number in face.kps)
    )


def _exported_face(face: ExportedFace) -> bool:
    return _are_finite(face.crop, 3) and _is_name(face.file)


def _group(group: Group) -> bool:
    return _is_name(group.name)


def _result(manifest: ClusterManifest | RefineManifest) -> bool:
    return _are_places((*manifest.files, *manifest.sheets))


def _export(manifest: ExportManifest) -> bool:
    return _are_places(manifest.sheets)


def _entry(entry: SetEntry) -> bool:
    # A thin era lies one folder deeper.
    return is_inside(entry.name) and all(map(_is_name, (*entry.bundles, *entry.markers)))


def _set(manifest: SetManifest) -> bool:
    return (
        is_inside(manifest.name)
        and all(map(_is_name, manifest.bundles))
        and _are_places((*manifest.files, *manifest.contents))
        and _are_finite(manifest.centroid, len(manifest.centroid))
    )


def _is_name(name: str) -> bool:
    """Whether a text can be the name of one file or folder."""
    return "/" not in name and is_inside(name)


def _are_places(names: Iterable[str]) -> bool:
    return all(map(is_inside, names))


def _are_finite(numbers: Sequence[float], count: int) -> bool:
    return len(numbers) == count and all(math.isfinite(number) for number in numbers)


_CHECKS: dict[type[Any], Callable[[Any], bool]] = {
    FaceEntry: _face,
    ExportedFace: _exported_face,
    Group: _group,
    ClusterManifest: _result,
    RefineManifest: _result,
    ExportManifest: _export,
    SetEntry: _entry,
    SetManifest: _set,
}


def is_sound(record: object) -> bool:
    """Whether a record of a manifest makes sense in itself."""
    check = _CHECKS.get(type(record))
    return check is None or check(record)
