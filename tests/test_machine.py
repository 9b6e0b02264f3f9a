"""What this machine, or this container, has."""

from pathlib import Path

import pytest

from facesets.machine import processors


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("6400000 100000\n", 64)]
)
def test_a_container_has_the_processors_that_its_quota_allows(tmp_path: Path, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert processors(tmp_path) == min(most, processors(tmp_path / "none"))


def test_without_a_quota_it_has_those_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path) == processors(tmp_path / "none") >= 1
