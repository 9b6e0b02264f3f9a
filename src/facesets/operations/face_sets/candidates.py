"""Single faces that come near to face sets, for a person to review."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facesets.clustering import nearest
from facesets.errors import Command, Field, WrongUsage
from facesets.operations.face_sets.selection import centroid_of
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import ExportSwapOptions
from facesets.records import CacheSettings, Collection, Float32, Int64
from facesets.results.manifest import ClusterManifest
from facesets.results.manifest_json import read_manifest
from facesets.results.same_faces import require_same_faces, rows_of


def single_faces(raw_manifest: Path | None, rows_by_id: Mapping[str, int], ours: CacheSettings) -> Int64:
    """Rows of the faces that a manifest of `cluster` lists as single.

    Raises
    ------
    WrongUsage
        There is no such manifest, or its faces come from another detection.
    """
    if raw_manifest is None:
        raise WrongUsage(
            f"{Field('candidates')} needs {Field('raw_manifest')}: the manifest.json that "
            f"{Command('cluster')} wrote."
        )
    raw = read_manifest(raw_manifest, ClusterManifest)
    require_same_faces(ours, raw.made.models, raw_manifest)
    return rows_of([entry.face for entry in raw.singletons], rows_by_id, raw_manifest)


def matched_candidates(
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
    if options.min_norm is not None and faces.norm is not None:
        good &= ~(faces.norm[single] < options.min_norm)
    single = single[good]
    matched: dict[str, dict[int, float]] = {name: {} for name in members}
    if not len(single) or not members:
        return matched
    references = np.stack([centroid_of(faces.embedding[rows]) for rows in members.values()])
    found = nearest(faces.embedding[single], references)
    names, most = list(members), settled(options.candidate_match_threshold)
    for row, reference, distance in zip(single, found.reference, found.cosine_distance, strict=True):
        if distance <= most:
            matched[names[int(reference)]][int(row)] = round(float(distance), 4)
    return matched
