"""Read which folder shows which person: from options, or from a small TOML file.

    mixed = ["parties", "/srv/photos/2019"]     # photos of any people
    each-in = ["people"]                        # every folder directly below is one person

    [people]
    Anna = ["anna", "old/anna"]
    Ben = "ben"

    [options]                                   # any flag of the command that takes a number
    route-threshold = 0.42
    top-n = 50

Relative folders count from the file's own.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import printable

_KEYS = ("people", "each-in", "mixed", "options")


@dataclass(frozen=True, slots=True)
class SortedFolders:
    """Folders that a user sorted by person.

    Attributes
    ----------
    people : tuple of (label, folder)
        Folders with the same label are of one person.
    each_in : tuple of Path
        Every folder directly below is of one person, and has their name.
    mixed : tuple of Path
        Photos of any people.
    """

    people: tuple[tuple[str, Path], ...] = ()
    each_in: tuple[Path, ...] = ()
    mixed: tuple[Path, ...] = ()

    def with_more(self, other: "SortedFolders") -> "SortedFolders":
        """Return both together."""
        return SortedFolders(
            people=tuple(dict.fromkeys([*self.people, *other.people])),
            each_in=tuple(dict.fromkeys([*self.each_in, *other.each_in])),
            mixed=tuple(dict.fromkeys([*self.mixed, *other.mixed])),
        )


def labelled(text: str) -> tuple[str, Path]:
    """Read `FOLDER`, or `LABEL=FOLDER` if the person's name is not that of the folder.

    Raises
    ------
    WrongUsage
        There is no label.
    """
    before, equals, after = text.partition("=")
    folder = Path(after if equals else text).absolute()
    label = (before if equals else folder.name).strip()
    if not label or not (after if equals else text):
        raise WrongUsage(f"{printable(text)} has no name or no folder. Give NAME=FOLDER.")
    return label, folder


def read_folder_list(
    path: Path, known_options: Mapping[str, type[float]]
) -> tuple[SortedFolders, dict[str, float]]:
    """Read the TOML file: the folders, and the values under `[options]`.

    Parameters
    ----------
    known_options : mapping
        Names with `_`, and whether a whole number is needed. In the file they are written with `-`.

    Raises
    ------
    WrongUsage
        The file cannot be read, is no TOML, or has an invalid setting, which is named.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WrongUsage(
            f"Cannot read {printable(path)}: {reason}. Repair it, or give another one."
        ) from error
    _refuse_unknown(path, "", content, _KEYS)
    base = path.absolute().parent
    people = [
        (label, folder)
        for label, folders in _table(path, content, "people").items()
        for folder in _folders(path, f"people.{label}", folders, base)
    ]
    if any(not label.strip() for label, _ in people):
        raise WrongUsage(f"A person under [people] in {printable(path)} has no name. Give one.")
    folders = SortedFolders(
        people=tuple(people),
        each_in=_folders(path, "each-in", content.get("each-in", []), base),
        mixed=_folders(path, "mixed", content.get("mixed", []), base),
    )
    return folders, _options(path, _table(path, content, "options"), known_options)


def _options(path: Path, found: Mapping[str, Any], known: Mapping[str, type[float]]) -> dict[str, float]:
    _refuse_unknown(path, "options.", found, [name.replace("_", "-") for name in known])
    options = {name.replace("-", "_"): value for name, value in found.items()}
    for name, value in options.items():
        fits = isinstance(value, int if known[name] is int else int | float)
        if not fits or isinstance(value, bool):
            what = "a whole number" if known[name] is int else "a number"
            raise WrongUsage(f"options.{name.replace('_', '-')} in {printable(path)} must be {what}.")
    return options


def _refuse_unknown(path: Path, where: str, found: Iterable[str], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            raise WrongUsage(
                f"{printable(path)} has an unknown setting {where}{printable(key)}. Known settings: "
                f"{', '.join(known)}."
            )


def _table(path: Path, content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise WrongUsage(f"`{name}` in {printable(path)} must be a table: write [{name}].")
    return table


def _folders(path: Path, where: str, value: object, base: Path) -> tuple[Path, ...]:
    """Return one folder or a list of folders as absolute paths."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise WrongUsage(
            f"{printable(where)} in {printable(path)} must be a folder or a list of folders, such as "
            '["anna", "old/anna"].'
        )
    return tuple(base / Path(text).expanduser() for text in texts)
