"""A face set as a command wants it, what it is made from, and what becomes of those that an export has."""

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
        Its folder, relative to the export; another one, if that is taken.
    source : str
        What it comes from, down to the group: a set is known again by it.
    rows : int64 array
        Rows of the store.
    kind : str
        `refined`, `discovered`, `imported` or `era`.
    markers : mapping
        Names and contents of text files that say in the set's folder what it is.
    candidates : mapping
        Row of a face for review to its cosine distance from the set's centroid.
    is_numbered : bool
        Its name is but the next number, which another such set takes if no face of this one passes.
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
    """One face set to be written, by the name that it gets; its candidates are nearest first.

    Attributes
    ----------
    inputs : str
        Digest of everything that decides about the result.
    taken_out : int64 array
        Rows of faces that the user took out of the set.
    given : int64 array
        Those of its faces that the user put there: no gate drops them.
    before : SetEntry or None
        The set in the export whose place it takes.
    """

    inputs: str
    taken_out: Int64
    given: Int64
    before: SetEntry | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a command does with the sets that an export has.

    Attributes
    ----------
    remakes : bool
        A set that is wanted, and is there from the same source but from other faces, is made again in its
        place. Otherwise it is left alone.
    drops : function
        Whether a set that is not wanted goes. The others stay.
    takes_over : bool
        The export is from then on one of the command's own cache or library.
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
