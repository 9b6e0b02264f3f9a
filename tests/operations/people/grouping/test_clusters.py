"""How clusters of a run get their ids: those that exist keep theirs."""

from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facesets.operations.people.grouping.clusters import largest_in, matched_ids


def fresh(number: int, numbers: "count[int]") -> list[str]:
    """New ids."""
    return [f"new_{next(numbers)}" for _ in range(number)]


LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=40)


@given(LABELS, st.data())
def test_ids_are_unique_and_kept_by_who_holds_most_of_a_cluster(
    before: list[int], data: st.DataObject
) -> None:
    raw = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=len(before), max_size=len(before))))
    used = np.unique(raw[raw >= 0])
    label = np.where(raw >= 0, np.searchsorted(used, raw), -1).astype(np.int64)
    earlier = np.array(before, np.int64)
    ids = [f"old_{number}" for number in range(5)]
    numbers = count()
    found = matched_ids(label, earlier, ids, lambda wanted: fresh(wanted, numbers))
    assert len(set(found)) == len(found) == len(used)
    for number, each in enumerate(found):
        if each.startswith("old_"):
            mine = earlier == ids.index(each)
            assert 2 * (mine & (label == number)).sum() > mine.sum()
    for old in np.unique(earlier[earlier >= 0]).tolist():
        homes = np.bincount(label[(earlier == old) & (label >= 0)], minlength=len(used))
        if 2 * homes.max(initial=0) > (earlier == old).sum() and ids[old] not in found:
            # Another earlier cluster, with at least as many faces there, gave its id.
            assert found[int(homes.argmax())].startswith("old_")


@given(LABELS)
def test_the_same_clusters_keep_their_ids(before: list[int]) -> None:
    raw = np.array(before, np.int64)
    used = np.unique(raw[raw >= 0])
    label = np.where(raw >= 0, np.searchsorted(used, raw), -1).astype(np.int64)
    ids = [f"old_{number}" for number in range(5)]
    assert matched_ids(label, raw, ids, lambda wanted: fresh(wanted, count())) == [ids[n] for n in used]


def test_the_id_of_a_person_is_not_handed_on() -> None:
    label = np.zeros(3, np.int64)
    assert matched_ids(label, label, ["person_1"], lambda _: ["clu_1"]) == ["clu_1"]


def test_the_cluster_that_holds_most_of_a_group_is_its_home() -> None:
    group = np.array([0, 0, 0, 1, 1, -1, 2])
    cluster = np.array([5, 7, 7, 3, -1, 5, -1])
    assert largest_in(group, cluster, 4).tolist() == [7, 3, -1, -1]
