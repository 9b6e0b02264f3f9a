"""Measure how well `extend` routes new faces to known people, and the best threshold.

    PYTHONPATH=src python scripts/benchmarks/routing.py [--vectors FILE.npz --recognizer NAME]
        [--min-faces 15] [--seed 0]

Of each person's photos a third is held out. People are made of the rest as `cluster` and `refine` make
them; then the third comes, and with it strangers: everybody who has no face set. A row a threshold: precision
is the share of routed faces that went to the right face set, recall the share of held-out faces of people
with a face set that went there, and strangers the share of these that were routed at all.

Vectors are read (`embedding` and `name`; ../shared/faces/lfw_dev_embeddings.npz by default), so the gates on
size and sharpness are left out. A face set is whose faces are the most in it.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesets.clustering import average_linkage, numbered
from facesets.operations.grouping.cluster import members_by_label
from facesets.operations.grouping.extend_sets import route
from facesets.operations.grouping.refine import gate_faces, surviving
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.start import RefineOptions
from facesets.records import Faces, Int64

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
THRESHOLDS = (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80)


@dataclass(frozen=True)
class Split:
    """Return which rows are known, come later, and belong to people who may have a face set."""

    known: Int64
    later: Int64


def faces_of(vectors: NDArray[np.float32]) -> Faces:
    """Return faces that pass every quality filter, each in a photo of its own."""
    n = len(vectors)
    return Faces(
        image=np.arange(n),
        box=np.tile(np.array([0, 0, 200, 200], np.float32), (n, 1)),
        kps=np.zeros((n, 5, 2), np.float32),
        det_score=np.ones(n, np.float32),
        embedding=vectors,
        face_short=np.full(n, 200, np.float32),
        blur=np.full(n, 1000, np.float32),
    )


def hold_out(names: NDArray[np.str_], rng: np.random.Generator) -> Split:
    """Choose a third of each person's photos at random; of two photos one, of one photo none."""
    later = []
    for name in np.unique(names):
        rows = rng.permutation(np.flatnonzero(names == name))
        later += rows[: round(len(rows) / 3)].tolist()
    held = np.sort(np.array(later, np.int64))
    return Split(np.setdiff1d(np.arange(len(names)), held), held)


def face_sets(faces: Faces, known: Int64, options: RefineOptions) -> list[Int64]:
    """Return the rows of each face set of `refine`."""
    gated = gate_faces(faces.take(known), options)
    return [known[part] for part in surviving(gated)]


def raw_people(faces: Faces, known: Int64) -> list[Int64]:
    """Return the rows of each person of `cluster` with two faces or more."""
    labels = numbered(average_linkage(faces.embedding[known], max_cosine_distance=0.55))
    return [known[part] for part in members_by_label(labels) if len(part) > 1]


def table(
    title: str,
    faces: Faces,
    names: NDArray[np.str_],
    split: Split,
    members: list[Int64],
    usual: ExtendOptions,
) -> None:
    """Print precision and recall at each threshold, and the best by their harmonic mean."""
    owners = [Counter(names[rows].tolist()).most_common(1)[0][0] for rows in members]
    owned = set(owners)
    comes_home = np.isin(names[split.later], list(owned))
    print(
        f"{title}: {len(members)} groups of {len(owned)} people from {len(split.known)} photos; later "
        f"{int(comes_home.sum())} photos of these and {int((~comes_home).sum())} of strangers"
    )
    print("  threshold  precision  recall     F1  strangers routed")
    best = (0.0, 0.0)
    for threshold in THRESHOLDS:
        target = route(faces, split.later, members, max_cosine_distance=threshold, same_image_ok=False)
        routed = target >= 0
        right = np.array(
            [t >= 0 and owners[t] == name for t, name in zip(target, names[split.later], strict=True)]
        )
        precision = right.sum() / max(routed.sum(), 1)
        recall = right.sum() / max(comes_home.sum(), 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        best = max(best, (float(f1), threshold))
        default = "  <- default" if threshold == usual.threshold else ""
        strangers = (routed & ~comes_home).sum() / max((~comes_home).sum(), 1)
        print(f"  {threshold:9.2f}  {precision:9.4f}  {recall:6.4f} {f1:6.4f}  {strangers:16.4f}{default}")
    print(f"  best F1 {best[0]:.4f} at {best[1]:.2f}\n")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vectors", type=Path, default=SHARED / "faces" / "lfw_dev_embeddings.npz")
    parser.add_argument("--recognizer", default="w600k_mbf", help="that the vectors are of")
    parser.add_argument("--min-faces", type=int, nargs="+", default=[15, 5])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with np.load(options.vectors, allow_pickle=False) as file:
        vectors, names = file["embedding"].astype(np.float32), file["name"]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    faces = faces_of(vectors)
    split = hold_out(names, np.random.default_rng(options.seed))
    usual = for_recognizer(ExtendOptions(), options.recognizer)
    for least in options.min_faces:
        gates = RefineOptions(min_faces=least).for_store(len(names), options.recognizer)
        members = face_sets(faces, split.known, gates)
        table(f"face sets of {least} photos or more", faces, names, split, members, usual)
    table("people of `cluster`", faces, names, split, raw_people(faces, split.known), usual)


if __name__ == "__main__":
    main()
