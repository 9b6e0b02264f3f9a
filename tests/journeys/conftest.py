"""Fixtures of several journeys."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.intake import Intake
from tests.fixtures.program import Result, run


@pytest.fixture(params=["cache", "library"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of store; a module about one of the two overrides it."""
    kind: str = request.param
    return kind


@pytest.fixture
def intake(
    kind: str, request: pytest.FixtureRequest, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> Intake:
    """An empty folder for photos, and an empty store for them."""
    (tmp_path / "photos").mkdir()
    place = tmp_path / "c.npz" if kind == "cache" else request.getfixturevalue("library_url")
    return Intake(tmp_path / "photos", lfw_photos, place, ("--pack", pack_dir, "--provider", "cpu"))


@pytest.fixture
def undisturbed(intake: Intake, request: pytest.FixtureRequest, tmp_path: Path) -> Intake:
    """Another store of the same kind for the same photos."""
    if not intake.is_library:
        return replace(intake, place=tmp_path / "undisturbed.npz")
    url = request.getfixturevalue("empty_url")
    assert run("migrate", "--database", url).status == 0
    return replace(intake, place=url)


@pytest.fixture
def root(pack_dir: Path, tmp_path: Path) -> Path:
    """Where model packs lie under their published names; a journey with other models has one of its own."""
    (tmp_path / "root" / "models").mkdir(parents=True)
    (tmp_path / "root" / "models" / "buffalo_l").symlink_to(pack_dir)
    return tmp_path / "root"


@pytest.fixture
def facesets(root: Path, library_url: str) -> Callable[..., Result]:
    """Runs a command with those packs on a library, to the end that is expected of it."""

    def call(*arguments: object, status: int = 0) -> Result:
        result = run(*arguments, env={"FACESETS_MODELS": str(root), "DATABASE_URL": library_url})
        assert result.status == status, result.err
        return result

    return call
