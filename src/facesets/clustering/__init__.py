"""Arrays in, labels out: pure functions on embeddings."""

from facesets.clustering.agglomerative import average_linkage, complete_linkage
from facesets.clustering.auto import cluster_auto
from facesets.clustering.calibration import Calibration, calibrate
from facesets.clustering.cell_pairs import LinksChecked, check_links
from facesets.clustering.cells import approximate_knn_graph, neighbour_recall
from facesets.clustering.centroids import centroids, distances_to_centroid, medoids, reject_outliers
from facesets.clustering.components import connected_components, is_approximate
from facesets.clustering.constraints import Constraints, violations
from facesets.clustering.dbscan import dbscan
from facesets.clustering.evaluation import Scores, evaluate
from facesets.clustering.hdbscan import HdbscanResult, hdbscan
from facesets.clustering.knn import Neighbours, knn_graph
from facesets.clustering.labels import numbered, singletons_as_noise
from facesets.clustering.matching import Matches, nearest
from facesets.clustering.matrix_speed import measure_sgemm_gflops
from facesets.clustering.merging import merge_close
from facesets.clustering.neighbors import Edges, threshold_graph
from facesets.clustering.placement import AutoResult, Placement
from facesets.clustering.prediction import Prediction, approximate_predict, place_by_centroid
from facesets.clustering.same_image import same_image_pairs

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
