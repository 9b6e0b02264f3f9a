"""Wanted face sets, what they are made from, and how they replace sets of an export."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.selection import years_of
from facesets.records import Int64
from facesets.results.export_manifest import SetEntry
from facesets.results.manifest import recorded_options

REFINED = "refined"


@dataclass(frozen=True, slots=True)
class NewSet:
    """A face set as a command wants it in an export.

    Attributes
    ----------
    name : str
        Its folder, relative to the export; another one if that is taken.
    source : str
        What it comes from, down to the group; it identifies the set in later runs.
    rows : int64 array
        Rows of the store.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : mapping
        Names and contents of text files in the set's folder that describe it.
    candidates : mapping
        Row of a face for review to its cosine distance from the set's centroid.
    is_numbered : bool
        Its name is only the next number, which another such set takes if no face of this one passes.
    """

    name: str
    source: str
    rows: Int64
    kind: str = REFINED
    markers: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[int, float] = field(default_factory=dict)
    is_numbered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSet(NewSet):
    """A planned face set, by its final name; candidates are nearest first.

    Attributes
    ----------
    inputs : str
        Digest of everything that affects the result.
    taken_out : int64 array
        Rows of faces that the user removed from the set.
    given : int64 array
        Faces that the user put into the set: no gate drops them.
    before : SetEntry or None
        The set in the export that it replaces.
    """

    inputs: str
    taken_out: Int64
    given: Int64
    before: SetEntry | None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a command treats the sets that an export already has.

    Attributes
    ----------
    remakes : bool
        Whether a wanted set replaces an existing set of the same source with other faces. Otherwise the
        existing set is left alone.
    drops : function
        Whether to remove a set that is not wanted. The others stay.
    takes_over : bool
        Whether the export belongs to the command's cache or library from then on.
    """

    remakes: bool = True
    drops: Callable[[SetEntry], bool] = lambda _: False
    takes_over: bool = False


# Raised when the same inputs give other crops, so that finished sets are made again.
_CROP_RULES = 1
_DIVERSE_RULES = 2


def digest_of_inputs(run: ExportRun, wanted: NewSet, given: Int64) -> str:
    """Digest a set by its faces, their measures and the options; `given` as `PlannedSet` has it."""
    facts = {
        "rules": _CROP_RULES,
        "options": recorded_options(run.options),
        "consumer": run.embedder.settings.recorded(),
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
