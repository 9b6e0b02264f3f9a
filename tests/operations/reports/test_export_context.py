"""The sets that a model is compared with: a name is known in the form that people read, and as a folder."""

import numpy as np
import pytest

from facesets.operations.reports.export_context import ExportContext, unit


@pytest.mark.parametrize("name", ["Anna/Berg Jr.", "Anna%2FBerg Jr%2E", "people/Anna%2FBerg Jr%2E"])
def test_a_person_of_a_model_is_found_among_the_sets(name: str) -> None:
    anna, ben = unit(np.array([1, 0.2], np.float32)), unit(np.array([0, 1], np.float32))
    beside = ExportContext(centroids={"people/Anna%2FBerg Jr%2E": anna, "Ben": ben})
    likeness = beside.compare(name, anna)
    assert (likeness.own, likeness.other, likeness.problems()) == (1.0, "Ben", [])
    assert beside.compare("Carl", anna).own is None
