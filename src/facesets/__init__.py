"""Organize a photo library by the people in it, on one's own machine."""

__version__ = "0.1.0"
