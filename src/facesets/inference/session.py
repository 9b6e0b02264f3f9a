"""Create ONNX Runtime sessions; the only place that does."""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from facesets.errors import CannotInfer, Command, Field
from facesets.files import printable
from facesets.inference.binding import FixedInput
from facesets.inference.rewrite import PixelInput, rewritten

# Only errors: our own messages cover the relevant warnings.
onnxruntime.set_default_logger_severity(3)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DIRECTML = "DmlExecutionProvider"

TAKES_PIXELS = (CUDA, DIRECTML)
"""Providers on which scaling pixels within the network saves more than it costs."""

# Trying all algorithms for every new size of a batch takes seconds each time. Numbers of 19 bits, which
# recent GPUs compute with unless set otherwise, make other vectors than a CPU does.
_OPTIONS = {CUDA: {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}}

RUNTIME_VERSION = str(onnxruntime.__version__)

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

# Exceptions for a damaged or incomplete model, raised before ONNX Runtime sees it.
_READING_ERRORS = (OSError, DecodeError, onnx.checker.ValidationError)


_NUMBERS: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint8)": np.dtype(np.uint8),
}


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a model: `dtype` is None for unused types, free sizes are names."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: np.dtype[Any] | None

    def fixed(self, axis: int) -> int | None:
        """Return the fixed size of an axis; None if it is free."""
        size = self.shape[axis] if axis < len(self.shape) else None
        return size if isinstance(size, int) and size > 0 else None


def _input(node: Any) -> Input:  # noqa: ANN401 - ONNX Runtime has no types
    return Input(node.name, tuple(node.shape), _NUMBERS.get(node.type))


def in_turn(provider: str) -> AbstractContextManager[object]:
    """Return the lock for a session: DirectML runs one thread at a time, others any number."""
    return threading.Lock() if provider == DIRECTML else nullcontext()


@cache
def load_cuda_packages() -> None:
    """Load CUDA's libraries from Python packages, once."""
    if find_spec("nvidia") is not None:
        # ONNX Runtime prints missing libraries; we test and report ourselves whether CUDA works.
        with redirect_stdout(StringIO()):
            onnxruntime.preload_dlls()


class Session:
    """One loaded model. May be run from several threads at once."""

    def __init__(
        self,
        path: Path | bytes,
        provider: str = CPU,
        *,
        threads: int = 1,
        free_batch: bool = False,
        rewrite: bool = True,
        pixels: PixelInput | None = None,
    ) -> None:
        """Load a model.

        Parameters
        ----------
        path : Path or bytes
            The file, or a small model itself, which is not rewritten.
        provider : str
            ONNX Runtime's name of where to run; what it cannot do there runs on the CPU.
        threads : int
            Threads for one run on the CPU. With 1, each caller computes in its own thread: several
            callers then use several cores without waiting for each other.
        free_batch : bool
            Take any number of inputs at once, though the file declares one.
        rewrite : bool
            Look for slow nodes to rewrite, which reads the whole model once more.
        pixels : PixelInput, optional
            Take pixels, and scale them where the model runs.

        Raises
        ------
        CannotInfer
            The model is damaged, or the provider does not work here.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        if provider == DIRECTML:
            # DirectML supports neither memory patterns nor parallel execution.
            options.enable_mem_pattern = False
        providers = [(provider, _OPTIONS.get(provider, {})), (CPU, {})][: 1 if provider == CPU else 2]
        named = "of the library" if isinstance(path, bytes) else printable(path)
        if provider == CUDA:
            load_cuda_packages()
        try:
            model: str | bytes = path if isinstance(path, bytes) else str(path)
            if isinstance(path, Path) and (free_batch or pixels or (rewrite and provider == CPU)):
                model = rewritten(path, prelu=provider == CPU, free_batch=free_batch, pixels=pixels)
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except (*_RUNTIME_ERRORS, *_READING_ERRORS) as error:
            raise CannotInfer(
                f"The model {named} cannot be loaded on {provider}: {_first_line(error)}. Run "
                f"{Command('doctor')} to see what works on this machine."
            ) from error
        self.raw = self._session
        self.provider = str(self._session.get_providers()[0])
        self.inputs = [_input(each) for each in self._session.get_inputs()]
        self.output_shapes = [tuple(output.shape) for output in self._session.get_outputs()]
        self.fixed_batch = self.inputs[0].fixed(0)
        self._turn = in_turn(self.provider)
        self._fixed_input = FixedInput(self._session) if self.provider == CUDA else None

    def run_size(self, count: int) -> int:
        """Return the batch size for `count` inputs: a GPU is slow for each new size."""
        if self.fixed_batch is not None:
            return self.fixed_batch
        return count if self.provider == CPU else 1 << (count - 1).bit_length()

    def run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs for one input array. Raises as `run_named`."""
        dtype = self.inputs[0].dtype
        batch = batch if dtype is None else batch.astype(dtype, copy=False)
        if self._fixed_input is not None:
            try:
                return self._fixed_input.run(batch)
            except _RUNTIME_ERRORS:
                # An older driver or runtime may lack this, which is needed for speed only.
                self._fixed_input = None
        return self.run_named({self.inputs[0].name: batch})

    def run_named(self, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for several input arrays, given by name.

        Raises
        ------
        CannotInfer
            The machine refused, for want of memory for instance.
        """
        feed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        try:
            with self._turn:
                outputs: list[NDArray[Any]] = self._session.run(None, feed)
        except _RUNTIME_ERRORS as error:
            raise CannotInfer(
                f"The model failed: {_first_line(error)}. Try {Field('batch_size', '1')} or "
                f"{Field('provider', 'cpu')}."
            ) from error
        return outputs


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
