"""The image encoder of CLIP, with its preprocessing.

References
----------
Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
open_clip, `src/open_clip/transform.py` (what `preprocess_cfg.json` means).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from facesets.errors import CannotInfer, Field
from facesets.files import printable
from facesets.inference.clip_packs import ClipPack, damaged
from facesets.inference.session import CPU, Session
from facesets.records import Float32, Pixels

_OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
_OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
_MAX_ELONGATED = 64
_RESIZE_MODES = ("shortest", "longest", "squash")


@dataclass(frozen=True, slots=True)
class Preparation:
    """The preprocessing of an image.

    Attributes
    ----------
    height, width : int
        Of the input.
    mean, std : tuples of three floats
        Of the channels in [0, 1].
    interpolation : str
        `bicubic` or `bilinear`.
    resize_mode : str
        `shortest` fills the input and crops, `longest` fits the picture in and pads, `squash` distorts.
    fill : int
        Gray of the padding, 0 to 255.
    """

    height: int = 224
    width: int = 224
    mean: tuple[float, ...] = _OPENAI_MEAN
    std: tuple[float, ...] = _OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill: int = 0


def preparation(pack: ClipPack) -> Preparation:
    """Read a pack's `preprocess_cfg.json`, with the defaults of open_clip.

    Raises
    ------
    DamagedFile
        It asks for what there is not.
    """
    asked = pack.preprocessing()
    base = Preparation()
    try:
        size = asked.get("size", base.height)
        edges = [int(edge) for edge in size] if isinstance(size, list) else [int(size)]
        interpolation = asked.get("interpolation") or base.interpolation
        how = Preparation(
            height=edges[0],
            width=edges[-1],
            mean=_channels(asked.get("mean") or base.mean),
            std=_channels(asked.get("std") or base.std),
            # open_clip's `random` chooses while training only.
            interpolation="bicubic" if interpolation == "random" else interpolation,
            resize_mode=asked.get("resize_mode") or base.resize_mode,
            fill=int(asked.get("fill_color") or 0),
        )
    except (TypeError, ValueError, IndexError) as error:
        raise damaged(pack.path / "visual" / "preprocess_cfg.json", pack.name) from error
    known = how.interpolation in ("bicubic", "bilinear") and how.resize_mode in _RESIZE_MODES
    sound = min(how.height, how.width) > 0 and all(value > 0 for value in how.std)
    if not known or not sound:
        raise damaged(pack.path / "visual" / "preprocess_cfg.json", pack.name)
    return how


def _channels(values: Any) -> tuple[float, ...]:  # noqa: ANN401 - whatever JSON can hold
    three = (values,) * 3 if isinstance(values, int | float) else tuple(values)
    if len(three) != 3:
        raise ValueError("not three channels")
    return tuple(float(value) for value in three)


def prepared(pixels: Pixels, how: Preparation) -> Float32:
    """Prepare an image as model input, (3, height, width) float32, like open_clip."""
    if how.resize_mode == "shortest":
        pixels = _middle(pixels)
    resample = Image.Resampling.BICUBIC if how.interpolation == "bicubic" else Image.Resampling.BILINEAR
    height, width = _scaled_size(pixels.shape[0], pixels.shape[1], how)
    scaled = Image.fromarray(pixels).resize((width, height), resample)
    if (height, width) != (how.height, how.width):
        scaled = _cropped_or_padded(scaled, how)
    values: Float32 = np.asarray(scaled, np.float32) / np.float32(255)
    values -= np.array(how.mean, np.float32)
    values /= np.array(how.std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _middle(pixels: Pixels) -> Pixels:
    """Crop the middle of a very long image, which would need too much memory when scaled."""
    longest = _MAX_ELONGATED * min(pixels.shape[:2])
    top, left = (max(edge - longest, 0) // 2 for edge in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + longest, left : left + longest])


def _scaled_size(height: int, width: int, how: Preparation) -> tuple[int, int]:
    """Return height and width after scaling, rounded like open_clip."""
    if how.resize_mode == "squash":
        return how.height, how.width
    if how.resize_mode == "shortest" and how.height == how.width:
        edge, short = how.height, min(height, width)
        return int(edge * height / short), int(edge * width / short)
    ratios = height / how.height, width / how.width
    ratio = min(ratios) if how.resize_mode == "shortest" else max(ratios)
    return max(round(height / ratio), 1), max(round(width / ratio), 1)


def _cropped_or_padded(image: Image.Image, how: Preparation) -> Image.Image:
    wide, high = max(image.width, how.width), max(image.height, how.height)
    if (wide, high) != image.size:
        canvas = Image.new("RGB", (wide, high), (how.fill,) * 3)
        canvas.paste(image, ((wide - image.width) // 2, (high - image.height) // 2))
        image = canvas
    left, top = round((wide - how.width) / 2), round((high - how.height) / 2)
    return image.crop((left, top, left + how.width, top + how.height))


class ClipVisual:
    """A loaded encoder for pictures. May be used from several threads at once."""

    def __init__(self, pack: ClipPack, *, provider: str = CPU, threads: int = 1) -> None:
        """Load the network.

        Raises
        ------
        CannotInfer, DamagedFile
            It does not run here, or is not what it should be.
        """
        self.model = pack.model
        self.preparation = preparation(pack)
        self._session = Session(pack.visual, provider, threads=threads, rewrite=False)
        dtype = self._session.inputs[0].dtype
        if len(self._session.inputs) != 1 or dtype is None or dtype.kind != "f":
            raise CannotInfer(
                f"The model {printable(pack.visual)} does not accept images like Immich's CLIP models."
            )

    def embeddings(self, pictures: Sequence[Pixels]) -> Float32:
        """Return embeddings of unit length, (n, dimension) float32.

        Pictures go through the network one at a time, also where it takes more: with more, the last bits
        of a picture's vector depend on how many there are. A ViT-B/32 is as fast either way on a CPU.

        Raises
        ------
        CannotInfer
            The network stopped, or gave something other than one vector.
        """
        vectors = [self._embedding(prepared(pixels, self.preparation)) for pixels in pictures]
        return np.array(vectors, np.float32)

    def _embedding(self, picture: Float32) -> Float32:
        batch = np.repeat(picture[None], self._session.fixed_batch or 1, axis=0)
        return unit_vector(self._session.run(batch)[0])


def unit_vector(output: Any) -> Float32:  # noqa: ANN401 - ONNX Runtime has no types
    """Return the first row of a network's output, normalized to unit length.

    Raises
    ------
    CannotInfer
        It is no vector, or has no length.
    """
    vector = np.asarray(output, np.float32)
    vector = vector[0] if vector.ndim == 2 else vector
    length = float(np.linalg.norm(vector))
    if vector.ndim != 1 or not np.isfinite(length) or length == 0:
        raise CannotInfer(f"The CLIP model did not return an embedding. Try {Field('provider', 'cpu')}.")
    unit: Float32 = vector / np.float32(length)
    return unit
