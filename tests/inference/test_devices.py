"""Code paths for GPUs, run on the processor, give the same faces and vectors."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesets.errors import CannotInfer
from facesets.imaging.decode import decode
from facesets.inference import detector, recognizer, rewrite
from facesets.inference.binding import FixedInput
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.inference.providers import PROVIDERS, why_not
from facesets.inference.rewrite import PixelInput, rewritten
from facesets.inference.session import CPU, CUDA, DIRECTML, Session, in_turn


@pytest.fixture
def session(small_pack: Path) -> Session:
    return Session(read_pack(small_pack).recognizer.path)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 112, 112)).astype(np.float32)


@pytest.mark.parametrize("how", ["pixels are scaled beside the network", "there is more room than faces"])
def test_every_device_setting_finds_the_same_faces(
    pack_dir: Path, lfw_photos: Sequence[Path], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    pack = read_pack(pack_dir)
    pictures = [decode(path).pixels for path in lfw_photos[:6]]
    usual = LocalEmbedder(pack, det_size=640, min_det_score=0.5).embed(pictures)
    if "pixels" in how:
        monkeypatch.setattr(detector, "TAKES_PIXELS", (CPU,))
        monkeypatch.setattr(recognizer, "TAKES_PIXELS", (CPU,))
    else:
        monkeypatch.setattr(Session, "run_size", lambda _, count: count + 3)
    other = LocalEmbedder(pack, det_size=640, min_det_score=0.5, images_per_run=4, faces_per_run=4)
    for ours, theirs in zip(other.embed(pictures), usual, strict=True):
        assert len(ours) == len(theirs) > 0
        assert np.abs(ours.box - theirs.box).max() < 1e-3
        assert (ours.embedding * theirs.embedding).sum(axis=1).min() >= 0.999999


def test_a_recognizer_for_a_fixed_number_of_faces_can_be_tried_on_a_provider(
    small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = onnx.load(str(small_pack / "w600k_mbf.onnx"))
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(graph, str(tmp_path / "four.onnx"))
    model = replace(read_pack(small_pack).recognizer, path=tmp_path / "four.onnx")
    # The processor in the role of a GPU that works, and that takes pixels.
    monkeypatch.setitem(PROVIDERS, "cuda", CPU)
    monkeypatch.setattr(recognizer, "TAKES_PIXELS", (CPU,))
    assert why_not("cuda", model) is None


def test_a_network_in_half_precision_takes_pixels_too(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        "half",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [None, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [None, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "half.onnx"))
    session = Session(tmp_path / "half.onnx", pixels=PixelInput(8, 127.5, 127.5))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = ((pictures - 127.5) / 127.5).mean(axis=(1, 2))
    assert np.abs(session.run(pictures)[0] - expected).max() < 2e-3


def test_a_gpu_gets_few_batch_sizes(session: Session, pack_dir: Path) -> None:
    assert [session.run_size(count) for count in (1, 3, 5, 64)] == [1, 3, 5, 64]
    session.provider = CUDA
    assert [session.run_size(count) for count in (1, 2, 3, 5, 63, 64)] == [1, 2, 4, 8, 64, 64]
    assert Session(read_pack(pack_dir).detector.path).run_size(1) == 1


def test_input_that_lies_ready_for_each_thread_gives_what_a_plain_run_gives(session: Session) -> None:
    bound = FixedInput(session.raw, device="cpu")
    batches = [noise(count, seed) for seed, count in enumerate((2, 1, 2, 4, 1) * 4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda batch: bound.run(batch)[0], batches))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, session.run(batch)[0])


class Watched:
    """A session that records the maximum number of simultaneous threads."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.01)
        with self.lock:
            self.inside -= 1
        outputs: list[np.ndarray] = self.session.run(names, feed)
        return outputs


@pytest.mark.parametrize(("provider", "one_at_a_time"), [(DIRECTML, True), (CPU, False)])
def test_directml_is_asked_by_one_thread_at_a_time(
    session: Session, provider: str, one_at_a_time: bool
) -> None:
    session._session = watched = Watched(session.raw)
    session._turn = in_turn(provider)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: session.run(noise(1, seed)), range(12)))
    assert (watched.most == 1) == one_at_a_time


def test_a_device_that_cannot_hold_inputs_ready_is_run_plainly(session: Session) -> None:
    plain = session.run(noise(1))[0]
    session._fixed_input = FixedInput(session.raw, device="cuda")  # there is none here
    np.testing.assert_array_equal(session.run(noise(1))[0], plain)


def test_a_model_with_a_missing_data_file_is_refused(small_pack: Path, tmp_path: Path) -> None:
    model = onnx.load(str(small_pack / "w600k_mbf.onnx"))
    onnx.save(
        model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0
    )
    (tmp_path / "m.data").unlink()
    with pytest.raises(CannotInfer, match=r"m\.onnx cannot be loaded"):
        Session(tmp_path / "m.onnx")


# A graph rewritten for speed computes the same.


def outputs(model: str | bytes, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return result


@pytest.mark.parametrize("blocked", [False, True])
def test_the_recognizer_gives_the_same_without_prelu(
    small_pack: Path, blocked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "_BLOCKED_LAYOUT", blocked)
    path = small_pack / "w600k_mbf.onnx"
    model = rewritten(path, prelu=True)
    assert isinstance(model, bytes)
    assert not any(node.op_type == "PRelu" for node in onnx.load_from_string(model).graph.node)
    batch = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
    ours, original = outputs(model, batch), outputs(str(path), batch)
    if not blocked:
        np.testing.assert_array_equal(ours, original)
    off = np.linalg.norm(ours - original, axis=1) / np.linalg.norm(original, axis=1)
    assert off.max() < 1e-5  # of which cosine similarity loses half the square


@pytest.mark.parametrize(
    ("slopes", "is_rewritten"), [([0.3, -2.0, 1.0], True), ([0.3, 1.5, 0.0], False), ([0.5], True)]
)
def test_only_slopes_for_which_it_is_exact_are_rewritten(
    tmp_path: Path, slopes: list[float], is_rewritten: bool
) -> None:
    tensor = numpy_helper.from_array(np.array(slopes, np.float32).reshape(-1, 1, 1), "slope")
    shape = [1, 3, 4, 4]
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "prelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    model = rewritten(tmp_path / "m.onnx", prelu=True)
    assert isinstance(model, bytes) == is_rewritten
    batch = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(outputs(model, batch), outputs(str(tmp_path / "m.onnx"), batch))


def test_a_model_without_prelu_is_loaded_from_its_file(small_pack: Path) -> None:
    path = small_pack / "det_500m.onnx"
    assert rewritten(path, prelu=True) == str(path)


def test_a_network_that_takes_pixels_gets_the_same_numbers(small_pack: Path) -> None:
    path = small_pack / "w600k_mbf.onnx"
    pictures = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    numbers = cv2.dnn.blobFromImages(list(pictures), 1 / 127.5, mean=(127.5,) * 3, swapRB=False)
    model = rewritten(path, pixels=PixelInput(112, 127.5, 127.5))
    np.testing.assert_array_equal(outputs(model, pictures), outputs(str(path), numbers))


def test_a_network_of_one_input_is_made_to_take_several(small_pack: Path) -> None:
    model = rewritten(small_pack / "det_500m.onnx", free_batch=True, pixels=PixelInput(640, 127.5, 128))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 640, 640, 3]
    assert session.get_inputs()[0].type == "tensor(uint8)"
