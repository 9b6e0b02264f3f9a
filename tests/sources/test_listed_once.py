"""A command may look at the first photos before it reads all: no folder is listed a second time."""

from itertools import islice
from pathlib import Path

import pytest

from facesets.errors import SourceGone
from facesets.sources.folders import FolderSource, ListedOnce


def test_what_was_listed_is_not_listed_again(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    plain = list(FolderSource(tmp_path).files())
    source = ListedOnce(FolderSource(tmp_path))
    assert list(islice(source.files(), 2)) == plain[:2]
    (tmp_path / "a.jpg").unlink()
    assert list(source.files()) == plain
    (tmp_path / "b.jpg").unlink()
    assert list(source.files()) == plain


def test_what_is_left_out_is_known_once_all_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.jpg").write_bytes(b"x")
    (tmp_path / ".facesetsignore").write_text("b.jpg\n")
    source = ListedOnce(FolderSource(tmp_path))
    assert [Path(file.path).name for file in source.files()] == ["a.jpg"]
    assert source.chooses
    assert source.ignored == {str(tmp_path / "b.jpg")}
    assert source.covers(str(tmp_path / "c.jpg"))
    assert source.is_there()


def test_a_folder_that_is_not_there_is_refused_when_it_is_first_listed(tmp_path: Path) -> None:
    source = ListedOnce(FolderSource(tmp_path / "none"))
    with pytest.raises(SourceGone):
        list(source.files())
