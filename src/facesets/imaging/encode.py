"""Pixels as a picture's file."""

import cv2

from facesets.records import Pixels


def png_bytes(pixels: Pixels) -> bytes:
    """8-bit RGB PNG without any metadata."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()
