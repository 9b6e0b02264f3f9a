"""Real models and photos for every test, in an environment that is nobody's."""

import os
from pathlib import Path

import onnxruntime
import pytest

from tests.program import REPOSITORY

pytest_plugins = ["tests.fixtures.postgres"]

SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))


def pytest_report_header() -> list[str]:
    there = "found" if SHARED.is_dir() else "MISSING: tests on real photos will be skipped"
    return [f"models and photos: {SHARED} ({there})", f"onnxruntime {onnxruntime.__version__}"]


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("FACESETS_", "IMMICH_", "DATABASE_", "PG")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    for name, value in {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_CACHE_HOME": home / ".cache",
        # Root has no library of its own in a home.
        "FACESETS_DATA": home / "library",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The directory of models and photos."""
    if not SHARED.is_dir():
        pytest.skip(f"needs models and photos in {SHARED} (set FACESETS_TEST_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def pack_dir(shared_dir: Path) -> Path:
    """A small real model pack."""
    return shared_dir / "models" / "buffalo_test"


@pytest.fixture(scope="session")
def lfw_dir(shared_dir: Path) -> Path:
    """Photos sorted into a folder a person."""
    return shared_dir / "faces" / "lfw_dev"


@pytest.fixture(scope="session")
def lfw_photos(lfw_dir: Path) -> list[Path]:
    """All photos of the people folders, in order."""
    return sorted(lfw_dir.glob("*/*.jpg"))


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses nothing that it wrote, so that there is no need to wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "sync", lambda: None)
