"""Read `pack.toml`: the tasks of a pack's files, if their graphs do not tell (docs/packs.md)."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from facesets.errors import DamagedFile
from facesets.files import printable
from facesets.inference.model_files import (
    DECODERS,
    DETECTION,
    IMAGENET_MEAN,
    IMAGENET_STD,
    MIVOLO,
    RECOGNITION,
    SCRFD,
    TASKS,
    ModelFile,
    Points,
    Triple,
    model_of_graph,
)
from facesets.installation import page

FILE_NAME = "pack.toml"

_KEYS = (
    *("file", "input_size", "mean", "std", "channels", "keypoints", "decoder", "ages"),
    *("licence", "source"),
)
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PackDescription:
    """The models of a `pack.toml`, by task, and the note on the pack."""

    models: dict[str, ModelFile] = field(default_factory=dict)
    note: str = ""


def read_description(directory: Path) -> PackDescription:
    """Read a pack's description; empty for a pack without one.

    Raises
    ------
    DamagedFile
        It is not TOML, or has invalid content; the message names the place.
    """
    path = directory / FILE_NAME
    try:
        with path.open("rb") as file:
            content = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
        return _description(directory, content)
    except FileNotFoundError:
        return PackDescription()
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(
            f"{printable(path)} does not describe a model pack: {error}. Repair it (see {page('packs.md')})."
        ) from error


def _description(directory: Path, content: Mapping[str, Any]) -> PackDescription:
    note = content.get("note", "")
    if not isinstance(note, str):
        raise ValueError("`note` is not a text")  # noqa: TRY004 - the content is wrong, not the program
    tables = {name: value for name, value in content.items() if name != "note"}
    for name, value in tables.items():
        if name not in TASKS or not isinstance(value, dict):
            raise ValueError(f"`{name}` is neither `note` nor one of [{'], ['.join(TASKS)}]")
    return PackDescription(
        {task: _model(directory, task, table) for task, table in tables.items()}, printable(note)
    )


def _model(directory: Path, task: str, table: Mapping[str, Any]) -> ModelFile:
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"there is no `{key}` in [{task}], only {', '.join(_KEYS)}")
    where = f"in [{task}]"
    name = _text(table, "file", where)
    path = directory / name
    if not name or Path(name).name != name or not path.is_file():
        raise ValueError(f"`file` {where} is not a file in the same folder")
    read = model_of_graph(path)
    base = read if read is not None and read.task == task else _unknown(path, task)
    channels, decoder = _text(table, "channels", where, "rgb"), _text(table, "decoder", where, SCRFD)
    if channels not in ("rgb", "bgr"):
        raise ValueError(f"`channels` {where} is neither rgb nor bgr")
    if decoder not in DECODERS:
        raise ValueError(f"`decoder` {where} is not one of {', '.join(DECODERS)}")
    model = replace(
        base,
        input_size=_size(table, base, where),
        input_mean=_levels(table, "mean", base.input_mean, where),
        input_std=_levels(table, "std", base.input_std, where),
        keypoints=_keypoints(table, where),
        bgr=channels == "bgr",
        decoder=decoder,
        ages=_ages(table, base, where) if task == MIVOLO else base.ages,
    )
    if _has_no_length(model.input_std):
        raise ValueError(f"`std` {where} must be positive")
    if task in (RECOGNITION, MIVOLO) and model.input_size is None:
        raise ValueError(f"`input_size` {where} is missing")
    return replace(
        model,
        fed="" if model == read else _fed(model),
        licence=_text(table, "licence", where),
        source=_text(table, "source", where),
    )


def _unknown(path: Path, task: str) -> ModelFile:
    """Return a model file with the defaults of its task."""
    if task == MIVOLO:
        return ModelFile(path, task, None, IMAGENET_MEAN, IMAGENET_STD)
    return ModelFile(path, task, None, 127.5, 128.0 if task == DETECTION else 127.5)


def _fed(model: ModelFile) -> str:
    # These names and no others for good: they are part of the identity of what was made with the pack.
    own: dict[str, object] = {
        "size": model.input_size,
        "mean": model.input_mean,
        "std": model.input_std,
        "keypoints": model.keypoints,
        "bgr": model.bgr,
        "decoder": model.decoder,
    }
    if model.task == MIVOLO:
        own["ages"] = model.ages
    return json.dumps(own, sort_keys=True)


def _has_no_length(std: float | Triple) -> bool:
    """Whether a scale is zero."""
    return min(std if isinstance(std, tuple) else (std,)) <= 0


def _text(table: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` {where} is not a text")  # noqa: TRY004
    return value


def _size(table: Mapping[str, Any], base: ModelFile, where: str) -> int | None:
    size = table.get("input_size", base.input_size)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 16 <= size <= 1024):
        raise ValueError(f"`input_size` {where} is not a number of pixels from 16 to 1024")
    return size


def _levels(table: Mapping[str, Any], key: str, default: float | Triple, where: str) -> float | Triple:
    value = table.get(key, default)
    if _is_number(value):
        return float(value)
    if isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_number, value)):
        red, green, blue = map(float, value)
        return red, green, blue
    raise ValueError(f"`{key}` {where} must be one number, or three for red, green and blue")


def _ages(table: Mapping[str, Any], base: ModelFile, where: str) -> tuple[float, float]:
    value = table.get("ages", base.ages)
    fits = isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))
    if not fits or not 0 <= value[0] < value[1] <= 150:
        raise ValueError(f"`ages` {where} must be two ages, the younger first")
    return float(value[0]), float(value[1])


def _keypoints(table: Mapping[str, Any], where: str) -> Points | None:
    value = table.get("keypoints")
    if value is None:
        return None
    pairs = value if isinstance(value, list) else []
    fits = len(pairs) == 5 and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in pairs
    )
    if not fits:
        raise ValueError(f"`keypoints` {where} must be five points [x, y]: eyes, nose, corners of the mouth")
    points = tuple((float(x), float(y)) for x, y in pairs)
    if len(set(points)) < len(points):
        raise ValueError(f"`keypoints` {where} must be five different points")
    return points


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
