"""Quality filters for face sets, and what other settings would pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from facesets.errors import Command, Field, WrongUsage
from facesets.interfaces import Progress
from facesets.operations.ingest.norms import norms_measure_quality, without_norm
from facesets.operations.options.results import ExportSwapOptions, SplitErasOptions
from facesets.operations.options.start import RefineOptions
from facesets.plurals import counted
from facesets.records import Bool, CacheSettings, Faces, Float32, Int64
from facesets.results.gates import (
    AGE_GATES,
    AGE_SPREADS,
    ASKED_GATES,
    MIN_FACE_SHORT,
    MIN_FACES,
    MIN_NORM,
    QUALITY_GATES,
    REFINE_GATES,
    Gate,
    gate_named,
)

SMALL_ALBUM = 300
"""Number of photos below which the filters' effect is always reported."""


@dataclass(frozen=True, slots=True)
class Gated:
    """The filter that dropped each face.

    Attributes
    ----------
    cluster : int64 array of shape (n,)
        The cluster after merging, before any gate.
    gate : array of str of shape (n,)
        The gate that dropped the face; empty for faces that passed.
    value, limit : float64 arrays of shape (n,)
        The measured value for that gate, and its limit.
    """

    cluster: Int64
    gate: NDArray[np.str_]
    value: NDArray[np.float64]
    limit: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the filters reject, and the setting that would pass the most.

    Attributes
    ----------
    hint : str
        In sentences; empty if no face was dropped.
    flags : tuple of str
        The setting, with all others that differ from the defaults; empty if no other gives more.
    """

    hint: str = ""
    flags: tuple[str, ...] = ()


def quality_gates(
    faces: Faces, options: RefineOptions | SplitErasOptions
) -> Iterator[tuple[Gate, Bool, Float32]]:
    """Yield each filter that judges single faces, in order: the faces it rejects, and the values."""
    for gate in (*QUALITY_GATES, *ASKED_GATES):
        limit = gate.limit_of(options)
        if gate.measure is not None and limit is not None:
            measured = gate.measure(faces)
            yield gate, measured > limit if gate.sign == ">" else measured < limit, measured


def require_ages(store: str, faces: Faces, options: RefineOptions | ExportSwapOptions) -> None:
    """Make sure that faces have ages if options need them.

    Raises
    ------
    WrongUsage
        No face has an age.
    """
    of_ages = AGE_GATES if isinstance(options, ExportSwapOptions) else (*AGE_GATES, AGE_SPREADS)
    requested = [gate for gate in of_ages if gate.limit_of(options) is not None]
    if requested and faces.age is None:
        by_stage = Command("index", Field("stage", "attributes"))
        raise WrongUsage(
            f"{Field(requested[0].name)} requires ages, but no face of {store} has one. {Command('enrich')} "
            f"adds ages to a cache, {by_stage} to the library."
        )


def report_unmeasured(
    faces: Faces,
    models: CacheSettings,
    options: RefineOptions | ExportSwapOptions | SplitErasOptions,
    progress: Progress,
) -> None:
    """Print how many faces pass the norm filter because their norm is unknown."""
    if MIN_NORM.limit_of(options) is None or not (count := without_norm(faces)):
        return
    has, them = ("has", "it") if count == 1 else ("have", "them")
    enriching = "measures" if norms_measure_quality(models) else "cannot measure"
    progress.say(
        f"{count} of {counted(len(faces), 'face')} {has} no norm, so {Field(MIN_NORM.name)} does not apply "
        f"to {them}. {Command('enrich')} {enriching} {them}."
    )


def dropped_by(gated: Gated) -> dict[str, int]:
    """Return how many faces each filter rejected, in filter order."""
    counts = {gate.name: int((gated.gate == gate.name).sum()) for gate in REFINE_GATES}
    return {gate: count for gate, count in counts.items() if count}


def advise(
    faces: Faces, photos: int, options: RefineOptions, regate: Callable[[RefineOptions], Gated]
) -> Advice:
    """Return what the filters reject, and find by trial which one to loosen.

    If no single gate gives a face set, two are loosened together, and then all.

    Parameters
    ----------
    photos : int
        In the store, including photos without a face.
    options : RefineOptions
        The options used.
    regate : function
        Sends the faces through the gates of other options.
    """
    now = regate(options)
    costs = dropped_by(now)
    if not costs:
        return Advice()
    listed = [f"{count} by {gate_named(gate).flag}" for gate, count in costs.items()]
    cost = f"Rejected, in filter order: {', '.join(listed)}."
    looser = {g.name: g.widest for g in REFINE_GATES if g.widest is not None and g.is_loosened(options)}
    for together in (1, 2, len(looser)):
        best = _best(combinations(looser, together), looser, options, regate)
        if best is not None and _count_passed(best[2]) > _count_passed(now):
            chosen = _tightened(*best, faces, regate)
            opened = regate(chosen)
            gives = f"{_words(opened)}, compared with {_words(now)} now"
            changed = " ".join(_flags(chosen, options))
            defaults = replace(RefineOptions().for_store(photos, ""), merge_threshold=options.merge_threshold)
            flags = _flags(chosen, options, defaults)
            also = _also(chosen, faces, opened)
            return Advice(f"{cost} {changed} would give {gives}.{also}", flags)
        if _count_passed(now):
            break
    return Advice(f"{cost} No looser filter would keep more.")


def _also(chosen: RefineOptions, faces: Faces, opened: Gated) -> str:
    """Return the option that `export-swap` needs for faces smaller than its default."""
    needed = ExportSwapOptions().min_face_short
    if not (faces.face_short[opened.gate == ""] < needed).any():
        return ""
    give = f"{MIN_FACE_SHORT.flag} {chosen.min_short:g}"
    return f" Also give {give} to `export-swap`, which requires {needed:g} pixels by default."


def _best(
    gates: Iterable[tuple[str, ...]],
    looser: Mapping[str, float],
    options: RefineOptions,
    regate: Callable[[RefineOptions], Gated],
) -> tuple[tuple[str, ...], RefineOptions, Gated] | None:
    """Return the gates that pass the most faces when opened, with their options and result."""
    tried = [
        (some, replace(options, **{gate: looser[gate] for gate in some}))  # type: ignore[arg-type]
        for some in gates
        if some
    ]
    results = [(some, opened, regate(opened)) for some, opened in tried]
    return max(results, key=lambda result: _count_passed(result[2]), default=None)


def _tightened(
    gates: Iterable[str],
    opened: RefineOptions,
    gated: Gated,
    faces: Faces,
    regate: Callable[[RefineOptions], Gated],
) -> RefineOptions:
    """Tighten opened gates as far as they pass the same faces."""
    passed = gated.gate == ""
    least = {gate.name: float(values[passed].min()) for gate, _, values in quality_gates(faces, opened)}
    pairs = np.unique(np.stack([gated.cluster[passed], faces.image[passed]]), axis=1)
    closed = {
        **{gate.name: np.floor(least[gate.name] * gate.steps) / gate.steps for gate in QUALITY_GATES},
        MIN_FACES.name: np.unique(pairs[0], return_counts=True)[1].min(),
    }
    tight = replace(opened, **{gate: closed[gate].item() for gate in gates if gate in closed})
    return tight if _count_passed(regate(tight)) == _count_passed(gated) else opened


def _count_passed(gated: Gated) -> int:
    return int((gated.gate == "").sum())


def _words(gated: Gated) -> str:
    sets = len(np.unique(gated.cluster[gated.gate == ""]))
    return f"{counted(sets, 'face set')} with {counted(_count_passed(gated), 'face')}"


def _flags(options: RefineOptions, *others: RefineOptions) -> tuple[str, ...]:
    """Return the numbers in which options differ from any of the others, as flags."""
    numbers = {
        each.name: value
        for each in fields(RefineOptions)
        if any((value := getattr(options, each.name)) != getattr(other, each.name) for other in others)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    }
    return tuple(f"{Gate(name, name).flag} {value:g}" for name, value in numbers.items())
