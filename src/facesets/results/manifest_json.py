"""Write and read manifests: typed records to JSON and back, with errors that name the problem."""

import json
import re
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from facesets.errors import Command, DamagedFile, NewerFormat, WrongUsage
from facesets.files import json_bytes, printable
from facesets.records import from_recorded
from facesets.results.duplicates_report import DuplicatesReport
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest import (
    EXPORT_MANIFEST,
    MANIFEST_NAMES,
    REFINE_MANIFEST,
    ClusterManifest,
    Provenance,
    RefineManifest,
)
from facesets.results.manifest_values import is_sound_text
from facesets.results.ownership import how_to_restore
from facesets.results.run_records import JOURNAL

Manifest = ClusterManifest | RefineManifest | ExportManifest | SetManifest | DuplicatesReport
M = TypeVar("M", ClusterManifest, RefineManifest, ExportManifest, SetManifest, DuplicatesReport)

_KINDS: dict[str, type[Manifest]] = {kind.FORMAT: kind for kind in get_args(Manifest)}
_WITH_MODELS = 7
_ZIP = b"PK\x03\x04"
_PLACE = re.compile(r"`\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the file's content, in the earliest version that can hold it."""
    record = msgspec.to_builtins(manifest)
    for made, written in zip(_provenances(manifest), _provenances_of(record), strict=True):
        written["models"] = made.models.recorded()
    version = manifest.VERSION
    if isinstance(manifest, ExportManifest | SetManifest):
        version = manifest.written_version
    if isinstance(manifest, ExportManifest) and version < _WITH_MODELS:
        del record["models"]
    if not record.get("marks", True):
        del record["marks"]
    return json_bytes({"format": manifest.FORMAT, "version": version, **record})


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
            f"{printable(path)} is a {manifest.FORMAT} manifest, but a {kind.FORMAT} manifest is required."
        )
    return manifest


def read_any_manifest(path: Path) -> Manifest:
    """Read a manifest of any kind; errors as `read_manifest`."""
    path = manifest_file(path)
    raw = _load(path)
    kind = _kind(raw)
    if kind is None:
        raise WrongUsage(f"{printable(path)} is not a manifest of facesets. Give one that facesets wrote.")
    version = raw.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedFile(_damaged(path, "its version is missing or not a number"))
    if version > kind.VERSION:
        raise NewerFormat(
            f"{printable(path)} was written by a later version of facesets (format version {version}; this "
            f"version reads up to {kind.VERSION}). Upgrade facesets."
        )
    _upgrade(raw, kind, version)
    for written in _provenances_of(raw):
        if isinstance(models := written.get("models"), dict):
            written["models"] = from_recorded(models)
    missing = next((field.name for field in fields(kind) if field.name not in raw), "")
    if missing:
        raise DamagedFile(_damaged(path, f"{missing} is missing"))
    try:
        record = msgspec.convert(raw, kind)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        raise DamagedFile(_damaged(path, f"{_field_of(error)} is missing or invalid")) from error
    for made in _provenances(record):
        if not all(is_sound_text(text) for text in astuple(made.models) if isinstance(text, str)):
            raise DamagedFile(_damaged(path, "made.models is invalid"))
    return record


def _provenances(manifest: Manifest) -> list[Provenance]:
    return [manifest.made, *getattr(manifest, "extended", ())]


def _provenances_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenances in JSON, as far as these are valid."""
    extended = raw.get("extended", ())
    found = [raw.get("made"), *(extended if isinstance(extended, list | tuple) else ())]
    return [each for each in found if isinstance(each, dict)]


def refuse_other_results(folder: Path, own: type[Manifest]) -> None:
    """Refuse a folder with results of another command.

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
        content = path.read_bytes()
    except FileNotFoundError as error:
        restores = how_to_restore(path.parent)
        gone = f". It was deleted: {restores}." if restores else ". Check the path."
        raise WrongUsage(f"Manifest not found: {printable(path)}{gone}") from error
    except OSError as error:
        raise WrongUsage(f"Cannot read {printable(path)} ({error.strerror}).") from error
    if content.startswith(_ZIP):
        raise WrongUsage(f"{printable(path)} is a cache. Give a manifest made from it.")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(_damaged(path, "it is not JSON")) from error
    if not isinstance(raw, dict):
        raise DamagedFile(_damaged(path, "it is not a JSON object"))
    return raw


def _kind(raw: dict[str, Any]) -> type[Manifest] | None:
    name = raw.get("format")
    return _KINDS.get(name) if isinstance(name, str) else None


def _upgrade(raw: dict[str, Any], kind: type[Manifest], version: int) -> None:
    """Add the fields that earlier versions did not have."""
    if version == 1:
        _upgrade_from_1(raw)
    if version < 3 and kind is ExportManifest:
        raw["removed"] = []
    if version < 5 and kind is ExportManifest:
        raw["statements"] = []
    if version < _WITH_MODELS and kind is ExportManifest:
        raw["models"] = []
    if version < 4 and kind is ClusterManifest:
        raw["placements"] = {}
    if kind in (ClusterManifest, RefineManifest):
        raw.setdefault("marks", {})
    if version < 3 and kind in (ClusterManifest, RefineManifest):
        raw |= {"statements": [], "hidden": [], "set_aside": [], "extended": []}


def _upgrade_from_1(raw: dict[str, Any]) -> None:
    """Add what version 1 did not record: reasons, the state of files, missing paths, kinds of sets."""
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


def _damaged(path: Path, why: str) -> str:
    damaged = f"{printable(path)} is damaged: {printable(why)[-120:]}. Move it away and"
    # Without its manifest a folder belongs to no known result, so that the command alone would refuse it.
    if (path.parent / JOURNAL).is_dir():
        undo = Command("undo", printable(path.parent))
        return f"{damaged} undo the latest run, which restores it: {undo} lists the runs."
    return f"{damaged} run the command that wrote it again."


def _field_of(error: Exception) -> str:
    """Return the field in which msgspec found an invalid value."""
    place, missing = _PLACE.search(str(error)), _MISSING.search(str(error))
    return ".".join(found[1] for found in (place, missing) if found and found[1]) or "top level"
