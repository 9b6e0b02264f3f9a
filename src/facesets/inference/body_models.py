"""Find body models on this machine: ONNX files in a folder `body`, of a pack or beside packs."""

from collections.abc import Sequence
from pathlib import Path

PART = "body"
_PLACES = (f"models/{PART}", PART)


def body_models(roots: Sequence[Path]) -> list[Path]:
    """Return every body model beside the packs, in order of preference."""
    folders = [root / place for root in roots for place in _PLACES]
    return [path.absolute() for folder in folders for path in sorted(folder.glob("*.onnx"))]


def find_body_model(roots: Sequence[Path], pack: Path | None = None) -> Path | None:
    """Return the default body model: the pack's own, else the first beside the packs."""
    own = [] if pack is None else sorted((pack / PART).glob("*.onnx"))
    return next(iter([*own, *body_models(roots)]), None)


def pulled_to(roots: Sequence[Path], name: str) -> Path:
    """Return the path for a downloaded body model."""
    return roots[0] / _PLACES[0] / f"{name}.onnx"
