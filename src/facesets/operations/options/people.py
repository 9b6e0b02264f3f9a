"""The options of the commands that make people of the library's faces."""

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Literal

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import (
    Checked,
    Option,
    check_number,
    check_ranges,
    day,
    number_or_auto,
)
from facesets.operations.options.grouping import Method, Threshold, measure_of, measures_itself, other_measure
from facesets.operations.options.shared import DryRun, Eps, MinClusterSize, MinSamples, SameImageOk


def _month(flag: str, text: str) -> str:
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) is None:
        raise WrongUsage(f"{flag} {printable(text)} is not a month. Give one such as 2024-05.")
    return text


_DEFAULT_THRESHOLD = 0.65
"""Default cosine similarity for people of the library, for methods that cannot measure one."""


@dataclass(frozen=True, slots=True)
class ClusterLibraryOptions(Checked):
    """Options of `cluster` on a library.

    Attributes
    ----------
    threshold : float or None
        Cosine similarity from which two faces belong together (components), or at which average linkage
        is cut; and from which a new face joins a known person, by the mean of that person's faces where the
        method goes by means. None measures a fitting one on the faces, which `agglomerative` and `auto` can.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise all methods but `components` keep them apart.
    """

    method: Method = "auto"
    threshold: float | None = None
    min_size: Annotated[
        int, Option("Library: minimum number of faces of a new person; 1 gives every face a person.", least=1)
    ] = 2
    min_cluster_size: MinClusterSize = 3
    min_samples: MinSamples = 2
    eps: Eps = None
    min_quality: Annotated[
        float, Option("Library: minimum quality of a face that is grouped.", least=0, most=1, advanced=True)
    ] = 0.0
    max_faces: Annotated[
        int,
        Option(
            "Library, hdbscan: maximum number of faces in the hierarchy, best first; others are "
            "placed in it.",
            least=2,
            advanced=True,
        ),
    ] = 50_000
    time_bucket: Annotated[
        str | None,
        Option(
            "Library: only faces in photos taken in this month.",
            metavar="YYYY-MM",
            parse=_month,
            advanced=True,
        ),
    ] = None
    full: Annotated[bool, Option("Library, hdbscan: rebuild the hierarchy.")] = False
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        check_number("--threshold", self.threshold, 0, 1)
        # The default method is not looked up: that imports SciPy, and help texts make these options.
        if self.threshold is None and self.method != "auto" and not measures_itself(self.method):
            raise WrongUsage(f"{self.method} cannot measure a threshold. Give {Field('threshold')} a number.")

    def own_threshold(self) -> float | None:
        """Return the method's threshold in its own measure; None without one."""
        if self.method == "dbscan":
            return self.eps
        measure = measure_of(self.method)
        if measure is None or self.threshold is None:
            return None
        return self.threshold if measure == "min_cosine_similarity" else other_measure(self.threshold)

    def chosen(self, method: Method | None, threshold: Threshold | None) -> "ClusterLibraryOptions":
        """Return the options with a method and a threshold; plain thresholds are cosine similarities.

        A threshold alone means connected components, as in versions with that method only.

        Raises
        ------
        WrongUsage
            The method has no such threshold.
        """
        chosen = method or (self.method if threshold is None else "components")
        if threshold is None:
            return replace(self, method=chosen, threshold=None if chosen == "auto" else _DEFAULT_THRESHOLD)
        similarity = None if threshold.value is None else threshold.in_measure("min_cosine_similarity", 0, 1)
        return replace(self, method=chosen, threshold=similarity)


@dataclass(frozen=True, slots=True)
class DualOptions(Checked):
    """Options to assign faces to known people and group the others. None: default of the recognizer."""

    dual: Annotated[
        bool,
        Option("Library: match faces to known people, and group the others into clusters that you confirm."),
    ] = False
    person_threshold: Annotated[
        float | None,
        Option(
            "With --dual: minimum cosine similarity to a reference face for a match.",
            least=0,
            most=1,
            unset="0.7, or 0.75 with the open pack",
            variable="FACESETS_CLUSTER_PERSON_THRESHOLD FACE_PERSON_MATCH_THRESHOLD",
            advanced=True,
        ),
    ] = None
    unknown_method: Annotated[
        Method,
        Option(
            "With --dual: method for the unmatched faces.",
            variable="FACESETS_CLUSTER_UNKNOWN_METHOD FACE_UNKNOWN_CLUSTERING_METHOD",
            advanced=True,
        ),
    ] = "hdbscan"
    unknown_min_size: Annotated[
        int,
        Option(
            "With --dual: minimum number of faces of a cluster of unmatched faces.",
            least=2,
            variable="FACESETS_CLUSTER_UNKNOWN_MIN_SIZE FACE_UNKNOWN_MIN_CLUSTER_SIZE",
            advanced=True,
        ),
    ] = 3
    unknown_eps: Annotated[
        float | None,
        Option(
            "With --dual: maximum cosine distance between unmatched faces of a cluster; not for "
            "hdbscan and auto.",
            least=0,
            most=2,
            unset="that of the recognition model, usually 0.5",
            advanced=True,
        ),
    ] = None
    dual_max_faces: Annotated[
        int | None,
        Option(
            "With --dual: maximum number of unmatched faces to group, best first.", least=1, advanced=True
        ),
    ] = None


DEFAULT_MARGIN = 0.05


def _threshold(flag: str, text: str) -> float | Literal["auto"]:
    number = number_or_auto(flag, text)
    return "auto" if number is None else number


@dataclass(frozen=True, slots=True)
class AssignOptions(Checked):
    """Options of `assign`. None: default of the recognition model, or of the head in use.

    Attributes
    ----------
    threshold : float, "auto" or None
        The latter two measure it, or use the measurement from the training of the head in use.
    """

    threshold: Annotated[
        float | Literal["auto"] | None,
        Option(
            "Minimum cosine similarity to a reference face for a match; auto measures one on the "
            "library. 0.6 is strict, 0.65 with the open pack.",
            least=0,
            most=1,
            metavar="N|auto",
            parse=_threshold,
        ),
    ] = "auto"
    margin: Annotated[
        float | None,
        Option("Minimum lead over the second-best match.", least=0, most=1, unset=f"{DEFAULT_MARGIN:g}"),
    ] = None
    review_threshold: Annotated[
        float | None,
        Option(
            "Minimum cosine similarity for an unassigned face to become a suggestion.",
            least=0,
            most=1,
            unset="the threshold less 0.1, but at most 0.5, or 0.55 with the open pack",
        ),
    ] = None
    since: Annotated[
        date | None,
        Option(
            "Only faces added on this day or later.", metavar="DATE", parse=day, flag="--added-after --since"
        ),
    ] = None
    taken_since: Annotated[
        date | None,
        Option(
            "Only faces in photos taken on this day or later.",
            metavar="DATE",
            parse=day,
            flag="--taken-after --taken-since",
        ),
    ] = None
    max_faces: Annotated[
        int | None, Option("Maximum number of faces, best first.", least=1, advanced=True)
    ] = None
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class SplitOptions(Checked):
    """Options to split a person."""

    parts: Annotated[
        int | None, Option("Number of parts.", least=2, unset="as many as the faces fall into")
    ] = None
    min_size: Annotated[int, Option("Minimum number of faces of a part.", least=1)] = 3
