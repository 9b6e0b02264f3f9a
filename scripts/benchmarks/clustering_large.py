"""Very many faces: `auto` in time, memory and quality, and its neighbour graph beside usearch's.

    PYTHONPATH=src python scripts/benchmarks/clustering_large.py [--faces 200000] [--what auto index]

Vectors come from the generator that `--synthetic` names, made in a process of its own and read from a
memory map, so that the peak memory printed is that of clustering. `--vectors` and `--truth` name arrays
that exist already. usearch is left out where it is not installed.
Set OPENBLAS_CORETYPE before starting where `facesets doctor` says so.
"""

import argparse
import importlib
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.clustering import (
    Neighbours,
    approximate_knn_graph,
    cluster_auto,
    evaluate,
    measure_sgemm_gflops,
    neighbour_recall,
)

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NEIGHBOURS = 32


def timed(name: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """Run, and print seconds, processor seconds and the peak memory of the process so far."""
    print(f"  matrix products: {measure_sgemm_gflops():.0f} GFLOP/s")
    started, cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {name:32s} {seconds:8.1f} s, {cpu:8.1f} s of processor time, peak {peak:.2f} GiB", flush=True)
    return result, seconds


def auto(vectors: NDArray[Any], truth: NDArray[Any], *, approximate: bool) -> None:
    """Measure quality with default settings."""
    result, _ = timed(
        "auto, nearby faces" if approximate else "auto, all pairs",
        lambda: cluster_auto(vectors, approximate=approximate),
    )
    scores = evaluate(result.labels, truth)
    print(f"  pairwise F1 {scores.pairwise_f1:.4f}, BCubed F1 {scores.bcubed_f1:.4f}")
    for reason in result.reasons:
        print(f"    {reason}", flush=True)


def index(vectors: NDArray[Any]) -> None:
    """Compare the neighbor graph with that of an HNSW index."""
    found, ours = timed("facesets, cells", lambda: approximate_knn_graph(vectors, k=NEIGHBOURS))
    print_recall(vectors, found)
    if not importlib.util.find_spec("usearch"):
        return
    usearch = importlib.import_module("usearch.index")

    def peer() -> Neighbours:
        graph = usearch.Index(ndim=vectors.shape[1], metric="ip", dtype="i8")
        graph.add(np.arange(len(vectors)), np.asarray(vectors, np.float32))
        near = graph.search(np.asarray(vectors, np.float32), NEIGHBOURS + 1)
        return checked(vectors, near.keys.astype(np.int64))

    other, theirs = timed("usearch, int8, checked", peer)
    print_recall(vectors, other)
    print(f"  -> {theirs / ours:.1f} times as fast")


def checked(vectors: NDArray[Any], keys: NDArray[np.int64]) -> Neighbours:
    """Return neighbors with exact similarities, without the faces themselves."""
    similarity = np.empty(keys.shape, np.float32)
    for start in range(0, len(keys), 1024):
        span = slice(start, start + 1024)
        near = np.asarray(vectors[keys[span].ravel()], np.float32).reshape(*keys[span].shape, -1)
        similarity[span] = np.einsum("ijk,ik->ij", near, np.asarray(vectors[span], np.float32))
    similarity[keys == np.arange(len(keys))[:, None]] = -np.inf
    order = np.argsort(-similarity, axis=1)[:, :NEIGHBOURS]
    return Neighbours(
        np.take_along_axis(keys, order, 1).astype(np.int32), np.take_along_axis(similarity, order, 1)
    )


def print_recall(vectors: NDArray[Any], found: Neighbours) -> None:
    """Print recall of all relevant neighbors, and of those that are certainly one person."""
    for least in (0.3, 0.5):
        share = neighbour_recall(vectors, found, min_cosine_similarity=least)
        print(f"    recall of the {NEIGHBOURS} nearest from {least} on: {share:.4f}", flush=True)


def main() -> None:
    """Read the arguments and run what they ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=200_000)
    parser.add_argument("--what", nargs="+", default=["auto", "index"], choices=["auto", "exact", "index"])
    parser.add_argument("--synthetic", type=Path, default=SHARED / "synthetic" / "faces.py")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--truth", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not given.vectors:
            subprocess.run([sys.executable, given.synthetic, str(given.faces), folder], check=True)
            given.vectors = Path(folder) / f"x_{given.faces}.npy"
            given.truth = Path(folder) / f"y_{given.faces}.npy"
        vectors, truth = np.load(given.vectors, mmap_mode="r"), np.load(given.truth)
        importlib.import_module("scipy.sparse.csgraph")  # its import is no part of clustering
        print(f"{len(vectors)} faces, {vectors.dtype}")
        if "index" in given.what:
            index(vectors)
        if "auto" in given.what:
            auto(vectors, truth, approximate=True)
        if "exact" in given.what:
            auto(vectors, truth, approximate=False)


if __name__ == "__main__":
    main()
