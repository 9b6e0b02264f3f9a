"""The part of `doctor` that needs ONNX Runtime: model packs and accelerators."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from facesets.errors import Command, FacesetsError
from facesets.files import printable
from facesets.inference.bodies import BodyDetector
from facesets.inference.body_models import find_body_model
from facesets.inference.catalog import CONVERTED, DEFAULT_BODY, DEFAULT_CLIP, PUBLISHED
from facesets.inference.clip_packs import default_clip
from facesets.inference.model_files import ModelFile
from facesets.inference.packs import find_pack, installed, pack_directories, read_pack, usual_pack
from facesets.inference.providers import candidates, why_not
from facesets.operations.models.finding import DoctorFinding


def inference_findings(
    roots: Sequence[Path], pack: str = "", body_model: Path | None = None
) -> list[DoctorFinding]:
    """Whether there is the pack of the settings, else the usual one, and which accelerators work."""
    model, name = _any_recogniser(roots), usual_pack(pack, roots)
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
        published = name in PUBLISHED or name in CONVERTED
        repair = Command("models pull", name).line if published else ""
        if others:
            there, own = printable(others[0]), printable(others[0].name)
            used = f'missing, but there is {there}, which pack = "{own}" in facesets.toml takes in its place'
            return [DoctorFinding(subject, "note", used, repair)]
        return [DoctorFinding(subject, "problem", error.sentence, repair)]
    found = DoctorFinding(subject, "ok", printable(pack.path))
    return [found, DoctorFinding(subject, "note", pack.note)] if pack.note else [found]


def _clip_pack(roots: Sequence[Path]) -> DoctorFinding:
    subject = f"CLIP pack {DEFAULT_CLIP}"
    repair = f"facesets models pull {DEFAULT_CLIP}"
    try:
        pack = default_clip(roots)
    except FacesetsError as error:
        return DoctorFinding(subject, "problem", error.sentence, f"{repair} --force")
    if pack is None:
        return DoctorFinding(subject, "note", "missing: `search` finds no photos by words", repair)
    return DoctorFinding(subject, "ok", printable(pack.path))


def _body_model(roots: Sequence[Path], pack: str, named: Path | None) -> DoctorFinding:
    """What the body model is that was named, or that is used: or why it cannot be."""
    places = [d for d in pack_directories(pack, roots) if d.is_dir()]
    path = named or find_body_model(roots, next(iter(places), None))
    if path is None:
        repair = f"facesets models pull {DEFAULT_BODY}"
        return DoctorFinding(
            f"body model {DEFAULT_BODY}", "note", "missing: no bodies are found on photos", repair
        )
    subject = f"body model {printable(path)}"
    try:
        return DoctorFinding(subject, "ok", BodyDetector(path).describe())
    except FacesetsError as error:
        return DoctorFinding(subject, "problem", error.sentence)


def _any_recogniser(roots: Sequence[Path]) -> ModelFile | None:
    for directory in installed(roots):
        try:
            return read_pack(directory).recogniser
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
        return "scripts/install cuda"
    return ""
