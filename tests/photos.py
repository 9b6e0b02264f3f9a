"""Pictures made for tests from real photos."""

import shutil
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def copy_photos(photos: Sequence[Path], folder: Path) -> Path:
    """Put photos into a new folder, under their own names."""
    folder.mkdir(parents=True)
    for photo in photos:
        shutil.copy2(photo, folder / photo.name)
    return folder


def with_orientation(photo: Path, path: Path, orientation: int) -> None:
    """Save a photo so that its pixels lie as a camera in that position stores them."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.open(photo).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image if stored is None else image.transpose(stored)
    turned.save(path, exif=exif)


def wide_picture(faces: Sequence[Path], width: int, height: int) -> Image.Image:
    """A large picture with some faces in it, on a noisy background."""
    rng = np.random.default_rng(len(faces))
    noise = rng.integers(90, 130, (height // 8, width // 8, 3), np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    edge = min(width // max(len(faces), 1), height) * 3 // 4
    for i, face in enumerate(faces):
        tile = Image.open(face).convert("RGB").resize((edge, edge), Image.Resampling.LANCZOS)
        picture.paste(tile, (i * width // len(faces) + edge // 8, (height - edge) // 2))
    return picture


def bomb(width: int, height: int) -> bytes:
    """A whole PNG file of one colour, small as a file and huge as a picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pack = zlib.compressobj(1)
    line = bytes(1 + (width + 7) // 8)
    rows = b"".join(pack.compress(line * 100) for _ in range(height // 100)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)
