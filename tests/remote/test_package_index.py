"""Downloads from the package index, as far as testable without an index."""

import os
from pathlib import Path

import pytest

from facesets.remote.package_index import _bytes_below


def test_folders_that_vanish_while_they_are_counted_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip-unpack").mkdir()
    (tmp_path / "pip-unpack" / "a.whl").write_bytes(bytes(5))
    (tmp_path / "b.tar.gz").write_bytes(bytes(7))
    scan = os.scandir

    def vanishing(path: str | Path) -> object:
        if Path(path).name == "pip-unpack":
            raise FileNotFoundError(path)
        return scan(path)

    assert _bytes_below(tmp_path) == 12
    monkeypatch.setattr(os, "scandir", vanishing)
    assert _bytes_below(tmp_path) == 7
