"""`facesets embed` and `index` through the real command: incremental, unbreakable, the same every time."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.forked import forked
from tests.fixtures.intake import Intake, storing_every, summary_of
from tests.fixtures.networks_once import unhurried
from tests.fixtures.photos import bomb
from tests.fixtures.program import run
from tests.fixtures.waiting import PATIENCE_S, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


def test_only_new_photos_are_read(intake: Intake) -> None:
    photos = intake.put(6)
    assert intake.counts() == (6, 0, 0)
    before = intake.contents()
    # Reading it again would show that this is no longer a picture.
    there, picture = photos[0].stat(), photos[0].read_bytes()
    photos[0].write_bytes(b"x" * there.st_size)
    os.utime(photos[0], ns=(there.st_atime_ns, there.st_mtime_ns))
    assert intake.counts() == (0, 0, 6)
    assert intake.contents() == before
    intake.put(1, begin=6)
    photos[0].with_name("copy.jpg").write_bytes(picture)
    assert intake.counts() == (1, 1, 6)


def test_a_photo_that_only_looks_changed_is_no_new_image(intake: Intake) -> None:
    photos = intake.put(3)
    intake.take()
    os.utime(photos[0], (1, 1))
    assert intake.counts() == (0, 1, 2)


def test_a_photo_from_a_far_future_is_known_again(intake: Intake) -> None:
    photos = intake.put(2)
    os.utime(photos[0], ns=(0, 10**19))
    if photos[0].stat().st_mtime_ns < 2**63:
        pytest.skip("this file system knows no such time")
    assert intake.counts() == (2, 0, 0)
    assert intake.counts() == (0, 0, 2)


def test_a_dry_run_reports_the_work_and_stores_nothing(intake: Intake) -> None:
    intake.put(3)
    before = intake.contents()
    assert intake.summary("--dry-run")["to_do"] == 3
    assert intake.contents() == before


def rubbish(folder: Path, photo: Path) -> set[str]:
    """Fill a folder with everything that a photo collection should not hold; names of what must fail."""
    data = photo.read_bytes()
    bad = {
        "truncated.jpg": data[: len(data) // 2],
        "text.jpg": b"I am a text.",
        "empty.jpg": b"",
        "zeros.png": bytes(5000),
        "lies.heic": b"\0\0\0\x18ftypheic" + bytes(100),
        "noise.tiff": b"II*\0" + np.random.default_rng(0).bytes(5000),
        "bomb.png": bomb(50_000, 50_000),
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    return {*bad, "pipe.jpg", "loop.jpg", "dangling.jpg"}


def harmless(folder: Path, photo: Path) -> int:
    """Add what looks odd and is fine; how many images that is."""
    strange = ["new\nline.jpg", "tab\there.jpg", "back\\slash.jpg", "quote'\".jpg", "x" * 250 + ".jpg"]
    strange += ["ümläut €.JPG", "  .jpg", os.fsdecode(b"not utf-8 \xff\xfe.jpg")]
    for i, name in enumerate(strange):
        (folder / name).write_bytes(photo.read_bytes() + bytes(i + 1))
    (folder / "directory.jpg").mkdir()
    (folder / "directory.jpg" / "up").symlink_to("..")
    Image.new("RGB", (1, 1)).save(folder / "directory.jpg" / "one.png")
    Image.new("RGB", (30_000, 1)).save(folder / "long.png")
    Image.open(photo).convert("CMYK").save(folder / "cmyk.jpg")
    Image.open(photo).convert("P").save(folder / "palette.gif")
    (folder / "notes.txt").write_text("not an image by name")
    return len(strange) + 4


def test_rubbish_costs_only_itself(intake: Intake) -> None:
    failing = rubbish(intake.photos, intake.examples[0])
    fine = harmless(intake.photos, intake.examples[0])
    result = intake.take("--json")
    assert result.status == 3
    report = summary_of(result.out)
    reasons = {Path(failure["path"]).name: failure["reason"] for failure in report["failures"]}
    assert reasons.keys() == failing
    assert all(reasons.values())
    assert report["new"] == fine
    assert "Traceback" not in result.err
    again = intake.summary()
    assert (again["new"], again["failed"]) == (0, len(failing))


def test_a_photo_that_cannot_be_read_is_named_once_and_counted_until_it_is_repaired(intake: Intake) -> None:
    failed = "failed" if intake.is_library else "unreadable"
    torn, link = intake.photos / "torn.jpg", intake.photos / "link.jpg"
    intake.put(1)
    torn.write_bytes(b"no picture")
    first = intake.take()
    assert first.status == 3
    assert "torn.jpg: not a supported photo format" in first.err
    assert f"1 {failed}" in first.out
    link.symlink_to("nowhere")
    second = intake.take()
    assert second.status == 3
    assert "link.jpg: cannot be read" in second.err
    assert "torn.jpg" not in second.err
    assert f"2 {failed} (1 as before)" in second.out
    for flags in ([], ["--retry-failed"]):
        again = intake.take(*flags)
        # Into a log `embed` writes how far it is.
        assert (again.status, ".jpg: " in again.err) == (0, False)
        assert again.err == "" or not intake.is_library
        assert f"2 {failed} (2 as before)" in again.out
    assert intake.summary("--dry-run", "--retry-failed")["to_do"] == 2
    asked = intake.take("-v")
    assert asked.status == 0
    assert "torn.jpg: not a supported photo format" in asked.err
    strict = intake.take("--strict")
    assert strict.status == 3
    assert "torn.jpg: not a supported photo format" in strict.err
    link.unlink()
    assert [Path(each["path"]).name for each in intake.summary()["failures"]] == ["torn.jpg"]
    shutil.copy2(intake.examples[1], torn)
    assert intake.counts()[0] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_tried_again_when_it_is_allowed(intake: Intake) -> None:
    photos = intake.put(2)
    photos[0].chmod(0)
    assert intake.take().status == 3
    photos[0].chmod(0o644)
    assert intake.counts()[0] == 1


def was_killed(intake: Intake, images: int, later_s: float) -> bool:
    """Kill a run a while after so many images more are known; False if it had ended by then."""
    wanted = len(intake.files()) + images
    with unhurried(), storing_every(3), forked(*intake.line(*intake.bit_by_bit)) as process:
        wait_for(lambda: len(intake.files()) >= wanted or process.poll() is not None, every_s=0.02)
        time.sleep(later_s)
    return process.returncode == -signal.SIGKILL


def test_killed_runs_keep_whole_images_and_the_next_ends_as_an_undisturbed_one(
    intake: Intake, undisturbed: Intake
) -> None:
    photos = intake.put(30)
    (intake.photos / "bad.jpg").write_bytes(b"rubbish")
    shutil.copy2(photos[5], intake.photos / "alias.jpg")
    chance = random.Random(7)
    kills, stored = 0, []
    for more in (0, 2, 4, 8):
        kills += was_killed(intake, more, chance.uniform(0.0, 0.1))
        stored.append(len(intake.files()))
        looking = ("check", "--database") if intake.is_library else ("show",)
        assert not stored[-1] or run(*looking, intake.place).status == 0
    assert kills >= 2
    assert stored == sorted(stored)
    assert 0 < stored[1] < 30
    assert intake.take("--strict").status == undisturbed.take().status == 3
    assert intake.contents() == undisturbed.contents()


def test_a_stop_signal_ends_cleanly_drops_what_has_not_begun_and_loses_nothing(intake: Intake) -> None:
    intake.put(60)
    number = signal.SIGTERM if intake.is_library else signal.SIGINT
    batches = () if intake.is_library else ("--batch-size", 10, "--workers", 2)
    with unhurried(), forked(*intake.line("--json", *intake.bit_by_bit, *batches)) as process:
        wait_for(intake.is_under_way, every_s=0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    report = summary_of(out)
    assert report["stopped"]
    # Of a cache's six batches the first is done, and of the others those that had begun.
    assert (0 if intake.is_library else 10) <= report["new"] <= 40
    assert intake.counts()[0] == 60 - report["new"]


def test_a_second_run_on_the_same_store_is_turned_away(intake: Intake) -> None:
    intake.put(12)
    with unhurried(), forked(*intake.line(*intake.bit_by_bit)) as first:
        wait_for(intake.is_under_way, every_s=0.005)
        # Stopped, so that it is surely still at work when the other one asks.
        first.send_signal(signal.SIGSTOP)
        before = intake.contents()
        second = intake.take(*intake.bit_by_bit)
        assert intake.contents() == before
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=PATIENCE_S) == 0
    assert second.status == 75
    assert ("Another `facesets index --alone`" if intake.is_library else "Another run") in second.err
    assert second.out == ""
    assert intake.counts() == (0, 0, 12)


def test_a_profile_shows_where_the_time_went(intake: Intake, tmp_path: Path) -> None:
    photos = intake.put(6)
    shutil.copy2(photos[0], intake.photos / "copy.jpg")
    result = intake.take("--profile", str(tmp_path / "p.json"), intake.readers, 1)
    assert result.status == 0
    profile = json.loads((tmp_path / "p.json").read_text())
    counts = {name: stage["count"] for name, stage in profile["stages"].items()}
    # Of a library the copy is put off until its photo is known.
    assert counts["read"] == counts["hash"] >= 7
    assert counts["decode"] == counts["fingerprint"] == 6
    assert {"list and compare", "detect", "align", "recognise", "store"} <= counts.keys()
    assert profile["workers"] == 1
    # One worker does one thing at a time, and waiting for it is not work.
    work = [stage["wall_s"] for name, stage in profile["stages"].items() if not name.startswith("wait")]
    assert 0 < sum(work) <= profile["wall_s"]
    assert "detect" in result.err
    wrong = intake.take("--profile", str(tmp_path / "p.txt"))
    assert (wrong.status, ".json" in wrong.err) == (2, True)
