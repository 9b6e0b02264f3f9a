"""ONNX Runtime sessions: the only place that makes them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from facesets.errors import CannotInfer
from facesets.files import printable
from facesets.inference.rewrite import with_free_batch, without_slow_prelu
from facesets.records import Float32

# Only errors: what matters of the rest is said by us, in words that help.
onnxruntime.set_default_logger_severity(3)

CPU = "CPUExecutionProvider"

# They have no base class in common, and a failing driver surfaces as a plain RuntimeError.
_RUNTIME_ERRORS = (
    RuntimeError,
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Session:
    """One loaded model. May be run from several threads at once."""

    def __init__(
        self, path: Path, provider: str = CPU, *, threads: int = 1, free_batch: bool = False
    ) -> None:
        """Load a model.

        Parameters
        ----------
        path : Path
        provider : str
            ONNX Runtime's name of where to run; what it cannot do there runs on the CPU.
        threads : int
            Threads for one run on the CPU. With 1, each caller computes in its own thread: several
            callers then use several cores without waiting for each other.
        free_batch : bool
            Take any number of inputs at once, though the file declares one.

        Raises
        ------
        CannotInfer
            The model is damaged, or the provider does not work here.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        if provider == "DmlExecutionProvider":
            # DirectML supports neither memory patterns nor parallel execution.
            options.enable_mem_pattern = False
        providers = [provider] if provider == CPU else [provider, CPU]
        try:
            model = _graph(path, provider, free_batch=free_batch)
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except _RUNTIME_ERRORS as error:
            raise CannotInfer(
                f"The model {printable(path)} cannot be loaded on {provider}: {_first_line(error)}. "
                "Run `facesets doctor` to see what works here."
            ) from error
        self.raw = self._session
        self.provider = str(self._session.get_providers()[0])
        self._input = self._session.get_inputs()[0].name
        self.output_shapes = [tuple(output.shape) for output in self._session.get_outputs()]
        batch = self._session.get_inputs()[0].shape[0]
        self.fixed_batch = batch if isinstance(batch, int) and batch > 0 else None

    def run(self, batch: Float32) -> list[NDArray[Any]]:
        """Outputs for one input array.

        Raises
        ------
        CannotInfer
            The machine refused, for want of memory for instance.
        """
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, {self._input: np.ascontiguousarray(batch)})
        except _RUNTIME_ERRORS as error:
            raise CannotInfer(
                f"The model stopped with: {_first_line(error)}. Try --batch-size 1 or --provider cpu."
            ) from error
        return outputs


def _graph(path: Path, provider: str, *, free_batch: bool) -> str | bytes:
    if free_batch:
        return with_free_batch(path)
    return without_slow_prelu(path) if provider == CPU else str(path)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
