"""Pixels in, pixels or numbers out; no models, no storage."""
