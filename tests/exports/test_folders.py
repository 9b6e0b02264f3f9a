import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.program import REPOSITORY, environment

from facesets.errors import AlreadyRunning, CannotWrite
from facesets.exports.folders import ANNOUNCEMENT, finish, writing_results
from facesets.exports.materialize import Materialize
from facesets.files import FileLock

Plan = dict[str, str]


def write(out: Path, plan: Plan, earlier: Plan, how: Materialize = "copy") -> tuple[Plan, list[str]]:
    """Write a plan as a command does; the names that its manifest would list, and what failed."""
    with writing_results(out, earlier) as folder:
        folder.announce(plan)
        for name, source in plan.items():
            folder.place(name, source, how)
        finish(folder, "manifest.json", b"{}")
        return dict(folder.kept), [failure.path for failure in folder.failed]


def tree(out: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(out)): (
            path.read_bytes(),
            path.stat().st_mtime_ns * (path.name != "manifest.json"),
        )
        for path in sorted(out.rglob("*"))
        if path.is_file()
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
    with writing_results(tmp_path / "out", {}), pytest.raises(AlreadyRunning):
        write(tmp_path / "out", plan, {})


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(CannotWrite):
        write(tmp_path / "out", plan, {})


def test_names_that_lead_out_of_the_folder_are_not_believed(tmp_path: Path, plan: Plan) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / ANNOUNCEMENT).write_text('{"../victim.txt": ""}')
    write(out, plan, {})
    assert victim.read_text() == "precious"


_SLOW_WRITER = """
import json, sys
from pathlib import Path
from facesets.exports.folders import finish, writing_results
out, plan = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
while True:
    with writing_results(out, {}) as folder:
        folder.announce(plan)
        for name, source in plan.items():
            folder.place(name, source, "copy")
            print(flush=True)
        break
"""


def test_a_kill_at_any_moment_and_a_second_run_give_the_undisturbed_tree(tmp_path: Path, plan: Plan) -> None:
    import json

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
