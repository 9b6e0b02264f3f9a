"""Vectors to cluster: real ones from beside the repository, and made-up people."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.vectors import People, many_people

SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", Path(__file__).parents[2] / ".." / "shared"))


@pytest.fixture(scope="session")
def real_people() -> People:
    file = SHARED / "faces" / "lfw_dev_embeddings.npz"
    if not file.exists():
        return many_people()
    with np.load(file) as arrays:
        return People(arrays["embedding"].astype(np.float32), arrays["name"])
