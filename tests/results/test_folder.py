import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fixtures.program import REPOSITORY, environment
from tests.fixtures.trees import files_in

from facesets.errors import AlreadyRunning, CannotWrite
from facesets.files import FileLock, atomic_write
from facesets.results import Materialize
from facesets.results.folder_runs import finish, locked, would_remove, writing_results
from facesets.results.inside import is_inside
from facesets.results.manifest import PlacedFile
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.safe_folder import SafeFolder

Plan = dict[str, str]
Kept = dict[str, PlacedFile | None]


def write(
    out: Path, plan: Plan, earlier: Mapping[str, PlacedFile | None], how: Materialize = "copy"
) -> tuple[Kept, list[str]]:
    """Write a plan as a command does; the names that its manifest would list, and what failed."""
    with locked(out), writing_results(out, earlier, "cluster") as folder:
        folder.announce(plan)
        for name, source in plan.items():
            folder.place(name, source, how)
        finish(folder, "manifest.json", b"{}")
        return dict(folder.kept), [*(failure.path for failure in folder.failed), *folder.unreadable]


def tree(out: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(out)): (
            path.read_bytes(),
            path.stat().st_mtime_ns * (path.name != "manifest.json"),
        )
        for path in files_in(out)
    }


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = {}
    for i in range(12):
        photo = tmp_path / "photos" / f"{i}.jpg"
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(random.Random(i).randbytes(20_000 + i))
        os.utime(photo, ns=(10**18 + i, 10**18 + i))
        plan[f"person_{i % 3}/{i}.jpg"] = str(photo)
    return plan


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
def test_photos_arrive_whole_and_with_their_times(tmp_path: Path, plan: Plan, how: Materialize) -> None:
    out = tmp_path / "out"
    write(out, plan, {}, how)
    for name, source in plan.items():
        assert (out / name).read_bytes() == Path(source).read_bytes()
        assert (out / name).stat().st_mtime_ns == Path(source).stat().st_mtime_ns
        assert (out / name).is_symlink() == (how == "symlink")
        assert (out / name).samefile(source) == (how != "copy")
    assert not (out / ANNOUNCEMENT).exists()


def test_a_second_run_copies_nothing_again(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    before = {name: (out / name).stat().st_ino for name in plan}
    write(out, plan, earlier)
    assert {name: (out / name).stat().st_ino for name in plan} == before


def test_a_way_of_materialising_is_changed_by_running_again(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {}, "hardlink")
    write(out, plan, earlier, "copy")
    assert not any((out / name).samefile(source) for name, source in plan.items())


def test_files_that_left_the_plan_go_and_files_of_the_user_stay(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    own = out / "person_0" / "my notes.txt"
    own.write_text("keep me")
    smaller = {name: source for name, source in plan.items() if name.startswith("person_1")}
    write(out, smaller, earlier)
    assert own.read_text() == "keep me"
    assert {p.name for p in out.rglob("*.jpg")} == {Path(name).name for name in smaller}
    assert not (out / "person_2").exists()


def test_a_photo_of_the_user_in_the_way_is_never_replaced(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    (out / "person_0").mkdir(parents=True)
    (out / "person_0" / "0.jpg").write_bytes(b"mine")
    kept, failed = write(out, plan, {})
    assert (out / "person_0" / "0.jpg").read_bytes() == b"mine"
    assert failed == [plan["person_0/0.jpg"]]
    assert len(kept) == len(plan) - 1


def test_a_copy_that_was_edited_survives_both_replacing_and_removing(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    (out / "person_0/0.jpg").write_bytes(b"retouched")
    earlier, _ = write(out, plan, earlier)
    assert (out / "person_0/0.jpg").read_bytes() == b"retouched"
    write(out, {}, earlier)
    assert [p.name for p in out.rglob("*.jpg")] == ["0.jpg"]


def test_an_edit_that_keeps_the_time_survives(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    copy = out / "person_0/0.jpg"
    times = copy.stat()
    copy.write_bytes(b"rotated without loss")
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    for _ in range(2):
        earlier, _ = write(out, plan, earlier)
        assert copy.read_bytes() == b"rotated without loss"
    write(out, {}, earlier)
    assert copy.read_bytes() == b"rotated without loss"


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
def test_an_edit_survives_when_the_original_is_touched_later(
    tmp_path: Path, plan: Plan, how: Materialize
) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {}, how)
    copy = out / "person_0/0.jpg"
    copy.unlink()
    copy.write_bytes(b"retouched")
    for _ in range(2):
        Path(plan["person_0/0.jpg"]).touch()
        earlier, _ = write(out, plan, earlier, how)
        assert copy.read_bytes() == b"retouched"


def test_a_copy_nobody_edited_follows_its_original(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    original = Path(plan["person_0/0.jpg"])
    original.write_bytes(b"new version")
    os.utime(original, ns=(1, 1))
    earlier, _ = write(out, plan, earlier)
    assert (out / "person_0/0.jpg").read_bytes() == b"new version"
    write(out, {}, earlier)
    assert list(out.rglob("*.jpg")) == []


def test_an_edit_after_a_run_that_was_cut_off_survives(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    with locked(out), writing_results(out, {}, "cluster") as folder:
        folder.announce(plan)
        folder.place("person_0/0.jpg", plan["person_0/0.jpg"], "copy")
        folder.place("person_1/1.jpg", plan["person_1/1.jpg"], "copy")
    (out / "person_0/0.jpg").write_bytes(b"retouched")
    os.utime(out / "person_0/0.jpg", ns=(1, 1))
    Path(plan["person_1/1.jpg"]).write_bytes(b"new version")
    write(out, plan, {})
    assert (out / "person_0/0.jpg").read_bytes() == b"retouched"
    assert (out / "person_1/1.jpg").read_bytes() == b"new version"


@pytest.mark.parametrize("content", ["[]", "{", '{"a": "b"}', '{"a": [["b", "c", "d"]]}'])
def test_an_announcement_that_is_not_ours_is_a_sentence(tmp_path: Path, plan: Plan, content: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ANNOUNCEMENT).write_text(content)
    with pytest.raises(CannotWrite, match="remove that file"):
        write(tmp_path / "out", plan, {})


def test_the_last_copy_of_a_photo_is_never_removed(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    earlier, _ = write(out, plan, {})
    Path(plan["person_0/0.jpg"]).unlink()
    kept, failed = write(out, plan, earlier)
    assert failed == [plan["person_0/0.jpg"]]
    assert "person_0/0.jpg" in kept
    write(out, {}, kept)
    assert [p.name for p in out.rglob("*.jpg")] == ["0.jpg"]


def test_a_missing_photo_costs_only_itself(tmp_path: Path, plan: Plan) -> None:
    Path(plan["person_0/0.jpg"]).unlink()
    kept, failed = write(tmp_path / "out", plan, {})
    assert failed == [plan["person_0/0.jpg"]]
    assert len(kept) == len(plan) - 1


def test_a_fifo_in_place_of_a_photo_does_not_block(tmp_path: Path, plan: Plan) -> None:
    source = Path(plan["person_0/0.jpg"])
    source.unlink()
    os.mkfifo(source)
    assert write(tmp_path / "out", plan, {})[1] == [str(source)]


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path, plan: Plan) -> None:
    with locked(tmp_path / "out"), pytest.raises(AlreadyRunning):
        write(tmp_path / "out", plan, {})


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(CannotWrite):
        write(tmp_path / "out", plan, {})


@pytest.mark.parametrize("listed_by", ["manifest", "announcement"])
@pytest.mark.parametrize("name", ["../victim.txt", "/VICTIM", "linked/victim.txt", "a/../../victim.txt"])
def test_names_that_lead_out_of_the_folder_are_not_believed(
    tmp_path: Path, plan: Plan, name: str, listed_by: str
) -> None:
    victim = tmp_path / "elsewhere" / "victim.txt"
    victim.parent.mkdir()
    victim.write_text("precious")
    (tmp_path / "victim.txt").symlink_to(victim)
    out = tmp_path / "out"
    out.mkdir()
    (out / "linked").symlink_to(victim.parent)
    name = name.replace("/VICTIM", str(victim))
    if listed_by == "announcement":
        (out / ANNOUNCEMENT).write_text(json.dumps({name: []}))
    earlier = {name: None} if listed_by == "manifest" else {}
    assert would_remove(out, earlier, []) == 0
    write(out, plan, earlier)
    assert victim.read_text() == "precious"
    assert (tmp_path / "victim.txt").is_symlink()


def test_nothing_is_written_through_a_linked_directory(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "person_0").symlink_to(tmp_path / "elsewhere")
    _, failed = write(tmp_path / "out", plan, {})
    assert failed == [source for name, source in plan.items() if name.startswith("person_0/")]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "C:/a", "C:a", "a\\..\\b", "\\\\host\\a"])
def test_only_plain_relative_names_are_inside(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("person_001/home+ann+..a b.jpg")


_SLOW_WRITER = """
import json, sys
from pathlib import Path
from facesets.results.folder_runs import finish, writing_results
from facesets.results.folder_runs import locked
out, plan = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
while True:
    with locked(out), writing_results(out, {}, "cluster") as folder:
        folder.announce(plan)
        for name, source in plan.items():
            folder.place(name, source, "copy")
            print(flush=True)
        break
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_and_a_second_run_give_the_undisturbed_tree(tmp_path: Path, plan: Plan) -> None:
    write(tmp_path / "undisturbed", plan, {})
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "person_9/old.jpg": plan["person_0/0.jpg"]}))
    for attempt in range(6):
        out = tmp_path / f"killed_{attempt}"
        process = subprocess.Popen(
            [sys.executable, "-c", _SLOW_WRITER, out, tmp_path / "plan.json"],
            stdout=subprocess.PIPE,
            env=environment(),
            cwd=REPOSITORY,
        )
        assert process.stdout
        for _ in range(2 * attempt + 1):
            process.stdout.readline()
        time.sleep(random.Random(attempt).random() / 2000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        write(out, plan, {})
        assert tree(out).keys() - {".facesets.lock"} == tree(tmp_path / "undisturbed").keys()
        assert all(tree(out)[name] == value for name, value in tree(tmp_path / "undisturbed").items())


def test_a_lock_that_a_killed_run_left_behind_is_taken_over(tmp_path: Path, plan: Plan) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".facesets.lock").touch()
    write(out, plan, {})
    with FileLock(out / ".facesets.lock", what="it"):
        pass


def test_copies_that_no_manifest_lists_any_more_are_taken_over_and_others_are_not(
    tmp_path: Path, plan: Plan
) -> None:
    out = tmp_path / "out"
    write(out, plan, {})
    (out / "manifest.json").unlink()
    mine = out / next(iter(plan))
    mine.write_bytes(b"something of mine")
    kept, failed = write(out, plan, {})
    assert set(kept) == set(plan) - {next(iter(plan))}
    assert failed == [plan[next(iter(plan))]]
    assert mine.read_bytes() == b"something of mine"


def test_a_name_that_is_too_long_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="too long"):
        SafeFolder(tmp_path).write_json("x" * 256, {})
    with pytest.raises(CannotWrite, match="too long"), atomic_write(tmp_path / ("x" * 256)) as file:
        file.write(b"1")
    assert list(tmp_path.iterdir()) == []
