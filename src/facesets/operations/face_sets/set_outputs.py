"""Write the files of a set for other programs: bundles, a folder of images, face models."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from facesets.errors import FacesetsError
from facesets.formats.bundle import bundle_names, write_bundle
from facesets.formats.face_models.archive import write_archive
from facesets.formats.face_models.face_model import LEAD_COLUMNS, FaceModel, PersonRead
from facesets.formats.face_models.kinds import (
    BUNDLE_SUFFIX,
    SHARED_FILES,
    Format,
    images_folder,
    model_name,
    own_file,
)
from facesets.formats.face_models.reactor import reactor_bytes
from facesets.formats.face_models.rope import read_rope, rope_bytes
from facesets.formats.face_models.visomaster import read_visomaster, visomaster_bytes
from facesets.interfaces import Progress
from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.plan import ExportPlan
from facesets.operations.face_sets.selection import chosen_faces
from facesets.operations.face_sets.single_face_crop import SingleFace
from facesets.operations.options.results import ExportSwapOptions
from facesets.records import Faces, Float32
from facesets.results.export_manifest import SetEntry
from facesets.results.folder import ResultFolder
from facesets.results.names.file_names import label_of_folder
from facesets.results.names.group_names import png_name

WrittenCrop = tuple[int, str, SingleFace]
"""Row of the store, file relative to the export, and the crop in it."""

_MODELS: tuple[Format, ...] = ("safetensors", "visomaster", "rope", "npz")
_BYTES_OF_PEOPLE = {"visomaster": visomaster_bytes, "rope": rope_bytes}
_READ_PEOPLE = {"visomaster": read_visomaster, "rope": read_rope}


def possible_outputs(name: str, faces: int, options: ExportSwapOptions) -> list[str]:
    """Return every file that a face set may get beside its crops, relative to its folder."""
    folder = images_folder(name, options.top_n)
    names: dict[Format, list[str]] = {kind: [model_name(name, kind)] for kind in _MODELS}
    names["fsz"] = [*bundle_names(name, options.top_n)]
    names["images"] = [f"{folder}/{png_name(name, rank)}" for rank in range(faces)]
    return [file for kind in options.formats for file in names[kind]]


def counted_outputs(names: Sequence[str]) -> tuple[int, int]:
    """Count the bundles and the other files of a set; a folder counts as one."""
    bundles = sum(name.endswith(BUNDLE_SUFFIX) for name in names)
    return bundles, len({name.partition("/")[0] for name in names if not name.endswith(BUNDLE_SUFFIX)})


def write_outputs(
    folder: ResultFolder, run: ExportRun, name: str, crops: Sequence[WrittenCrop]
) -> tuple[str, ...]:
    """Write a set's files in the requested formats; return their names within the set's folder.

    Parameters
    ----------
    crops : sequence of WrittenCrop
        The faces of the set, best first.
    """
    formats, top_n = run.options.formats, run.options.top_n
    ranked = np.array([row for row, _, _ in crops], np.int64)
    best = chosen_faces(run.collection, ranked, run.rating, run.options).tolist()
    paths: dict[int, Path] = {row: folder.root / PurePosixPath(file) for row, file, _ in crops}
    chosen = [paths[row] for row in best]
    written: list[str] = []
    if "fsz" in formats:
        for bundle, pngs in zip(bundle_names(name, top_n), (chosen, [*paths.values()]), strict=True):
            folder.write_with(f"{name}/{bundle}", partial(write_bundle, pngs=pngs))
            written.append(bundle)
    if "images" in formats:
        for png in chosen:
            image = f"{images_folder(name, top_n)}/{png.name}"
            folder.write(f"{name}/{image}", png.read_bytes())
            written.append(image)
    wanted = [kind for kind in _MODELS if kind in formats]
    if wanted:
        faces = {row: crop for row, _, crop in crops}
        model = _model(run, name, [(row, paths[row].name, faces[row]) for row in best])
        for kind in wanted:
            file = model_name(name, kind)
            _write_model(folder, f"{name}/{file}", kind, model, run)
            written.append(file)
    return tuple(written)


def _write_model(folder: ResultFolder, file: str, kind: Format, model: FaceModel, run: ExportRun) -> None:
    if kind == "npz":
        folder.write_with(file, partial(write_archive, model=model, models=run.collection.settings))
    elif kind == "safetensors":
        folder.write(file, reactor_bytes(model))
    else:
        folder.write(file, _BYTES_OF_PEOPLE[kind]([(model.name, model.mean)]))


def _model(run: ExportRun, name: str, chosen: Sequence[WrittenCrop]) -> FaceModel:
    """Return the face model of the chosen faces."""
    modeller = run.modeller_needed
    raw = [modeller.raw_embeddings(crop.crop, crop.found.kps) for _, _, crop in chosen]
    rows = [row for row, _, _ in chosen]
    return FaceModel(
        name=label_of_folder(PurePosixPath(name).name),
        embeddings=np.concatenate(raw).astype(np.float32),
        files=tuple(file for _, file, _ in chosen),
        scores=run.rating[rows].astype(np.float32),
        lead=_lead(run, *chosen[0]) if "safetensors" in run.options.formats else None,
    )


def _lead(run: ExportRun, row: int, _: str, crop: SingleFace) -> Faces:
    """Return the person's lead face in its crop; columns that the pack cannot compute come from the store."""
    face = run.modeller_needed.with_lead_columns(crop.crop, crop.found)
    columns = {name: column[[row]] for name, column in run.collection.faces.columns().items()}
    missing: dict[str, Any] = {
        name: _in_crop(name, columns[name], crop) for name in LEAD_COLUMNS if getattr(face, name) is None
    }
    return replace(face, **missing)


def _in_crop(name: str, column: Float32, crop: SingleFace) -> Float32:
    """Return a column of the store in pixels of the crop."""
    size = crop.crop.shape[0]
    if name == "landmark_2d_106":
        return crop.square.to_crop(column, size)
    if name == "landmark_3d_68":
        flat = crop.square.to_crop(column[..., :2], size)
        return np.concatenate([flat, column[..., 2:] * np.float32(size / crop.square.edge)], axis=-1)
    return column


def combined_models(root: Path, entries: Sequence[SetEntry], progress: Progress) -> dict[str, bytes]:
    """Combine the models of an export's sets into files of all people: contents by file name.

    Sets without a model, or with a damaged one, are left out.
    """
    files: dict[str, bytes] = {}
    for kind, name in SHARED_FILES.items():
        people: list[PersonRead] = []
        for entry in entries:
            own = own_file(entry.bundles, kind)
            if not own:
                continue
            try:
                people += _READ_PEOPLE[kind](root / entry.name / own).people
            except FacesetsError as error:
                progress.say(error.sentence)
        if people:
            files[name] = _BYTES_OF_PEOPLE[kind]((each.name, each.embedding) for each in people)
    return files


def combined_model_names(run: ExportRun, plan: ExportPlan) -> list[str]:
    """Return the names of the files that `combined_models` may make."""
    entries = [*plan.remaining_sets, *(planned.before for planned in plan.sets if planned.before is not None)]
    return [
        name
        for kind, name in SHARED_FILES.items()
        if kind in run.options.formats or any(own_file(entry.bundles, kind) for entry in entries)
    ]
