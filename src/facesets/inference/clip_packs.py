"""CLIP packs: an image and a text encoder, in the layout of Immich's machine-learning service.

    <root>/clip/<name>/config.json
    <root>/clip/<name>/visual/model.onnx, preprocess_cfg.json
    <root>/clip/<name>/textual/model.onnx, tokenizer.json, tokenizer_config.json

A root may be the service's own cache of models.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facesets.errors import Command, DamagedFile, Field, MissingModelPack
from facesets.files import printable, sha256_of
from facesets.inference.catalog import DEFAULT_CLIP, PUBLISHED_CLIP
from facesets.inference.model_files import ModelFile
from facesets.inference.packs import directories_below, pack_directories
from facesets.records import ClipModel

PART = "clip"
"""Folder of CLIP packs below a root."""

_VISUAL = Path("visual", "model.onnx")
_PREPROCESS = Path("visual", "preprocess_cfg.json")
_NEEDED = (_VISUAL, _PREPROCESS)
_FOR_TEXT = (Path("textual", "model.onnx"), Path("textual", "tokenizer.json"))
_OTHER_ENGINES = (".json", ".armnn", ".rknn")

USUAL_LOGIT_SCALE = 100.0
"""Default factor of similarities before a softmax. CLIP learns it with a maximum of 100, which OpenAI's and
open_clip's models reach; the encoders do not contain it.
"""


@dataclass(frozen=True, slots=True)
class ClipPack:
    """A directory with the encoders of one CLIP model."""

    name: str
    path: Path

    @property
    def visual(self) -> Path:
        """Return the model that embeds pictures."""
        return self.path / _VISUAL

    @property
    def textual(self) -> Path:
        """Return the model that embeds texts."""
        return self.path / _FOR_TEXT[0]

    @property
    def knows_texts(self) -> bool:
        """Whether the text encoder is installed."""
        return all((self.path / name).is_file() for name in _FOR_TEXT)

    @property
    def model(self) -> ClipModel:
        """Return the pack's identity: that of the image weights."""
        return ClipModel(self.name, _identity(self.visual))

    def probe(self) -> ModelFile:
        """Return the visual model, as a probe for providers."""
        size = self.preprocessing().get("size")
        edge = size[0] if isinstance(size, list) and size else size
        return ModelFile(self.visual, PART, edge if isinstance(edge, int) else 224, 0.0, 1.0)

    def files(self) -> list[str]:
        """Return the relevant files, by their path in the pack."""
        named = [path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file()]
        return sorted(path.as_posix() for path in named if path.suffix in (".onnx", ".json"))

    def preprocessing(self) -> dict[str, Any]:
        """Read `preprocess_cfg.json`. Raises `DamagedFile`."""
        return self._read(_PREPROCESS)

    def configuration(self) -> dict[str, Any]:
        """Read `config.json`; empty if missing. Raises `DamagedFile`."""
        return self._read(Path("config.json")) if (self.path / "config.json").exists() else {}

    @property
    def logit_scale(self) -> float:
        """Return the factor of similarities: `logit_scale` in `config.json`, else the default.

        The factor itself, not its logarithm, and not its value at the start of training.

        Raises
        ------
        DamagedFile
            The value is not a number above 0.
        """
        scale = self.configuration().get("logit_scale", USUAL_LOGIT_SCALE)
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
            raise damaged(self.path / "config.json", self.name)
        return float(scale)

    def tokenizer_configuration(self) -> dict[str, Any]:
        """Read `tokenizer_config.json`; empty if missing. Raises `DamagedFile`."""
        name = Path("textual", "tokenizer_config.json")
        return self._read(name) if (self.path / name).exists() else {}

    def _read(self, name: Path) -> dict[str, Any]:
        path = self.path / name
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise damaged(path, self.name) from error
        if not isinstance(content, dict):
            raise damaged(path, self.name)
        return content


def damaged(path: Path, pack: str) -> DamagedFile:
    """Describe an unusable file of a CLIP pack."""
    again = (
        f"Download it again with {Command('models pull', pack, Field('force'))}"
        if pack in PUBLISHED_CLIP
        else "Copy it again"
    )
    return DamagedFile(f"{printable(path)} is missing or is not a valid file of a CLIP pack. {again}.")


@cache
def _identity(visual: Path) -> str:
    """Return the hex digest of the model, including external weights."""
    own = sha256_of(visual)
    weight_files = [
        path for path in sorted(visual.parent.iterdir()) if _holds_weights(path) and path != visual
    ]
    if not weight_files:
        return own
    return hashlib.sha256(" ".join([own, *(sha256_of(path) for path in weight_files)]).encode()).hexdigest()


def _holds_weights(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix not in _OTHER_ENGINES


def clip_directories(name: str, roots: Sequence[Path]) -> list[Path]:
    """Return possible folders of a CLIP pack."""
    return pack_directories(name, roots, (PART,))


def installed_clip(roots: Sequence[Path]) -> list[Path]:
    """Return every directory below the roots that is a complete or partial CLIP pack."""
    return [d for d in directories_below(roots, (PART,)) if (d / "visual").is_dir()]


def is_clip(directory: Path) -> bool:
    """Whether a directory is a CLIP pack, complete or not."""
    return (directory / _VISUAL).is_file()


def find_clip(name: str, roots: Sequence[Path]) -> ClipPack:
    """Look up a CLIP pack by path or by name.

    Raises
    ------
    MissingModelPack
        The pack is missing; with how to get it, and the other packs.
    DamagedFile
        The pack has no usable image encoder.
    """
    for directory in clip_directories(name, roots):
        if is_clip(directory):
            return read_clip(directory.absolute())
    others = [d for d in installed_clip(roots) if is_clip(d)]
    elsewhere = Field("clip_pack", printable(others[0]) if others else "PATH")
    fetch = f"Run {Command('models pull', name)}, or use" if name in PUBLISHED_CLIP else "Use"
    empty = next((d for d in clip_directories(name, roots) if d.is_dir()), None)
    missing = (
        f"The CLIP pack {printable(name)} is not installed."
        if empty is None
        else f"The folder {printable(empty)} is not a CLIP pack: {_VISUAL} is missing."
    )
    raise MissingModelPack(f"{missing} {fetch} one that is here: {elsewhere}.")


def read_clip(directory: Path) -> ClipPack:
    """Open a CLIP pack, checking that it can embed images. Raises `DamagedFile`."""
    pack = ClipPack(directory.name, directory)
    for name in _NEEDED:
        if not (directory / name).is_file():
            raise damaged(directory / name, pack.name)
    pack.preprocessing()
    return pack


def default_clip(roots: Sequence[Path]) -> ClipPack | None:
    """Return the default CLIP pack; None if it is not installed."""
    installed = [directory for directory in clip_directories(DEFAULT_CLIP, roots) if is_clip(directory)]
    return read_clip(installed[0].absolute()) if installed else None
