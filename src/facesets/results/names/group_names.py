"""Names of face sets, and of the files in them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath

from facesets.results.manifest import SET_MANIFEST
from facesets.results.names.file_names import folded

CANDIDATES = "_candidates"
NUMBERED = re.compile(r"faceset_\d+")
NUMBERED_GROUP = re.compile(r"(person|faceset)_\d+")
"""Folders of people whom nobody has named."""


def names_of_set(name: str, faces: int, candidates: int, others: Sequence[str]) -> list[str]:
    """Every file of a set with so many faces and candidates, and these further ones."""
    return [
        f"{name}/{SET_MANIFEST}",
        *(f"{name}/{other}" for other in others),
        *(f"{name}/{png_name(name, rank)}" for rank in range(faces)),
        *(f"{CANDIDATES}/{name}/{candidate_name(name, rank)}" for rank in range(candidates)),
    ]


def png_name(name: str, rank: int) -> str:
    """Name a face of a set by its rank, 0 being best, such that no other set has one of that name."""
    return f"{PurePosixPath(name).name}_{rank:03d}.png"


def candidate_name(name: str, rank: int) -> str:
    """Name a candidate of a set by its rank."""
    return f"{PurePosixPath(name).name}_candidate_{rank:03d}.png"


def free_names(
    wished: Iterable[tuple[str, str]], known: Mapping[str, str], taken: Iterable[str], used: Iterable[str]
) -> list[str]:
    """Name sets: as before, else as they wish, else `faceset_NNN` past the highest number in use.

    A set that wishes for another name than a number keeps it, and gets `_2` and so on behind it.

    Parameters
    ----------
    wished : iterable of (source, name)
    known : mapping
        Names that sources have already.
    taken : iterable of str
        Names of sets that stay.
    used : iterable of str
        Names whose numbers must not come back.
    """
    wished = list(wished)
    taken = {*taken, *(known[source] for source, _ in wished if source in known)}
    alike = {folded(name) for name in taken}
    following = highest_number("faceset", [*taken, *used])
    names = []
    for source, wish in wished:
        name = known.get(source, wish)
        if source not in known and folded(name) in alike:
            if NUMBERED.fullmatch(wish):
                following += 1
                name = f"faceset_{following:03d}"
            else:
                name = next(n for k in count(2) if folded(n := f"{wish}_{k}") not in alike)
        alike.add(folded(name))
        names.append(name)
    return names


def numbered_name(kind: str, number: int, count: int) -> str:
    """`person_007`: counted from 1, with as many digits as the highest number needs, at least three."""
    return f"{kind}_{number:0{max(3, len(str(count)))}d}"


def following_names(kind: str, used: Iterable[str], count: int) -> list[str]:
    """Names `<kind>_NNN` with the numbers past the highest in use."""
    first = highest_number(kind, used) + 1
    return [f"{kind}_{number:03d}" for number in range(first, first + count)]


def highest_number(kind: str, names: Iterable[str]) -> int:
    """The highest NNN of the names `<kind>_NNN`; 0 for none."""
    found = (re.fullmatch(rf"{kind}_(\d+)", name) for name in names)
    return max((int(match[1]) for match in found if match), default=0)
