"""Work on results that is killed, at moments from its first change to a file to its last."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fixtures.kills import changes_of, in_a_child, moments
from tests.fixtures.made_library import DrawnStore, MadeStore
from tests.fixtures.planned_results import Contents, Plan, write
from tests.fixtures.planned_results import undo as undo_plan
from tests.fixtures.results import choose, discover_in, export, grow, make, photo_of, sort
from tests.fixtures.trees import contents, folders_in, tree

from facesets.operations.undo import undo
from facesets.results.folder_runs import locked, writing_results
from facesets.results.run_records import read_runs

pytestmark = [pytest.mark.slow, pytest.mark.soak]

Do = Callable[[], object]
Killed = tuple[Do, list[Path], list[str]]
"""The work to kill, the results that it writes, and the folders that exist when it is done."""


def made_store(root: Path, *people: int) -> DrawnStore:
    store = DrawnStore(root.parent / "photos", random.Random(0), names_file=root / "names.json")
    for person in people:
        store.add(person)
    return store


def placing(root: Path, photos: list[str]) -> Killed:
    """Photos of a plan that come, change, go, and stay."""
    out = root / "out"
    earlier = write(out, {f"person_1/{i}.jpg": photos[i] for i in range(2)}, {}, b"one").contents
    plan = {"person_1/0.jpg": photos[2], "person_1/2.jpg": photos[3], "new/sub/3.jpg": photos[0]}
    return lambda: write(out, plan, earlier, b"two"), [out], ["out/new/sub"]


def sorting(root: Path, _: list[str]) -> Killed:
    """Corrections of every kind: folders that are renamed and deleted, photos that are moved and deleted."""
    store = made_store(root, *[1] * 4, *[2] * 3, *[3] * 2)
    raw, _sets = make(store, root)
    for old, new in (("person_001", "Anna"), ("person_002", "person_001")):
        (raw / old).rename(raw / new)
    shutil.rmtree(raw / "person_003")
    photo_of(raw / "person_001").unlink()
    photo_of(raw / "Anna").rename(raw / "person_001" / photo_of(raw / "Anna").name)
    for person in (2, 4, 4):
        store.add(person)
    return lambda: sort(store, raw), [raw], ["raw/Anna", "raw/person_004"]


def growing(root: Path, _: list[str]) -> Killed:
    """A result of people and one of face sets, with new photos of known people and of new ones."""
    store = made_store(root, *[1] * 4, 2)
    raw, sets = make(store, root)
    for person in (1, 2, 2, 2):
        store.add(person)
    return lambda: grow(store, raw, sets), [raw, sets], ["raw/person_002", "sets/faceset_002"]


def renamed(root: Path) -> tuple[MadeStore, Path, Path]:
    """Anna, named in all results, was renamed in one of them, and Ben was named in another."""
    store = made_store(root, *[1] * 5, *[2] * 4)
    raw, sets = make(store, root)
    (raw / "person_001").rename(raw / "Anna")
    grow(store, raw, sets)
    (raw / "Anna").rename(raw / "Hanna")
    (sets / "faceset_002").rename(sets / "Ben")
    return store, raw, sets


def naming_people(root: Path, _: list[str]) -> Killed:
    store, raw, _sets = renamed(root)
    return lambda: sort(store, raw), [raw], ["raw/Hanna", "raw/Ben"]


def naming_face_sets(root: Path, _: list[str]) -> Killed:
    store, _raw, sets = renamed(root)
    return lambda: choose(store, sets), [sets], ["sets/Hanna", "sets/Ben"]


def naming_both(root: Path, _: list[str]) -> Killed:
    store, raw, sets = renamed(root)
    return lambda: grow(store, raw, sets), [raw, sets], ["raw/Hanna", "raw/Ben", "sets/Hanna", "sets/Ben"]


def exporting(root: Path, _: list[str]) -> Killed:
    """An export with a deleted crop and a renamed set."""
    store = made_store(root, *[1] * 6, *[2] * 5)
    raw, _sets = make(store, root)
    export(store, root)
    (root / "swap" / "faceset_001" / "faceset_001_002.png").unlink()
    (raw / "person_001").rename(raw / "Anna")
    return lambda: export(store, root), [root / "swap"], ["swap/Anna", "swap/faceset_002"]


def discovering(root: Path, _: list[str]) -> Killed:
    store = made_store(root, *[1] * 4)
    make(store, root)
    export(store, root)
    for _person in range(4):
        store.add(2)
    return lambda: discover_in(store, root), [root / "swap"], ["swap/faceset_002"]


NAMING = [naming_people, naming_face_sets, naming_both]
WORK = [placing, sorting, growing, *NAMING, exporting, discovering]
TAKES_UP_EDITS = [sorting, *NAMING]
"""Who takes these back has pardoned deletions and names: the next run does not take them up again."""


def again(start: Path, root: Path) -> None:
    """Restore a folder to its state at the start."""
    shutil.rmtree(root)
    shutil.copytree(start, root, symlinks=True)


@pytest.mark.parametrize("work", WORK)
def test_killed_work_done_again_ends_like_uninterrupted_work_and_can_be_undone(
    tmp_path: Path, photos: list[str], work: Callable[[Path, list[str]], Killed]
) -> None:
    root, start = tmp_path / "work", tmp_path / "start"
    do, results, there = work(root, photos)

    def lying() -> list[object]:
        return [(contents(result), folders_in(result)) for result in results]

    shutil.copytree(root, start, symlinks=True)
    before, runs = lying(), {result: len(read_runs(result)) for result in results}
    changes = changes_of(do)
    assert changes > 15
    assert [name for name in there if not (root / name).is_dir()] == []
    whole = contents(root)
    for number, kill_at in enumerate(moments(changes)):
        again(start, root)
        assert in_a_child(do, kill_at)
        begun = [result for result in results if len(read_runs(result)) > runs[result]]
        if begun and number % 4 < 3 and work not in TAKES_UP_EDITS:
            undo(begun[0], read_runs(begun[0])[-1].name)
            assert lying() == before, kill_at
        do()
        assert contents(root) == whole, kill_at
        result = results[number % len(results)]
        undo(result, read_runs(result)[-1].name)
        assert lying() == before, kill_at


@pytest.mark.parametrize("has_originals", [True, False])
def test_a_killed_undo_resumes_and_loses_no_last_copy(
    tmp_path: Path, photos: list[str], has_originals: bool
) -> None:
    root, start = tmp_path / "work", tmp_path / "start"
    write_two, (out,), _ = placing(root, photos)
    before = contents(out), folders_in(out)
    write_two()
    last = {Path(photo).read_bytes() for photo in (photos[0], photos[2], photos[3])}
    for photo in [] if has_originals else photos:
        Path(photo).unlink()
    shutil.copytree(root, start)
    changes = changes_of(lambda: undo_plan(out, "2"))
    assert changes > 15
    whole = contents(out), folders_in(out)
    assert (whole == before) == has_originals
    assert has_originals or last <= {*whole[0].values()}
    for kill_at in moments(changes):
        again(start, root)
        assert in_a_child(lambda: undo_plan(out, "2"), kill_at)
        if len(read_runs(out)) == 2:
            undo_plan(out, "2")
        (out / ".facesets.lock").unlink(missing_ok=True)
        assert (contents(out), folders_in(out)) == whole, kill_at


def test_the_run_after_a_killed_one_removes_its_announced_files(tmp_path: Path, plan: Plan) -> None:
    def begin(out: Path) -> None:
        with locked(out), writing_results(out, {}, "cluster") as folder:
            folder.announce(plan | {"person_9/old.jpg": plan["person_0/0.jpg"]})
            for name, source in {"person_9/old.jpg": plan["person_0/0.jpg"], **plan}.items():
                folder.place(name, source, "copy")

    def photos_in(out: Path) -> dict[str, tuple[int, bytes]]:
        return {name: put for name, put in tree(out).items() if name.endswith(".jpg")}

    write(tmp_path / "undisturbed", plan, Contents())
    for kill_at in moments(changes_of(lambda: begin(tmp_path / "begun"))):
        out = tmp_path / f"killed {kill_at}"
        assert in_a_child(lambda out=out: begin(out), kill_at)  # type: ignore[misc]
        write(out, plan, Contents())
        assert contents(out) == contents(tmp_path / "undisturbed")
        assert photos_in(out) == photos_in(tmp_path / "undisturbed")
