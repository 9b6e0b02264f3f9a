"""The gates that judge a face by itself."""

from collections.abc import Iterator

from facesets.operations.growing_options import SplitErasOptions
from facesets.operations.options import RefineOptions
from facesets.records import Bool, Faces, Float32


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
