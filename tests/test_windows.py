"""The program without the calls that Windows lacks, and with files that behave as there; tried on Linux."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from facesets import file_system, files
from facesets.errors import AlreadyRunning, CannotWrite
from facesets.file_system import link_text, patiently, remove_tree
from facesets.files import FileLock, atomic_write
from tests.fixtures.no_posix import windows_locks
from tests.fixtures.photos import copy_photos
from tests.fixtures.soak import soaking
from tests.fixtures.windows import refusal, run_there

IMPORT_ALL = """
import importlib, pkgutil, facesets
for module in pkgutil.walk_packages(facesets.__path__, "facesets."):
    if module.name == "facesets.__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        # Only requirements of training may be missing anywhere.
        if (error.name or "").partition(".")[0] not in ("torch", "sklearn"):
            raise
"""

RUN = """
import sys
from facesets.cli import console
from facesets.cli.app import main

def run(*line):
    sys.argv = ["facesets", *line]
    vars(console.session).update(vars(type(console.session)()))
    try:
        main()
    except SystemExit as end:
        return end.code or 0
"""


@pytest.mark.slow
def test_every_module_can_be_imported_without_posix() -> None:
    run_there(IMPORT_ALL, is_named=False)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("is_named", soaking([False, True], else_=[True]))
def test_folders_are_made_from_photos_to_the_export_and_undone(
    is_named: bool, lfw_photos: list[Path], insightface_pack: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:10], tmp_path / "photos")
    for photo in photos.iterdir():
        photo.chmod(0o444)
    commands = [
        f"embed photos faces.npz --pack {insightface_pack} --workers 2",
        "cluster faces.npz raw",
        "cluster faces.npz raw --max-cosine-distance 0.2",
        "cluster faces.npz linked --materialize hardlink",
        "extend faces.npz raw",
        "refine faces.npz sets --min-faces 1 --min-short 20",
        "refine faces.npz sets --min-faces 1 --min-short 80",
        "export-swap faces.npz sets swap",
        "sheet raw",
        "show faces.npz",
        "dedup faces.npz",
        "undo raw 0002-cluster",
        "undo raw 0001-cluster",
        f"run photos all --pack {insightface_pack}",
    ]
    script = (
        f"import os; os.chdir({str(tmp_path)!r}); os.environ['FACESETS_DATA'] = {str(tmp_path / 'data')!r}"
    )
    script += f"{RUN}\nfor line in {commands}:\n    assert run(*line.split(), '-q') == 0, line"
    script += "\nassert run('cluster', 'faces.npz', 'links', '--materialize', 'symlink') == 1"
    run_there(script, is_named=is_named, left_out=("torch", "sklearn", "distributed", "boto3", "fastapi"))
    made = [path for name in ("raw", "sets", "swap", "all") for path in (tmp_path / name).rglob("*")]
    assert any(path.suffix == ".fsz" for path in made)
    assert any(path.suffix == ".jpg" for path in made)
    assert not [path for path in made if path.suffix in (".tmp", ".lock") or not path.stat().st_mode & 0o200]


def refused(change: Callable[..., object], times: int, winerror: int) -> Callable[..., object]:
    """A change that the system refuses at first."""
    left = iter(range(times))

    def changing(*paths: Path, **how: object) -> object:
        if next(left, None) is not None:
            raise refusal(errno.EACCES, winerror, paths[-1])
        return change(*paths, **how)

    return changing


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waiting times, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(file_system, "time", SimpleNamespace(sleep=waited.append))
    return waited


@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_a_file_that_another_program_has_open_is_replaced_a_moment_later(
    winerror: int, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", refused(os.replace, 5, winerror))
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(waits) == 5
    assert waits == sorted(waits)


def test_an_open_file_is_reported_after_two_seconds(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", refused(os.replace, 99, 32))
    with (
        pytest.raises(CannotWrite, match=r"open in another program\. Close it"),
        atomic_write(tmp_path / "file"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert sum(waits) == pytest.approx(2)


def test_refusals_of_other_systems_are_not_retried(tmp_path: Path, waits: list[float]) -> None:
    def change(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        patiently(change, tmp_path)
    assert waits == []


def test_a_copy_marked_as_read_only_is_removed(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(path: Path, *, dir_fd: int | None = None) -> None:
        if not os.stat(path, dir_fd=dir_fd).st_mode & stat.S_IWRITE:
            raise refusal(errno.EACCES, 5, path)
        remove(path, dir_fd=dir_fd)

    remove = os.unlink
    for name in ("alone", "folder/one", "folder/below/other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(0o444)
    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr("shutil._use_fd_functions", False)
    patiently(os.unlink, tmp_path / "alone")
    remove_tree(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
    assert waits == []


def test_a_lock_of_windows_excludes_others_and_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "_msvcrt", windows_locks())
    monkeypatch.setattr(file_system, "_fcntl", None)
    monkeypatch.setattr(files, "REMOVES_OPEN_FILES", False)
    path = tmp_path / "x.lock"
    with FileLock(path, what="x"), pytest.raises(AlreadyRunning), FileLock(path, what="x"):
        pass
    assert not path.exists()


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("\\\\?\\C:\\photos\\1.jpg", "C:\\photos\\1.jpg"),
        ("\\\\?\\UNC\\nas\\photos\\1.jpg", "\\\\nas\\photos\\1.jpg"),
        ("/photos/1.jpg", "/photos/1.jpg"),
    ],
)
def test_a_link_leads_to_its_target(read: str, written: str) -> None:
    assert link_text(read) == written
