"""`doctor`: what is wrong with this installation, each with the command that repairs it."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from facesets.blas_kernel import cpu_flags, recommended_blas_coretype
from facesets.clustering import measure_sgemm_gflops
from facesets.errors import quoted
from facesets.files import printable
from facesets.operations.models.finding import DoctorFinding

_CV2 = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_ONNXRUNTIME = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
_LEAST_FREE_BYTES = 1_000_000_000


def doctor(
    model_roots: Sequence[Path],
    directories: Sequence[Path],
    pack: str = "",
    body_model: Path | None = None,
) -> list[DoctorFinding]:
    """Look at libraries, accelerators, models and the directories that will be written to."""
    names = installed_names()
    libraries = [
        one_of(names, _CV2, "cv2", keep=_CV2[0]),
        one_of(names, _ONNXRUNTIME, "onnxruntime", keep=_preferred_runtime(names)),
    ]
    return [
        *libraries,
        _matrix_kernel(),
        *_inference(model_roots, pack, body_model),
        *(_directory(directory) for directory in directories),
    ]


def installed_names() -> list[str]:
    """Names of all distributions; what an interrupted uninstall left behind has none."""
    metadata = [distribution.metadata for distribution in importlib.metadata.distributions()]
    return [str(name).lower() for fields in metadata if fields and (name := fields["Name"])]


def _inference(model_roots: Sequence[Path], pack: str, body_model: Path | None) -> list[DoctorFinding]:
    """Model packs and accelerators; needs ONNX Runtime to be whole, which is what may be wrong."""
    try:
        from facesets.operations.models.doctor_inference import inference_findings
    except (ImportError, AttributeError) as error:
        keep = _preferred_runtime(installed_names())
        return [
            DoctorFinding(
                "inference",
                "problem",
                f"cannot be loaded ({error})",
                f"pip install --force-reinstall --no-deps {keep}",
            )
        ]
    return inference_findings(model_roots, pack, body_model)


def one_of(names: Iterable[str], rivals: Sequence[str], module: str, *, keep: str) -> DoctorFinding:
    """Whether exactly one distribution provides a module: two overwrite each other file by file."""
    there = sorted(set(rivals) & set(names))
    if len(there) == 1:
        return DoctorFinding(module, "ok", there[0])
    if not there:
        return DoctorFinding(module, "problem", "not installed", f"pip install {keep}")
    return DoctorFinding(
        module,
        "problem",
        f"{' and '.join(there)} overwrite each other",
        f"pip uninstall -y {' '.join(there)} && pip install --no-deps {keep}",
    )


def _preferred_runtime(names: Sequence[str]) -> str:
    accelerated = [name for name in _ONNXRUNTIME[1:] if name in names]
    return accelerated[0] if accelerated else _ONNXRUNTIME[0]


def _matrix_kernel() -> DoctorFinding:
    rate = measure_sgemm_gflops()
    kernel = recommended_blas_coretype(cpu_flags()) or "its own choice"
    return DoctorFinding("matrix products", "ok", f"{rate:.0f} GFLOP/s (kernel: {kernel})")


def _directory(directory: Path) -> DoctorFinding:
    """Whether a directory, or the nearest one above it that exists, can be written to."""
    subject = f"directory {printable(directory)}"
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".facesets-doctor."):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        return DoctorFinding(
            subject,
            "problem",
            f"cannot be written to ({error.strerror})",
            f'sudo chown "$USER" {quoted(printable(existing))}',
        )
    if free < _LEAST_FREE_BYTES:
        return DoctorFinding(
            f"directory {printable(directory)}",
            "problem",
            f"only {free / 1e6:.0f} MB free",
            "free some space",
        )
    return DoctorFinding(f"directory {printable(directory)}", "ok", f"writable, {free / 1e9:.0f} GB free")
