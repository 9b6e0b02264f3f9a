"""Links in a result folder: their targets belong to the user, even if a name or a file leads there."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.planned_results import undo, write
from tests.fixtures.trees import tree

from facesets.errors import CannotWrite, WrongUsage
from facesets.files import FileLock
from facesets.results import inside, safe_folder
from facesets.results.edits.folder_diff import read_edits
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.rollback import apply_undo, undoing
from facesets.results.run_records import JOURNAL, read_runs
from facesets.results.safe_folder import SafeFolder


def moved_to_another_disk(folder: Path) -> Path:
    """Move a folder elsewhere and put a link in its place, as a user may."""
    disk = folder.parent.parent / f"disk of {folder.name}"
    folder.rename(disk)
    folder.symlink_to(disk)
    return disk


def test_an_undo_changes_nothing_behind_a_linked_folder(out: Path, photos: list[str]) -> None:
    earlier, *_ = write(out, {"Anna/0.jpg": photos[0], "Anna/1.jpg": photos[1]}, {})
    write(out, {"Anna/0.jpg": photos[2], "Anna/2.jpg": photos[3], "Bob/3.jpg": photos[4]}, earlier)
    disk = moved_to_another_disk(out / "Anna")
    before = tree(disk)
    with undoing(out, "2") as plans:
        assert plans[0].links == ("Anna",)
        apply_undo(plans)
    assert tree(disk) == before
    assert (out / "Anna").is_symlink()
    assert not (out / "Bob").exists()


def test_a_run_changes_nothing_behind_a_linked_folder_and_still_recognizes_it(
    out: Path, photos: list[str]
) -> None:
    earlier, *_ = write(out, {"Anna/0.jpg": photos[0], "Anna/1.jpg": photos[1]}, {})
    disk = moved_to_another_disk(out / "Anna")
    before = tree(disk)
    plan = {"Anna/0.jpg": photos[0], "Anna/2.jpg": photos[2], "Bob/3.jpg": photos[3]}
    contents, failed, links = write(out, plan, earlier)
    assert tree(disk) == before
    assert links == ["Anna"]
    assert failed == [photos[2]]
    assert set(contents) == {"Anna/0.jpg", "Anna/1.jpg", "Bob/3.jpg", "sheet.png"}
    assert (out / "Bob/3.jpg").is_file()
    (out / "Anna").unlink()
    disk.rename(out / "Anna")
    _, failed, links = write(out, plan, contents)
    assert failed == links == []
    assert sorted(path.name for path in (out / "Anna").iterdir()) == ["0.jpg", "2.jpg"]


@pytest.mark.parametrize("is_plugged_in", [True, False])
def test_a_linked_folder_is_no_correction(
    tmp_path: Path, out: Path, photos: list[str], is_plugged_in: bool
) -> None:
    contents, *_ = write(out, {"Anna/0.jpg": photos[0], "Bob/1.jpg": photos[1]}, {})
    disk = moved_to_another_disk(out / "Anna")
    if not is_plugged_in:
        disk.rename(tmp_path / "unplugged")
    assert not read_edits(out, {name: put for name, put in contents.items() if put}, ())


@pytest.mark.parametrize("name", [JOURNAL, "_without_original", "_edited", ANNOUNCEMENT, "manifest.json"])
def test_links_under_names_of_our_own_are_refused(
    tmp_path: Path, out: Path, photos: list[str], name: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    earlier, *_ = write(out, {"Anna/0.jpg": photos[0]}, {})
    source = out / name
    if not source.exists():
        source.mkdir() if name.startswith("_") else source.write_text("{}")
    source.rename(elsewhere)
    source.symlink_to(elsewhere)
    before = tree(tmp_path)
    with pytest.raises(CannotWrite, match=f"{name} is a link"):
        write(out, {"Anna/1.jpg": photos[1]}, earlier)
    with pytest.raises(CannotWrite, match=f"{name} is a link"):
        undo(out, "1")
    assert tree(tmp_path) == before


def test_a_lock_that_is_a_link_makes_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / ".facesets.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotWrite, match="link"), FileLock(tmp_path / ".facesets.lock", what="it"):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("where", ["..", "absolute", "linked"])
def test_an_announcement_sweeps_nothing_outside(
    tmp_path: Path, out: Path, photos: list[str], where: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (out / "linked").symlink_to(elsewhere)
    victim = elsewhere / ".a.jpg.12345678.tmp"
    victim.write_text("precious")
    name = {"..": "../elsewhere/a.jpg", "absolute": f"{elsewhere}/a.jpg", "linked": "linked/a.jpg"}[where]
    (out / ANNOUNCEMENT).write_text(json.dumps({name: []}))
    write(out, {"Anna/0.jpg": photos[0]}, {})
    (out / ANNOUNCEMENT).write_text(json.dumps({name: []}))
    undo(out, "1")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["../victim.txt", "VICTIM", "a/../../victim.txt", "", ".", "x\u0000", "\ud800"]
)
def test_a_journal_with_a_name_outside_undoes_nothing(
    tmp_path: Path, out: Path, photos: list[str], name: str
) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    write(out, {"Anna/0.jpg": photos[0]}, {})
    state = [victim.stat().st_size, victim.stat().st_mtime_ns]
    changes = read_runs(out)[0].directory / "changes.jsonl"
    line = json.dumps([name.replace("VICTIM", str(victim)), None, state, None])
    changes.write_text(changes.read_text() + line + "\n")
    with pytest.raises(WrongUsage, match="outside"):
        undo(out, "1")
    assert victim.read_text() == "precious"
    assert (out / "Anna/0.jpg").is_file()


@pytest.fixture(params=[True, False], ids=["opened", "looked at"])
def opens_folders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system can open a folder, and a file without following a link; Windows cannot."""
    if not request.param:
        monkeypatch.setattr(inside, "_HAS_DIR_FD", False)
        monkeypatch.setattr(safe_folder, "_FILE", 0)
    return bool(request.param)


@pytest.mark.usefixtures("opens_folders")
def test_a_link_to_a_file_is_neither_read_nor_written_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "linked").symlink_to(tmp_path / "theirs")
    folder = SafeFolder(tmp_path / "out")
    for reach in (folder.read, folder.append, folder.create):
        with pytest.raises(OSError, match=r"link|File exists"):
            reach("linked")
    assert folder.link_target("linked") == str(tmp_path / "theirs")
    folder.append("new").close()
    folder.make_folder("below/deeper")
    folder.remove("linked")
    assert folder.names_in() == ["below", "new"]
    folder.sync("below")
    assert (tmp_path / "theirs").read_text() == "theirs"


@pytest.mark.usefixtures("opens_folders")
@pytest.mark.parametrize("name", ["linked/x", "../x", "/x", "linked/sub/x"])
def test_nothing_is_reached_outside_of_a_safe_folder(tmp_path: Path, out: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    out.mkdir()
    (elsewhere / "sub").mkdir(parents=True)
    (out / "linked").symlink_to(elsewhere)
    (out / "mine").write_text("mine")
    for place in (elsewhere / "x", elsewhere / "sub/x", tmp_path / "x"):
        place.write_text("theirs")
    folder = SafeFolder(out)
    for change in (
        lambda: folder.remove(name),
        lambda: folder.rename("mine", name),
        lambda: folder.rename(name, "mine"),
        lambda: folder.link("mine", name),
        lambda: folder.link(name, "new"),
        lambda: folder.create(name),
        lambda: folder.append(name),
        lambda: folder.read(name),
        lambda: folder.make_folder(name),
        lambda: folder.make_folder_of(name),
        lambda: folder.remove_tree(name.rpartition("/")[0] or ".."),
        lambda: folder.symlink_to("mine", name),
        lambda: folder.hardlink_to(str(out / "mine"), name),
        lambda: folder.write_json(name, 1),
    ):
        with pytest.raises((OSError, CannotWrite)):
            change()
    folder.remove_empty_folders_above(name)
    assert not folder.exists(name)
    assert {path.read_text() for path in (elsewhere / "x", elsewhere / "sub/x", tmp_path / "x")} == {"theirs"}
    assert sorted(path.name for path in out.iterdir()) == ["linked", "mine"]


@pytest.mark.parametrize("there", ["Anna", JOURNAL])
def test_unreadable_folders_do_not_count_as_deleted(
    out: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    earlier, *_ = write(out, {"Anna/0.jpg": photos[0]}, {})
    before = tree(out)
    secret = (out / there).stat()

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        # The tests may run as root, which has every permission.
        def called(path: Any, *args: Any, dir_fd: int | None = None, **others: Any) -> Any:
            if dir_fd is not None and os.path.samestat(os.fstat(dir_fd), secret):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return call(path, *args, dir_fd=dir_fd, **others)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing(os.open))
        patched.setattr(os, "stat", refusing(os.stat))
        with pytest.raises(CannotWrite, match=r"cannot be read \(Permission denied\)"):
            write(out, {"Anna/1.jpg": photos[1]}, earlier)
        if there == "Anna":
            with pytest.raises(CannotWrite, match="not treated as deleted"):
                read_edits(out, {name: put for name, put in earlier.items() if put}, ())
    assert tree(out) == before


def test_names_looked_for_together_exist_as_each_by_itself(tmp_path: Path) -> None:
    root, outside = tmp_path / "result", tmp_path / "outside"
    for made in (root / "anna" / "inner", root / "ben", outside):
        made.mkdir(parents=True)
    for place in ("anna/a.jpg", "anna/inner/b.jpg", "ben/a:b.jpg", "ben/é.jpg"):
        (root / place).write_text("photo")
    (outside / "c.jpg").write_text("photo")
    (root / "linked").symlink_to(outside)
    (root / "ben" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    names = [
        *("anna/a.jpg", "anna/inner/b.jpg", "anna//a.jpg", "./anna/a.jpg", "anna/inner", "anna", "linked"),
        *("anna/none.jpg", "none/a.jpg", "ben/a:b.jpg", "ben/é.jpg", "ben/gone.jpg", "linked/c.jpg"),
        *("../outside/c.jpg", "anna/../ben/gone.jpg", "anna/..", "anna/.", str(root / "anna/a.jpg"), "."),
    ]
    folder = SafeFolder(root)
    plainly = {name for name in names if folder.exists(name)}
    assert folder.existing(names) == plainly
    assert {"anna/a.jpg", "ben/gone.jpg", "linked"} <= plainly
    assert not {"linked/c.jpg", "ben/a:b.jpg", "../outside/c.jpg"} & plainly
