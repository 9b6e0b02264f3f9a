"""Compare clustering with its peers, in one run on one machine.

    PYTHONPATH=src python scripts/benchmarks/clustering.py [--faces 5000] [--what linkage auto …]

Vectors are made up (`--synthetic` names the generator, ../shared/synthetic/faces.py by default) or read
(`--vectors FILE.npz` with `embedding` and `name`). A peer that is not installed is left out.
Set OPENBLAS_CORETYPE before starting where `facesets doctor` says so.
"""

import argparse
import importlib
import importlib.util
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.clustering import (
    average_linkage,
    cluster_auto,
    connected_components,
    evaluate,
    hdbscan,
    measure_sgemm_gflops,
    numbered,
    same_image_pairs,
)

Labels = NDArray[np.int64]
RATE_REPETITIONS = 20
MOST_FACES_OF_PEERS = 25_000
"""More would take their distance matrices more memory than machines have."""
SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def timed(name: str, run: Callable[..., Any]) -> tuple[Any, float]:
    """Run, and print seconds, processor seconds and the peak memory of the process so far."""
    started, cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"  {name:30s} {seconds:9.2f} s, {cpu:9.2f} s of processor time, peak so far {peak:.2f} GiB",
        flush=True,
    )
    return result, seconds


def beside(ours: float, theirs: float, mine: Labels, other: Labels) -> None:
    """Print the ratio of times and how far the partitions agree."""
    from sklearn.metrics import adjusted_rand_score

    print(
        f"  -> {theirs / ours:.1f} times as fast, adjusted Rand index {adjusted_rand_score(mine, other):.5f}"
    )


def bound(vectors: NDArray[np.float32], gflops: float) -> float:
    """Return the seconds of the bare products of all pairs at the best measured rate."""
    faces, dimension = vectors.shape
    seconds: float = faces**2 * dimension / gflops / 1e9
    return seconds


def linkage(vectors: NDArray[np.float32], truth: NDArray[Any], cut: float, gflops: float) -> None:
    """Compare average linkage with fastcluster and scikit-learn."""
    print(f"average linkage, {len(vectors)} faces, cut {cut}")
    labels, ours = timed("facesets", lambda: average_linkage(vectors, max_cosine_distance=cut))
    score = evaluate(labels, truth).pairwise_f1
    print(f"  bare products {bound(vectors, gflops):.2f} s; {score:.4f} pairwise F1")
    if len(vectors) > MOST_FACES_OF_PEERS:
        return
    if importlib.util.find_spec("fastcluster"):
        from scipy.cluster.hierarchy import fcluster

        fast = importlib.import_module("fastcluster").linkage

        def peer() -> Labels:
            distance = 1 - vectors @ vectors.T
            condensed = distance[np.triu_indices(len(vectors), 1)].astype(np.float64)
            tree = fast(np.clip(condensed, 0, 2), method="average", preserve_input=False)
            return numbered(fcluster(tree, cut, criterion="distance").astype(np.int64))

        other, theirs = timed("fastcluster", peer)
        beside(ours, theirs, labels, other)
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(
        n_clusters=None, distance_threshold=cut, metric="precomputed", linkage="average"
    )
    other, theirs = timed("scikit-learn", lambda: model.fit_predict(np.clip(1 - vectors @ vectors.T, 0, 2)))
    beside(ours, theirs, labels, other)


def beside_products(vectors: NDArray[np.float32], run: Callable[[], Any]) -> tuple[Any, float]:
    """Run, and compare with the bare products at the better of the rates before and after."""
    before = measure_sgemm_gflops(repetitions=RATE_REPETITIONS)
    result, ours = timed("facesets", run)
    after = measure_sgemm_gflops(repetitions=RATE_REPETITIONS)
    least = bound(vectors, max(before, after))
    print(
        f"  bare products {least:.2f} s ({before:.0f} GFLOP/s before, {after:.0f} after)"
        f" -> {ours / least:.2f} times that"
    )
    return result, ours


def components(vectors: NDArray[np.float32], similarity: float) -> None:
    """Compare connected components with the bare products."""
    print(f"components at {similarity}, {len(vectors)} faces")
    beside_products(vectors, lambda: connected_components(vectors, min_cosine_similarity=similarity))


def density(vectors: NDArray[np.float32]) -> None:
    """Compare HDBSCAN with the package of that name."""
    print(f"HDBSCAN, {len(vectors)} faces")
    result, ours = beside_products(vectors, lambda: hdbscan(vectors))
    if importlib.util.find_spec("hdbscan") and len(vectors) <= 10_000:
        from hdbscan import HDBSCAN

        peer = HDBSCAN(min_cluster_size=5, min_samples=3)
        other, theirs = timed("hdbscan", lambda: peer.fit_predict(vectors.astype(np.float64)))
        beside(ours, theirs, result.labels, other)
        from sklearn.metrics import adjusted_rand_score

        order = np.random.default_rng(0).permutation(len(vectors))
        again = np.empty_like(other)
        again[order] = peer.fit_predict(vectors[order].astype(np.float64))
        agreement = adjusted_rand_score(other, again)
        print(f"  the package with itself, given the rows in another order: {agreement:.5f}")


def auto(vectors: NDArray[np.float32], truth: NDArray[Any]) -> None:
    """Measure quality with default settings."""
    print(f"auto, {len(vectors)} faces")
    result, _ = timed("facesets", lambda: cluster_auto(vectors))
    scores = evaluate(result.labels, truth)
    print(f"  pairwise F1 {scores.pairwise_f1:.4f}, BCubed F1 {scores.bcubed_f1:.4f}")
    for reason in result.reasons:
        print(f"  {reason}")


def group_photos(
    truth: NDArray[Any], look_alikes: NDArray[np.int64], collages: float = 0.0, seed: int = 0
) -> NDArray[np.int64]:
    """Put faces into images of one to eight, each of one family, where look-alikes are family.

    A share of the faces goes into collages: images that show one person three times.
    """
    rng = np.random.default_rng(seed)
    person = np.unique(truth, return_inverse=True)[1]
    family = rng.integers(0, max(1, int(person.max()) // 5), int(person.max()) + 1)
    family[look_alikes[:, 1]] = family[look_alikes[:, 0]]
    order = np.lexsort((rng.random(len(truth)), family[person]))
    image = np.empty(len(truth), np.int64)
    image[order] = np.repeat(np.arange(len(truth)), rng.integers(1, 9, len(truth)))[: len(truth)]
    key = image * (int(person.max()) + 1) + person
    _, first = np.unique(key, return_index=True)
    again = np.setdiff1d(np.arange(len(truth)), first)
    image[again] = image.max() + 1 + np.arange(len(again))
    often = np.flatnonzero(np.bincount(person) >= 4)
    for one in rng.choice(often, int(collages * len(truth) / 3)):
        image[rng.choice(np.flatnonzero(person == one), 3, replace=False)] = image.max() + 1
    return image


def images(vectors: NDArray[np.float32], truth: NDArray[Any], look_alikes: NDArray[np.int64]) -> None:
    """Measure how much it helps to know which faces share an image."""
    print(f"auto with group photos, {len(vectors)} faces")
    for name, index in (
        ("without images", None),
        ("with images", group_photos(truth, look_alikes)),
        ("with images, 5 % in collages", group_photos(truth, look_alikes, 0.05)),
    ):
        result, _ = timed(name, lambda index=index: cluster_auto(vectors, image_index=index))
        scores = evaluate(result.labels, truth)
        print(f"  pairwise F1 {scores.pairwise_f1:.4f}, BCubed F1 {scores.bcubed_f1:.4f}")
        if index is not None:
            pairs = same_image_pairs(vectors, index).cannot_link
            wrong = int((truth[pairs[:, 0]] == truth[pairs[:, 1]]).sum())
            print(f"  {len(pairs)} pairs kept apart, {wrong} of them wrongly")


def made_up(faces: int, generator: Path) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.int64]]:
    """Return vectors, truth and look-alikes from the generator."""
    spec = importlib.util.spec_from_file_location("synthetic_faces", generator)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{generator} is no generator of vectors.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vectors, truth, look_alikes, _ = module.gen(faces)
    return vectors.astype(np.float32), truth, look_alikes


def main() -> None:
    """Read the arguments and run what they ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--cut", type=float, default=0.55, help="cosine distance for average linkage")
    parser.add_argument("--similarity", type=float, default=0.65, help="cosine similarity for components")
    parser.add_argument("--what", nargs="+", default=["linkage", "components", "hdbscan", "auto"])
    parser.add_argument("--synthetic", type=Path, default=SHARED / "synthetic" / "faces.py")
    parser.add_argument("--vectors", type=Path)
    given = parser.parse_args()
    if given.vectors:
        with np.load(given.vectors) as arrays:
            vectors, truth = arrays["embedding"].astype(np.float32), arrays["name"]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        look_alikes = np.empty((0, 2), np.int64)
    else:
        vectors, truth, look_alikes = made_up(given.faces, given.synthetic)
    importlib.import_module("scipy.sparse.csgraph")  # its import is no part of clustering

    gflops = measure_sgemm_gflops()
    print(f"matrix products: {gflops:.0f} GFLOP/s")
    if "linkage" in given.what:
        linkage(vectors, truth, given.cut, gflops)
    if "components" in given.what:
        components(vectors, given.similarity)
    if "hdbscan" in given.what:
        density(vectors)
    if "auto" in given.what:
        auto(vectors, truth)
    if "images" in given.what:
        images(vectors, truth, look_alikes)


if __name__ == "__main__":
    main()
