"""Arrays in, labels out: pure functions on embeddings."""

from facesets.clustering.agglomerative import average_linkage, complete_linkage
from facesets.clustering.centroids import centroids, distances_to_centroid, medoids, reject_outliers
from facesets.clustering.components import connected_components
from facesets.clustering.evaluation import Scores, evaluate
from facesets.clustering.hdbscan import HdbscanResult, hdbscan
from facesets.clustering.knn import Neighbours, knn_graph
from facesets.clustering.labels import numbered, singletons_as_noise
from facesets.clustering.matching import Matches, nearest
from facesets.clustering.merging import merge_close
from facesets.clustering.neighbors import Edges, threshold_graph

__all__ = [
    "Edges",
    "HdbscanResult",
    "Matches",
    "Neighbours",
    "Scores",
    "average_linkage",
    "centroids",
    "complete_linkage",
    "connected_components",
    "distances_to_centroid",
    "evaluate",
    "hdbscan",
    "knn_graph",
    "medoids",
    "merge_close",
    "nearest",
    "numbered",
    "reject_outliers",
    "singletons_as_noise",
    "threshold_graph",
]
