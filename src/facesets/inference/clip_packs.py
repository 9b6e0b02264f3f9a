"""CLIP packs: two encoders, for pictures and for texts, in the layout of Immich's machine-learning service.

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
"""Where CLIP packs lie below a root."""

_VISUAL = Path("visual", "model.onnx")
_PREPROCESS = Path("visual", "preprocess_cfg.json")
_NEEDED = (_VISUAL, _PREPROCESS)
_FOR_TEXT = (Path("textual", "model.onnx"), Path("textual", "tokenizer.json"))
_OTHER_ENGINES = (".json", ".armnn", ".rknn")

USUAL_LOGIT_SCALE = 100.0
"""What similarities are multiplied by before a softmax, where a pack does not say. CLIP learns it, and holds
it at 100 at most, which OpenAI's models and those of open_clip reach; the encoders do not contain it."""


@dataclass(frozen=True, slots=True)
class ClipPack:
    """A directory with the encoders of one CLIP model."""

    name: str
    path: Path

    @property
    def visual(self) -> Path:
        """The model that embeds pictures."""
        return self.path / _VISUAL

    @property
    def textual(self) -> Path:
        """The model that embeds texts."""
        return self.path / _FOR_TEXT[0]

    @property
    def knows_texts(self) -> bool:
        """Whether the part for texts is there."""
        return all((self.path / name).is_file() for name in _FOR_TEXT)

    @property
    def model(self) -> ClipModel:
        """Its identity, which is that of the weights for pictures."""
        return ClipModel(self.name, _identity(self.visual))

    def probe(self) -> ModelFile:
        """The visual model as something to try a provider with."""
        size = self.preprocessing().get("size")
        edge = size[0] if isinstance(size, list) and size else size
        return ModelFile(self.visual, PART, edge if isinstance(edge, int) else 224, 0.0, 1.0)

    def files(self) -> list[str]:
        """The files that matter, by their path in the pack."""
        named = [path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file()]
        return sorted(path.as_posix() for path in named if path.suffix in (".onnx", ".json"))

    def preprocessing(self) -> dict[str, Any]:
        """What `preprocess_cfg.json` says. Raises `DamagedFile`."""
        return self._read(_PREPROCESS)

    def configuration(self) -> dict[str, Any]:
        """What `config.json` says; nothing where it is not there. Raises `DamagedFile`."""
        return self._read(Path("config.json")) if (self.path / "config.json").exists() else {}

    @property
    def logit_scale(self) -> float:
        """What cosine similarities are multiplied by: `logit_scale` in `config.json`, else the usual one.

        The factor itself, not its logarithm; what a model started its training with is not meant.

        Raises
        ------
        DamagedFile
            It is no number above 0.
        """
        scale = self.configuration().get("logit_scale", USUAL_LOGIT_SCALE)
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
            raise damaged(self.path / "config.json", self.name)
        return float(scale)

    def tokenizer_configuration(self) -> dict[str, Any]:
        """What `tokenizer_config.json` says; nothing where it is not there. Raises `DamagedFile`."""
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
    """What to say of a file of a CLIP pack that cannot be used."""
    again = (
        f"Fetch it again: {Command('models pull', pack, Field('force'))}"
        if pack in PUBLISHED_CLIP
        else "Copy it again"
    )
    return DamagedFile(f"{printable(path)} is missing or not what belongs into a CLIP pack. {again}.")


@cache
def _identity(visual: Path) -> str:
    """Hex digest of the model, and of the weights beside it where it is too large for one file."""
    own = sha256_of(visual)
    beside = [path for path in sorted(visual.parent.iterdir()) if _holds_weights(path) and path != visual]
    if not beside:
        return own
    return hashlib.sha256(" ".join([own, *(sha256_of(path) for path in beside)]).encode()).hexdigest()


def _holds_weights(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix not in _OTHER_ENGINES


def clip_directories(name: str, roots: Sequence[Path]) -> list[Path]:
    """Where a CLIP pack of that name may lie."""
    return pack_directories(name, roots, (PART,))


def installed_clip(roots: Sequence[Path]) -> list[Path]:
    """Every directory below the roots that is a CLIP pack, or what is left of one."""
    return [d for d in directories_below(roots, (PART,)) if (d / "visual").is_dir()]


def is_clip(directory: Path) -> bool:
    """Whether a directory is a CLIP pack, whole or not."""
    return (directory / _VISUAL).is_file()


def find_clip(name: str, roots: Sequence[Path]) -> ClipPack:
    """Look up a CLIP pack by path or by name.

    Raises
    ------
    MissingModelPack
        There is none; the sentence says how to get it and which other packs are there.
    DamagedFile
        It has no encoder for pictures that can be used.
    """
    for directory in clip_directories(name, roots):
        if is_clip(directory):
            return read_clip(directory.absolute())
    others = [d for d in installed_clip(roots) if is_clip(d)]
    elsewhere = Field("clip_pack", printable(others[0]) if others else "PATH")
    fetch = f"Run {Command('models pull', name)}, or use" if name in PUBLISHED_CLIP else "Use"
    empty = next((d for d in clip_directories(name, roots) if d.is_dir()), None)
    missing = (
        f"The CLIP pack {printable(name)} is not on this machine."
        if empty is None
        else f"The folder {printable(empty)} is no CLIP pack: {_VISUAL} is missing."
    )
    raise MissingModelPack(f"{missing} {fetch} one that is here: {elsewhere}.")


def read_clip(directory: Path) -> ClipPack:
    """A CLIP pack, after a look at whether it can embed pictures. Raises `DamagedFile`."""
    pack = ClipPack(directory.name, directory)
    for name in _NEEDED:
        if not (directory / name).is_file():
            raise damaged(directory / name, pack.name)
    pack.preprocessing()
    return pack


def default_clip(roots: Sequence[Path]) -> ClipPack | None:
    """The CLIP pack to use where none is named; None when it is not here."""
    here = [directory for directory in clip_directories(DEFAULT_CLIP, roots) if is_clip(directory)]
    return read_clip(here[0].absolute()) if here else None
