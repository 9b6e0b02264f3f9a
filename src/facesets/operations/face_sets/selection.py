"""Select and rank the faces of a set that are exported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.clustering.people.prototypes import spread_out
from facesets.clustering.people.splitting import NO_YEAR, main_era, split_into_eras
from facesets.errors import UnreadableImage, WrongUsage
from facesets.files import printable
from facesets.imaging.align import align
from facesets.imaging.duplicates import fingerprint, hamming
from facesets.imaging.originals import read_row
from facesets.imaging.quality import known_pose
from facesets.operations.options.results import ExportSwapOptions, SplitErasOptions
from facesets.records import Collection, Faces, Float32, Int64
from facesets.results.gates import ASKED_GATES, DUPLICATE, MIN_FACE_SHORT, OUTLIER, Gate
from facesets.results.manifest import Failure
from facesets.sources.folders import FolderSource

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Drop:
    """A dropped face; `detail` names the face that it duplicates."""

    row: int
    gate: Gate
    value: float
    limit: float
    detail: str = ""


@dataclass(slots=True)
class Selection:
    """The selected faces of one set.

    Attributes
    ----------
    centroid : float32 array of shape (d,)
        Unit length.
    rows : int64 array
        Faces still in, best quality first.
    distance : dict
        Row to cosine distance from the centroid.
    duplicates : dict
        Row to the rows left out for it.
    """

    centroid: Float32
    rows: Int64
    distance: dict[int, float]
    dropped: list[Drop] = field(default_factory=list)
    duplicates: dict[int, list[int]] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)


def centroid_of(embeddings: Float32) -> Float32:
    """Direction of the mean of unit vectors (n, d); zeros for none."""
    total = embeddings.astype(np.float64).sum(axis=0)
    unit: Float32 = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
    return unit


def select_faces(
    faces: Faces,
    rows: Int64,
    quality: Float32,
    options: ExportSwapOptions,
    *,
    given: Int64 | Sequence[int] = (),
) -> Selection:
    """Send a set through the gates that need no picture, and rank the rest.

    The outlier gate measures from the centroid of all faces; the result has the centroid of the core. `given`
    rows pass every gate.
    """
    sure = np.isin(rows, np.asarray(given, np.int64))
    first = centroid_of(faces.embedding[rows])
    distance = 1 - faces.embedding[rows] @ first
    far = ~sure & (distance > options.outlier_threshold)
    small = ~far & ~sure & (faces.face_short[rows] < options.min_face_short)
    core = rows[~far]
    passed = ~far & ~small
    as_asked: list[Drop] = []
    for gate in ASKED_GATES:
        if (limit := gate.limit_of(options)) is None or gate.measure is None:
            continue
        value = gate.measure(faces.take(rows))
        out = passed & ~sure & (value > limit if gate.sign == ">" else value < limit)
        as_asked += [
            Drop(int(r), gate, round(float(value[i]), 2), limit) for i, r in enumerate(rows) if out[i]
        ]
        passed &= ~out
    left = rows[passed]
    ranked = left[np.lexsort((left, -quality[left]))]
    centroid = centroid_of(faces.embedding[core])
    selection = Selection(
        centroid=centroid,
        rows=ranked,
        distance={int(r): round(float(1 - faces.embedding[r] @ centroid), 4) for r in ranked},
    )
    limit = options.outlier_threshold
    selection.dropped += [
        Drop(int(r), OUTLIER, round(float(d), 4), limit)
        for r, d in zip(rows[far], distance[far], strict=True)
    ]
    selection.dropped += [
        Drop(int(r), MIN_FACE_SHORT, round(float(faces.face_short[r]), 2), options.min_face_short)
        for r in rows[small]
    ]
    selection.dropped += as_asked
    return selection


def collapse_duplicates(
    selection: Selection, collection: Collection, ids: Sequence[str], options: ExportSwapOptions
) -> None:
    """Retain the best face of each group of faces that look the same.

    Only faces with close embeddings are compared by their look, so few photos are read.
    """
    rows = selection.rows
    pairs = _close_pairs(collection.faces.embedding[rows], options.duplicate_max_distance)
    prints = {
        i: look
        for i in sorted({i for pair in pairs for i in pair})
        if (look := _face_fingerprint(collection, int(rows[i]))) is not None
    }
    removed: set[int] = set()
    for i, j in pairs:
        if i in removed or j in removed or i not in prints or j not in prints:
            continue
        bits = int(hamming(prints[i], prints[j]))
        if bits <= options.duplicate_max_bits:
            removed.add(j)
            best, lost = int(rows[i]), int(rows[j])
            selection.duplicates.setdefault(best, []).append(lost)
            selection.dropped.append(
                Drop(lost, DUPLICATE, bits, options.duplicate_max_bits, f"of {ids[best]}")
            )
    selection.rows = np.array([row for i, row in enumerate(rows) if i not in removed], np.int64)


def _close_pairs(embeddings: Float32, max_distance: float) -> list[tuple[int, int]]:
    """Return pairs of ranks with embeddings this close, the better one first; in order."""
    pairs = []
    for start in range(0, len(embeddings), _BLOCK):
        similarity = embeddings[start : start + _BLOCK] @ embeddings.T
        first, second = np.nonzero(1 - similarity <= max_distance)
        first += start
        below = first < second
        pairs += list(zip(first[below].tolist(), second[below].tolist(), strict=True))
    return pairs


def _face_fingerprint(collection: Collection, row: int) -> np.ndarray | None:
    """Return the fingerprint of the aligned face; None for an unreadable photo, which is reported later."""
    try:
        pixels = read_row(collection.images, int(collection.faces.image[row]))
    except UnreadableImage:
        return None
    return np.frombuffer(fingerprint(align(pixels, collection.faces.kps[row])), np.uint8)


def chosen_faces(
    collection: Collection, ranked: Int64, quality: Float32, options: ExportSwapOptions
) -> Int64:
    """Choose the ranked faces of a set for its smaller bundle and its models."""
    rows = of_main_era(collection, ranked) if options.era else ranked
    if options.select == "diverse":
        return diverse_first(collection.faces, rows, quality, options.top_n)
    return rows[: options.top_n]


def diverse_first(faces: Faces, rows: Int64, quality: Float32, count: int) -> Int64:
    """Choose `count` of the ranked faces that differ in pose, expression and light; best quality first.

    Only the better ones may be chosen, see `spread_out`.
    """
    if len(rows) <= count:
        return rows
    pose = known_pose(faces.take(rows))
    places = spread_out(faces.embedding[rows], pose, quality[rows], count)
    best_first: Int64 = rows[places]
    return best_first


def of_main_era(collection: Collection, rows: Int64) -> Int64:
    """Return a person's faces of the largest era, as `split-eras` with its defaults would split them.

    All stay if that would find nothing to split.
    """
    defaults = SplitErasOptions()
    eras = split_into_eras(
        collection.faces.embedding[rows],
        years_of(collection, rows),
        max_cosine_distance=defaults.split_threshold,
        min_anchor_faces=defaults.min_era_faces,
        join_cosine_distance=defaults.join_threshold,
        join_years=defaults.join_years,
    )
    return rows[main_era(eras, apart_years=defaults.join_years)]


def years_of(collection: Collection, rows: Int64) -> Int64:
    """Return the capture years of faces from the store; 0 if it has none."""
    taken = collection.images.taken[collection.faces.image[rows]]
    years = taken.astype("datetime64[Y]").astype(np.int64) + 1970
    known: Int64 = np.where(np.isnat(taken), NO_YEAR, years)
    return known


def rows_under(collection: Collection, roots: Sequence[Path]) -> Int64:
    """Return the rows of faces in images with a path, canonical or alias, below one of the roots.

    Without roots, that is every face.

    Raises
    ------
    WrongUsage
        A root is no folder, and the store has no photos from below it.
    """
    if not roots:
        return np.arange(len(collection.faces))
    below = np.zeros(len(collection.images), bool)
    for root in roots:
        folder = FolderSource(root)
        covered = [any(map(folder.covers, paths)) for paths in collection.images.paths]
        if not any(covered) and not root.is_dir():
            raise WrongUsage(f"Folder not found: {printable(root)} (no known photos are from there).")
        below |= np.array(covered, bool)
    return np.flatnonzero(below[collection.faces.image])
