"""What is done for GPUs, on the processor: the same faces and vectors as without it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facesets.imaging.decode import decode
from facesets.inference import detector, recognizer
from facesets.inference.binding import FixedInput
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.inference.session import CPU, CUDA, Session


@pytest.fixture
def recogniser(pack_dir: Path) -> Session:
    return Session(read_pack(pack_dir).recogniser.path)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 112, 112)).astype(np.float32)


def test_pixels_scaled_beside_the_network_give_the_same_faces(
    pack_dir: Path, lfw_photos: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = read_pack(pack_dir)
    pictures = [decode(path).pixels for path in lfw_photos[:8]]
    usual = LocalEmbedder(pack, det_size=640, min_det_score=0.5).embed(pictures)
    monkeypatch.setattr(detector, "TAKES_PIXELS", (CPU,))
    monkeypatch.setattr(recognizer, "TAKES_PIXELS", (CPU,))
    as_on_a_gpu = LocalEmbedder(pack, det_size=640, min_det_score=0.5, images_per_run=4, faces_per_run=4)
    for ours, theirs in zip(as_on_a_gpu.embed(pictures), usual, strict=True):
        assert len(ours) == len(theirs) > 0
        assert np.abs(ours.box - theirs.box).max() < 1e-3
        assert (ours.embedding * theirs.embedding).sum(axis=1).min() >= 0.999999


def test_a_gpu_gets_few_sizes_of_batches(recogniser: Session, pack_dir: Path) -> None:
    assert [recogniser.run_size(count) for count in (1, 3, 5, 64)] == [1, 3, 5, 64]
    recogniser.provider = CUDA
    assert [recogniser.run_size(count) for count in (1, 2, 3, 5, 63, 64)] == [1, 2, 4, 8, 64, 64]
    assert Session(read_pack(pack_dir).detector.path).run_size(1) == 1


def test_more_room_than_faces_changes_no_vector(
    pack_dir: Path, lfw_photos: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = read_pack(pack_dir)
    pictures = [decode(path).pixels for path in lfw_photos[:5]]
    usual = LocalEmbedder(pack, det_size=640, min_det_score=0.5).embed(pictures)
    monkeypatch.setattr(Session, "run_size", lambda _, count: count + 3)
    roomy = LocalEmbedder(pack, det_size=640, min_det_score=0.5, images_per_run=4, faces_per_run=8)
    for ours, theirs in zip(roomy.embed(pictures), usual, strict=True):
        assert np.abs(ours.box - theirs.box).max() < 1e-3
        assert (ours.embedding * theirs.embedding).sum(axis=1).min() >= 0.999999


def test_input_that_lies_ready_gives_what_a_plain_run_gives(recogniser: Session) -> None:
    bound = FixedInput(recogniser.raw, device="cpu")
    batches = [noise(count, seed) for seed, count in enumerate((2, 1, 2, 4, 1))]
    results = [bound.run(batch)[0] for batch in batches]
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, recogniser.run(batch)[0])


def test_threads_have_inputs_of_their_own(recogniser: Session) -> None:
    bound = FixedInput(recogniser.raw, device="cpu")
    batches = [noise(1, seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: bound.run(batch)[0], batches))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, recogniser.run(batch)[0])


def test_a_device_that_cannot_hold_inputs_ready_is_run_plainly(recogniser: Session) -> None:
    plain = recogniser.run(noise(1))[0]
    recogniser._fixed_input = FixedInput(recogniser.raw, device="cuda")  # there is none here
    np.testing.assert_array_equal(recogniser.run(noise(1))[0], plain)
