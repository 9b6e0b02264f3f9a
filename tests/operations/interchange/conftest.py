"""The library that these tests are about."""

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


@pytest.fixture
def library(database: Database) -> Library:
    """A copy of the module's template library; an empty one if the module has none."""
    return Library(database)
