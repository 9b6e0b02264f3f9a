"""The cut that labels would choose."""

import numpy as np

from facesets.clustering import average_linkage, evaluate
from facesets.clustering.best_cut import best_cut


def test_no_other_cut_of_average_linkage_is_much_better() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 8)
    rows = rng.standard_normal((20, 16))[person] + 0.9 * rng.standard_normal((160, 16))
    distance, f1 = best_cut(rows, person)
    scores = {
        cut: evaluate(average_linkage(rows, max_cosine_distance=cut), person).bcubed_f1
        for cut in np.arange(0.1, 1.2, 0.05)
    }
    assert 0.5 < f1 < 1
    assert max(scores.values()) - f1 < 0.02
    ours = evaluate(average_linkage(rows, max_cosine_distance=distance + 1e-6), person).bcubed_f1
    assert abs(ours - f1) < 1e-9


def test_well_separated_people_are_found() -> None:
    person = np.repeat(np.arange(5), 4)
    rows = np.eye(5)[person] + 0.01 * np.random.default_rng(0).standard_normal((20, 5))
    assert best_cut(rows, person)[1] == 1
