"""`index` and `cluster` as cron runs them: silent when all is well, plain when it is not."""

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.photos import copy_photos
from tests.program import Result, command, environment, run

Call = Callable[..., Result]


@pytest.fixture
def photos(lfw_photos: list[Path], tmp_path: Path) -> Path:
    return copy_photos(lfw_photos[:6], tmp_path / "photos")


@pytest.fixture
def index(library_url: str, pack_dir: Path) -> Call:
    def call(*arguments: object) -> Result:
        named = ["--pack", pack_dir, "--skip-clip", "--database", library_url]
        return run("index", *arguments, *named)

    return call


@pytest.mark.slow
def test_nothing_is_written_when_all_is_well(index: Call, photos: Path, library_url: str) -> None:
    for _ in range(2):
        done = index("--target", photos)
        assert (done.status, done.out, done.err) == (0, "", "")
        grouped = run("cluster", "--database", library_url)
        assert (grouped.status, grouped.out, grouped.err) == (0, "", "")
    assert json.loads(run("cluster", "--database", library_url, "--json").out)["faces"] >= 6


def test_who_looks_on_sees_the_summary(photos: Path, library_url: str, pack_dir: Path) -> None:
    leader, follower = pty.openpty()
    line = command("index", "--target", photos, "--pack", pack_dir, "--skip-clip", "--database", library_url)
    done = subprocess.run(
        line, stdout=subprocess.PIPE, stderr=follower, text=True, env=environment(), timeout=200, check=True
    )
    os.close(follower)
    os.close(leader)
    assert "6 new images" in done.stdout


def test_a_photo_that_cannot_be_read_is_named_again_until_it_is_mended(
    index: Call, photos: Path, lfw_photos: list[Path]
) -> None:
    (photos / "torn.jpg").write_bytes(b"no picture")
    for _ in range(2):
        result = index("--target", photos)
        assert result.status == 3
        assert "torn.jpg: not a picture" in result.err
        assert "1 failed" in result.out
    parsed = json.loads(index("--target", photos, "--json").out)
    assert [Path(failure["path"]).name for failure in parsed["failures"]] == ["torn.jpg"]
    shutil.copy2(lfw_photos[9], photos / "torn.jpg")
    assert index("--target", photos).status == 0


def test_an_empty_target_is_no_success(index: Call, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    never = index("--target", tmp_path / "empty")
    assert (never.status, "no photos below" in never.err) == (2, True)
    other = copy_photos(sorted(photos.iterdir())[:1], tmp_path / "other")
    assert index("--target", photos, "--target", other).status == 0
    shutil.rmtree(photos)
    photos.mkdir()
    for targets in (["--target", photos], ["--target", photos, "--target", other]):
        gone = index(*targets)
        assert gone.status == 2
        assert "where the library knows 6. Is it mounted?" in gone.err
    (photos / "notes.txt").write_text("moved away")
    assert index("--target", photos).status == 2
    planned = index("--target", photos, "--prune", "--dry-run")
    assert "6 to forget, 0 failed. Nothing was stored." in planned.out
    assert json.loads(index("--target", photos, "--prune", "--json").out)["pruned"] == 6
