"""Gates that faces pass on their way into face sets, and what another setting of them would give."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from facesets.operations.options.cache import RefineOptions
from facesets.operations.options.face_sets import SplitErasOptions
from facesets.plurals import counted
from facesets.records import Bool, Faces, Float32, Int64

SMALL_ALBUM = 300
"""Photos below which it is always said what the gates cost."""

_OPENED: Mapping[str, float] = {
    "min_det_score": 0.5,
    "min_short": 40,
    "min_blur": 10,
    "outlier_threshold": 0.65,
    "min_faces": 2,
}
"""The gates of `refine` in their order, each as far open as a face is still of use."""


@dataclass(frozen=True, slots=True)
class Gated:
    """Where every face ended.

    Attributes
    ----------
    cluster : int64 array of shape (n,)
        The cluster after merging, before any gate.
    gate : array of str of shape (n,)
        The gate that dropped the face; empty for faces that were kept.
    value, limit : float64 arrays of shape (n,)
        What was measured for that gate, and what it asks for.
    """

    cluster: Int64
    gate: NDArray[np.str_]
    value: NDArray[np.float64]
    limit: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the gates cost, and the setting that would give the most.

    Attributes
    ----------
    hint : str
        In sentences; empty where nothing was left out.
    flags : tuple of str
        The setting, with all others that differ from the defaults; empty where no other gives more.
    """

    hint: str = ""
    flags: tuple[str, ...] = ()


def quality_gates(
    faces: Faces, options: RefineOptions | SplitErasOptions
) -> Iterator[tuple[str, Bool, Float32]]:
    """Each gate in its order: its option, the faces that are below it, and what is measured."""
    for gate, measured in (
        ("min_det_score", faces.det_score),
        ("min_short", faces.face_short),
        ("min_blur", faces.blur),
    ):
        yield gate, measured < getattr(options, gate), measured


def dropped_by(gated: Gated) -> dict[str, int]:
    """How many faces each gate dropped, in the order of the gates."""
    counts = {gate: int((gated.gate == gate).sum()) for gate in _OPENED}
    return {gate: count for gate, count in counts.items() if count}


def advise(
    faces: Faces, photos: int, options: RefineOptions, regate: Callable[[RefineOptions], Gated]
) -> Advice:
    """Say what the gates cost, and find by trial which one to open.

    Where no gate by itself gives a face set, two are opened together, and then all.

    Parameters
    ----------
    photos : int
        In the library, those without a face included.
    options : RefineOptions
        As used.
    regate : function
        Sends the faces through the gates of other options.
    """
    now = regate(options)
    costs = dropped_by(now)
    if not costs:
        return Advice()
    listed = [f"{count} by {_flag(gate)}" for gate, count in costs.items()]
    cost = f"Left out, in the order of the gates: {', '.join(listed)}."
    looser = {gate: value for gate, value in _OPENED.items() if _loosens(gate, value, options)}
    for together in (1, 2, len(looser)):
        best = _best(combinations(looser, together), looser, options, regate)
        if best is not None and _kept(best[2]) > _kept(now):
            chosen = _tightened(*best, faces, regate)
            gives = f"{_words(regate(chosen))}, where there are {_words(now)} now"
            changed = " ".join(_flags(chosen, options))
            usual = replace(RefineOptions().for_store(photos, ""), merge_threshold=options.merge_threshold)
            flags = _flags(chosen, options, usual)
            return Advice(f"{cost} With {changed} there would be {gives}.", flags)
        if _kept(now):
            break
    return Advice(f"{cost} No looser gate would give more.")


def _loosens(gate: str, value: float, options: RefineOptions) -> bool:
    used = getattr(options, gate)
    return used is not None and (value > used if gate == "outlier_threshold" else value < used)


def _best(
    gates: Iterable[tuple[str, ...]],
    looser: Mapping[str, float],
    options: RefineOptions,
    regate: Callable[[RefineOptions], Gated],
) -> tuple[tuple[str, ...], RefineOptions, Gated] | None:
    """The gates that keep the most faces when they are opened, the first of equals; then with what result."""
    tried = [
        (some, replace(options, **{gate: looser[gate] for gate in some}))  # type: ignore[arg-type]
        for some in gates
        if some
    ]
    results = [(some, opened, regate(opened)) for some, opened in tried]
    return max(results, key=lambda result: _kept(result[2]), default=None)


def _tightened(
    gates: Iterable[str],
    opened: RefineOptions,
    gated: Gated,
    faces: Faces,
    regate: Callable[[RefineOptions], Gated],
) -> RefineOptions:
    """Close opened gates again as far as they keep the same faces."""
    kept = gated.gate == ""
    least = {gate: float(values[kept].min()) for gate, _, values in quality_gates(faces, opened)}
    pairs = np.unique(np.stack([gated.cluster[kept], faces.image[kept]]), axis=1)
    closed = {
        "min_det_score": np.floor(least["min_det_score"] * 100) / 100,
        "min_short": np.floor(least["min_short"]),
        "min_blur": np.floor(least["min_blur"]),
        "min_faces": np.unique(pairs[0], return_counts=True)[1].min(),
    }
    tight = replace(opened, **{gate: closed[gate].item() for gate in gates if gate in closed})
    return tight if _kept(regate(tight)) == _kept(gated) else opened


def _kept(gated: Gated) -> int:
    return int((gated.gate == "").sum())


def _words(gated: Gated) -> str:
    sets = len(np.unique(gated.cluster[gated.gate == ""]))
    return f"{counted(sets, 'face set')} with {counted(_kept(gated), 'face')}"


def _flags(options: RefineOptions, *others: RefineOptions) -> tuple[str, ...]:
    """The numbers in which options differ from any of the others, as flags."""
    numbers = {
        each.name: value
        for each in fields(RefineOptions)
        if any((value := getattr(options, each.name)) != getattr(other, each.name) for other in others)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    }
    return tuple(f"{_flag(name)} {value:g}" for name, value in numbers.items())


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
