"""Convert CenterFace's published file to accept images of any size and number."""

import onnx
from google.protobuf.message import DecodeError

_NAMES = {
    "input.1": ("n", None, "height", "width"),
    "537": ("n", None, "rows", "columns"),
    "538": ("n", None, "rows", "columns"),
    "539": ("n", None, "rows", "columns"),
    "540": ("n", None, "rows", "columns"),
}


def freed(content: bytes) -> bytes:
    """Return the network with free input sizes, without unused weights.

    Raises
    ------
    ValueError
        It is no ONNX file, or another network.
    """
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ValueError("the file is not a network") from error
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    inputs = [value for value in graph.input if value.name not in weights]
    used_weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.input[:], graph.initializer[:]
    graph.input.extend(inputs)
    graph.initializer.extend(used_weights)
    named = [*graph.input, *graph.output]
    if [value.name for value in named] != list(_NAMES):
        raise ValueError("the file is another network")
    for value in named:
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, _NAMES[value.name], strict=True):
            if name is not None:
                dimension.dim_param = name
    serialized: bytes = model.SerializeToString()
    return serialized
