"""`index` and `cluster` as cron runs them: silent when all is well, plain when it is not."""

import json
import os
import pty
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fixtures.forked import Forked, program
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import Result, run
from tests.fixtures.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("networks_once")

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
def test_nothing_is_written_by_quiet_commands_when_all_is_well(
    index: Call, photos: Path, library_url: str
) -> None:
    for _ in range(2):
        done = index("--target", photos, "-q")
        assert (done.status, done.out, done.err) == (0, "", "")
        grouped = run("-q", "cluster", "--database", library_url)
        assert (grouped.status, grouped.out, grouped.err) == (0, "", "")
    assert json.loads(run("cluster", "--database", library_url, "--json").out)["faces"] >= 6


def test_a_file_or_a_pipe_gets_the_summary_and_nothing_else(
    index: Call, photos: Path, library_url: str
) -> None:
    done = index("--target", photos)
    assert (done.status, done.err) == (0, "")
    assert "6 new images" in done.out
    assert len(done.out.splitlines()) == 1
    grouped = run("cluster", "--database", library_url)
    assert (grouped.status, grouped.err) == (0, "")
    assert "became" in grouped.out
    reported = index("--target", photos, "-v")
    assert "index: " in reported.err


@pytest.mark.slow
def test_who_looks_on_sees_the_summary(
    photos: Path, library_url: str, pack_dir: Path, tmp_path: Path
) -> None:
    leader, follower = pty.openpty()
    line = ("index", "--target", photos, "--pack", pack_dir, "--skip-clip", "--database", library_url)
    with (tmp_path / "out").open("w+b") as out:
        assert Forked(program(*line), (follower, out.fileno(), follower)).wait(PATIENCE_S) == 0
    os.close(follower)
    os.close(leader)
    assert "6 new images" in (tmp_path / "out").read_text()


def test_a_photo_that_cannot_be_read_is_named_once_and_counted_until_it_is_repaired(
    index: Call, photos: Path, lfw_photos: list[Path]
) -> None:
    (photos / "torn.jpg").write_bytes(b"no picture")
    result = index("--target", photos)
    assert result.status == 3
    assert "torn.jpg: not a picture" in result.err
    assert "1 failed." in result.out
    (photos / "link.jpg").symlink_to("nowhere")
    result = index("--target", photos, "-q")
    assert (result.status, result.out) == (3, "")
    assert "link.jpg: cannot be read" in result.err
    assert "torn.jpg" not in result.err
    for flags in ([], ["--retry-failed"]):
        result = index("--target", photos, *flags)
        assert (result.status, result.err) == (0, "")
        assert "2 failed (2 as before)." in result.out
    strict = index("--target", photos, "--strict")
    assert strict.status == 3
    assert "torn.jpg: not a picture" in strict.err
    (photos / "link.jpg").unlink()
    parsed = json.loads(index("--target", photos, "--json").out)
    assert [Path(failure["path"]).name for failure in parsed["failures"]] == ["torn.jpg"]
    shutil.copy2(lfw_photos[9], photos / "torn.jpg")
    assert index("--target", photos).status == 0


def test_what_is_passed_over_is_counted(index: Call, photos: Path, tmp_path: Path) -> None:
    for name in ("a.NEF", "b.cr2", "c.mp4", "notes.txt"):
        (photos / name).write_bytes(b"something")
    (photos / "linked").symlink_to(tmp_path)
    (photos / "private").mkdir()
    (photos / "private" / "d.mov").write_bytes(b"something")
    done = index("--target", photos, "--exclude", "private")
    assert done.status == 0
    assert "Passed over: 2 RAW files, 1 video, 1 linked folder." in done.out
    parsed = json.loads(index("--target", photos, "--json").out)
    assert parsed["passed_over"] == {"raw": 2, "videos": 2, "linked_folders": 1}


def test_a_missing_clip_pack_is_said_once(photos: Path, library_url: str, pack_dir: Path) -> None:
    def notices(*flags: str) -> bool:
        done = run("index", "--target", photos, "--pack", pack_dir, "--database", library_url, *flags)
        assert done.status == 0
        return "There is no CLIP pack" in done.err

    assert [notices(), notices(), notices("-v"), notices("-q")] == [True, False, True, False]


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
