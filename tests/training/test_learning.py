"""Training a head: the loss, the batches, and a kill that changes nothing of the result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facesets.errors import CannotWrite
from facesets.inference.projection import Projection
from facesets.operations.options.upkeep import TrainOptions
from facesets.operations.people.training.head_evaluation import (
    Taught,
    comparison,
    run_folds,
    thresholds,
    winner,
)
from facesets.training.checkpoints import Epoch, path_of
from facesets.training.head import Layer, discriminants, onnx_model, project, whitening
from facesets.training.lesson import Lesson, TrainedHead, TrainingPlan, held_out_faces
from facesets.work import Stop
from tests.fixtures.kills import in_a_child
from tests.fixtures.taught_people import blurred_people

# Each test imports what loads PyTorch or scikit-learn: else every process would, for this one file.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch")]

PLAN = TrainingPlan(epochs=10, margin=0.2, batch_size=32, learning_rate=1e-3, seed=0)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    embedding, person = blurred_people(12, 10)
    return Lesson(embedding, person, held_out_faces(person, 0))


def trained(
    lesson: Lesson, directory: Path, plan: TrainingPlan = PLAN, stop: Stop | None = None
) -> TrainedHead:
    from facesets.training.loop import train

    return train(lesson, plan, directory, on_epoch=lambda _: None, stop=stop or Stop())


def weights(done: TrainedHead) -> list[bytes]:
    return [part.tobytes() for layer in done.layers for part in (layer.weight, layer.bias)]


@pytest.fixture(scope="module")
def undisturbed(lesson: Lesson, tmp_path_factory: pytest.TempPathFactory) -> TrainedHead:
    return trained(lesson, tmp_path_factory.mktemp("undisturbed"))


def test_the_loss_is_that_of_semi_hard_triplets() -> None:
    import torch

    from facesets.training.loop import triplet_loss

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    person = np.repeat(np.arange(5), 4)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    losses = []
    for a in range(20):
        others = np.flatnonzero(person != person[a])
        for p in np.flatnonzero(person == person[a]):
            if p != a:
                beyond = [distance[a, n] for n in others if distance[a, n] > distance[a, p]]
                negative = min(beyond) if beyond else distance[a, others].max()
                losses.append(max(0.0, 0.2 + distance[a, p] - negative))
    found = triplet_loss(torch.from_numpy(vectors), torch.from_numpy(person), 0.2)
    assert found is not None
    assert abs(found.mean.item() - np.mean(losses)) < 1e-6
    assert (found.pairs, found.triplets) == (60, sum(loss > 0 for loss in losses))


@pytest.mark.parametrize("person", [[0, 1, 2], [0, 0, 0]])
def test_a_batch_without_a_triplet_has_no_loss(person: list[int]) -> None:
    import torch

    from facesets.training.loop import triplet_loss

    assert triplet_loss(torch.eye(3), torch.tensor(person), 0.2) is None


@pytest.mark.parametrize("size", [16, 32, 50])
def test_each_face_comes_once_an_epoch_beside_others_of_its_person(size: int) -> None:
    from facesets.training.loop import batches

    person = np.repeat(np.arange(20), np.arange(2, 22))
    found = list(batches(person, size, np.random.default_rng(0)))
    assert sorted(np.concatenate(found)) == list(range(len(person)))
    assert max(map(len, found)) <= size
    for batch in found:
        assert (np.bincount(person[batch])[person[batch]] > 1).all()


def test_training_lowers_the_loss_and_gives_the_same_weights_again(
    lesson: Lesson, undisturbed: TrainedHead, tmp_path: Path
) -> None:
    assert [layer.weight.shape for layer in undisturbed.layers] == [(64, 256), (256, 128)]
    assert undisturbed.epochs[-1].loss < undisturbed.epochs[0].loss / 2
    assert undisturbed.epochs[-1].validation_loss < undisturbed.epochs[0].validation_loss
    assert weights(trained(lesson, tmp_path)) == weights(undisturbed)
    assert weights(trained(lesson, tmp_path / "other", replace(PLAN, seed=1))) != weights(undisturbed)


def test_a_killed_training_ends_as_an_undisturbed_one(
    lesson: Lesson, undisturbed: TrainedHead, tmp_path: Path
) -> None:
    from facesets.training.loop import train

    assert in_a_child(lambda: trained(lesson, tmp_path), 9)
    heard: list[Epoch] = []
    done = train(lesson, PLAN, tmp_path, on_epoch=heard.append, stop=Stop())
    assert weights(done) == weights(undisturbed)
    without_times = [replace(epoch, seconds=0) for epoch in undisturbed.epochs]
    assert [replace(epoch, seconds=0) for epoch in heard] == without_times
    assert [replace(epoch, seconds=0) for epoch in done.epochs] == without_times


def test_training_resumes_from_the_last_epoch(
    lesson: Lesson, undisturbed: TrainedHead, tmp_path: Path
) -> None:
    from facesets.training.loop import train

    stop = Stop()

    def halfway(epoch: Epoch) -> None:
        if epoch.number == 4:
            stop.request()

    stopped = train(lesson, PLAN, tmp_path, on_epoch=halfway, stop=stop)
    assert len(stopped.epochs) == 4
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "face_projection_epoch_4.json",
        "face_projection_epoch_4.safetensors",
    ]
    done = trained(lesson, tmp_path)
    assert weights(done) == weights(undisturbed)
    # The first four epochs have their old durations: they were not repeated.
    assert done.epochs[:4] == stopped.epochs


def test_an_unwritable_checkpoint_is_reported(lesson: Lesson, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(CannotWrite, match="models"):
        trained(lesson, tmp_path / "models", replace(PLAN, epochs=1))


def test_checkpoints_that_are_damaged_or_of_another_training_do_not_count(
    lesson: Lesson, undisturbed: TrainedHead, tmp_path: Path
) -> None:
    trained(lesson, tmp_path, replace(PLAN, margin=0.3))
    assert weights(trained(lesson, tmp_path)) == weights(undisturbed)
    arrays = path_of(tmp_path, PLAN.epochs)
    arrays.write_bytes(arrays.read_bytes()[:100])
    assert weights(trained(lesson, tmp_path)) == weights(undisturbed)
    path_of(tmp_path, PLAN.epochs).with_suffix(".json").write_text("{}")
    assert weights(trained(lesson, tmp_path)) == weights(undisturbed)


def test_onnx_runtime_projects_as_the_layers_do(lesson: Lesson, undisturbed: TrainedHead) -> None:
    for layers in (
        undisturbed.layers,
        whitening(lesson.embedding, lesson.person),
        discriminants(lesson.embedding, lesson.person),
    ):
        projected = Projection(onnx_model(layers))(lesson.embedding)
        assert np.abs(projected - project(layers, lesson.embedding)).max() < 1e-5
        assert np.allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-6)
        assert Projection(onnx_model(layers))(lesson.embedding[:0]).shape == (0, projected.shape[1])
        assert onnx_model(layers) == onnx_model(layers)


def test_whitening_makes_people_equally_wide_in_all_directions(lesson: Lesson) -> None:
    for layers, width in (
        (whitening(lesson.embedding, lesson.person), 64),
        (discriminants(lesson.embedding, lesson.person), 11),
    ):
        (layer,) = layers
        assert isinstance(layer, Layer)
        rows = lesson.embedding @ layer.weight + layer.bias
        assert rows.shape[1] == width
        assert np.abs(rows.mean(axis=0)).max() < 1e-4
        means = np.array([rows[lesson.person == one].mean(axis=0) for one in range(12)])
        within = np.cov((rows - means[lesson.person]).T)
        # Shrinking the covariance equalizes directions, but not completely.
        assert np.diag(within).max() / np.diag(within).min() < 4


@pytest.mark.parametrize("faces", ["few", "copies", "all alike"])
def test_small_training_data_gives_metrics(faces: str, tmp_path: Path) -> None:
    embedding, person = blurred_people(5, 4)
    if faces == "copies":
        embedding = embedding[person * 4]
    if faces == "all alike":
        embedding = embedding[np.zeros_like(person)]
    options = TrainOptions(epochs=10, min_faces=4)
    folds = run_folds(Taught(embedding, person), options, tmp_path, on_epoch=lambda *_: None, stop=Stop())
    lines = comparison(folds)
    assert all(0 <= line.on_people.score <= 1 and 0 <= line.on_faces.score <= 1 for line in lines)
    assert winner(lines) is None
    for layers in folds[0].layers.values():
        found = thresholds(folds[0].trial, layers, 5)
        assert found.review <= found.assign <= found.person <= 1
