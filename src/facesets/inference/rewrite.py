"""Graphs rewritten for the CPU, with the same results to the last bit."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def without_slow_prelu(path: Path) -> str | bytes:
    """Return a model whose PReLU nodes are written as `max(x, slope·x)`.

    ONNX Runtime computes PReLU element by element, which is 40 % of a MobileFaceNet's time; multiplying
    and taking the maximum is vectorised. Both are the same number wherever no slope exceeds 1.

    Returns
    -------
    str or bytes
        The path itself where there is nothing to rewrite, else the serialised model.
    """
    model = onnx.load(str(path))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        slope = weights.get(node.input[1]) if node.op_type == "PRelu" else None
        if slope is None or np.max(numpy_helper.to_array(slope)) > 1:
            nodes.append(node)
            continue
        values, result = node.input[0], node.output[0]
        scaled = f"{result}/scaled"
        nodes.append(helper.make_node("Mul", [values, node.input[1]], [scaled]))
        nodes.append(helper.make_node("Max", [values, scaled], [result]))
    if len(nodes) == len(model.graph.node):
        return str(path)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    serialised: bytes = model.SerializeToString()
    return serialised
