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
"""Folders of unnamed people."""


def names_of_set(name: str, faces: int, candidates: int, others: Sequence[str]) -> list[str]:
    """Return every file of a set with these numbers of faces and candidates, and the `others`."""
    return [
        f"{name}/{SET_MANIFEST}",
        *(f"{name}/{other}" for other in others),
        *(f"{name}/{png_name(name, rank)}" for rank in range(faces)),
        *(f"{CANDIDATES}/{name}/{candidate_name(name, rank)}" for rank in range(candidates)),
    ]


def png_name(name: str, rank: int) -> str:
    """Name a face of a set by its rank, 0 being best; no other set has a face of that name."""
    return f"{PurePosixPath(name).name}_{rank:03d}.png"


def candidate_name(name: str, rank: int) -> str:
    """Name a candidate of a set by its rank."""
    return f"{PurePosixPath(name).name}_candidate_{rank:03d}.png"


def free_names(
    wanted: Iterable[tuple[str, str]], known: Mapping[str, str], taken: Iterable[str], used: Iterable[str]
) -> list[str]:
    """Name sets: as before, else as wanted, else `faceset_NNN` past the highest number in use.

    A set that wants a name other than a number keeps it, with `_2` and so on if it is taken.

    Parameters
    ----------
    wanted : iterable of (source, name)
    known : mapping
        Names that sources already have.
    taken : iterable of str
        Names of sets that stay.
    used : iterable of str
        Names with numbers that must not be reused.
    """
    wanted = list(wanted)
    taken = {*taken, *(known[source] for source, _ in wanted if source in known)}
    similar = {folded(name) for name in taken}
    following = highest_number("faceset", [*taken, *used])
    names = []
    for source, wish in wanted:
        name = known.get(source, wish)
        if source not in known and folded(name) in similar:
            if NUMBERED.fullmatch(wish):
                following += 1
                name = f"faceset_{following:03d}"
            else:
                name = next(n for k in count(2) if folded(n := f"{wish}_{k}") not in similar)
        similar.add(folded(name))
        names.append(name)
    return names


def numbered_name(kind: str, number: int, count: int) -> str:
    """`person_007`: counted from 1, with as many digits as the highest number needs, at least three."""
    return f"{kind}_{number:0{max(3, len(str(count)))}d}"


def following_names(kind: str, used: Iterable[str], count: int) -> list[str]:
    """Return names `<kind>_NNN` with the numbers past the highest in use."""
    first = highest_number(kind, used) + 1
    return [f"{kind}_{number:03d}" for number in range(first, first + count)]


def highest_number(kind: str, names: Iterable[str]) -> int:
    """Return the highest NNN of the names `<kind>_NNN`; 0 for none."""
    found = (re.fullmatch(rf"{kind}_(\d+)", name) for name in names)
    return max((int(match[1]) for match in found if match), default=0)
