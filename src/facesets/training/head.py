"""A projection head as plain arrays, its linear alternatives, and its ONNX form.

The rivals are within-class whitening, and discriminant analysis after it. Faces of one person differ more in
some directions than in others. Whitening weighs each direction by how much it differs inside people; the
discriminants are those whitened directions in which people differ most. The covariance is shrunk, for there
are seldom more faces than it has numbers.

References
----------
Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004; Hatch,
Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition", 2006.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32, Int64

_MIN_LENGTH = 1e-12
Float64 = NDArray[np.float64]
DISCRIMINANTS = 128
"""Maximum outputs of `discriminants`: as many as a trained head has."""

_MIN_VARIANCE = 1e-9
_OPSET = 17
_IR_VERSION = 8
"""IR version of ONNX 1.12, which runtimes some years old also read."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`x @ weight + bias`, with a weight of shape (inputs, outputs) and a bias of shape (outputs,)."""

    weight: Float32
    bias: Float32


Layers: TypeAlias = tuple[Layer, ...]
"""Consecutive layers, with ReLU between; the output is scaled to unit length."""


def project(layers: Layers, embeddings: Float32) -> Float32:
    """Project rows of shape (n, inputs) to unit rows of shape (n, outputs); unchanged without layers."""
    rows = embeddings
    for place, layer in enumerate(layers):
        rows = np.maximum(rows, 0) if place else rows
        rows = rows @ layer.weight + layer.bias
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float32 = (rows / np.maximum(length, _MIN_LENGTH)).astype(np.float32)
    # A zero vector, such as a face equal to the mean, gets some direction.
    unit[length[:, 0] < _MIN_LENGTH, 0] = 1
    return unit


def whitening(embeddings: Float32, person: Int64) -> Layers:
    """Return the within-class whitening of rows of shape (n, d) of known people; d outputs."""
    mean, within, _ = _spread(embeddings, person)
    vectors, scale = _whitening(within)
    return _centered(mean, (vectors * scale) @ vectors.T)


def discriminants(embeddings: Float32, person: Int64) -> Layers:
    """Return linear discriminants of rows of shape (n, d), at most one fewer than there are people."""
    mean, within, centers = _spread(embeddings, person)
    vectors, scale = _whitening(within)
    white = vectors * scale
    _, _, directions = np.linalg.svd(centers @ white, full_matrices=False)
    count = min(DISCRIMINANTS, len(centers) - 1, embeddings.shape[1])
    return _centered(mean, white @ directions[:count].T)


def _whitening(within: Float64) -> tuple[Float64, Float64]:
    """Return the directions of a covariance, as columns, and the scale of each."""
    values, vectors = np.linalg.eigh(within)
    # If all photos are copies, faces of one person do not differ.
    return vectors, 1 / np.sqrt(np.maximum(values, _MIN_VARIANCE))


def _spread(embeddings: Float32, person: Int64) -> tuple[Float64, Float64, Float64]:
    """Return mean, covariance inside people (shrunk), and centered people's means, weighted by face count."""
    # scikit-learn takes a second to load.
    from sklearn.covariance import ledoit_wolf

    _, index, count = np.unique(person, return_inverse=True, return_counts=True)
    rows = embeddings.astype(np.float64)
    means = np.zeros((len(count), rows.shape[1]))
    np.add.at(means, index, rows)
    means /= count[:, None]
    within, _ = ledoit_wolf(rows - means[index], assume_centered=True)
    mean = rows.mean(axis=0)
    return mean, within, (means - mean) * np.sqrt(count)[:, None]


def _centered(mean: Float64, weight: Float64) -> Layers:
    return (Layer(weight.astype(np.float32), (-mean @ weight).astype(np.float32)),)


def onnx_model(layers: Layers) -> bytes:
    """Return the model: `embedding` of shape (n, inputs) to `projected` of shape (n, outputs), unit rows.

    The same layers give the same bytes.
    """
    # Only needed to write a head, and slow to load.
    import onnx
    from onnx import TensorProto, helper, numpy_helper

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
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized
