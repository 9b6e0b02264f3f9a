"""One threshold, given in three ways, and its effect on each method."""

from typing import get_args

import pytest
from tests.fixtures.parsing import parse

from facesets.cli.params import given_threshold
from facesets.clustering.methods import Measure
from facesets.errors import WrongUsage
from facesets.operations.options.grouping import Method, Threshold
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.options.start import ClusterOptions

DISTANCE, SIMILARITY = get_args(Measure)


@pytest.mark.parametrize(
    ("method", "reported", "used"),
    [
        ("agglomerative", Threshold(0.4), ("agglomerative", 0.4)),
        (None, Threshold(0.4), ("agglomerative", 0.4)),
        (None, Threshold(None), ("agglomerative", None)),
        (None, Threshold(0.4, DISTANCE), ("agglomerative", 0.4)),
        (None, Threshold(0.6, SIMILARITY), ("agglomerative", 0.4)),
        ("components", Threshold(0.4, DISTANCE), ("components", 0.6)),
        ("components", Threshold(0.6, SIMILARITY), ("components", 0.6)),
        # Components ignore a distance if its flag has always been that of average linkage.
        ("components", Threshold(0.4), ("components", 0.65)),
        ("auto", Threshold(0.4, DISTANCE, is_setting=True), ("auto", None)),
        (None, None, ("auto", None)),
        ("agglomerative", None, ("agglomerative", 0.55)),
        ("components", None, ("components", 0.65)),
    ],
)
def test_folders(method: Method | None, reported: Threshold | None, used: tuple[str, float | None]) -> None:
    options = ClusterOptions().chosen(method, reported)
    assert (options.method, options.own_threshold()) == used


@pytest.mark.parametrize(
    ("method", "reported", "used"),
    [
        (None, None, ("auto", None, None)),
        (None, Threshold(0.6), ("components", 0.6, 0.6)),
        (None, Threshold(0.4, DISTANCE), ("components", 0.6, 0.6)),
        ("components", Threshold(0.6, SIMILARITY), ("components", 0.6, 0.6)),
        ("agglomerative", Threshold(0.6), ("agglomerative", 0.6, 0.4)),
        ("agglomerative", Threshold(0.4, DISTANCE), ("agglomerative", 0.6, 0.4)),
        ("agglomerative", Threshold(None), ("agglomerative", None, None)),
        # New faces join known people by it.
        ("hdbscan", Threshold(0.4, DISTANCE), ("hdbscan", 0.6, None)),
        ("auto", Threshold(0.6, SIMILARITY), ("auto", 0.6, None)),
        ("auto", None, ("auto", None, None)),
        ("components", None, ("components", 0.65, 0.65)),
    ],
)
def test_people_of_the_library(
    method: Method | None, reported: Threshold | None, used: tuple[str, float | None, float | None]
) -> None:
    options = ClusterLibraryOptions().chosen(method, reported)
    assert (options.method, options.threshold, options.own_threshold()) == used


@pytest.mark.parametrize("measure", [None, DISTANCE])
def test_the_threshold_of_dbscan_is_eps(measure: Measure | None) -> None:
    assert ClusterOptions(eps=0.3).chosen("dbscan", None).own_threshold() == 0.3
    assert ClusterOptions().chosen("dbscan", Threshold(0.4, measure)).own_threshold() == 0.4
    joining = ClusterLibraryOptions(eps=0.3).chosen("dbscan", Threshold(0.7, SIMILARITY))
    assert (joining.threshold, joining.own_threshold()) == (0.7, 0.3)


@pytest.mark.parametrize("method", ["auto", "hdbscan"])
def test_a_method_without_a_threshold_refuses_one_that_was_typed(method: Method) -> None:
    with pytest.raises(WrongUsage, match=f"method {method} has no threshold"):
        ClusterOptions().chosen(method, Threshold(0.4, DISTANCE))
    with pytest.raises(WrongUsage, match="no threshold"):
        ClusterOptions(method=method).with_own_threshold(0.4)


def test_a_threshold_out_of_range_is_refused_by_the_name_of_its_flag() -> None:
    with pytest.raises(WrongUsage, match=r"--max-cosine-distance must be between 0 and 2, not 3"):
        ClusterOptions().chosen("agglomerative", Threshold(3, DISTANCE))
    with pytest.raises(WrongUsage, match=r"--min-cosine-similarity must be between -1 and 1, not 1.5"):
        ClusterOptions().chosen("agglomerative", Threshold(1.5, SIMILARITY))
    with pytest.raises(WrongUsage, match=r"--max-cosine-distance must be between 0 and 1, not 1.2"):
        ClusterLibraryOptions().chosen(None, Threshold(1.2, DISTANCE))
    with pytest.raises(WrongUsage, match="--max-cosine-distance"):
        ClusterOptions().chosen(None, Threshold(float("nan"), DISTANCE))


@pytest.mark.parametrize("command", ["cluster", "evaluate"])
@pytest.mark.parametrize("second", ["--min-cosine-similarity", "--threshold"])
def test_two_thresholds_at_once_are_refused_in_a_sentence(command: str, second: str) -> None:
    flags = parse([command, "faces.npz", "--max-cosine-distance", "0.4", second, "0.6"])
    with pytest.raises(WrongUsage, match=f"--max-cosine-distance and {second} are mutually exclusive"):
        given_threshold(flags)


def test_what_was_typed_wins_over_settings() -> None:
    flags = {"max_cosine_distance": 0.4, "min_cosine_similarity": None, "threshold": "0.5"}
    assert given_threshold(flags, typed={"max_cosine_distance"}) == Threshold(0.4, DISTANCE)
    flags = {"max_cosine_distance": 0.4, "min_cosine_similarity": None, "threshold": None}
    assert given_threshold(flags) == Threshold(0.4, DISTANCE, is_setting=True)
    assert given_threshold(dict.fromkeys(flags)) is None
