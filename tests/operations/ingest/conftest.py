"""An empty library, and photos."""

from pathlib import Path

import pytest
from tests.fixtures.photos import copy_photos
from tests.fixtures.taking_in import Intake

from facesets.inference.local import LocalEmbedder
from facesets.store.postgres.connection import Database


@pytest.fixture
def intake(database: Database, embedder: LocalEmbedder) -> Intake:
    """An empty library, and a face detector."""
    return Intake(database, embedder)


@pytest.fixture
def photos(lfw_photos: list[Path], tmp_path: Path) -> Path:
    """A folder of five photos."""
    return copy_photos(lfw_photos[:5], tmp_path / "photos")
