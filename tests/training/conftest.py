"""The quick set does without loading torch."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore a file of slow tests, whose collection takes seconds per process."""
    quick = "not slow" in config.option.markexpr
    return True if quick and collection_path.name == "test_learning.py" else None
