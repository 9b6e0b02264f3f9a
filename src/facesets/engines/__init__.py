"""Clustering by several workers: what computes its tasks outside of this process."""
