"""The checks of `doctor` that need ONNX Runtime: model packs and accelerators."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from facesets.errors import FacesetsError, typed
from facesets.files import printable
from facesets.inference.bodies import BodyDetector
from facesets.inference.body_models import find_body_model
from facesets.inference.catalog import CONVERTED, DEFAULT_BODY, DEFAULT_CLIP, OPEN_PACK, PUBLISHED
from facesets.inference.clip_packs import default_clip
from facesets.inference.model_files import ModelFile
from facesets.inference.packs import (
    DEFAULT_PACK,
    find_pack,
    installed,
    pack_directories,
    read_pack,
    usual_pack,
)
from facesets.inference.providers import candidates, repair_of, why_not
from facesets.operations.models.finding import DoctorFinding
from facesets.operations.models.pull import both_ways, can_be_fetched


def inference_findings(
    roots: Sequence[Path], pack: str = "", body_model: Path | None = None
) -> list[DoctorFinding]:
    """Check the model pack, the CLIP pack, the body model, and the accelerators."""
    model, name = _any_recognizer(roots), usual_pack(pack, roots)
    return [
        *_pack(roots, name),
        _clip_pack(roots),
        _body_model(roots, name, body_model),
        *(_providers(model) if model is not None else []),
    ]


def _pack(roots: Sequence[Path], name: str) -> list[DoctorFinding]:
    subject = f"model pack {printable(name)}"
    try:
        pack = find_pack(name, roots)
    except FacesetsError as error:
        others = installed(roots)
        sentence, repair = _missing_pack_finding(name, error.sentence, roots)
        if others:
            there, own = printable(others[0]), printable(others[0].name)
            used = f'missing, but {there} is installed; to use it, set pack = "{own}" in facesets.toml'
            return [DoctorFinding(subject, "note", used, repair)]
        return [DoctorFinding(subject, "problem", sentence, repair)]
    found = DoctorFinding(subject, "ok", printable(pack.path))
    return [found, DoctorFinding(subject, "note", pack.note)] if pack.note else [found]


def _missing_pack_finding(name: str, missing: str, roots: Sequence[Path]) -> tuple[str, str]:
    """Describe a missing pack, and the command that fetches it or another."""
    if name not in PUBLISHED and name not in CONVERTED:
        return missing, ""
    if can_be_fetched(name):
        return missing, f"facesets models pull {name}"
    if name in CONVERTED or not can_be_fetched(OPEN_PACK):
        return (missing if name in CONVERTED else both_ways(name, roots)), ""
    taken = "which `run` and `index` use instead" if name == DEFAULT_PACK else 'with pack = "open"'
    sentence = f"missing, and it cannot be downloaded from here. The open pack can be, {taken}"
    return sentence, f"facesets models pull {OPEN_PACK}"


def _fetching(name: str) -> tuple[str, str]:
    """Describe whether a missing model can be fetched, and the command for it."""
    works = can_be_fetched(name)
    return ("", f"facesets models pull {name}") if works else ("; it cannot be downloaded from here", "")


def _clip_pack(roots: Sequence[Path]) -> DoctorFinding:
    subject = f"CLIP pack {DEFAULT_CLIP}"
    try:
        pack = default_clip(roots)
    except FacesetsError as error:
        return DoctorFinding(
            subject, "problem", error.sentence, f"facesets models pull {DEFAULT_CLIP} --force"
        )
    if pack is None:
        more, repair = _fetching(DEFAULT_CLIP)
        return DoctorFinding(subject, "note", f"missing; text search is not available{more}", repair)
    return DoctorFinding(subject, "ok", printable(pack.path))


def _body_model(roots: Sequence[Path], pack: str, named: Path | None) -> DoctorFinding:
    """Check the body model that is named or used."""
    places = [d for d in pack_directories(pack, roots) if d.is_dir()]
    path = named or find_body_model(roots, next(iter(places), None))
    if path is None:
        more, repair = _fetching(DEFAULT_BODY)
        return DoctorFinding(
            f"body model {DEFAULT_BODY}", "note", f"missing; body detection is not available{more}", repair
        )
    subject = f"body model {printable(path)}"
    try:
        return DoctorFinding(subject, "ok", BodyDetector(path).describe())
    except FacesetsError as error:
        return DoctorFinding(subject, "problem", error.sentence)


def _any_recognizer(roots: Sequence[Path]) -> ModelFile | None:
    for directory in installed(roots):
        try:
            return read_pack(directory).recognizer
        except FacesetsError:
            continue
    return None


def _providers(model: ModelFile) -> list[DoctorFinding]:
    findings = []
    for name in candidates():
        reason = why_not(name, model)
        if reason is None:
            findings.append(DoctorFinding(f"provider {name}", "ok", "works"))
        else:
            findings.append(DoctorFinding(f"provider {name}", "note", reason, _gpu_repair(name)))
    return findings


def _gpu_repair(name: str) -> str:
    if name == "cuda" and shutil.which("nvidia-smi"):
        return typed(repair_of(name))
    return ""
