"""`doctor`: what is wrong with this installation, each with the command that mends it."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.clustering import measure_sgemm_gflops
from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.inference.packs import DEFAULT_PACK, ModelFile, find_pack, installed, read_pack
from facesets.inference.providers import candidates, why_not
from facesets.kernel import cpu_flags, recommended_blas_coretype

_CV2 = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
_LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    subject, state : str
    level : str
        `ok`; `note` for what could be better; `problem` for what stops commands from working.
    repair : str
        The command that mends it; empty when there is nothing to mend.
    """

    subject: str
    level: str
    state: str
    repair: str = ""


def doctor(model_roots: Sequence[Path], directories: Sequence[Path]) -> list[Finding]:
    """Look at libraries, accelerators, model packs and the directories that will be written to."""
    names = [dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()]
    findings = [
        one_of(names, _CV2, "cv2", keep=_CV2[0]),
        one_of(names, _ONNXRUNTIME, "onnxruntime", keep=_preferred_runtime(names)),
        _matrix_kernel(),
        _pack(model_roots),
    ]
    model = _any_recogniser(model_roots)
    if model is not None:
        findings += _providers(model)
    findings += [_directory(directory) for directory in directories]
    return findings


def one_of(names: Iterable[str], rivals: Sequence[str], module: str, *, keep: str) -> Finding:
    """Whether exactly one distribution provides a module: two overwrite each other file by file."""
    there = sorted(set(rivals) & set(names))
    if len(there) == 1:
        return Finding(module, "ok", there[0])
    if not there:
        return Finding(module, "problem", "not installed", f"pip install {keep}")
    return Finding(
        module,
        "problem",
        f"{' and '.join(there)} overwrite each other",
        f"pip uninstall -y {' '.join(there)} && pip install --no-deps {keep}",
    )


def _preferred_runtime(names: Sequence[str]) -> str:
    accelerated = [name for name in _ONNXRUNTIME[1:] if name in names]
    return accelerated[0] if accelerated else _ONNXRUNTIME[0]


def _matrix_kernel() -> Finding:
    rate = measure_sgemm_gflops()
    kernel = recommended_blas_coretype(cpu_flags()) or "its own choice"
    return Finding("matrix products", "ok", f"{rate:.0f} GFLOP/s (kernel: {kernel})")


def _pack(roots: Sequence[Path]) -> Finding:
    subject = f"model pack {DEFAULT_PACK}"
    try:
        return Finding(subject, "ok", printable(find_pack(DEFAULT_PACK, roots).path))
    except FacesetsError as error:
        others = installed(roots)
        repair = f"facesets models pull {DEFAULT_PACK}"
        if others:
            return Finding(subject, "note", f"missing, but there is {printable(others[0])}", repair)
        return Finding(subject, "problem", str(error), repair)


def _any_recogniser(roots: Sequence[Path]) -> ModelFile | None:
    for directory in installed(roots):
        try:
            return read_pack(directory).recogniser
        except FacesetsError:
            continue
    return None


def _providers(model: ModelFile) -> list[Finding]:
    findings = []
    for name in candidates():
        reason = why_not(name, model)
        if reason is None:
            findings.append(Finding(f"provider {name}", "ok", "works"))
        else:
            findings.append(Finding(f"provider {name}", "note", reason, _gpu_repair(name)))
    return findings


def _gpu_repair(name: str) -> str:
    if name == "cuda" and shutil.which("nvidia-smi"):
        return "scripts/install cuda"
    return ""


def _directory(directory: Path) -> Finding:
    """Whether a directory, or the nearest one above it that exists, can be written to."""
    subject = f"directory {printable(directory)}"
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".facesets-doctor."):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(
            subject,
            "problem",
            f"cannot be written to ({error.strerror})",
            f'sudo chown "$USER" {printable(existing)}',
        )
    if free < _LEAST_FREE_BYTES:
        return Finding(
            f"directory {printable(directory)}",
            "problem",
            f"only {free / 1e6:.0f} MB free",
            "free some space",
        )
    return Finding(f"directory {printable(directory)}", "ok", f"writable, {free / 1e9:.0f} GB free")
