"""Which accelerator really works: tried once with a real model, compared with the CPU."""

import sys
from dataclasses import dataclass

import numpy as np
import onnxruntime

from facesets.errors import CannotInfer, WrongUsage
from facesets.inference.packs import ModelFile
from facesets.inference.session import CPU, Session

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": CPU,
}
"""Our names, best first, and ONNX Runtime's."""

_PLATFORMS = {
    "cuda": ("linux", "win32"),
    "directml": ("win32",),
    "coreml": ("darwin",),
}

MIN_COSINE_SIMILARITY_TO_CPU = 0.99


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider taken, and why the better ones were passed over."""

    name: str
    passed_over: tuple[tuple[str, str], ...]

    @property
    def provider(self) -> str:
        """ONNX Runtime's name for it."""
        return PROVIDERS[self.name]

    def sentence(self) -> str:
        """One line for the user."""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.passed_over)
        return f"Running on {self.name}" + (f" ({reasons})." if reasons else ".")


def choose_provider(wanted: str, model: ModelFile) -> Choice:
    """The best provider that works here, or the one asked for.

    Parameters
    ----------
    wanted : str
        `auto` or a key of `PROVIDERS`.
    model : ModelFile
        A recogniser to try it with.

    Raises
    ------
    WrongUsage
        No provider has that name.
    CannotInfer
        The provider asked for does not work on this machine.
    """
    if wanted == "cpu":
        return Choice("cpu", ())
    if wanted != "auto":
        if wanted not in PROVIDERS:
            raise WrongUsage(f"There is no provider {wanted}. Choose from: auto, {', '.join(PROVIDERS)}.")
        problem = why_not(wanted, model)
        if problem:
            raise CannotInfer(f"--provider {wanted} does not work here: {problem}. Use --provider auto.")
        return Choice(wanted, ())
    passed_over: list[tuple[str, str]] = []
    for name in candidates():
        problem = why_not(name, model)
        if problem is None:
            return Choice(name, tuple(passed_over))
        passed_over.append((name, problem))
    raise AssertionError("the CPU always works")


def candidates() -> list[str]:
    """Our names of the providers that exist for this operating system, best first."""
    return [name for name in PROVIDERS if name == "cpu" or sys.platform in _PLATFORMS[name]]


def why_not(name: str, model: ModelFile) -> str | None:
    """Why a provider cannot be used here, or None when a model ran on it as it does on the CPU.

    ONNX Runtime lists what its build contains, and falls back to the CPU without a word where that
    does not work: so the list alone proves nothing.
    """
    if name == "cpu":
        return None
    provider = PROVIDERS[name]
    if provider not in onnxruntime.get_available_providers():
        return f"not in this ONNX Runtime, `scripts/install {name}` installs one that has it"
    try:
        session = Session(model.path, provider)
        if session.provider != provider:
            return "it is built in but did not start (a driver or library is missing)"
        return _differs(session, Session(model.path), model)
    except CannotInfer as error:
        return str(error)


def _differs(tried: Session, reference: Session, model: ModelFile) -> str | None:
    edge = model.input_size or 112
    sample = np.random.default_rng(0).standard_normal((1, 3, edge, edge)).astype(np.float32)
    a, b = tried.run(sample)[0].ravel(), reference.run(sample)[0].ravel()
    similarity = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
    if similarity >= MIN_COSINE_SIMILARITY_TO_CPU:
        return None
    return f"its results differ from the CPU's (cosine similarity {similarity:.3f})"
