"""Faces that show too little make nobody, and join whom they resemble."""

from dataclasses import dataclass

import numpy as np
import pytest

from facesets.clustering import Constraints, cluster_auto
from facesets.clustering.placement import Placement
from tests.fixtures.vectors import Float32, Int64, people, same_partition

BLURRED = 12


@dataclass(frozen=True)
class Album:
    """Embeddings, and whose they are."""

    embedding: Float32
    person: Int64


@pytest.fixture(scope="module")
def album() -> Album:
    return Album(*people(20, faces=8, dimension=64))


@pytest.fixture(scope="module")
def specks(album: Album) -> Float32:
    """Faces that are as similar to one another as one person's."""
    rng = np.random.default_rng(5)
    dimension = album.embedding.shape[1]
    rows = rng.standard_normal(dimension) + 0.6 * rng.standard_normal((BLURRED, dimension))
    unit: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_similar_poor_faces_are_nobody_and_others_stay_whom_they_were(album: Album, specks: Float32) -> None:
    vectors = np.concatenate([album.embedding, specks])
    poor = np.arange(len(vectors)) >= len(album.embedding)
    alone = cluster_auto(album.embedding)
    seen = cluster_auto(vectors)
    assert len(np.unique(seen.labels[poor])) == 1
    result = cluster_auto(vectors, poor=poor, calibration=alone.calibration)
    assert len(np.unique(result.labels[poor])) == BLURRED
    assert (result.placement[poor] == Placement.POOR).all()
    assert same_partition(result.labels[~poor], alone.labels)
    assert f"{BLURRED} faces are too small" in " ".join(result.reasons)


def test_a_poor_face_joins_whom_it_resembles_but_not_beside_one_of_the_same_photo(album: Album) -> None:
    of_first = np.flatnonzero(album.person == album.person[0])
    poor = np.zeros(len(album.embedding), bool)
    poor[of_first[:2]] = True
    free = cluster_auto(album.embedding, poor=poor)
    assert len(np.unique(free.labels[of_first])) == 1
    assert (free.placement[poor] == Placement.JOINED).all()
    apart = Constraints(cannot_link=np.array([[of_first[0], of_first[5]]]))
    bound = cluster_auto(album.embedding, poor=poor, constraints=apart)
    assert bound.labels[of_first[0]] != bound.labels[of_first[5]]
    assert bound.labels[of_first[1]] == bound.labels[of_first[5]]


def test_poor_faces_that_are_said_to_show_one_person_are_one(album: Album, specks: Float32) -> None:
    vectors = np.concatenate([album.embedding, specks])
    first = len(album.embedding)
    poor = np.arange(len(vectors)) >= first
    said = Constraints(must_link=np.array([[first, first + 1]]))
    labels = cluster_auto(vectors, poor=poor, constraints=said).labels
    assert labels[first] == labels[first + 1]
    assert not np.isin(labels[first + 2 :], labels[: first + 2]).any()


def test_the_partition_does_not_depend_on_the_order_of_the_rows(album: Album, specks: Float32) -> None:
    vectors = np.concatenate([album.embedding, specks])
    poor = np.random.default_rng(1).random(len(vectors)) < 0.3
    shuffled = np.random.default_rng(2).permutation(len(vectors))
    whole = cluster_auto(vectors, poor=poor).labels[shuffled]
    assert same_partition(cluster_auto(vectors[shuffled], poor=poor[shuffled]).labels, whole)


def test_where_all_faces_are_poor_everybody_is_alone(specks: Float32) -> None:
    result = cluster_auto(specks, poor=np.ones(BLURRED, bool))
    assert len(np.unique(result.labels)) == BLURRED
