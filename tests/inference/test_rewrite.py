"""A graph rewritten for speed computes the same."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesets.inference import rewrite
from facesets.inference.rewrite import PixelInput, rewritten


def outputs(model: str | bytes, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return result


@pytest.mark.parametrize("blocked", [False, True])
def test_the_recogniser_gives_the_same_without_prelu(
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
