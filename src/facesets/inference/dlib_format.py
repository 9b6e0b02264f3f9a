"""Read networks in dlib's format, as far as dlib's ResNet for faces needs it.

Integers are a control byte (bit 7 the sign, the low four the number of bytes) and little-endian bytes;
floats an integer mantissa and an integer exponent of 2; booleans a digit. Nothing in a file is executed.

References
----------
dlib 19, `dlib/serialize.h`, `dlib/float_details.h`, `dlib/dnn/core.h`, `dlib/dnn/layers.h`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from facesets.records import Float32

_MAX_NUMBERS = 1 << 26
_LOWEST, _WITH_PARAMETERS, _MARK = 3, 2, 1


@dataclass(frozen=True, slots=True)
class DlibLayer:
    """One layer: `con`, `affine`, `relu`, `max_pool`, `avg_pool`, `add_prev` or `fc`.

    Attributes
    ----------
    numbers : tuple of int
        Of a convolution: filters, height, width, strides y and x, paddings y and x. Of a pool the same
        without the filters; a height of 0 means all of it. Of `fc`: outputs, inputs.
    parameters : float32 array
        Weights, then biases; flat.
    """

    kind: str
    numbers: tuple[int, ...] = ()
    parameters: Float32 = field(default_factory=lambda: np.empty(0, np.float32), repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """Layers from the input up, and the values subtracted from a pixel's red, green and blue."""

    mean: tuple[float, float, float]
    layers: tuple[DlibLayer, ...]


def read_network(content: bytes) -> Network:
    """Read a `.dat` file of a network with metric loss, to its last byte.

    Raises
    ------
    ValueError
        It is no such file, or is damaged.
    """
    reader = _Reader(content)
    try:
        network = _network(reader)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError("the file is truncated or has another format") from error
    if reader.at != len(content):
        raise ValueError("the file has data after its network")
    return network


def _network(reader: "_Reader") -> Network:
    _expect(reader.integer() == 1 and reader.text() == "loss_metric_2", "the loss")
    reader.real(), reader.real()
    count = 1
    while (version := reader.integer()) != _LOWEST:
        _expect(version in (_WITH_PARAMETERS, _MARK), "a layer's version")
        count += version == _WITH_PARAMETERS
    _expect(reader.text() == "input_rgb_image_sized", "the input")
    mean = (reader.real(), reader.real(), reader.real())
    reader.integers(2)
    layers = []
    for number in range(count):
        layers.append(_layer(reader))
        reader.skip(3)
        for _ in range(3):
            reader.tensor()
        if number == 0:
            reader.integer()
    return Network(mean, tuple(layers))


def _layer(reader: "_Reader") -> DlibLayer:
    kind = reader.text()
    return _LAYERS[kind](reader)


def _convolution(reader: "_Reader") -> DlibLayer:
    parameters = reader.tensor()
    numbers = reader.integers(7)
    reader.aliases(2)
    reader.reals(4)
    return DlibLayer("con", numbers, parameters)


def _affine(reader: "_Reader") -> DlibLayer:
    parameters = reader.tensor()
    reader.aliases(2)
    reader.integer()
    return DlibLayer("affine", (), parameters)


def _fully_connected(reader: "_Reader") -> DlibLayer:
    numbers = reader.integers(2)
    parameters = reader.tensor()
    reader.aliases(2)
    reader.integer()
    reader.reals(4)
    return DlibLayer("fc", numbers, parameters)


_LAYERS: dict[str, Callable[["_Reader"], DlibLayer]] = {
    "con_4": _convolution,
    "affine_": _affine,
    "fc_2": _fully_connected,
    "relu_": lambda _: DlibLayer("relu"),
    "add_prev_": lambda _: DlibLayer("add_prev"),
    "max_pool_2": lambda reader: DlibLayer("max_pool", reader.integers(6)),
    "avg_pool_2": lambda reader: DlibLayer("avg_pool", reader.integers(6)),
}


def _expect(fits: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not fits:
        raise ValueError(f"{what} is invalid")


class _Reader:
    """Reads a file from its start."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def _take(self, count: int) -> bytes:
        taken = self._content[self.at : self.at + count]
        _expect(len(taken) == count, "the length")
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        self._take(count)

    def integer(self) -> int:
        control = self._take(1)[0]
        value = int.from_bytes(self._take(control & 0x0F), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(count))

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        return float(mantissa * 2.0**exponent)

    def reals(self, count: int) -> None:
        for _ in range(count):
            self.real()

    def text(self) -> str:
        return self._take(self.integer()).decode("ascii")

    def tensor(self) -> Float32:
        """Read a tensor as a flat copy."""
        _expect(self.integer() == 2, "a tensor's version")
        shape = self.integers(4)
        count = int(np.prod(shape)) if min(shape) >= 0 else -1
        _expect(0 <= count <= _MAX_NUMBERS, "a tensor's size")
        numbers: Float32 = np.frombuffer(self._take(4 * count), "<f4").astype(np.float32)
        return numbers

    def aliases(self, count: int) -> None:
        """Skip views into a tensor."""
        for _ in range(count):
            _expect(self.integer() == 1, "an alias's version")
            self.integers(4)
