"""`index` and `cluster` as cron runs them: silent when all is well, plain when it is not."""

import json
import os
import pty
from pathlib import Path

import pytest
from tests.fixtures.forked import Forked, program
from tests.fixtures.intake import Intake
from tests.fixtures.program import run
from tests.fixtures.waiting import PATIENCE_S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


@pytest.fixture
def kind() -> str:
    return "library"


def test_nothing_is_written_by_quiet_commands_when_all_is_well(intake: Intake) -> None:
    intake.put(6)
    at = ("--database", intake.place)
    for _ in range(2):
        done = intake.take("--skip-clip", "-q")
        assert (done.status, done.out, done.err) == (0, "", "")
        grouped = run("-q", "cluster", *at)
        assert (grouped.status, grouped.out, grouped.err) == (0, "", "")
    assert json.loads(run("cluster", *at, "--json").out)["faces"] >= 6
    (intake.photos / "link.jpg").symlink_to("nowhere")
    failed = intake.take("--skip-clip", "-q")
    assert (failed.status, failed.out, "link.jpg: cannot be read" in failed.err) == (3, "", True)


def test_a_file_or_a_pipe_gets_the_summary_and_nothing_else(intake: Intake) -> None:
    intake.put(6)
    done = intake.take("--skip-clip")
    assert (done.status, done.err) == (0, "")
    assert "Added 6 photos" in done.out
    assert len(done.out.splitlines()) == 1
    grouped = run("cluster", "--database", intake.place)
    assert (grouped.status, grouped.err) == (0, "")
    assert " new pe" in grouped.out
    assert "already assigned" in run("cluster", "--dry-run", "--database", intake.place).out
    assert "index: " in intake.take("--skip-clip", "-v").err


def test_a_watcher_sees_the_summary(intake: Intake, tmp_path: Path) -> None:
    intake.put(6)
    leader, follower = pty.openpty()
    with (tmp_path / "out").open("w+b") as out:
        streams = (follower, out.fileno(), follower)
        assert Forked(program(*intake.line("--skip-clip")), streams).wait(PATIENCE_S) == 0
    os.close(follower)
    os.close(leader)
    assert "Added 6 photos" in (tmp_path / "out").read_text()


def test_what_is_passed_over_is_counted(intake: Intake, tmp_path: Path) -> None:
    intake.put(1)
    (intake.photos / "private").mkdir()
    for name in ("a.NEF", "b.cr2", "c.mp4", "notes.txt", "private/d.mov"):
        (intake.photos / name).write_bytes(b"something")
    (intake.photos / "linked").symlink_to(tmp_path)
    done = intake.take("--skip-clip", "--exclude", "private")
    assert done.status == 0
    assert "Skipped: 2 RAW files, 1 video, 1 linked folder." in done.out
    assert intake.summary("--skip-clip")["passed_over"] == {"raw": 2, "videos": 2, "linked_folders": 1}


def test_a_missing_clip_pack_is_reported_once(intake: Intake) -> None:
    intake.put(1)
    runs = [intake.take(*flags).err for flags in ((), (), ("-v",), ("-q",))]
    reported = ["No CLIP pack is installed" in err for err in runs]
    assert reported == [True, False, True, False]
