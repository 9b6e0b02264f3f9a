"""Manifests as files: typed records to JSON and back, with errors that say what is wrong."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from facesets.errors import DamagedFile, NewerFormat, WrongUsage
from facesets.files import json_bytes, printable
from facesets.results.manifest import (
    EXPORT_MANIFEST,
    MANIFEST_NAMES,
    REFINE_MANIFEST,
    ClusterManifest,
    DuplicatesReport,
    ExportManifest,
    Manifest,
    RefineManifest,
    SetManifest,
)
from facesets.results.manifest_checks import is_sound, is_sound_number, is_sound_text

M = TypeVar("M", ClusterManifest, RefineManifest, ExportManifest, SetManifest, DuplicatesReport)

_KINDS: dict[str, type[Manifest]] = {kind.FORMAT: kind for kind in get_args(Manifest)}


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the file's content."""
    return json_bytes({"format": manifest.FORMAT, "version": manifest.VERSION, **_plain(manifest)})


def read_manifest(path: Path, kind: type[M]) -> M:
    """Read a manifest of one kind. A folder stands for the manifest in it.

    Raises
    ------
    WrongUsage
        There is no such file, or it is a manifest of another kind.
    NewerFormat
        A later version of this program wrote it.
    DamagedFile
        It is not JSON, or a field is missing or of the wrong type.
    """
    manifest = read_any_manifest(path)
    if not isinstance(manifest, kind):
        raise WrongUsage(
            f"{printable(path)} is a {manifest.FORMAT} manifest, but a {kind.FORMAT} manifest is needed here."
        )
    return manifest


def read_any_manifest(path: Path) -> Manifest:
    """Read a manifest of whatever kind; errors as `read_manifest`."""
    path = manifest_file(path)
    raw = _load(path)
    kind = _kind(raw)
    if kind is None:
        raise WrongUsage(f"{printable(path)} is not a manifest of facesets. Give the manifest that it wrote.")
    version = raw.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedFile(_damaged(path, "its version is missing or no number"))
    if version > kind.VERSION:
        raise NewerFormat(
            f"{printable(path)} was written by a later facesets (format version {version}, this program "
            f"reads up to {kind.VERSION}). Install the later one."
        )
    _upgrade(raw, kind, version)
    try:
        record: Manifest = _typed(raw, kind, "")
    except _UnexpectedError as error:
        raise DamagedFile(_damaged(path, f"{error.field} is missing, or is not what it should be")) from error
    return record


def refuse_other_results(folder: Path, own: type[Manifest]) -> None:
    """Let a command write only where no other command has written.

    Raises
    ------
    WrongUsage
        There is a manifest of another kind.
    """
    for name in MANIFEST_NAMES:
        path = folder / name
        try:
            found = _kind(_load(path)) if path.is_file() else None
        except DamagedFile:
            continue
        if found is not None and found.FORMAT != own.FORMAT:
            raise WrongUsage(
                f"{printable(folder)} holds the results of another command ({name} is a {found.FORMAT} "
                "manifest). Choose another OUT."
            )


def is_manifest(path: Path) -> bool:
    """Whether a path should be read as a manifest rather than as a cache."""
    return path.suffix.lower() == ".json" or (
        path.is_dir() and any((path / name).is_file() for name in MANIFEST_NAMES)
    )


def manifest_file(path: Path) -> Path:
    """Return the manifest that a folder stands for; a file stands for itself."""
    if not path.is_dir():
        return path
    refined = path / REFINE_MANIFEST
    return refined if refined.is_file() else path / EXPORT_MANIFEST


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise WrongUsage(f"There is no manifest at {printable(path)}. Check the path.") from error
    except OSError as error:
        raise WrongUsage(f"Cannot read {printable(path)} ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile(_damaged(path, "it is not JSON")) from error
    if not isinstance(raw, dict):
        raise DamagedFile(_damaged(path, "it is no JSON object"))
    return raw


def _kind(raw: dict[str, Any]) -> type[Manifest] | None:
    name = raw.get("format")
    return _KINDS.get(name) if isinstance(name, str) else None


def _upgrade(raw: dict[str, Any], kind: type[Manifest], version: int) -> None:
    """Fill in what earlier versions did not have."""
    for made in _records([raw.get("made"), *_records(raw.get("extended"))]):
        made.setdefault("store", "")
    if version == 1:
        _upgrade_from_1(raw)
    if version < 3 and kind is ExportManifest:
        raw["removed"] = []
    if version < 4 and kind is ExportManifest:
        for entry in (*_records(raw.get("sets")), *_records(raw.get("removed"))):
            entry["best"] = []
    if version < 5 and kind is ExportManifest:
        raw["statements"] = []
    if version < 4 and kind is ClusterManifest:
        raw["placements"] = {}
    if version < 3 and kind in (ClusterManifest, RefineManifest):
        raw |= {"statements": [], "hidden": [], "set_aside": [], "extended": []}


def _upgrade_from_1(raw: dict[str, Any]) -> None:
    """Fill in what was not recorded then: reasons, the state of files, missing paths, kinds of sets."""
    if isinstance(sets := raw.get("sets"), list):
        raw["sets"] = [
            {"kind": "refined", "markers": [], **entry} if isinstance(entry, dict) else entry
            for entry in sets
        ]
    if isinstance(raw.get("candidates"), list):
        raw["contents"] = {}
    if isinstance(files := raw.get("files"), dict):
        raw["files"] = {name: {"source": s, "size": -1, "mtime_ns": -1} for name, s in files.items()}
        raw |= {"missing": [], "reasons": []}


def _records(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _damaged(path: Path, why: str) -> str:
    return (
        f"{printable(path)} is damaged: {printable(why)[-120:]}. Move it away and run the command that "
        "wrote it again."
    )


class _UnexpectedError(Exception):
    """A value that does not have the declared type."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of a record
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


@cache
def _field_types(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _typed(value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401 - decided by the annotation
    """Turn parsed JSON into what a field's annotation says."""
    if is_dataclass(kind):
        return _record(value, kind, where)
    origin = get_origin(kind)
    if origin is tuple and isinstance(value, list):
        item = get_args(kind)[0]
        return tuple(_typed(v, item, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        item = get_args(kind)[1]
        return {
            _typed(key, str, f"{where}.{key}"): _typed(v, item, f"{where}.{key}") for key, v in value.items()
        }
    if origin is UnionType:
        return None if value is None else _typed(value, get_args(kind)[0], where)
    if kind is Any or _is_of(value, kind):
        return value
    raise _UnexpectedError(where or "top level")


def _is_of(value: Any, kind: Any) -> bool:  # noqa: ANN401 - decided by the annotation
    """Whether a text or a number is what a field's annotation says."""
    if kind is str:
        return isinstance(value, str) and is_sound_text(value)
    numbers = int | float if kind is float else int
    return (
        kind in (int, float)
        and isinstance(value, numbers)
        and not isinstance(value, bool)
        and is_sound_number(value)
    ) or (kind is bool and isinstance(value, bool))


def _record(value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401 - decided by the annotation
    if not isinstance(value, dict):
        raise _UnexpectedError(where)
    types = _field_types(kind)
    for name in types:
        if name not in value:
            raise _UnexpectedError(f"{where}.{name}".lstrip("."))
    record = kind(**{n: _typed(value[n], t, f"{where}.{n}".lstrip(".")) for n, t in types.items()})
    if not is_sound(record):
        raise _UnexpectedError(where or "top level")
    return record
