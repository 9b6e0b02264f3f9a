"""The quality filters: every reason to drop a face from a face set, with its names.

A new gate is a line here, the option of its name if it has one, and a line in `docs/manifests.md`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from facesets.records import Faces, Float32, unknown_column
from facesets.results.manifest import DroppedFace


@dataclass(frozen=True, slots=True)
class Gate:
    """A quality filter.

    Attributes
    ----------
    name : str
        The name of the option that decides, or of the reason, as in manifests and summaries.
    label : str
        A few words for a contact sheet, with `{}` for the measured value.
    sign : str
        How the value of a dropped face compares with the limit; empty if there is none.
    measure : function, optional
        Measures each face, if only the face is needed.
    limit : function, optional
        Returns the limit in options.
    widest : float, optional
        The loosest limit that still gives usable faces.
    steps : int
        The number of parts of a limit of 1 when it is rounded.
    """

    name: str
    label: str
    sign: str = "<"
    measure: Callable[[Faces], Float32] | None = None
    limit: Callable[[Any], float | None] | None = None
    widest: float | None = None
    steps: int = 1

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def limit_of(self, options: object) -> float | None:
        """Return the limit in options; None if they set none, or the gate has no option."""
        return None if self.limit is None else self.limit(options)

    def is_loosened(self, options: object) -> bool:
        """Whether its widest limit passes more than the options' limit."""
        used, widest = self.limit_of(options), self.widest
        if used is None or widest is None:
            return False
        return widest > used if self.sign == ">" else widest < used


MIN_DET_SCORE = Gate(
    "min_det_score",
    "score {}",
    measure=lambda faces: faces.det_score,
    limit=lambda options: options.min_det_score,
    widest=0.5,
    steps=100,
)
MIN_SHORT = Gate(
    "min_short",
    "{} px",
    measure=lambda faces: faces.face_short,
    limit=lambda options: options.min_short,
    widest=40,
)
MIN_BLUR = Gate(
    "min_blur",
    "sharp {}",
    measure=lambda faces: faces.blur,
    limit=lambda options: options.min_blur,
    widest=10,
)


def _norm(faces: Faces) -> Float32:
    return unknown_column("norm", len(faces)) if faces.norm is None else faces.norm


MIN_NORM = Gate("min_norm", "norm {}", measure=_norm, limit=lambda options: options.min_norm)
"""A face without a known norm passes it."""

_NO_AGE = {"min_age": -1.0, "max_age": 999.0}
"""The value for an unknown age, which is in no range."""


def _age_gate(name: str, sign: str) -> Gate:
    def measure(faces: Faces) -> Float32:
        age = np.full(len(faces), np.nan, np.float32) if faces.age is None else faces.age
        return np.nan_to_num(age, nan=_NO_AGE[name])

    return Gate(name, "age {}", sign, measure=measure, limit=lambda options: getattr(options, name, None))


MIN_AGE = _age_gate("min_age", "<")
MAX_AGE = _age_gate("max_age", ">")
AGE_GATES = (MIN_AGE, MAX_AGE)
ASKED_GATES = (MIN_NORM, *AGE_GATES)
"""Gates that apply only if they are requested."""

AGE_SPREADS = Gate("age_spreads", "age off by {}", ">", limit=lambda options: options.age_spreads)
"""Rejects faces that look older or younger than the others of their set were on that day."""

OUTLIER = Gate(
    "outlier_threshold", "distance {}", ">", limit=lambda options: options.outlier_threshold, widest=0.65
)
MIN_FACES = Gate("min_faces", "photos: {}", limit=lambda options: options.min_faces, widest=2)
QUALITY_GATES = (MIN_DET_SCORE, MIN_SHORT, MIN_BLUR)
"""Gates that judge a single face, for every command."""
REFINE_GATES = (*QUALITY_GATES, *ASKED_GATES, AGE_SPREADS, OUTLIER, MIN_FACES)
"""The gates of `refine`, in their order."""

RECENTRE = Gate("recentre_threshold", "distance {}", ">", limit=lambda options: options.recentre_threshold)

MIN_FACE_SHORT = Gate(
    "min_face_short",
    "{} px",
    measure=lambda faces: faces.face_short,
    limit=lambda options: options.min_face_short,
)
DUPLICATE = Gate("duplicate", "duplicate, {} bits apart", "")
SEVERAL_FACES = Gate("several_faces", "{} faces in the crop", "")
NO_FACE_FOUND = Gate("no_face_found", "no face found", "")
ANOTHER_FACE = Gate("another_face", "wrong face {}", ">")
TAKEN_OUT = Gate("taken_out", "removed by you", "")

UNASSIGNED = Gate("nobody", "removed by you", "")
"""Marks faces that get no folder because the user removed them: manifests list them separately."""

GATES = (
    *REFINE_GATES,
    RECENTRE,
    MIN_FACE_SHORT,
    DUPLICATE,
    SEVERAL_FACES,
    NO_FACE_FOUND,
    ANOTHER_FACE,
    TAKEN_OUT,
)
_BY_NAME = {gate.name: gate for gate in GATES}


def gate_named(name: str) -> Gate:
    """Return the filter with a manifest's name; one unknown to this version keeps its name."""
    return _BY_NAME.get(name) or Gate(name, f"{name.replace('_', ' ')} {{}}")


def reason(item: DroppedFace) -> str:
    """Return why a face was rejected, in a few words: what was measured, and what is needed."""
    gate = gate_named(item.gate)
    if not math.isfinite(item.limit):
        return gate.label.replace("{}", "").strip(" :")
    if item.value == _NO_AGE.get(gate.name):
        return "age unknown"
    value, limit = _distinguishable(item.value, item.limit)
    if gate in (MIN_SHORT, MIN_FACE_SHORT):
        # Rounded down, so that it stays below the limit.
        value = f"{math.floor(item.value)}"
    needed = {"<": f", needs {limit}", ">": f", max {limit}"}.get(gate.sign, "")
    return gate.label.replace("{}", value) + needed


def _distinguishable(value: float, limit: float) -> tuple[str, str]:
    """Format two numbers with enough digits to show that they differ."""
    texts = f"{value:.3g}", f"{limit:g}"
    for digits in range(4, 18):
        if float(texts[0]) != float(texts[1]):
            break
        texts = f"{value:.{digits}g}", f"{limit:.{max(digits, 6)}g}"
    return texts


def was_taken_out(item: DroppedFace) -> bool:
    """Whether the user removed a face."""
    return item.gate == TAKEN_OUT.name
