"""Stores of faces: cache files and libraries."""
