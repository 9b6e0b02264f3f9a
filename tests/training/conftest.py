"""The quick set does without loading torch."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """All of that file is slow, and to know its tests takes seconds of each process."""
    quick = "not slow" in config.option.markexpr
    return True if quick and collection_path.name == "test_learning.py" else None
