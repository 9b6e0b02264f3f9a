"""What similarities mean to a recogniser, measured on faces whose people are known.

    PYTHONPATH=src python scripts/benchmarks/recogniser.py [--vectors FILE.npz]

FILE.npz holds `embedding` and `name`; by default it is w600k_mbf's ../shared/faces/lfw_dev_embeddings.npz.
The three numbers are those of `facesets.clustering.recognisers`.
"""

import argparse
from pathlib import Path

import numpy as np

from facesets.clustering import numbered
from facesets.clustering.centroids import coherence
from facesets.clustering.vectors import unit_rows

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LEAST_FACES = 5


def main() -> None:
    """Read the vectors and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, default=SHARED / "faces" / "lfw_dev_embeddings.npz")
    with np.load(parser.parse_args().vectors) as arrays:
        rows = unit_rows(arrays["embedding"])
        person = numbered(np.unique(arrays["name"], return_inverse=True)[1].astype(np.int64))
    size, inside = coherence(rows, person)
    one_each = rows[np.unique(person, return_index=True)[1]]
    strangers = (one_each @ one_each.T)[np.triu_indices(len(one_each), 1)]
    print(f"typical {np.median(inside[size >= LEAST_FACES]):.3f}, {(size >= LEAST_FACES).sum()} people")
    print(f"middle {np.median(strangers):.3f}, spread {strangers.std():.3f}, {len(strangers)} pairs")


if __name__ == "__main__":
    main()
