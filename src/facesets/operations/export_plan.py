"""What an export will hold: the sets to write, those to leave alone, and the candidates for each."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facesets.clustering import nearest
from facesets.errors import RecogniserMismatch, WrongUsage
from facesets.exports.folders import is_inside
from facesets.exports.manifest import (
    EXPORT_MANIFEST,
    SET_MANIFEST,
    ClusterManifest,
    ExportManifest,
    Provenance,
    RefineManifest,
    SetEntry,
)
from facesets.exports.manifest_files import read_manifest
from facesets.files import printable
from facesets.imaging.quality import quality
from facesets.operations.options import ExportSwapOptions
from facesets.operations.set_selection import centroid_of
from facesets.records import CacheSettings, Collection, Float32, Int64

CANDIDATES = "_candidates"

# Raised when the same inputs give other crops, so that finished sets are made anew.
_CROP_RULES = 1


@dataclass(frozen=True, slots=True)
class PlannedSet:
    """One face set to be written.

    Attributes
    ----------
    name : str
        Its folder.
    source : str
        The manifest and the name in it that the set comes from.
    inputs : str
        Digest of everything that decides about the result.
    rows, candidates : int64 arrays
        Rows of the store; candidates nearest first.
    candidate_distance : mapping
        Row to cosine distance from the set's centroid.
    """

    name: str
    source: str
    inputs: str
    rows: Int64
    candidates: Int64
    candidate_distance: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """All that is decided before a picture is read.

    Attributes
    ----------
    quality : float32 array
        Of every face of the store.
    sets : tuple of PlannedSet
    kept_sets, kept_files
        What lies in the export already and is left alone.
    earlier : mapping
        Every file that the export lists so far.
    """

    made: Provenance
    quality: Float32
    sets: tuple[PlannedSet, ...]
    kept_sets: tuple[SetEntry, ...]
    kept_files: tuple[str, ...]
    earlier: dict[str, str]


def plan_export(
    collection: Collection,
    refine_manifest: Path,
    raw_manifest: Path | None,
    out: Path,
    consumer: CacheSettings,
    options: ExportSwapOptions,
    *,
    made: Provenance,
) -> ExportPlan:
    """Read the manifests, compare recognisers, and settle names; errors as `export_swap`."""
    refined = read_manifest(refine_manifest, RefineManifest)
    _same_recogniser(collection.settings, refined.made.models, refine_manifest)
    _same_recogniser(collection.settings, consumer, consumer.pack)
    rows_by_id = {face: row for row, face in enumerate(collection.face_ids())}
    members = {
        group.name: _rows_of([entry.face for entry in group.faces], rows_by_id, refine_manifest)
        for group in refined.facesets
    }
    rated = quality(collection.faces).total
    candidates = {}
    if options.candidates:
        single = _singletons(raw_manifest, rows_by_id, collection.settings)
        candidates = _matched(collection, members, single, rated, options)
    prefix = f"{refine_manifest.absolute()}#"
    sets = [
        PlannedSet(
            name=name,
            source=prefix + name,
            inputs=_digest(collection, rows, candidates.get(name, {}), consumer, options),
            rows=rows,
            candidates=np.array(sorted(candidates.get(name, {}), key=candidates[name].__getitem__), np.int64)
            if name in candidates
            else np.empty(0, np.int64),
            candidate_distance=candidates.get(name, {}),
        )
        for name, rows in members.items()
    ]
    return _beside_earlier(sets, out, prefix, rated, options, made)


def _same_recogniser(ours: CacheSettings, theirs: CacheSettings, where: Path | str) -> None:
    if ours.recogniser_sha256 != theirs.recogniser_sha256:
        raise RecogniserMismatch(
            f"{printable(where)} has vectors of another recogniser ({theirs.pack}/{theirs.recogniser}) than "
            f"the cache ({ours.pack}/{ours.recogniser}). Use what was made from this cache."
        )


def _rows_of(ids: Sequence[str], rows_by_id: Mapping[str, int], manifest: Path) -> Int64:
    missing = [face for face in ids if face not in rows_by_id]
    if missing:
        raise WrongUsage(
            f"{printable(manifest)} lists {len(missing)} faces that the cache does not hold. Give the cache "
            "that it was made from, or refine again."
        )
    return np.array([rows_by_id[face] for face in ids], np.int64)


def _singletons(raw_manifest: Path | None, rows_by_id: Mapping[str, int], ours: CacheSettings) -> Int64:
    if raw_manifest is None:
        raise WrongUsage(
            "--candidates needs --raw-manifest: the manifest.json that `facesets cluster` wrote."
        )
    raw = read_manifest(raw_manifest, ClusterManifest)
    _same_recogniser(ours, raw.made.models, raw_manifest)
    return _rows_of([entry.face for entry in raw.singletons], rows_by_id, raw_manifest)


def _matched(
    collection: Collection,
    members: Mapping[str, Int64],
    single: Int64,
    rated: Float32,
    options: ExportSwapOptions,
) -> dict[str, dict[int, float]]:
    """For each set the single faces that come nearest to it, with their cosine distances."""
    faces = collection.faces
    in_sets = np.concatenate([np.empty(0, np.int64), *members.values()])
    single = single[~np.isin(single, in_sets)]
    good = (rated[single] >= options.candidate_min_score) & (
        faces.face_short[single] >= options.min_face_short
    )
    single = single[good]
    matched: dict[str, dict[int, float]] = {name: {} for name in members}
    if not len(single) or not members:
        return matched
    references = np.stack([centroid_of(faces.embedding[rows]) for rows in members.values()])
    found = nearest(faces.embedding[single], references)
    names = list(members)
    for row, reference, distance in zip(single, found.reference, found.cosine_distance, strict=True):
        if distance <= options.candidate_match_threshold:
            matched[names[int(reference)]][int(row)] = round(float(distance), 4)
    return matched


def _digest(
    collection: Collection,
    rows: Int64,
    candidates: Mapping[int, float],
    consumer: CacheSettings,
    options: ExportSwapOptions,
) -> str:
    ids = collection.face_ids()
    decisive = {k: v for k, v in asdict(options).items() if k not in {"dry_run", "sheet", "merge"}}
    facts = {
        "rules": _CROP_RULES,
        "options": decisive,
        "consumer": asdict(consumer),
        "faces": [ids[row] for row in rows],
        "candidates": {ids[row]: distance for row, distance in candidates.items()},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _beside_earlier(
    sets: Sequence[PlannedSet],
    out: Path,
    prefix: str,
    rated: Float32,
    options: ExportSwapOptions,
    made: Provenance,
) -> ExportPlan:
    """Fit the sets into what lies in the export already."""
    if not (out / EXPORT_MANIFEST).is_file():
        return ExportPlan(made, rated, tuple(sets), (), (), {})
    before = read_manifest(out / EXPORT_MANIFEST, ExportManifest)
    entries = [entry for entry in before.sets if is_inside(entry.name)]
    listed = [n for e in entries for n in names_of_set(e.name, e.faces, e.candidates, e.bundles)]
    earlier = dict.fromkeys([*listed, *before.sheets], "")
    if not options.merge:
        foreign = [entry.name for entry in entries if not entry.source.startswith(prefix)]
        if foreign:
            raise WrongUsage(
                f"{printable(out)} holds sets from another manifest ({foreign[0]} and {len(foreign) - 1} "
                "more). Use --merge to add to them, or choose another OUT."
            )
        return ExportPlan(made, rated, tuple(sets), (), (), earlier)
    # A set whose folder the user took away is no part of the export any more.
    entries = [entry for entry in entries if (out / entry.name / SET_MANIFEST).is_file()]
    known = {entry.source for entry in entries}
    new = _renamed([planned for planned in sets if planned.source not in known], {e.name for e in entries})
    kept = tuple(n for e in entries for n in names_of_set(e.name, e.faces, e.candidates, e.bundles))
    return ExportPlan(made, rated, new, tuple(entries), kept, earlier)


def names_of_set(name: str, faces: int, candidates: int, bundles: Sequence[str]) -> list[str]:
    """Every file of a set with so many faces and candidates, relative to the export."""
    return [
        f"{name}/{SET_MANIFEST}",
        *(f"{name}/{bundle}" for bundle in bundles),
        *(f"{name}/{png_name(rank)}" for rank in range(faces)),
        *(f"{CANDIDATES}/{name}/{png_name(rank)}" for rank in range(candidates)),
    ]


def png_name(rank: int) -> str:
    """Name a face by its rank, 0 being best."""
    return f"{rank:03d}.png"


def _renamed(sets: Sequence[PlannedSet], taken: set[str]) -> tuple[PlannedSet, ...]:
    """Give sets whose name is taken the numbers past the highest in use."""
    numbers = [int(m[1]) for name in taken if (m := re.fullmatch(r"faceset_(\d+)", name))]
    following = max(numbers, default=0)
    renamed = []
    for planned in sets:
        name = planned.name
        if name in taken:
            following += 1
            name = f"faceset_{following:03d}"
        taken = taken | {name}
        renamed.append(_with_name(planned, name))
    return tuple(renamed)


def _with_name(planned: PlannedSet, name: str) -> PlannedSet:
    return PlannedSet(
        name,
        planned.source,
        planned.inputs,
        planned.rows,
        planned.candidates,
        planned.candidate_distance,
    )
