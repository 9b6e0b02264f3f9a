"""Find a working accelerator: tested with a real model against the CPU."""

import sys
from dataclasses import dataclass

import numpy as np
import onnxruntime

from facesets.errors import CannotInfer, Field, Sentence, WrongUsage, typed
from facesets.inference.model_files import ModelFile
from facesets.inference.recognizer import Recognizer
from facesets.inference.session import CPU
from facesets.installation import RUNTIMES, adding, installed, repairing

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": CPU,
}
"""ONNX Runtime's provider names by ours, best first."""

_PLATFORMS = {
    "cuda": ("linux", "win32"),
    "directml": ("win32",),
    "coreml": ("darwin",),
}

MIN_COSINE_SIMILARITY_TO_CPU = 0.99
_TRIED = 3
"""Pictures in the batch that tests a provider."""


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The chosen provider, and why better ones were rejected."""

    name: str
    passed_over: tuple[tuple[str, str], ...]

    @property
    def provider(self) -> str:
        """Return ONNX Runtime's name for the provider."""
        return PROVIDERS[self.name]

    def sentence(self) -> Sentence:
        """Return one line for the user."""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.passed_over)
        return Sentence(f"Running on {self.name}" + (f" ({reasons})." if reasons else "."))


def choose_provider(wanted: str, model: ModelFile) -> ProviderChoice:
    """Choose the best working provider, or the requested one.

    Parameters
    ----------
    wanted : str
        `auto` or a key of `PROVIDERS`.
    model : ModelFile
        A recognizer to try it with.

    Raises
    ------
    WrongUsage
        The name is not a provider's.
    CannotInfer
        The provider asked for does not work on this machine.
    """
    if wanted == "cpu":
        return ProviderChoice("cpu", ())
    if wanted != "auto":
        if wanted not in PROVIDERS:
            raise WrongUsage(f"Unknown provider {wanted}. Choose from: auto, {', '.join(PROVIDERS)}.")
        problem = why_not(wanted, model)
        if problem:
            raise CannotInfer(
                f"{Field('provider', wanted)} does not work here: {problem}. Use {Field('provider', 'auto')}."
            )
        return ProviderChoice(wanted, ())
    passed_over: list[tuple[str, str]] = []
    for name in candidates():
        problem = why_not(name, model)
        if problem is None:
            return ProviderChoice(name, tuple(passed_over))
        passed_over.append((name, problem))
    raise AssertionError("the CPU always works")


def candidates() -> list[str]:
    """Return our names of the providers for this operating system, best first."""
    return [name for name in PROVIDERS if name == "cpu" or sys.platform in _PLATFORMS[name]]


def why_not(name: str, model: ModelFile) -> str | None:
    """Return why a provider cannot be used, or None if it gives the same results as the CPU.

    ONNX Runtime lists what its build contains, and falls back to the CPU without a word where that
    does not work: so the list alone proves nothing.
    """
    if name == "cpu":
        return None
    provider = PROVIDERS[name]
    if provider not in onnxruntime.get_available_providers():
        return _explain_lack(name)
    try:
        tried = Recognizer(model, provider=provider, batch_size=_TRIED)
        if tried.provider != provider:
            return "it is built in but failed to start (a driver or library is missing)"
        return _differs(tried, Recognizer(model))
    except CannotInfer as error:
        return error.sentence


def repair_of(name: str) -> tuple[str, ...]:
    """Return the command that installs an ONNX Runtime with a missing provider, if any."""
    if name not in RUNTIMES:
        return ()
    return repairing("onnxruntime") if RUNTIMES[name] in installed("onnxruntime") else adding(name)


def _explain_lack(name: str) -> str:
    runtimes = installed("onnxruntime")
    if RUNTIMES.get(name) not in runtimes:
        how = f"; to install one that has it, run `{typed(repair_of(name))}`" if name in RUNTIMES else ""
        return f"not in this ONNX Runtime{how}"
    others = " and ".join(each for each in runtimes if each != RUNTIMES[name])
    return (
        f"{RUNTIMES[name]} is overwritten by {others or 'another package'}; to repair it, run "
        f"`{typed(repair_of(name))}`"
    )


def _differs(tried: Recognizer, reference: Recognizer) -> str | None:
    shape = (_TRIED, tried.input_size, tried.input_size, 3)
    pictures = list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    similarity = float((tried.embeddings(pictures) * reference.embeddings(pictures)).sum(axis=1).min())
    if similarity >= MIN_COSINE_SIMILARITY_TO_CPU:
        return None
    return f"its results differ from the CPU's (cosine similarity {similarity:.3f})"
