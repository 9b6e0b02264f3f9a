"""Show the content of a store or a manifest as a table."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.interfaces import Store
from facesets.operations.ingest.norms import lacking_norm
from facesets.records import CacheSettings, EnrichState
from facesets.results.duplicates_report import DuplicatesReport
from facesets.results.edits.user_edits import SINGLETONS
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest import ClusterManifest, FaceEntry, RefineManifest
from facesets.results.manifest_json import Manifest, read_any_manifest
from facesets.results.pages.counterparts import sibling_names

WITHOUT_NORM = "faces without norm"
"""The name of the fact that counts faces `enrich` would measure."""

_OF_NO_PERSON = {"alone", "incoherent", "poor"}


@dataclass(frozen=True, slots=True)
class Contents:
    """Facts by name, and a table.

    Attributes
    ----------
    kind : str
        `cache`, `library`, or the format of the manifest.
    facts : dict
        Name to value.
    headings, rows
        The table: persons, face sets, bundles or duplicates; empty for a store.
    """

    kind: str
    facts: dict[str, str | int | float]
    headings: list[str] = field(default_factory=list)
    rows: list[list[str | int | float]] = field(default_factory=list)


def show_store(store: Store, kind: str) -> Contents:
    """Count the content of a store of some kind; errors as the store's `load`."""
    collection = store.load()
    faces, images = collection.faces, collection.images
    files = store.files()
    state = np.zeros(len(faces), np.uint8) if faces.enrich_state is None else faces.enrich_state
    facts: dict[str, str | int | float] = {
        kind: store.label,
        "files": len(files),
        "unreadable files": sum(record.reason != "" for record in files.values()),
        "images": len(images),
        "copies of images": sum(len(paths) - 1 for paths in images.paths),
        "images without a face": len(images) - len(np.unique(faces.image)),
        "faces": len(faces),
        "faces enriched": int((state == EnrichState.DONE).sum()),
        "faces not found again": int((state == EnrichState.NOT_FOUND_AGAIN).sum()),
        WITHOUT_NORM: lacking_norm(faces, collection.settings),
    }
    if len(faces):
        facts["median short edge (px)"] = round(float(np.median(faces.face_short)), 1)
        facts["median sharpness"] = round(float(np.median(faces.blur)), 1)
    if faces.norm is not None and np.isfinite(faces.norm).any():
        facts["median norm"] = round(float(np.nanmedian(faces.norm)), 1)
    return Contents(kind, facts | _models(collection.settings))


def show_manifest(path: Path, group: str | None = None) -> Contents:
    """Summarise a manifest, or list the faces of one of its groups.

    Raises
    ------
    WrongUsage
        There is no such group; or as `read_any_manifest`.
    """
    manifest = read_any_manifest(path)
    facts: dict[str, str | int | float] = {"written by": f"facesets {manifest.made.program}"}
    facts["cache"] = manifest.made.cache
    if not isinstance(manifest, SetManifest):
        facts |= {name.replace("_", " "): count for name, count in manifest.counts.items()}
    if not isinstance(manifest, ExportManifest):
        facts["failed"] = len(manifest.failed)
    facts |= _models(manifest.made.models)
    facts |= {f"option {name}": str(value) for name, value in manifest.made.options.items()}
    headings, rows = _table(manifest) if group is None else _faces_of(manifest, group, path)
    if isinstance(manifest, ClusterManifest | RefineManifest):
        sibling = sibling_names(manifest, path if path.is_dir() else path.parent)
        other = "person" if isinstance(manifest, RefineManifest) else "face set"
        if group is not None:
            facts |= {other: sibling[group]} if group in sibling else {}
        elif sibling:
            headings, rows = [*headings, other], [[*row, sibling.get(str(row[0]), "-")] for row in rows]
    return Contents(manifest.FORMAT, facts, headings, rows)


def _models(models: CacheSettings) -> dict[str, str | int | float]:
    return {
        "model pack": models.pack,
        "recognition model": f"{models.recognizer} ({models.recognizer_sha256[:12]})",
        "detector": f"{models.detector} at {models.det_size}, minimum score {models.min_det_score:g}",
    }


def _table(manifest: Manifest) -> tuple[list[str], list[list[str | int | float]]]:
    if isinstance(manifest, ClusterManifest):
        return _cluster_table(manifest)
    if isinstance(manifest, RefineManifest):
        return _refine_table(manifest)
    if isinstance(manifest, ExportManifest):
        headings = ["face set", "faces", "candidates", "rejected", "failed"]
        return headings, [[s.name, s.faces, s.candidates, s.dropped, s.failed] for s in manifest.sets]
    if isinstance(manifest, DuplicatesReport):
        headings = ["keep", "spare", "max. difference (bits)"]
        return headings, [
            [g.images[0].paths[0], len(g.images) - 1, max(i.bits for i in g.images)] for g in manifest.near
        ]
    headings = ["file", "quality", "distance", "masked", "photo"]
    return headings, [
        [f.file, f.quality.total, f.centroid_cosine_distance, f.masked, f.face.paths[0]]
        for f in manifest.faces
    ]


def _cluster_table(manifest: ClusterManifest) -> tuple[list[str], list[list[str | int | float]]]:
    words = sorted(set(manifest.placements.values()) - _OF_NO_PERSON)
    rows: list[list[str | int | float]] = []
    for group in manifest.persons:
        how = [manifest.placements.get(face.face) for face in group.faces]
        rows.append([group.name, len(group.faces), group.images, *(how.count(word) for word in words)])
    return ["person", "faces", "photos", *words], rows


def _faces_of(manifest: Manifest, name: str, path: Path) -> tuple[list[str], list[list[str | int | float]]]:
    """List the faces of one group with photo, placement and quality."""
    groups: dict[str, tuple[FaceEntry, ...]] = {}
    placements: dict[str, str] = {}
    if isinstance(manifest, ClusterManifest):
        groups = {group.name: group.faces for group in manifest.persons} | {SINGLETONS: manifest.singletons}
        placements = manifest.placements
    elif isinstance(manifest, RefineManifest):
        groups = {group.name: group.faces for group in manifest.facesets}
    if name not in groups:
        raise WrongUsage(
            f"{printable(path)} has no person or face set {printable(name)}. Omit {Field('group')} to "
            "list them."
        )
    headings = ["photo", "placement", "quality", "short edge (px)", "sharpness", "norm"]
    return headings, [
        [
            face.paths[0],
            placements.get(face.face, ""),
            face.quality,
            face.face_short,
            face.blur,
            face.norm if isinstance(face.norm, float) else "",
        ]
        for face in groups[name]
    ]


def _refine_table(manifest: RefineManifest) -> tuple[list[str], list[list[str | int | float]]]:
    left_out: dict[str, int] = {}
    for item in manifest.dropped:
        left_out[item.group] = left_out.get(item.group, 0) + 1
    rows: list[list[str | int | float]] = [
        [
            group.name,
            len(group.faces),
            group.images,
            left_out.get(group.name, 0),
            max(face.quality for face in group.faces),
            min(face.quality for face in group.faces),
        ]
        for group in manifest.facesets
    ]
    return ["face set", "faces", "photos", "rejected", "best", "worst"], rows
