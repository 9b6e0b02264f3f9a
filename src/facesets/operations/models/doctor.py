"""`doctor`: check this installation, and name the command that repairs each problem."""

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from facesets.clustering import measure_sgemm_gflops
from facesets.errors import typed
from facesets.files import printable
from facesets.imaging.fonts import font_with
from facesets.installation import RIVALS, adding, installed, is_whole, module_at_fault, preferred, repairing
from facesets.machine import cpu_flags, recommended_blas_coretype
from facesets.operations.models.finding import DoctorFinding

_MIN_FREE_BYTES = 1_000_000_000
_LETTERS = {
    "Latin": "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "Greek": "\N{GREEK SMALL LETTER OMEGA}",
    "Cyrillic": "\N{CYRILLIC SMALL LETTER ZHE}",
    "Hebrew": "\N{HEBREW LETTER SHIN}",
    "Arabic": "\N{ARABIC LETTER MEEM}",
    "Devanagari": "\N{DEVANAGARI LETTER PA}",
    "Thai": "\N{THAI CHARACTER SO SUA}",
    "Chinese": "\u738b",
    "Japanese": "\N{HIRAGANA LETTER SA}",
    "Korean": "\N{HANGUL SYLLABLE GIM}",
}
"""A letter of each common script."""


def doctor(
    model_roots: Sequence[Path],
    directories: Sequence[Path],
    pack: str = "",
    body_model: Path | None = None,
) -> list[DoctorFinding]:
    """Check Python packages, accelerators, models and writable folders."""
    return [
        *map(library_finding, RIVALS),
        _matrix_kernel(),
        fonts_finding(),
        *_inference(model_roots, pack, body_model),
        *(directory_finding(directory) for directory in directories),
    ]


def library_finding(module: str) -> DoctorFinding:
    """Check that exactly one distribution provides a module and that it loads."""
    there, keep = installed(module), preferred(module)
    problem = ""
    if len(there) > 1 and not (keep in there and is_whole(keep)):
        problem = f"{' and '.join(sorted(there))} overwrite each other's files"
    elif not there:
        problem = "not installed"
    else:
        try:
            import_module(module)
        except (ImportError, AttributeError) as error:
            problem = f"cannot be loaded ({error})"
    if problem:
        return DoctorFinding(module, "problem", problem, typed(repairing(module)))
    by_name = [name for name in there if len(there) > 1 and name != keep]
    state = f"{keep}; {' and '.join(by_name)} by name only" if by_name else there[0]
    return DoctorFinding(module, "ok", state)


def _inference(model_roots: Sequence[Path], pack: str, body_model: Path | None) -> list[DoctorFinding]:
    """Check model packs and accelerators, if the libraries load."""
    try:
        from facesets.operations.models.doctor_inference import inference_findings
    except (ImportError, AttributeError) as error:
        module = module_at_fault(error)
        repair = typed(repairing(module)) if module else ""
        return [DoctorFinding("inference", "problem", f"cannot be loaded ({error})", repair)]
    return inference_findings(model_roots, pack, body_model)


def _matrix_kernel() -> DoctorFinding:
    rate = measure_sgemm_gflops()
    kernel = recommended_blas_coretype(cpu_flags()) or "its own choice"
    return DoctorFinding("matrix products", "ok", f"{rate:.0f} GFLOP/s (kernel: {kernel})")


def fonts_finding() -> DoctorFinding:
    """Check that names in common scripts can be drawn."""
    lacking = [script for script, letter in _LETTERS.items() if not font_with(letter)]
    if lacking:
        state = f"contact sheets cannot draw names in {', '.join(lacking)}"
        return DoctorFinding("fonts", "note", state, typed(adding("fonts")))
    return DoctorFinding("fonts", "ok", f"names in {', '.join(_LETTERS)} can be drawn")


def directory_finding(directory: Path) -> DoctorFinding:
    """Check that a directory, or its nearest existing parent, is writable."""
    subject = f"directory {printable(directory)}"
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".facesets-doctor."):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        is_own = hasattr(os, "getuid") and existing.stat().st_uid == os.getuid()
        if is_own and error.errno == errno.EACCES:
            repair = typed(("chmod", "u+rwx", printable(existing)))
            return DoctorFinding(subject, "problem", f"not writable ({error.strerror})", repair)
        state = f"not writable ({error.strerror}): choose another folder"
        return DoctorFinding(subject, "problem", state)
    if free < _MIN_FREE_BYTES:
        return DoctorFinding(
            f"directory {printable(directory)}",
            "problem",
            f"only {free / 1e6:.0f} MB free",
            "free some disk space",
        )
    return DoctorFinding(f"directory {printable(directory)}", "ok", f"writable, {free / 1e9:.0f} GB free")
