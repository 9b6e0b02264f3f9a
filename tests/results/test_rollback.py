import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path

import pytest
from tests.fixtures.kills import changes_of, in_a_child, moments
from tests.fixtures.soak import mostly_slow
from tests.fixtures.trees import files_in

from facesets.errors import CannotWrite, WrongUsage
from facesets.results import Materialize, run_records
from facesets.results.folder_runs import finish, locked, writing_results
from facesets.results.manifest import PlacedFile
from facesets.results.rollback import take_back, undoing
from facesets.results.run_journal import RunJournal
from facesets.results.run_records import JOURNAL, UNDOING, read_runs
from facesets.results.safe_folder import SafeFolder

Kept = dict[str, PlacedFile | None]
Plan = dict[str, str]


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    made = []
    for i in range(12):
        photo = tmp_path / "photos" / f"{i}.jpg"
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(random.Random(i).randbytes(2000 + i))
        os.utime(photo, ns=(10**18 + i, 10**18 + i))
        made.append(str(photo))
    return made


def write(out: Path, plan: Plan, earlier: Kept, manifest: bytes, how: Materialize = "copy") -> Kept:
    """One run: photos, a sheet of our own making, and the manifest."""
    with locked(out), writing_results(out, earlier, "cluster") as folder:
        folder.announce({**plan, "sheet.png": ""})
        for name, source in plan.items():
            folder.place(name, source, how)
        folder.write("sheet.png", manifest * 2)
        finish(folder, "manifest.json", manifest)
        return dict(folder.kept)


def undo(out: Path, run: str) -> None:
    with undoing(out, run) as plans:
        take_back(plans)


def tree(out: Path) -> dict[str, tuple[bytes | str, int]]:
    """Every file of a result but the journal's, with its time."""
    return {
        str(path.relative_to(out)): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
            path.lstat().st_mtime_ns,
        )
        for path in files_in(out)
    }


def layout(out: Path) -> tuple[dict[str, tuple[bytes | str, int]], list[str]]:
    """Every file of a result but the journal's, and every folder."""
    folders = [path.relative_to(out) for path in out.rglob("*") if path.is_dir()]
    return tree(out), sorted(map(str, (folder for folder in folders if folder.parts[0] != JOURNAL)))


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("seed", mostly_slow(range(4), quick=2))
def test_runs_are_taken_back_one_by_one_to_the_very_first_state(
    tmp_path: Path, photos: list[str], seed: int, how: Materialize
) -> None:
    rng = random.Random(seed)
    out, earlier = tmp_path / "out", Kept()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    states = [tree(out)]
    for step in range(6):
        chosen = rng.sample(photos, 8)
        plan = {f"person_{rng.randrange(3)}/{rng.randrange(6)}.jpg": photo for photo in chosen}
        earlier = write(out, plan, earlier, f"manifest {step}".encode(), how)
        states.append(tree(out))
    for run, before in zip(reversed(read_runs(out)), reversed(states[:-1]), strict=True):
        undo(out, run.name)
        assert tree(out) == before
    assert not (out / JOURNAL).exists()


def test_a_run_that_changes_nothing_leaves_nothing_to_take_back(tmp_path: Path, photos: list[str]) -> None:
    plan = {"person_1/a.jpg": photos[0]}
    earlier = write(tmp_path / "out", plan, {}, b"same")
    write(tmp_path / "out", plan, earlier, b"same")
    assert [run.name for run in read_runs(tmp_path / "out")] == ["0001-cluster"]


def test_a_later_run_stands_in_the_way(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    write(out, {"person_1/b.jpg": photos[1]}, earlier, b"two")
    before = tree(out)
    with pytest.raises(WrongUsage, match="0002-cluster changed"):
        undo(out, "1")
    assert tree(out) == before


def test_an_edit_stands_in_the_way_and_survives(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
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
def test_the_last_copy_of_a_photo_outlives_the_undo_whether_it_would_go_or_be_replaced(
    tmp_path: Path, photos: list[str], how: Materialize
) -> None:
    out = tmp_path / "out"
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one", how)
    content = {photo: Path(photo).read_bytes() for photo in photos}
    write(out, {"person_1/a.jpg": photos[1], "person_2/a.jpg": photos[2]}, earlier, b"two", how)
    for photo in photos[1:3]:
        Path(photo).unlink()
    undo(out, "2")
    assert (out / "person_1/a.jpg").read_bytes() == content[photos[0]]
    assert not (out / "person_2").exists()
    kept = {path.read_bytes() for path in (out / "_without_original").rglob("*.jpg")}
    assert kept == {content[photos[1]], content[photos[2]]}


def test_a_photo_of_several_people_is_kept_once_and_a_link_is_no_copy(
    tmp_path: Path, photos: list[str]
) -> None:
    out = tmp_path / "out"
    write(out, {f"person_{i}/a.jpg": photos[0] for i in range(3)}, {}, b"one")
    write(tmp_path / "links", {"person_1/a.jpg": photos[0]}, {}, b"one", "symlink")
    Path(photos[0]).unlink()
    undo(out, "1")
    undo(tmp_path / "links", "1")
    assert set(tree(out)) == {"_without_original/a.jpg"}
    assert tree(tmp_path / "links") == {}


@pytest.mark.slow
@pytest.mark.soak
def test_an_undo_that_is_killed_loses_no_last_copy(tmp_path: Path, photos: list[str]) -> None:
    content = {Path(photo).read_bytes() for photo in photos[:3]}

    def without_photos(name: str) -> Path:
        out = tmp_path / name
        for photo, bytes_of_it in zip(photos, sorted(content), strict=False):
            Path(photo).write_bytes(bytes_of_it)
        write(out, {f"person_{i}/a.jpg": photo for i, photo in enumerate(photos[:3])}, {}, b"one")
        for photo in photos[:3]:
            Path(photo).unlink()
        return out

    def require_copies(out: Path) -> None:
        assert {path.read_bytes() for path in out.rglob("a.jpg")} == content
        assert not list(out.glob("person_*"))

    whole = without_photos("whole")
    changes = changes_of(lambda: undo(whole, "1"))
    assert changes > 12
    require_copies(whole)
    for kill_at in moments(changes, 6):
        out = without_photos(f"killed_{kill_at}")
        assert in_a_child(lambda out=out: undo(out, "1"), kill_at)  # type: ignore[misc]
        if read_runs(out):
            undo(out, "1")
        require_copies(out)


def test_what_the_user_deleted_since_stays_deleted(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    earlier = write(out, {"person_1/a.jpg": photos[0], "person_1/b.jpg": photos[1]}, {}, b"one")
    write(out, {"person_1/a.jpg": photos[2], "person_1/b.jpg": photos[3]}, earlier, b"two")
    (out / "person_1/a.jpg").unlink()
    (out / "manifest.json").unlink()
    undo(out, "2")
    assert set(tree(out)) == {"person_1/b.jpg", "manifest.json", "sheet.png"}
    assert (out / "person_1/b.jpg").read_bytes() == Path(photos[1]).read_bytes()


def test_what_the_run_made_and_the_user_moved_is_left_and_counted(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    write(out, {"person_1/a.jpg": photos[0], "person_1/b.jpg": photos[1]}, earlier, b"two")
    (out / "person_1").rename(out / "Anna")
    with undoing(out, "2") as (plan,):
        assert plan.elsewhere == ("person_1/b.jpg",)
        take_back([plan])
    assert (out / "Anna/b.jpg").read_bytes() == Path(photos[1]).read_bytes()


def test_a_full_disk_ends_the_run_in_a_sentence_and_the_journal_is_whole_afterwards(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    new = (tmp_path / "new").stat()
    kept, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noted = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(CannotWrite, match=r"No space left to write .*changes\.jsonl"):
            run = RunJournal(tmp_path, "cluster")
            while True:
                run.replacing(f"person_1/{noted}.jpg", new)
                noted += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kept, hard))
    again = RunJournal(tmp_path, "cluster")
    again.replacing("person_1/again.jpg", new)
    names = [*(f"person_1/{i}.jpg" for i in range(noted)), "person_1/again.jpg"]
    assert noted > 3
    assert list(read_runs(tmp_path)[0].changes()) == names


def test_files_of_the_user_survive_in_folders_that_go(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    (out / "person_1/notes.txt").write_text("mine")
    undo(out, "0001-cluster")
    assert set(tree(out)) == {"person_1/notes.txt"}


@pytest.mark.skipif(sys.platform != "linux", reason="tells by /proc which file is written to the disk")
def test_what_lay_there_is_on_the_disk_before_anything_takes_its_place(
    tmp_path: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    earlier = write(out, {f"person_1/{i}.jpg": photo for i, photo in enumerate(photos[:4])}, {}, b"one")
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
    earlier = write(out, plan, earlier, b"two")
    write(out, {"person_1/0.jpg": photos[0]}, earlier, b"three")
    assert len(checked) > 20


def test_an_unknown_run_is_refused_with_those_that_there_are(tmp_path: Path, photos: list[str]) -> None:
    write(tmp_path / "out", {"person_1/a.jpg": photos[0]}, {}, b"one")
    with pytest.raises(WrongUsage, match=r"there are: 0001-cluster"):
        undo(tmp_path / "out", "7")


def test_an_undo_that_was_cut_off_keeps_other_runs_out(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    earlier = write(out, {"person_1/a.jpg": photos[0]}, {}, b"one")
    read_runs(out)[0].mark(UNDOING)
    with pytest.raises(CannotWrite, match=r"undo .* 0001-cluster"):
        write(out, {}, earlier, b"two")
    undo(out, "1")
    assert tree(out) == {}


def test_only_the_last_runs_are_kept(
    tmp_path: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = Kept()
    for step in range(14):
        plan = {"person_1/a.jpg": photos[step % 12]}
        earlier = write(tmp_path / "out", plan, earlier, f"{step}".encode())
    assert [run.number for run in read_runs(tmp_path / "out")] == list(range(5, 15))
    monkeypatch.setattr(run_records, "KEPT_BYTES", 5000)
    write(tmp_path / "out", {"person_1/a.jpg": photos[2]}, earlier, b"last")
    kept = read_runs(tmp_path / "out")
    assert kept[-1].number == 15
    assert 1 <= len(kept) < 4
    assert sum(run.bytes_kept() for run in kept) <= 5000


def test_one_run_in_two_folders_is_taken_back_in_both(tmp_path: Path, photos: list[str]) -> None:
    first, second = tmp_path / "raw", tmp_path / "sets"
    write(second, {"faceset_1/x.jpg": photos[3]}, {}, b"earlier")
    before = tree(second)
    name = ""
    for folder, other in ((first, second), (second, first)):
        with locked(folder), writing_results(folder, {}, "extend", also=[other], run=name) as results:
            results.announce({"new/a.jpg": photos[0]})
            results.place("new/a.jpg", photos[0], "copy")
            results.flush()
            finish(results, "manifest.json", b"{}") if folder == first else results.journal.close()
            name = results.journal.run
    assert name == "0002-extend"
    undo(first, name)
    assert tree(first) == {}
    assert {n: s for n, s in tree(second).items() if not n.startswith(".facesets")} == before


def test_a_copy_of_a_result_is_taken_back_alone(tmp_path: Path, photos: list[str]) -> None:
    first, second = tmp_path / "raw", tmp_path / "sets"
    for folder, other in ((first, second), (second, first)):
        with (
            locked(folder),
            writing_results(folder, {}, "extend", also=[other], run="0001-extend") as results,
        ):
            results.announce({"new/a.jpg": photos[0]})
            results.place("new/a.jpg", photos[0], "copy")
            finish(results, "manifest.json", b"{}")
    shutil.copytree(first, tmp_path / "copy")
    before = tree(second)
    undo(tmp_path / "copy", "1")
    assert tree(tmp_path / "copy") == {}
    assert tree(second) == before
    undo(second, "1")
    assert tree(first) == tree(second) == {}


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("completed", [False, True])
def test_a_run_that_is_killed_anywhere_is_taken_back_whole(
    tmp_path: Path, photos: list[str], completed: bool
) -> None:
    out = tmp_path / "out"
    earlier = write(out, {f"person_1/{i}.jpg": photos[i] for i in range(2)}, {}, b"one")
    before = layout(out)
    plan = {"person_1/0.jpg": photos[2], "person_1/2.jpg": photos[3], "new/sub/3.jpg": photos[0]}
    changes = changes_of(lambda: write(out, plan, earlier, b"two"))
    assert changes > 30
    undo(out, "2")
    assert layout(out) == before
    for kill_at in moments(changes, 10):
        assert in_a_child(lambda: write(out, plan, earlier, b"two"), kill_at)
        if completed or len(read_runs(out)) == 1:
            write(out, plan, earlier, b"two")
        assert [run.number for run in read_runs(out)] == [1, 2]
        undo(out, "2")
        assert layout(out) == before


@pytest.mark.slow
@pytest.mark.soak
def test_an_undo_that_is_killed_anywhere_goes_on(tmp_path: Path, photos: list[str]) -> None:
    out = tmp_path / "out"
    earlier = write(out, {f"person_1/{i}.jpg": photos[i] for i in range(2)}, {}, b"one")
    before = layout(out)
    plan = {"person_1/0.jpg": photos[2], "person_1/2.jpg": photos[3], "new/sub/3.jpg": photos[0]}
    write(out, plan, earlier, b"two")
    changes = changes_of(lambda: undo(out, "2"))
    assert changes > 15
    for kill_at in moments(changes):
        write(out, plan, earlier, b"two")
        assert in_a_child(lambda: undo(out, "2"), kill_at)
        if len(read_runs(out)) == 2:
            undo(out, "2")
        (out / ".facesets.lock").unlink(missing_ok=True)
        assert layout(out) == before
