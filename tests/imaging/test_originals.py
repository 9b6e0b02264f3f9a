import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesets.errors import UnreadableImage
from facesets.imaging.decode import decode
from facesets.imaging.originals import read_photo


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_another_picture_of_the_same_size_is_not_accepted(photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (50, 40), "red").save(other)
    with pytest.raises(UnreadableImage, match="changed since"):
        read_photo([str(other)], digest(photo))


def test_the_first_path_that_still_holds_the_image_is_read(photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), "red").save(tmp_path / "changed.png")
    os.mkfifo(tmp_path / "pipe.png")
    paths = [str(tmp_path / name) for name in ("gone.png", "pipe.png", "changed.png", "photo.png")]
    assert (read_photo(paths, digest(photo)) == decode(photo).pixels).all()


@pytest.mark.parametrize(("paths", "reason"), [([], "no path"), (["/nowhere/a.jpg"], "cannot be read")])
def test_an_image_without_a_readable_path_has_a_reason(photo: Path, paths: list[str], reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        read_photo(paths, digest(photo))
