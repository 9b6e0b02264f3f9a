"""What similarities mean to a recogniser, and how well `auto` clusters with it, on faces with known people.

    PYTHONPATH=src python scripts/benchmarks/recogniser.py [--vectors FILE.npz | --cache CACHE] [--name MODEL]

FILE.npz holds `embedding` and `name`; by default it is w600k_mbf's ../shared/faces/lfw_dev_embeddings.npz.
Of a cache the face in the middle of each photo counts, and its folder is the person. The three numbers are
those of `facesets.clustering.recognisers`; MODEL is the stem of the recogniser's file there.

`auto` is compared with average linkage at its best cut, which knows the truth: on all people, on halves
of them, and on albums rich in strangers (one face of most people, all faces of a few).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facesets.clustering import average_linkage, calibrate, cluster_auto, evaluate, numbered
from facesets.clustering.centroids import coherence
from facesets.clustering.vectors import Float32, Int64, unit_rows
from facesets.store.npz.cache import Cache

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LEAST_FACES = 5
MANY_FACES = 10
KNOWN_PEOPLE = 6
CUTS = np.arange(0.3, 0.8, 0.02)


def main() -> None:
    """Read the vectors and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--vectors", type=Path, default=SHARED / "faces" / "lfw_dev_embeddings.npz")
    source.add_argument("--cache", type=Path)
    parser.add_argument("--name", default="w600k_mbf")
    arguments = parser.parse_args()
    rows, person = of_cache(arguments.cache) if arguments.cache else of_vectors(arguments.vectors)
    measure(rows, person)
    for what, some in albums(person):
        judge(what, rows[some], person[some], arguments.name)


def of_vectors(path: Path) -> tuple[Float32, Int64]:
    """Unit rows and the number of each one's person."""
    with np.load(path) as arrays:
        return unit_rows(arrays["embedding"]), people(arrays["name"])


def of_cache(path: Path) -> tuple[Float32, Int64]:
    """The same for the face nearest to the middle of each photo of a cache."""
    collection = Cache(path.absolute()).load()
    faces, images = collection.faces, collection.images
    middle = np.stack([images.width, images.height], axis=1)[faces.image] / 2
    away = np.abs((faces.box[:, :2] + faces.box[:, 2:]) / 2 - middle).sum(axis=1)
    order = np.lexsort((away, faces.image))
    main_face = order[np.unique(faces.image[order], return_index=True)[1]]
    names = [Path(images.paths[image][0]).parent.name for image in faces.image[main_face]]
    return unit_rows(faces.embedding[main_face]), people(np.array(names))


def people(names: "np.ndarray[tuple[int], np.dtype[np.str_]]") -> Int64:
    """A number for each name."""
    return numbered(np.unique(names, return_inverse=True)[1].astype(np.int64))


def measure(rows: Float32, person: Int64) -> None:
    """Print the three numbers."""
    size, inside = coherence(rows, person)
    one_each = rows[np.unique(person, return_index=True)[1]]
    strangers = (one_each @ one_each.T)[np.triu_indices(len(one_each), 1)]
    print(f"typical {np.median(inside[size >= LEAST_FACES]):.3f}, {(size >= LEAST_FACES).sum()} people")
    print(f"middle {np.median(strangers):.3f}, spread {strangers.std():.3f}, {len(strangers)} pairs")


def albums(person: Int64) -> Iterator[tuple[str, Int64]]:
    """Names and rows: everybody, halves of the people, and albums rich in strangers."""
    count = np.bincount(person)
    yield "everybody", np.arange(len(person))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(count))
        for half in np.array_split(order, 2):
            yield "half of the people", np.flatnonzero(np.isin(person, half))
    for seed in range(4):
        rng = np.random.default_rng(40 + seed)
        known = rng.permutation(np.flatnonzero(count >= MANY_FACES))[:KNOWN_PEOPLE]
        shuffled = rng.permutation(len(person))
        one_each = shuffled[np.unique(person[shuffled], return_index=True)[1]]
        some = np.union1d(one_each, np.flatnonzero(np.isin(person, known)))
        yield f"{len(count) - len(known)} strangers", some


def judge(what: str, rows: Float32, person: Int64, name: str) -> None:
    """Print how `auto` does, and average linkage at its best cut."""
    auto = evaluate(cluster_auto(rows, calibration=calibrate(rows, recogniser=name)).labels, person)
    cuts = [evaluate(average_linkage(rows, max_cosine_distance=float(cut)), person) for cut in CUTS]
    best = max(cuts, key=lambda scores: scores.pairwise_f1 + scores.bcubed_f1)
    print(
        f"{what}, {len(rows)} faces: auto {auto.pairwise_f1:.4f} / {auto.bcubed_f1:.4f}, "
        f"best cut {best.pairwise_f1:.4f} / {best.bcubed_f1:.4f}"
    )


if __name__ == "__main__":
    main()
