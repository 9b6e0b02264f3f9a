"""What the commands that add to results can be told."""

from dataclasses import dataclass

from facesets.operations.options.limits import within


@dataclass(frozen=True, slots=True)
class ExtendOptions:
    """Options of `extend`. All else is as it was when the results were made.

    Attributes
    ----------
    threshold : float
        Most cosine distance of a new face from the centroid of the person that it joins.
    cluster_threshold : float
        Cosine distance at which average linkage of the other new faces is cut.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise they are kept apart.
    replace : bool
        The results may be those of another cache or library; from then on they are those of this one.
    """

    threshold: float = 0.55
    cluster_threshold: float = 0.55
    same_image_ok: bool = False
    sheet: bool = True
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("threshold", self.threshold, 0, 2)
        within("cluster-threshold", self.cluster_threshold, 0, 2)


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """Options of `discover`.

    Attributes
    ----------
    known_threshold : float
        A face this close in cosine distance to the centroid of a known face set is known. All else is as
        `refine` and `export-swap` have it.
    """

    known_threshold: float = 0.45

    def __post_init__(self) -> None:
        within("known-threshold", self.known_threshold, 0, 2)


@dataclass(frozen=True, slots=True)
class ImportFoldersOptions:
    """How `import-folders` finds the person of a folder that somebody sorted.

    Attributes
    ----------
    first_threshold, second_threshold : float
        Most cosine distance from the folder's centroid in the first and in the second pass.
    route_threshold : float
        Most cosine distance at which a face of a mixed folder is that person.
    """

    first_threshold: float = 0.55
    second_threshold: float = 0.45
    route_threshold: float = 0.45

    def __post_init__(self) -> None:
        within("first-threshold", self.first_threshold, 0, 2)
        within("second-threshold", self.second_threshold, 0, 2)
        within("route-threshold", self.route_threshold, 0, 2)


@dataclass(frozen=True, slots=True)
class SplitErasOptions:
    """How `split-eras` finds a person's faces again, and cuts them into eras.

    Attributes
    ----------
    recover_threshold : float
        Most cosine distance from the curated set's centroid.
    recentre_threshold : float
        Most cosine distance from the centroid of what was recovered.
    split_threshold : float
        Cosine distance at which average linkage is cut into sub-clusters.
    join_threshold : float
        Most cosine distance between the centroids of a fragment and its anchor.
    join_years : int
        Most years between their dominant capture years.
    min_era_faces : int
        Fewest faces of an anchor, and of an era that is not thin.
    min_fragment_faces : int
        Fewest faces of a fragment that is an era of its own, thin as it is; smaller ones are left out.
    min_short, min_blur, min_det_score : float
        The quality gate, as in `refine`.
    """

    recover_threshold: float = 0.55
    recentre_threshold: float = 0.50
    split_threshold: float = 0.35
    join_threshold: float = 0.40
    join_years: int = 5
    min_era_faces: int = 20
    min_fragment_faces: int = 2
    min_short: float = 90
    min_blur: float = 40.0
    min_det_score: float = 0.6

    def __post_init__(self) -> None:
        within("recover-threshold", self.recover_threshold, 0, 2)
        within("recentre-threshold", self.recentre_threshold, 0, 2)
        within("split-threshold", self.split_threshold, 0, 2)
        within("join-threshold", self.join_threshold, 0, 2)
        within("join-years", self.join_years, 0)
        within("min-era-faces", self.min_era_faces, 2)
        within("min-fragment-faces", self.min_fragment_faces, 1)
        within("min-short", self.min_short, 0)
        within("min-blur", self.min_blur, 0)
        within("min-det-score", self.min_det_score, 0, 1)
