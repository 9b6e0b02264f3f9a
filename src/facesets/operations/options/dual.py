"""The options of `cluster --dual`."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.threshold import Method


@dataclass(frozen=True, slots=True)
class DualOptions(Checked):
    """How faces go to known people, and how the others are grouped. What is None goes by the recogniser."""

    dual: Annotated[
        bool,
        Option(
            "People of the library: faces go to the known people whom they are like, and the others into "
            "clusters that are nobody yet."
        ),
    ] = False
    person_threshold: Annotated[
        float | None,
        Option(
            "With --dual: cosine similarity to a prototype from which on a face is that person's.",
            least=0,
            most=1,
            unset="0.7, or 0.75 with the open pack",
            variable="FACESETS_CLUSTER_PERSON_THRESHOLD FACE_PERSON_MATCH_THRESHOLD",
        ),
    ] = None
    unknown_method: Annotated[
        Method,
        Option(
            "With --dual: how the others are grouped.",
            variable="FACESETS_CLUSTER_UNKNOWN_METHOD FACE_UNKNOWN_CLUSTERING_METHOD",
        ),
    ] = "hdbscan"
    unknown_min_size: Annotated[
        int,
        Option(
            "With --dual: fewest faces of a cluster of the others.",
            least=2,
            variable="FACESETS_CLUSTER_UNKNOWN_MIN_SIZE FACE_UNKNOWN_MIN_CLUSTER_SIZE",
        ),
    ] = 3
    unknown_eps: Annotated[
        float | None,
        Option(
            "With --dual: cosine distance up to which the others belong together; not of hdbscan and auto.",
            least=0,
            most=2,
            unset="as the recogniser has it, 0.5 for most",
        ),
    ] = None
    dual_max_faces: Annotated[
        int | None,
        Option(
            "With --dual: so many faces without a person at most, the best first; the others stay "
            "as they are.",
            least=1,
        ),
    ] = None
