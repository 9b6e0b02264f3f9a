"""The digest of all that decides about a set: one that was made from the same is not made again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields

from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.new_set import NewSet
from facesets.operations.face_sets.selection import years_of
from facesets.records import Int64
from facesets.results.provenance import recorded

# Raised when the same inputs give other crops, so that finished sets are made again.
_CROP_RULES = 1
_DIVERSE_RULES = 2


def digest_of_inputs(run: ExportRun, wanted: NewSet, given: Int64) -> str:
    """Digest a set by its faces, their measures and the options; `given` as `PlannedSet` has it."""
    facts = {
        "rules": _CROP_RULES,
        "options": recorded(run.options),
        "consumer": asdict(run.embedder.settings),
        "faces": [run.ids[row] for row in wanted.rows],
        "candidates": {run.ids[row]: distance for row, distance in wanted.candidates.items()},
        "markers": dict(wanted.markers),
        "detection": run.collection.settings.detection,
        "measures": _measured(run, [*map(int, wanted.rows), *wanted.candidates]),
    }
    if run.options.min_norm is not None and run.collection.faces.norm is not None:
        facts["norms"] = run.collection.faces.norm[wanted.rows].tolist()
    if run.options.select == "diverse":
        facts["diverse"] = _DIVERSE_RULES
    if run.options.era:
        facts["years"] = years_of(run.collection, wanted.rows).tolist()
    if len(given):
        facts["given"] = [run.ids[row] for row in given]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _measured(run: ExportRun, rows: Sequence[int]) -> str:
    """Digest of all numbers that choose, rank and crop these faces."""
    faces = run.collection.faces
    ratings = [getattr(run.parts, part.name) for part in fields(run.parts)]
    digest = hashlib.sha256()
    for column in (*ratings, run.pose, faces.face_short, faces.box, faces.kps, faces.embedding):
        digest.update(column[list(rows)].astype("<f4").tobytes())
    return digest.hexdigest()
