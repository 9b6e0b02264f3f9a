"""Which names in a result folder are ours: those of its manifest, and those that a cut-off run announced."""

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from facesets.errors import CannotWrite
from facesets.exports.manifest import PlacedFile
from facesets.exports.placing import Puts
from facesets.files import printable

ANNOUNCEMENT = ".facesets-writing.json"
_T = TypeVar("_T")


def ours_in(root: Path, earlier: Mapping[str, PlacedFile | None]) -> dict[str, Puts]:
    """Names listed by a manifest or announced by an interrupted run, with what may have been put there."""
    ours: dict[str, Puts] = {name: (put,) if put else () for name, put in earlier.items()}
    for name, puts in _announced(root).items():
        ours[name] = with_puts(ours.get(name, ()), *puts)
    return believed(root, ours)


def announced_names(root: Path) -> set[str]:
    """Names that a run which was cut off may have written; raises `CannotWrite` as `writing_results`."""
    return set(_announced(root))


def _announced(root: Path) -> dict[str, Puts]:
    """What an interrupted run announced."""
    try:
        raw = json.loads((root / ANNOUNCEMENT).read_bytes())
        return {name: tuple(_placed(*put) for put in puts) for name, puts in raw.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CannotWrite(
            f"{printable(root / ANNOUNCEMENT)} cannot be read. Look what lies in that folder, remove that "
            "file, and run the same command again."
        ) from error


def _placed(source: object, size: object, mtime_ns: object) -> PlacedFile:
    if isinstance(source, str) and isinstance(size, int) and isinstance(mtime_ns, int):
        return PlacedFile(source, size, mtime_ns)
    raise TypeError


def with_puts(puts: Puts, *more: PlacedFile) -> Puts:
    """What may lie under a name, with more that may."""
    return tuple(dict.fromkeys([*puts, *more]))


def believed(root: Path, names: Mapping[str, _T]) -> dict[str, _T]:
    """Leave out names that lead out of the folder, by themselves or through a linked directory."""
    top = Path(os.path.realpath(root))
    parents = {PurePosixPath(name).parent for name in names if is_inside(name)}
    within = {parent for parent in parents if _leads_into(top, root / parent)}
    return {n: what for n, what in names.items() if is_inside(n) and PurePosixPath(n).parent in within}


def _leads_into(top: Path, folder: Path) -> bool:
    # Unlike Path.resolve, this does not raise where links go in circles.
    return Path(os.path.realpath(folder)).is_relative_to(top)


def is_inside(name: str) -> bool:
    r"""Whether a relative name read from a file stays in its folder, on every system.

    No name of ours holds `\` or `:`, which lead elsewhere on Windows.
    """
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not name.startswith("/") and not set(name) & set("\\:\0")
