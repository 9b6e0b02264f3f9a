"""Pure functions that cluster embeddings: arrays in, labels out."""

from facesets.clustering.approximate_knn import approximate_knn_graph, neighbour_recall
from facesets.clustering.approximate_pairs import LinksChecked, check_links
from facesets.clustering.auto import cluster_auto
from facesets.clustering.average_linkage import average_linkage, complete_linkage
from facesets.clustering.calibration import Calibration, calibrate
from facesets.clustering.centroids import centroids, distances_to_centroid, medoids, reject_outliers
from facesets.clustering.components import connected_components, is_approximate
from facesets.clustering.constraints import Constraints, same_image_pairs, violations
from facesets.clustering.dbscan import dbscan
from facesets.clustering.engine import measure_sgemm_gflops
from facesets.clustering.graph import Edges, threshold_graph
from facesets.clustering.hdbscan import HdbscanResult, hdbscan
from facesets.clustering.knn import Matches, Neighbours, knn_graph, nearest
from facesets.clustering.labels import Scores, evaluate, numbered, singletons_as_noise
from facesets.clustering.merging import merge_close
from facesets.clustering.placement import AutoResult, Placement
from facesets.clustering.prediction import Prediction, approximate_predict, place_by_centroid

__all__ = [
    "AutoResult",
    "Calibration",
    "Constraints",
    "Edges",
    "HdbscanResult",
    "LinksChecked",
    "Matches",
    "Neighbours",
    "Placement",
    "Prediction",
    "Scores",
    "approximate_knn_graph",
    "approximate_predict",
    "average_linkage",
    "calibrate",
    "centroids",
    "check_links",
    "cluster_auto",
    "complete_linkage",
    "connected_components",
    "dbscan",
    "distances_to_centroid",
    "evaluate",
    "hdbscan",
    "is_approximate",
    "knn_graph",
    "measure_sgemm_gflops",
    "medoids",
    "merge_close",
    "nearest",
    "neighbour_recall",
    "numbered",
    "place_by_centroid",
    "reject_outliers",
    "same_image_pairs",
    "singletons_as_noise",
    "threshold_graph",
    "violations",
]
