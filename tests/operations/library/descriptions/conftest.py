"""A language model, and photos that wait to be described by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.anthropic_server import AnthropicServer, serving_anthropic
from tests.fixtures.described import made_photos, take_in

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


@pytest.fixture
def llm() -> Iterator[AnthropicServer]:
    """Anthropic, which was asked nothing wrong in the end."""
    with serving_anthropic() as running:
        yield running
        assert running.problems == []


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    """Six photos."""
    found = Library(database)
    take_in(found, made_photos(tmp_path / "photos", 6))
    return found
