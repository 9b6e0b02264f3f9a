from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facesets.clustering.centroids import centroids
from facesets.clustering.people.splitting import (
    Eras,
    core_members,
    dominant_year,
    pairwise_histogram,
    split_into_eras,
)
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, Int64, near


def split(faces: Float32, years: Int64) -> Eras:
    """Split with the documented defaults."""
    return split_into_eras(
        faces, years, max_cosine_distance=0.35, min_anchor_faces=20, join_cosine_distance=0.40, join_years=5
    )


def turned(angle: float, dimension: int = 512) -> NDArray[np.float64]:
    """Return a direction that drifts in one plane."""
    centre = np.zeros(dimension)
    centre[:2] = np.cos(angle), np.sin(angle)
    return centre


def at_distance(distance: float) -> float:
    return float(np.arccos(1 - distance))


def test_a_person_who_changes_over_years_falls_into_eras() -> None:
    angles, starts = (0.0, 1.2, 2.4), (1985, 2000, 2015)
    faces = np.concatenate([near(turned(a), 40, 0.88, i) for i, a in enumerate(angles)])
    years = np.concatenate([np.tile(np.arange(s, s + 8), 5) for s in starts])
    eras = split(faces, years)
    assert eras.anchors == 3
    assert [set(years[eras.era == e].tolist()) for e in sorted(set(eras.era.tolist()))] == [
        set(range(s, s + 8)) for s in starts
    ]


def fragment_case(distance: float, years_apart: int, size: int = 6) -> tuple[Float32, Int64]:
    anchor = near(turned(0.0), 30, 0.98, 1)
    fragment = near(turned(at_distance(distance)), size, 0.98, 2)
    return np.concatenate([anchor, fragment]), np.r_[np.full(30, 2000), np.full(size, 2000 + years_apart)]


@pytest.mark.parametrize(
    ("distance", "years_apart", "joins"),
    [
        (0.38, 0, True),
        (0.38, 5, True),
        (0.38, -5, True),
        (0.38, 6, False),
        (0.43, 0, False),
        (0.43, 6, False),
    ],
)
def test_a_fragment_joins_when_both_the_face_and_the_years_are_near(
    distance: float, years_apart: int, joins: bool
) -> None:
    faces, years = fragment_case(distance, years_apart)
    eras = split(faces, years)
    assert len(set(eras.cluster.tolist())) == 2
    assert eras.anchors == 1
    assert (len(set(eras.era.tolist())) == 1) is joins
    assert eras.cosine_distance[1] == pytest.approx(distance, abs=0.02)


@st.composite
def people(draw: st.DrawFn) -> tuple[Float32, Int64]:
    """Faces that drift by steps of which two are as much as joins a fragment, and their years."""
    part = st.tuples(
        st.integers(0, 8), st.sampled_from([3, 6, 25]), st.sampled_from([0, 1990, 1995, 1996, 2003])
    )
    parts = draw(st.lists(part, min_size=1, max_size=8))
    step = at_distance(0.37) / 2
    faces = [near(turned(step * at, 64), n, 0.97, seed) for seed, (at, n, _) in enumerate(parts)]
    return np.concatenate(faces), np.concatenate([np.full(n, year) for _, n, year in parts])


@pytest.mark.slow
@given(people())
def test_a_fragment_is_of_the_nearest_anchors_era_alone_and_only_where_the_years_are_known_and_near(
    person: tuple[Float32, Int64],
) -> None:
    """Joining is never transitive: nothing gathers around a fragment, and no other anchor will do."""
    faces, years = person
    eras = split(faces, years)
    sizes = np.bincount(eras.cluster)
    assert (sizes[: eras.anchors] >= 20).all()
    assert (sizes[eras.anchors :] < 20).all()
    centres = centroids(faces, eras.cluster)
    for cluster in range(len(sizes)):
        (era,) = np.unique(eras.era[eras.cluster == cluster])
        distance = np.sort(1 - centres[: eras.anchors] @ centres[cluster])
        if cluster < eras.anchors or not len(distance):
            assert era == cluster
            continue
        if np.abs(np.r_[distance[0] - 0.4, np.diff(distance)]).min() < 1e-5:
            continue
        nearest = int((centres[: eras.anchors] @ centres[cluster]).argmax())
        own, its = (dominant_year(years[eras.cluster == each]) for each in (cluster, nearest))
        joins = distance[0] <= 0.4 and own and its and abs(own - its) <= 5
        assert era == (nearest if joins else cluster)


@pytest.mark.slow
@examples(30)
@given(people(), st.randoms(use_true_random=False))
def test_the_order_of_the_faces_does_not_matter(person: tuple[Float32, Int64], random: Random) -> None:
    faces, years = person
    order = np.array(random.sample(range(len(faces)), len(faces)))
    eras, shuffled = split(faces, years), split(faces[order], years[order])

    def parts(era: Int64, rows: Int64) -> set[frozenset[int]]:
        return {frozenset(rows[era == e].tolist()) for e in np.unique(era)}

    assert parts(eras.era, np.arange(len(faces))) == parts(shuffled.era, order)


def test_the_dominant_year_is_the_commonest_and_of_several_the_middle_one() -> None:
    assert dominant_year(np.array([2001, 2001, 2009, 0, 0, 0])) == 2001
    assert dominant_year(np.array([2001, 2009, 2017])) == 2009
    assert dominant_year(np.array([2001, 2009])) == 2001
    assert dominant_year(np.array([0, 0])) == 0


def test_bystanders_fall_out_in_two_passes_where_one_would_keep_some() -> None:
    person = near(turned(0.0), 30, 0.7, 0)
    strangers = near(turned(np.pi / 2), 12, 0.7, 1)
    close = near(turned(at_distance(0.52)), 1, 1.0, 2)
    faces = np.concatenate([person, strangers, close])
    core = core_members(faces, (0.55, 0.45))
    assert core[:30].all()
    assert not core[30:].any()
    assert core_members(faces, (0.55,))[42]


def test_faces_that_have_nothing_in_common_have_no_core() -> None:
    assert not core_members(np.eye(8, dtype=np.float32), (0.55, 0.45)).any()
    assert not len(core_members(np.empty((0, 8), np.float32), (0.55, 0.45)))


def test_the_histogram_counts_every_pair_once() -> None:
    faces = near(turned(0.0), 1500, 0.7, 0)
    edges = np.linspace(0, 1.2, 25)
    counts = pairwise_histogram(faces, edges)
    rows = faces.astype(np.float64)
    distance = (1 - rows @ rows.T)[np.triu_indices(1500, k=1)]
    assert counts.sum() == 1500 * 1499 // 2
    expected = np.histogram(np.clip(distance, 0, 1.2), edges)[0]
    assert np.abs(counts - expected).max() <= 20
