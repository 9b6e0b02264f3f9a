"""Convert dlib's ResNet for faces to an ONNX model.

It takes chips of 150×150 pixels, RGB from 0 to 255: mean and affine layers are folded into the convolutions.
dlib's vectors have 128 numbers and mean Euclidean distance. The rest of the program uses cosine similarity,
so the network continues: the vectors of the chip and of its mirror image are averaged, and turned into random
Fourier features, whose cosine similarity is `exp(-d² / 2v)` for a distance of d and a fixed variance v.

References
----------
King, "Dlib-ml: a machine learning toolkit", JMLR 2009; the network is from github.com/davisking/dlib-models.
Rahimi and Recht, "Random features for large-scale kernel machines", NIPS 2007.
Yu et al., "Orthogonal random features", NIPS 2016.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facesets.inference.dlib_format import DlibLayer, Network, read_network
from facesets.records import Float32

EDGE = 150
DIMENSION = 128
FEATURES = 512
VARIANCE = 0.19
"""Fitted on halves of LFW's people, so that cosine distances are comparable with ArcFace's."""

_OPSET, _IR_VERSION = 13, 8
_SEED = 20170211
_GRID = 4096
_PIXEL_SCALE = 256


def converted(content: bytes) -> bytes:
    """Convert dlib's file to ONNX. Raises `ValueError` for another network."""
    serialized: bytes = cosine_network(read_network(content)).SerializeToString()
    return serialized


def distance_network(network: Network) -> onnx.ModelProto:
    """Build the network as dlib runs it: chips (n, 3, 150, 150) to vectors (n, 128)."""
    graph = _Graph()
    pooled = graph.trunk(network, "pixels")
    graph.add("MatMul", [pooled, graph.weight("fc", _last_weights(network))], "vector")
    return graph.model("vector", DIMENSION)


def cosine_network(network: Network) -> onnx.ModelProto:
    """Build the network for a pack: chips (n, 3, 150, 150) to unit vectors (n, 512).

    Raises
    ------
    ValueError
        The layers are not those of dlib's ResNet.
    """
    graph = _Graph()
    bounds = [graph.numbers(f"mirror/{name}", [n]) for name, n in _BACKWARDS.items()]
    mirrored = graph.add("Slice", ["pixels", *bounds], "mirrored")
    both = graph.add("Concat", ["pixels", mirrored], "both", axis=0)
    pooled = graph.trunk(network, both)
    pairs = graph.add("Reshape", [pooled, graph.numbers("pairs/shape", [2, -1, 256])], "pairs")
    mean = graph.add("ReduceMean", [pairs], "mean", axes=[0], keepdims=0)
    vector = graph.add("MatMul", [mean, graph.weight("fc", _last_weights(network))], "distance_vector")
    angles = graph.add("MatMul", [vector, graph.weight("frequencies", frequencies())], "angles")
    waves = graph.add(
        "Concat", [graph.add("Cos", [angles], "cos"), graph.add("Sin", [angles], "sin")], "waves", axis=1
    )
    graph.add("Mul", [waves, graph.weight("scale", np.array((FEATURES / 2) ** -0.5, np.float32))], "vector")
    return graph.model("vector", FEATURES)


_BACKWARDS = {"from": -1, "to": -EDGE - 1, "axis": 3, "step": -1}


def frequencies() -> Float32:
    """Return random directions, orthogonal in blocks, with Gaussian lengths, (128, 256).

    Scaled by `VARIANCE`, and rounded to a grid, so that all machines make the same file of them.
    """
    # This generator's numbers are guaranteed never to change, unlike those of newer ones.
    rng = np.random.RandomState(_SEED)
    blocks = []
    for _ in range(FEATURES // 2 // DIMENSION):
        gaussian = rng.standard_normal((DIMENSION, DIMENSION))
        lengths = np.sqrt((rng.standard_normal((DIMENSION, DIMENSION)) ** 2).sum(axis=0))
        blocks.append(_orthogonal(gaussian) * lengths)
    scaled = np.concatenate(blocks, axis=1) / math.sqrt(VARIANCE)
    rounded: Float32 = (np.round(scaled * _GRID) / _GRID).astype(np.float32)
    return rounded


def _orthogonal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make columns orthonormal, one after the other (Gram-Schmidt, twice for accuracy)."""
    basis = np.zeros_like(columns)
    for i in range(columns.shape[1]):
        rest = columns[:, i]
        for _ in range(2):
            rest = rest - basis[:, :i] @ (basis[:, :i].T @ rest)
        basis[:, i] = rest / np.linalg.norm(rest)
    return basis


def _last_weights(network: Network) -> Float32:
    last = network.layers[-1]
    if last.kind != "fc" or len(last.parameters) != 256 * DIMENSION:
        raise ValueError("the last layer is not the expected one")
    return last.parameters.reshape(256, DIMENSION)


@dataclass
class _Graph:
    """Nodes and weights in the order added, and the current size of the planes."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        """Add a node; return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, array: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def numbers(self, name: str, values: list[int]) -> str:
        return self.weight(name, np.array(values, np.int64))

    def model(self, output: str, dimension: int) -> onnx.ModelProto:
        """Return the model from `pixels` to an output."""
        graph = helper.make_graph(
            self.nodes,
            "dlib_face_recognition_resnet_model_v1",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, EDGE, EDGE])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", dimension])],
            self.weights,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )

    def trunk(self, network: Network, pixels: str) -> str:
        """Add all layers but the last: (n, 3, 150, 150) to (n, 256)."""
        layers = network.layers[:-1]
        flow, channels, edge = pixels, 3, EDGE
        start = flow, channels, edge
        shortcut = start
        for number, layer in enumerate(layers):
            name = f"{number}_{layer.kind}"
            if layer.kind == "con":
                mean = network.mean if number == 0 else None
                flow = self._convolution(layer, layers[number + 1], flow, channels, name, mean)
                channels, (height, _, stride, _, padding, _) = layer.numbers[0], layer.numbers[1:]
                edge = (edge + 2 * padding - height) // stride + 1
            elif layer.kind == "relu":
                flow = self.add("Relu", [flow], name)
                # A block begins where two branches came together.
                if layers[number - 1].kind == "add_prev":
                    start = shortcut = flow, channels, edge
            elif layer.kind == "max_pool":
                flow, edge = self._pool("MaxPool", layer, flow, edge, name)
                start = shortcut = flow, channels, edge
            elif layer.kind == "avg_pool" and layer.numbers[0]:
                skipped, skipped_edge = self._pool("AveragePool", layer, start[0], start[2], name)
                shortcut = skipped, start[1], skipped_edge
            elif layer.kind == "avg_pool":
                flow = self.add("GlobalAveragePool", [flow], name)
            elif layer.kind == "add_prev":
                most = max(channels, shortcut[1]), max(edge, shortcut[2])
                parts = [
                    self._padded((flow, channels, edge), most, f"{name}/flow"),
                    self._padded(shortcut, most, f"{name}/shortcut"),
                ]
                flow = self.add("Add", parts, name)
                channels, edge = most
        return self.add("Flatten", [flow], "pooled", axis=1)

    def _convolution(
        self,
        layer: DlibLayer,
        affine: DlibLayer,
        flow: str,
        channels: int,
        name: str,
        mean: tuple[float, float, float] | None,
    ) -> str:
        """Add a convolution with its affine layer and, for the first one, the mean of pixels before it."""
        filters, height, width, stride_y, stride_x, padding_y, padding_x = layer.numbers
        count = filters * channels * height * width
        fits = len(layer.parameters) == count + filters and len(affine.parameters) == 2 * filters
        if affine.kind != "affine" or not fits or (mean and padding_y):
            raise ValueError("the convolutions are not the expected ones")
        gamma, beta = affine.parameters.reshape(2, filters)
        weights = layer.parameters[:count].reshape(filters, channels, height, width)
        weights = weights * gamma[:, None, None, None]
        biases = layer.parameters[count:] * gamma + beta
        if mean:
            weights = weights / np.float32(_PIXEL_SCALE)
            # Sums rounded once only are the same on all machines.
            dark = [math.fsum((rows.astype(float) * np.reshape(mean, (3, 1, 1))).flat) for rows in weights]
            biases = (biases - np.array(dark)).astype(np.float32)
        return self.add(
            "Conv",
            [flow, self.weight(f"{name}/weights", weights), self.weight(f"{name}/biases", biases)],
            name,
            kernel_shape=[height, width],
            strides=[stride_y, stride_x],
            pads=[padding_y, padding_x, padding_y, padding_x],
        )

    def _pool(self, kind: str, layer: DlibLayer, flow: str, edge: int, name: str) -> tuple[str, int]:
        height, width, stride_y, stride_x, _, _ = layer.numbers
        shape = {"kernel_shape": [height, width], "strides": [stride_y, stride_x]}
        return self.add(kind, [flow], name, **shape), (edge - height) // stride_y + 1

    def _padded(self, part: tuple[str, int, int], most: tuple[int, int], name: str) -> str:
        """Pad a branch to the other's size with zeros: channels, rows at the bottom, columns at the right."""
        flow, channels, edge = part
        more, beyond = most[0] - channels, most[1] - edge
        if not more and not beyond:
            return flow
        pads = self.numbers(f"{name}/pads", [0, 0, 0, 0, 0, more, beyond, beyond])
        return self.add("Pad", [flow, pads], name)
