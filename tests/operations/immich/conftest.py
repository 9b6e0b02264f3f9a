"""All calls are judged by Immich's own document, on machines that have it."""

import pytest


@pytest.fixture(autouse=True)
def judged(immichs_own_document: None) -> None:
    """Requests and answers."""
