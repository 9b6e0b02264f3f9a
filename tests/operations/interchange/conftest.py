"""The library that these tests are about."""

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


@pytest.fixture
def library(database: Database) -> Library:
    """A library as the module's template has it; empty where it has none."""
    return Library(database)
