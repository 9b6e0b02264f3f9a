"""Undo of runs, also after changes by the user."""

import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path

import pytest
from tests.fixtures.planned_results import Contents, undo, write
from tests.fixtures.trees import tree

from facesets.errors import CannotWrite, WrongUsage
from facesets.results import Materialize, run_records
from facesets.results.folder_runs import finish, locked, writing_results
from facesets.results.rollback import apply_undo, undoing
from facesets.results.run_journal import RunJournal
from facesets.results.run_records import JOURNAL, UNDOING, read_runs
from facesets.results.safe_folder import SafeFolder


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("seed", range(2))
def test_runs_are_undone_one_by_one_to_the_first_state(
    out: Path, photos: list[str], seed: int, how: Materialize
) -> None:
    rng = random.Random(seed)
    earlier = Contents()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    states = [tree(out)]
    for step in range(6):
        chosen = rng.sample(photos, 8)
        plan = {f"person_{rng.randrange(3)}/{rng.randrange(6)}.jpg": photo for photo in chosen}
        earlier = write(out, plan, earlier, f"manifest {step}".encode(), how).contents
        states.append(tree(out))
    for run, before in zip(reversed(read_runs(out)), reversed(states[:-1]), strict=True):
        undo(out, run.name)
        assert tree(out) == before
    assert not (out / JOURNAL).exists()


def test_a_run_that_changes_nothing_leaves_nothing_to_undo(out: Path, photos: list[str]) -> None:
    plan = {"person_1/a.jpg": photos[0]}
    earlier = write(out, plan, {}, b"same").contents
    write(out, plan, earlier, b"same")
    assert [run.name for run in read_runs(out)] == ["0001-cluster"]


def test_a_later_run_must_be_undone_first(out: Path, photos: list[str]) -> None:
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one").contents
    write(out, {"person_1/b.jpg": photos[1]}, earlier, b"two")
    before = tree(out)
    with pytest.raises(WrongUsage, match="0002-cluster changed"):
        undo(out, "1")
    assert tree(out) == before


def test_an_edit_prevents_an_undo_and_survives(tmp_path: Path, out: Path, photos: list[str]) -> None:
    write(out, {f"person_1/{i}.jpg": photo for i, photo in enumerate(photos)}, {}, b"one")
    (out / "person_1/3.jpg").write_bytes(b"retouched")
    before = tree(out)
    with pytest.raises(WrongUsage, match=r"3\.jpg was changed after 0001-cluster"):
        undo(out, "1")
    assert tree(out) == before
    (out / "person_1/3.jpg").rename(tmp_path / "retouched.jpg")
    undo(out, "1")
    assert tree(out) == {}


@pytest.mark.parametrize("how", ["copy", "hardlink"])
def test_the_last_copy_of_a_photo_survives_an_undo(out: Path, photos: list[str], how: Materialize) -> None:
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one", how).contents
    content = {photo: Path(photo).read_bytes() for photo in photos}
    write(out, {"person_1/a.jpg": photos[1], "person_2/a.jpg": photos[2]}, earlier, b"two", how)
    for photo in photos[1:3]:
        Path(photo).unlink()
    undo(out, "2")
    assert (out / "person_1/a.jpg").read_bytes() == content[photos[0]]
    assert not (out / "person_2").exists()
    set_aside = {path.read_bytes() for path in (out / "_without_original").rglob("*.jpg")}
    assert set_aside == {content[photos[1]], content[photos[2]]}


def test_a_photo_of_several_people_is_set_aside_once_and_a_link_is_no_copy(
    tmp_path: Path, out: Path, photos: list[str]
) -> None:
    write(out, {f"person_{i}/a.jpg": photos[0] for i in range(3)}, {}, b"one")
    write(tmp_path / "links", {"person_1/a.jpg": photos[0]}, {}, b"one", "symlink")
    Path(photos[0]).unlink()
    undo(out, "1")
    undo(tmp_path / "links", "1")
    assert set(tree(out)) == {"_without_original/a.jpg"}
    assert tree(tmp_path / "links") == {}


def test_files_that_the_user_deleted_since_stay_deleted(out: Path, photos: list[str]) -> None:
    earlier = write(out, {"person_1/a.jpg": photos[0], "person_1/b.jpg": photos[1]}, {}, b"one").contents
    write(out, {"person_1/a.jpg": photos[2], "person_1/b.jpg": photos[3]}, earlier, b"two")
    (out / "person_1/a.jpg").unlink()
    (out / "manifest.json").unlink()
    undo(out, "2")
    assert set(tree(out)) == {"person_1/b.jpg", "manifest.json", "sheet.png"}
    assert (out / "person_1/b.jpg").read_bytes() == Path(photos[1]).read_bytes()


def test_files_of_the_run_that_the_user_moved_are_left_and_counted(out: Path, photos: list[str]) -> None:
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one").contents
    write(out, {"person_1/a.jpg": photos[0], "person_1/b.jpg": photos[1]}, earlier, b"two")
    (out / "person_1").rename(out / "Anna")
    with undoing(out, "2") as (plan,):
        assert plan.elsewhere == ("person_1/b.jpg",)
        apply_undo([plan])
    assert (out / "Anna/b.jpg").read_bytes() == Path(photos[1]).read_bytes()


def test_a_full_disk_ends_the_run_in_a_sentence_and_the_journal_is_whole_afterwards(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    new = (tmp_path / "new").stat()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noted = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(CannotWrite, match=r"No space left to write .*changes\.jsonl"):
            run = RunJournal(tmp_path, "cluster")
            while True:
                run.replacing(f"person_1/{noted}.jpg", new)
                noted += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = RunJournal(tmp_path, "cluster")
    again.replacing("person_1/again.jpg", new)
    names = [*(f"person_1/{i}.jpg" for i in range(noted)), "person_1/again.jpg"]
    assert noted > 3
    assert list(read_runs(tmp_path)[0].changes()) == names


def test_files_of_the_user_survive_in_folders_that_go(out: Path, photos: list[str]) -> None:
    write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    (out / "person_1/notes.txt").write_text("mine")
    undo(out, "0001-cluster")
    assert set(tree(out)) == {"person_1/notes.txt"}


@pytest.mark.skipif(sys.platform != "linux", reason="tells by /proc which file is written to the disk")
def test_backups_are_on_the_disk_before_files_are_replaced(
    out: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = write(
        out, {f"person_1/{i}.jpg": photo for i, photo in enumerate(photos[:4])}, {}, b"one"
    ).contents
    (log,) = out.glob(f"{JOURNAL}/*/changes.jsonl")
    on_disk: dict[Path, int] = {log: log.stat().st_size}
    fsync, rename, remove = os.fsync, SafeFolder.rename, SafeFolder.remove
    checked = []

    def synced(handle: int) -> None:
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_file():
            on_disk[path] = path.stat().st_size

    def changed(name: str) -> None:
        if not Path(name).name.startswith(".facesets") and not name.startswith(JOURNAL):
            log = max(out.glob(f"{JOURNAL}/*/changes.jsonl"))
            durable = log.read_bytes()[: on_disk.get(log, 0)]
            assert json.dumps(name).encode() in durable
            checked.append(name)

    def renamed(self: SafeFolder, name: str, place: str) -> None:
        changed(place)
        rename(self, name, place)

    def removed(self: SafeFolder, name: str) -> None:
        if self.exists(name):
            changed(name)
        remove(self, name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(SafeFolder, "rename", renamed)
    monkeypatch.setattr(SafeFolder, "remove", removed)
    plan = {f"person_1/{i}.jpg": photo for i, photo in enumerate(photos[2:])}
    earlier = write(out, plan, earlier, b"two").contents
    write(out, {"person_1/0.jpg": photos[0]}, earlier, b"three")
    assert len(checked) > 20


def test_an_unknown_run_is_refused_with_a_list_of_runs(out: Path, photos: list[str]) -> None:
    write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    with pytest.raises(WrongUsage, match=r"runs: 0001-cluster"):
        undo(out, "7")


def test_an_interrupted_undo_blocks_other_runs(out: Path, photos: list[str]) -> None:
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one").contents
    read_runs(out)[0].mark(UNDOING)
    with pytest.raises(CannotWrite, match=r"undo .* 0001-cluster"):
        write(out, {}, earlier, b"two")
    undo(out, "1")
    assert tree(out) == {}


def test_the_journal_retains_only_the_last_runs(
    out: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = Contents()
    for step in range(14):
        plan = {"person_1/a.jpg": photos[step % 12]}
        earlier = write(out, plan, earlier, f"{step}".encode()).contents
    assert [run.number for run in read_runs(out)] == list(range(5, 15))
    monkeypatch.setattr(run_records, "MAX_BYTES", 5000)
    write(out, {"person_1/a.jpg": photos[2]}, earlier, b"last")
    runs = read_runs(out)
    assert runs[-1].number == 15
    assert 1 <= len(runs) < 4
    assert sum(run.backup_bytes() for run in runs) <= 5000


def write_both(first: Path, second: Path, photo: str, *, finishes: bool = True) -> str:
    """Make one run in two folders, which may end before the second has its manifest; return its name."""
    name = ""
    for folder, other in ((first, second), (second, first)):
        with locked(folder), writing_results(folder, {}, "extend", also=[other], run=name) as results:
            results.announce({"new/a.jpg": photo})
            results.place("new/a.jpg", photo, "copy")
            results.flush()
            name = results.journal.run
            if finishes or folder == first:
                finish(results, "manifest.json", b"{}")
            else:
                results.journal.close()
    return name


def test_one_run_in_two_folders_is_undone_in_both(tmp_path: Path, photos: list[str]) -> None:
    first, second = tmp_path / "raw", tmp_path / "sets"
    write(second, {"faceset_1/x.jpg": photos[3]}, {}, b"earlier")
    before = tree(second)
    name = write_both(first, second, photos[0], finishes=False)
    assert name == "0002-extend"
    undo(first, name)
    assert tree(first) == {}
    assert {n: s for n, s in tree(second).items() if not n.startswith(".facesets")} == before


def test_a_copy_of_a_result_is_undone_separately(tmp_path: Path, photos: list[str]) -> None:
    first, second = tmp_path / "raw", tmp_path / "sets"
    name = write_both(first, second, photos[0])
    shutil.copytree(first, tmp_path / "copy")
    before = tree(second)
    undo(tmp_path / "copy", name)
    assert tree(tmp_path / "copy") == {}
    assert tree(second) == before
    undo(second, name)
    assert tree(first) == tree(second) == {}
