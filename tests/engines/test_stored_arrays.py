import errno
import os
from pathlib import Path

import numpy as np
import pytest

from facesets.engines.stored_arrays import ArrayFolder
from facesets.errors import CannotWrite


@pytest.fixture
def folder(tmp_path: Path) -> ArrayFolder:
    return ArrayFolder(tmp_path / "shards")


def test_workers_read_arrays_as_written(folder: ArrayFolder) -> None:
    rows = folder.empty((50, 3), np.float32)
    rows[:] = np.arange(150).reshape(50, 3)
    plain = np.arange(20, dtype=np.uint16)
    with folder.lent((rows, plain, rows[10:20]), flushed=True) as (stored, other, part):
        assert len(stored) == 50
        assert np.array_equal(stored[:], rows)
        assert np.array_equal(stored[7:12], rows[7:12])
        assert np.array_equal(stored[np.array([3, 49, 3])], rows[[3, 49, 3]])
        assert stored[50:50].shape == (0, 3)
        assert other[2:].dtype == np.uint16
        assert np.array_equal(other[2:], plain[2:])
        assert np.array_equal(part[:], rows[10:20])


def test_arrays_are_written_once_and_their_files_go_with_them(folder: ArrayFolder) -> None:
    rows = folder.empty((4, 2), np.float32)
    with folder.lent((rows,), flushed=False) as (stored,), folder.lent((rows,), flushed=False) as (again,):
        assert stored.path == again.path
    with folder.lent((np.ones(3),), flushed=False) as (copied,):
        assert Path(copied.path).exists()
    assert not Path(copied.path).exists()
    del rows
    assert not Path(stored.path).exists()


def test_a_file_is_removed_with_its_last_mapping(
    folder: ArrayFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows cannot remove mapped files."""
    mapped = []
    remove = Path.unlink

    def unlink(path: Path, **how: bool) -> None:
        mapped.append(str(path) in Path("/proc/self/maps").read_text("utf-8"))
        remove(path, **how)

    rows = folder.empty((4, 2), np.float32)
    monkeypatch.setattr(Path, "unlink", unlink)
    del rows
    assert mapped == [False]
    assert list(folder.path.iterdir()) == []


def test_a_folder_with_mapped_files_is_removed_with_the_last(
    folder: ArrayFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = folder.empty((4, 2), np.float32)
    with monkeypatch.context() as refusing:
        refusing.setattr("shutil.rmtree", lambda *_, **__: None)
        folder.close()
    assert folder.path.exists()
    del rows
    assert not folder.path.exists()
    folder.close()
    assert not folder.path.exists()


@pytest.mark.skipif(os.name == "nt", reason="modes protect nothing on Windows")
def test_stored_arrays_are_private(folder: ArrayFolder) -> None:
    _array = folder.empty((3,), np.float32)
    [file] = folder.path.iterdir()
    assert {path.stat().st_mode & 0o077 for path in (folder.path, file)} == {0}


def test_empty_arrays_are_supported(folder: ArrayFolder) -> None:
    with folder.lent((folder.empty((0, 5), np.float32),), flushed=True) as (stored,):
        assert stored[:].shape == (0, 5)


def test_a_full_disk_is_reported_before_writing(folder: ArrayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CannotWrite, match=r"No space left on device.*Free some space there.*shards"):
        folder.empty((10, 10), np.float32)
    assert not list(folder.path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="file"):
        ArrayFolder(tmp_path / "file")
