"""Photos are put into a result folder, and its user's own changes stay."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fixtures.planned_results import Plan, write

from facesets.errors import CannotWrite
from facesets.files import atomic_write
from facesets.results import Materialize
from facesets.results.folder_runs import locked, would_remove, writing_results
from facesets.results.inside import is_inside
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.safe_folder import SafeFolder

FIRST = "person_0/0.jpg"


def photos_in(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.jpg")}


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
def test_photos_arrive_whole_and_with_their_times(out: Path, plan: Plan, how: Materialize) -> None:
    earlier = write(out, plan, {}, how=how).contents
    for name, source in plan.items():
        assert (out / name).read_bytes() == Path(source).read_bytes()
        assert (out / name).stat().st_mtime_ns == Path(source).stat().st_mtime_ns
        assert (out / name).is_symlink() == (how == "symlink")
        assert (out / name).samefile(source) == (how != "copy")
    assert not (out / ANNOUNCEMENT).exists()
    write(out, plan, earlier, how="copy")
    assert not any((out / name).samefile(source) for name, source in plan.items())


def test_files_that_left_the_plan_go_and_files_of_the_user_stay(out: Path, plan: Plan) -> None:
    earlier = write(out, plan, {}).contents
    own = out / "person_0" / "my notes.txt"
    own.write_text("keep me")
    smaller = {name: source for name, source in plan.items() if name.startswith("person_1")}
    write(out, smaller, earlier)
    assert own.read_text() == "keep me"
    assert photos_in(out).keys() == smaller.keys()
    assert not (out / "person_2").exists()


def _mine_is_there(out: Path, _: Path) -> None:
    (out / FIRST).parent.mkdir(parents=True)
    (out / FIRST).write_bytes(b"mine")


def _it_is_missing(_: Path, source: Path) -> None:
    source.unlink()


def _it_is_a_fifo(_: Path, source: Path) -> None:
    source.unlink()
    os.mkfifo(source)


@pytest.mark.parametrize("spoil", [_mine_is_there, _it_is_missing, _it_is_a_fifo])
def test_a_photo_that_cannot_be_placed_affects_no_other(
    out: Path, plan: Plan, spoil: Callable[[Path, Path], None]
) -> None:
    spoil(out, Path(plan[FIRST]))
    written = write(out, plan, {})
    assert written.failed == [plan[FIRST]]
    assert written.contents.keys() == {*plan, "sheet.png"} - {FIRST}
    assert photos_in(out).get(FIRST) == (b"mine" if spoil is _mine_is_there else None)


def _in_place(copy: Path) -> None:
    copy.write_bytes(b"retouched")


def _keeping_its_time(copy: Path) -> None:
    times = copy.stat()
    copy.write_bytes(b"retouched")
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


def _as_a_new_file(copy: Path) -> None:
    copy.unlink()
    copy.write_bytes(b"retouched")


@pytest.mark.parametrize("is_touched", [False, True], ids=["", "and its original is touched"])
@pytest.mark.parametrize(
    ("how", "edit"),
    [
        ("copy", _in_place),
        ("copy", _keeping_its_time),
        ("copy", _as_a_new_file),
        ("hardlink", _as_a_new_file),
        ("symlink", _as_a_new_file),
    ],
)
def test_an_edit_survives_both_replacing_and_removing(
    out: Path, plan: Plan, how: Materialize, edit: Callable[[Path], None], is_touched: bool
) -> None:
    earlier = write(out, plan, {}, how=how).contents
    edit(out / FIRST)
    for _ in range(2):
        if is_touched:
            Path(plan[FIRST]).touch()
        earlier = write(out, plan, earlier, how=how).contents
        assert (out / FIRST).read_bytes() == b"retouched"
    write(out, {}, earlier)
    assert photos_in(out) == {FIRST: b"retouched"}


def test_an_unedited_copy_follows_its_original(out: Path, plan: Plan) -> None:
    earlier = write(out, plan, {}).contents
    Path(plan[FIRST]).write_bytes(b"new version")
    os.utime(plan[FIRST], ns=(1, 1))
    earlier = write(out, plan, earlier).contents
    assert (out / FIRST).read_bytes() == b"new version"
    write(out, {}, earlier)
    assert photos_in(out) == {}


def test_an_edit_after_an_interrupted_run_survives(out: Path, plan: Plan) -> None:
    with locked(out), writing_results(out, {}, "cluster") as folder:
        folder.announce(plan)
        for name in (FIRST, "person_1/1.jpg"):
            folder.place(name, plan[name], "copy")
    (out / FIRST).write_bytes(b"retouched")
    os.utime(out / FIRST, ns=(1, 1))
    Path(plan["person_1/1.jpg"]).write_bytes(b"new version")
    write(out, plan, {})
    assert (out / FIRST).read_bytes() == b"retouched"
    assert (out / "person_1/1.jpg").read_bytes() == b"new version"


@pytest.mark.parametrize("content", ["[]", "{", '{"a": "b"}', '{"a": [["b", "c", "d"]]}'])
def test_an_announcement_that_is_not_ours_is_a_sentence(out: Path, plan: Plan, content: str) -> None:
    out.mkdir()
    (out / ANNOUNCEMENT).write_text(content)
    with pytest.raises(CannotWrite, match="remove the file"):
        write(out, plan, {})


def test_a_file_in_place_of_the_folder_is_a_sentence(out: Path, plan: Plan) -> None:
    out.write_text("")
    with pytest.raises(CannotWrite):
        write(out, plan, {})


def test_the_last_copy_of_a_photo_is_never_removed(out: Path, plan: Plan) -> None:
    earlier = write(out, plan, {}).contents
    last = Path(plan[FIRST]).read_bytes()
    Path(plan[FIRST]).unlink()
    again = write(out, plan, earlier)
    assert again.failed == [plan[FIRST]]
    assert FIRST in again.contents
    write(out, {}, again.contents)
    assert [*photos_in(out).values()] == [last]


@pytest.mark.parametrize("listed_by", ["manifest", "announcement"])
@pytest.mark.parametrize("name", ["../victim.txt", "/VICTIM", "linked/victim.txt", "a/../../victim.txt"])
def test_names_that_lead_out_of_the_folder_are_ignored(
    tmp_path: Path, out: Path, plan: Plan, name: str, listed_by: str
) -> None:
    victim = tmp_path / "elsewhere" / "victim.txt"
    victim.parent.mkdir()
    victim.write_text("precious")
    (tmp_path / "victim.txt").symlink_to(victim)
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


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "C:/a", "C:a", "a\\..\\b", "\\\\host\\a"])
def test_only_plain_relative_names_are_inside(name: str) -> None:
    assert not is_inside(name)
    assert is_inside("person_001/home+ann+..a b.jpg")


def test_unlisted_copies_are_taken_over_and_other_files_are_not(out: Path, plan: Plan) -> None:
    write(out, plan, {})
    (out / "manifest.json").unlink()
    (out / FIRST).write_bytes(b"something of mine")
    (out / "sheet.png").unlink()
    written = write(out, plan, {})
    assert written.contents.keys() == {*plan, "sheet.png"} - {FIRST}
    assert written.failed == [plan[FIRST]]
    assert (out / FIRST).read_bytes() == b"something of mine"


def test_a_too_long_name_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="too long"):
        SafeFolder(tmp_path).write_json("x" * 256, {})
    with pytest.raises(CannotWrite, match="too long"), atomic_write(tmp_path / ("x" * 256)) as file:
        file.write(b"1")
    assert list(tmp_path.iterdir()) == []
