"""Run a network with its input in device memory, allocated once per thread.

Without it every run takes new memory on the GPU and copies from memory that the GPU cannot read by itself,
so that the driver first copies it to where it can.

References
----------
ONNX Runtime, "I/O binding".
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class _Place:
    """An input on the device, the host memory that fills it, and the binding that runs it."""

    host: NDArray[Any] | None
    device: Any
    binding: Any


class FixedInput:
    """Runs a session with one input. May be used from several threads at once."""

    def __init__(self, session: Any, *, device: str = "cuda") -> None:  # noqa: ANN401 - has no types
        """Bind the first input of an `onnxruntime.InferenceSession` to a device, by ONNX Runtime's name."""
        self._session = session
        self._device = device
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]
        self._of_thread = threading.local()

    def run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Run one input array, like `InferenceSession.run`, with the same errors."""
        place = self._place(batch.shape, batch.dtype)
        if place.host is not None:
            np.copyto(place.host, batch)
        place.device.update_inplace(batch if place.host is None else place.host)
        self._session.run_with_iobinding(place.binding)
        outputs: list[NDArray[Any]] = place.binding.copy_outputs_to_cpu()
        return outputs

    def _place(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Place:
        """Return the thread's own place. All sizes stay allocated: an occasional smaller batch frees none."""
        places = self._of_thread.__dict__.setdefault("places", {})
        key = (shape, dtype)
        if key not in places:
            device = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype.type, self._device, 0)
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(self._input, device)
            for name in self._outputs:
                binding.bind_output(name, "cpu")
            places[key] = _Place(_pinned(shape, dtype, self._session.get_providers()[0]), device, binding)
        found: _Place = places[key]
        return found


def _pinned(shape: tuple[int, ...], dtype: np.dtype[Any], provider: str) -> NDArray[Any] | None:
    """Allocate memory that the device reads directly; None if ONNX Runtime offers none."""
    try:
        kind = onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE
        devices = [each for each in onnxruntime.get_ep_devices() if each.ep_name == provider]
        memory = next(filter(None, (each.memory_info(kind) for each in devices)))
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype.type, memory_info=memory)
    except (AttributeError, TypeError, StopIteration):
        # An ONNX Runtime that is too old for it, or a build without it.
        return None
    shared: NDArray[Any] = value.numpy()
    return shared
