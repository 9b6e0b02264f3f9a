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

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


def split(faces: Float32, years: Int64) -> Eras:
    """By the documented defaults."""
    return split_into_eras(
        faces, years, max_cosine_distance=0.35, min_anchor_faces=20, join_cosine_distance=0.40, join_years=5
    )


def unit(rows: NDArray[np.float64]) -> Float32:
    scaled: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def around(centre: NDArray[np.float64], count: int, distance: float, seed: int) -> Float32:
    """Faces at about this cosine distance from a centre, each in a direction of its own."""
    noise = np.random.default_rng(seed).standard_normal((count, len(centre)))
    noise -= np.outer(noise @ centre, centre)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    a = 1 - distance
    return unit(a * centre + np.sqrt(1 - a * a) * noise)


def turned(angle: float, dimension: int = 512) -> NDArray[np.float64]:
    """A direction that drifts in one plane."""
    centre = np.zeros(dimension)
    centre[:2] = np.cos(angle), np.sin(angle)
    return centre


def at_distance(distance: float) -> float:
    return float(np.arccos(1 - distance))


def test_a_person_who_drifts_through_the_years_falls_into_her_eras() -> None:
    angles, starts = (0.0, 1.2, 2.4), (1985, 2000, 2015)
    faces = np.concatenate([around(turned(a), 40, 0.12, i) for i, a in enumerate(angles)])
    years = np.concatenate([np.tile(np.arange(s, s + 8), 5) for s in starts])
    eras = split(faces, years)
    assert eras.anchors == 3
    assert [set(years[eras.era == e].tolist()) for e in sorted(set(eras.era.tolist()))] == [
        set(range(s, s + 8)) for s in starts
    ]


def fragment_case(distance: float, years_apart: int, size: int = 6) -> tuple[Float32, Int64]:
    anchor = around(turned(0.0), 30, 0.02, 1)
    fragment = around(turned(at_distance(distance)), size, 0.02, 2)
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


def test_without_years_nothing_joins() -> None:
    faces, years = fragment_case(0.38, 0)
    for undated in (years == 2000, np.arange(36) < 30, np.arange(36) >= 30):
        known = np.where(undated, 0, years)
        eras = split(faces, known)
        assert len(set(eras.era.tolist())) == 2


def test_only_the_nearest_anchor_counts_even_when_the_next_has_the_right_years() -> None:
    near = around(turned(at_distance(0.37)), 25, 0.02, 1)
    far = around(turned(-at_distance(0.39)), 25, 0.02, 2)
    fragment = around(turned(0.0), 6, 0.02, 3)
    years = np.r_[np.full(25, 1980), np.full(25, 2000), np.full(6, 2000)]
    eras = split(np.concatenate([near, far, fragment]), years)
    assert eras.anchors == 2
    assert len(set(eras.era.tolist())) == 3


def test_a_chain_of_fragments_does_not_lead_away_from_the_anchor() -> None:
    step = at_distance(0.37)
    parts = [around(turned(0.0), 30, 0.01, 0)] + [around(turned(step * k), 6, 0.01, k) for k in (1, 2, 3)]
    years = np.repeat([2000, 2003, 2005, 2005], [30, 6, 6, 6])
    eras = split(np.concatenate(parts), years)
    sizes = sorted(np.unique(eras.era, return_counts=True)[1].tolist())
    assert sizes == [6, 6, 36]


@st.composite
def people(draw: st.DrawFn) -> tuple[Float32, Int64]:
    parts = draw(
        st.lists(
            st.tuples(st.floats(0, 3), st.integers(1, 30), st.sampled_from([0, 1990, 1996, 2003, 2010])),
            min_size=1,
            max_size=8,
        )
    )
    faces = [around(turned(angle, 64), n, 0.1, seed) for seed, (angle, n, _) in enumerate(parts)]
    return np.concatenate(faces), np.concatenate([np.full(n, year) for _, n, year in parts])


@pytest.mark.slow
@given(people())
def test_joining_is_never_transitive(person: tuple[Float32, Int64]) -> None:
    """Whatever ends in an anchor's era is near the anchor itself, and nothing gathers around a fragment."""
    faces, years = person
    eras = split(faces, years)
    centres = centroids(faces, eras.cluster)
    for cluster in np.unique(eras.cluster):
        (era,) = np.unique(eras.era[eras.cluster == cluster])
        if era == cluster:
            continue
        assert era < eras.anchors <= cluster
        distances = 1 - centres[: eras.anchors] @ centres[cluster]
        assert distances[era] == pytest.approx(distances.min(), abs=1e-6)
        assert distances[era] <= 0.40 + 1e-6
        own, its = (dominant_year(years[eras.cluster == c]) for c in (cluster, era))
        assert own
        assert its
        assert abs(own - its) <= 5
    sizes = np.bincount(eras.cluster)
    assert (sizes[: eras.anchors] >= 20).all()
    assert (sizes[eras.anchors :] < 20).all()


@pytest.mark.slow
@given(people(), st.randoms(use_true_random=False))
def test_the_order_of_the_faces_does_not_matter(person: tuple[Float32, Int64], random: Random) -> None:
    faces, years = person
    order = np.array(random.sample(range(len(faces)), len(faces)))
    eras, shuffled = (
        split(faces, years),
        split(faces[order], years[order]),
    )

    def parts(era: Int64, rows: Int64) -> set[frozenset[int]]:
        return {frozenset(rows[era == e].tolist()) for e in np.unique(era)}

    assert parts(eras.era, np.arange(len(faces))) == parts(shuffled.era, order)


def test_the_dominant_year_is_the_commonest_and_of_several_the_middle_one() -> None:
    assert dominant_year(np.array([2001, 2001, 2009, 0, 0, 0])) == 2001
    assert dominant_year(np.array([2001, 2009, 2017])) == 2009
    assert dominant_year(np.array([2001, 2009])) == 2001
    assert dominant_year(np.array([0, 0])) == 0


def test_bystanders_fall_out_in_two_passes_where_one_would_keep_some() -> None:
    person = around(turned(0.0), 30, 0.3, 0)
    strangers = around(turned(np.pi / 2), 12, 0.3, 1)
    near = around(turned(at_distance(0.52)), 1, 0.0, 2)
    faces = np.concatenate([person, strangers, near])
    core = core_members(faces, (0.55, 0.45))
    assert core[:30].all()
    assert not core[30:].any()
    assert core_members(faces, (0.55,))[42]


def test_faces_that_have_nothing_in_common_have_no_core() -> None:
    assert not core_members(np.eye(8, dtype=np.float32), (0.55, 0.45)).any()
    assert not len(core_members(np.empty((0, 8), np.float32), (0.55, 0.45)))


def test_the_histogram_counts_every_pair_once() -> None:
    faces = around(turned(0.0), 1500, 0.3, 0)
    edges = np.linspace(0, 1.2, 25)
    counts = pairwise_histogram(faces, edges)
    rows = faces.astype(np.float64)
    distance = (1 - rows @ rows.T)[np.triu_indices(1500, k=1)]
    assert counts.sum() == 1500 * 1499 // 2
    expected = np.histogram(np.clip(distance, 0, 1.2), edges)[0]
    assert np.abs(counts - expected).max() <= 20
