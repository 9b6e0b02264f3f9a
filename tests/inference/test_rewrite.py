"""A graph rewritten for speed computes the same bits."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesets.inference.rewrite import without_slow_prelu


def outputs(model: str | bytes, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return result


def test_the_recogniser_gives_the_same_bits_without_prelu(pack_dir: Path) -> None:
    path = pack_dir / "w600k_mbf.onnx"
    rewritten = without_slow_prelu(path)
    assert isinstance(rewritten, bytes)
    assert not any(node.op_type == "PRelu" for node in onnx.load_from_string(rewritten).graph.node)
    batch = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
    np.testing.assert_array_equal(outputs(rewritten, batch), outputs(str(path), batch))


@pytest.mark.parametrize(("slopes", "is_rewritten"), [([0.3, -2.0, 1.0], True), ([0.3, 1.5, 0.0], False)])
def test_only_slopes_for_which_it_is_exact_are_rewritten(
    tmp_path: Path, slopes: list[float], is_rewritten: bool
) -> None:
    tensor = numpy_helper.from_array(np.array(slopes, np.float32).reshape(3, 1, 1), "slope")
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
    rewritten = without_slow_prelu(tmp_path / "m.onnx")
    assert isinstance(rewritten, bytes) == is_rewritten
    batch = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(outputs(rewritten, batch), outputs(str(tmp_path / "m.onnx"), batch))


def test_a_model_without_prelu_is_loaded_from_its_file(pack_dir: Path) -> None:
    assert without_slow_prelu(pack_dir / "det_500m.onnx") == str(pack_dir / "det_500m.onnx")
