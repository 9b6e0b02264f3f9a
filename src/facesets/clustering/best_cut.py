"""The cut of average linkage that labels would choose: what vectors allow at best."""

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.evaluation import evaluate
from facesets.clustering.vectors import Embeddings, unit_rows

_CUTS = 32


def best_cut(embeddings: Embeddings, truth: ArrayLike) -> tuple[float, float]:
    """The cosine distance at which average linkage agrees best with the truth, and BCubed F1 there.

    Takes a matrix of all pairs, so it is for some thousand faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not; two at least.
    truth : array of shape (n,)
        Names or numbers of people.
    """
    # `serve` starts trainings, and would load these in half a second each time.
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    rows = unit_rows(embeddings)
    distance = np.clip(1 - rows @ rows.T, 0, 2)
    tree = linkage(squareform(distance, checks=False), "average")
    heights = np.unique(np.quantile(tree[:, 2], np.linspace(0, 1, _CUTS)))
    scored = [
        (evaluate(fcluster(tree, height, "distance"), truth).bcubed_f1, float(height)) for height in heights
    ]
    f1, height = max(scored, key=lambda each: (each[0], -each[1]))
    return height, f1
