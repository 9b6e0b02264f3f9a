"""A projection head as an ONNX model, which ONNX Runtime alone can run."""

import onnx
from onnx import TensorProto, helper, numpy_helper

from facesets.training.head import Layers

_OPSET = 17
_IR_VERSION = 8
"""Of ONNX 1.12: also runtimes of some years ago read it."""


def onnx_model(layers: Layers) -> bytes:
    """The model: `embedding` of shape (n, inputs) to `projected` of shape (n, outputs), rows of unit length.

    The same layers give the same bytes.
    """
    graph = helper.make_graph([], "face_projection", [], [])
    last = "embedding"
    for number, layer in enumerate(layers):
        if number:
            graph.node.append(helper.make_node("Relu", [last], [f"positive_{number}"]))
            last = f"positive_{number}"
        weight, bias, out = f"weight_{number}", f"bias_{number}", f"layer_{number}"
        graph.initializer.extend(
            [numpy_helper.from_array(layer.weight, weight), numpy_helper.from_array(layer.bias, bias)]
        )
        graph.node.append(helper.make_node("Gemm", [last, weight, bias], [out]))
        last = out
    graph.node.append(helper.make_node("LpNormalization", [last], ["projected"], axis=1, p=2))
    inputs, outputs = layers[0].weight.shape[0], layers[-1].weight.shape[1]
    graph.input.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["faces", inputs]))
    graph.output.append(helper.make_tensor_value_info("projected", TensorProto.FLOAT, ["faces", outputs]))
    model = helper.make_model(
        graph,
        producer_name="facesets",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised
