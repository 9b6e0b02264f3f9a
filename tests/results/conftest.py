"""A few photos, a folder for results, and results of made-up people."""

import os
import random
from pathlib import Path

import pytest
from tests.fixtures.results import again, company, store

__all__ = ["again", "company", "store"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A result folder, which is not there yet."""
    return tmp_path / "out"


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Twelve files, each of another size and time."""
    (tmp_path / "photos").mkdir()
    made = [tmp_path / "photos" / f"{i}.jpg" for i in range(12)]
    for i, photo in enumerate(made):
        photo.write_bytes(random.Random(i).randbytes(2000 + i))
        os.utime(photo, ns=(10**18 + i, 10**18 + i))
    return [str(photo) for photo in made]


@pytest.fixture
def plan(photos: list[str]) -> dict[str, str]:
    """Those photos, of three people."""
    return {f"person_{i % 3}/{i}.jpg": photo for i, photo in enumerate(photos)}
