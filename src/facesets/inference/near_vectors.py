"""Find possibly similar embeddings with fast integer arithmetic."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facesets.inference.session import Session
from facesets.records import Float32, Int64

_OPSET = 16
_IR_VERSION = 8
_WIDEST, _WIDEST_ROW = 127, 63
"""Largest integers on either side: older processors add two products in 16 bits."""
_ZERO = 64
"""Code of 0 in a row's numbers, which are unsigned."""
_PAIRS_AT_ONCE = 2**22
_FLOATS = 1e-5
"""Rounding error of float sums."""


class NearVectors:
    """Finds all pairs of rows and these vectors that may be similar.

    Each number x of a vector becomes the nearest multiple x' of a step. Similarities of the multiples differ
    from the true ones by at most |x - x'| + |x'| |y - y'|, by Cauchy and Schwarz, for vectors x and y of unit
    length: pairs within that of the least similarity are found, too. Products of whole numbers of 8 bits are
    summed by instructions of their own in current processors. May be used from several threads at once.
    """

    def __init__(self, vectors: Float32) -> None:
        """Set the vectors to compare with: float32, shape (k, d), k > 0, of unit length."""
        self._count = len(vectors)
        self._step = max(float(np.abs(vectors).max()), 1e-6) / _WIDEST
        whole = np.rint(vectors / np.float32(self._step))
        self._error = float(np.linalg.norm(vectors - whole * np.float32(self._step), axis=1).max())
        self._session = Session(_model(np.ascontiguousarray(whole.T, dtype=np.int8)), rewrite=False)

    def __call__(self, rows: Float32, least: float) -> tuple[Int64, Int64]:
        """Return pairs of a row and a vector that may reach a similarity, ascending.

        Parameters
        ----------
        rows : float32 array of shape (n, d)
            Of unit length.
        least : float
            Cosine similarity.

        Raises
        ------
        CannotInfer
            The machine refused, for want of memory for instance.
        """
        step = np.maximum(np.abs(rows).max(axis=1), 1e-6)[:, None] / np.float32(_WIDEST_ROW)
        whole = np.rint(rows / step)
        error = np.linalg.norm(rows - whole * step, axis=1)
        slack = error + (1.0 + error) * self._error + _FLOATS
        wanted = np.floor((least - slack) / (step[:, 0] * self._step))
        feed = {
            "rows": (whole + _ZERO).astype(np.uint8),
            "least": np.clip(wanted, -(2**31), 2**31 - 129).astype(np.int32)[:, None],
        }
        found = [np.empty(0, np.int64)]
        some = max(1, _PAIRS_AT_ONCE // self._count)
        for start in range(0, len(rows), some):
            part = {name: values[start : start + some] for name, values in feed.items()}
            found.append(np.flatnonzero(self._session.run_named(part)[0]) + start * self._count)
        row, vector = np.divmod(np.concatenate(found), self._count)
        return row, vector


def _model(whole: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]") -> bytes:
    """Return which products of `rows` (n, d) with these columns (d, k) are at least `least` (n, 1)."""
    inputs, count = whole.shape
    graph = helper.make_graph(
        [
            helper.make_node("MatMulInteger", ["rows", "vectors", "zero"], ["product"]),
            helper.make_node("GreaterOrEqual", ["product", "least"], ["near"]),
        ],
        "near_vectors",
        [
            helper.make_tensor_value_info("rows", TensorProto.UINT8, ["n", inputs]),
            helper.make_tensor_value_info("least", TensorProto.INT32, ["n", 1]),
        ],
        [helper.make_tensor_value_info("near", TensorProto.BOOL, ["n", count])],
        [numpy_helper.from_array(whole, "vectors"), numpy_helper.from_array(np.uint8(_ZERO), "zero")],
    )
    model = helper.make_model(
        graph,
        producer_name="facesets",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    serialized: bytes = model.SerializeToString()
    return serialized
