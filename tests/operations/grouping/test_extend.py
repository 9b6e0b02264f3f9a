import random
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.kills import changes_of, in_a_child, moments
from tests.fixtures.made_library import DrawnStore, MadeStore, OneFaceEverywhere
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.results import (
    GATES,
    cluster_stopping_after,
    grow,
    make,
    people,
    photo_of,
    sets_of,
    store,
    store_sha,
    tree,
)
from tests.fixtures.soak import soaking

from facesets.errors import CannotWrite, DamagedFile, WrongUsage
from facesets.operations.face_sets.discover import discover
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import DiscoverOptions, ExportSwapOptions, ExtendOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.undo import undo
from facesets.records import Collection
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.folder_runs import write_drawings
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.results.run_records import read_runs
from facesets.work import SilentProgress, Work

__all__ = ["store"]


def test_new_faces_join_their_people_and_strangers_get_the_next_numbers(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(store, tmp_path)
    before, before_sets, lying = people(raw), sets_of(sets), tree(raw)
    for person, count in ((2, 9), (3, 2), (5, 4), (6, 1), (7, 2)):
        for _ in range(count):
            store.add(person)
    summary = grow(store, raw, sets)
    assert summary.raw.joined == {"person_002": 9, "person_003": 2}
    assert summary.raw.made == {"person_004": 4, "person_005": 2}
    assert summary.raw.alone == 1
    assert summary.sets is not None
    assert summary.sets.joined == {"faceset_002": 9}
    assert summary.sets.made == {"faceset_003": 5, "faceset_004": 4}
    assert all(before[name] <= people(raw)[name] for name in before)
    assert all(before_sets[name] <= sets_of(sets)[name] for name in before_sets)
    assert {n: s for n, s in tree(raw).items() if n in lying and n != "manifest.json"} == {
        n: s for n, s in lying.items() if n != "manifest.json"
    }
    truth = store.people_by_face()
    for members in [*people(raw).values(), *sets_of(sets).values()]:
        assert len({truth[face] for face in members}) == 1


def test_a_damaged_manifest_names_the_undo_that_restores_it(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    store.add(2)
    grow(store, raw)
    grown = people(raw)
    (raw / "manifest.json").write_text("{")
    with pytest.raises(DamagedFile, match=f"Move it away and .*`undo {raw}`"):
        grow(store, raw)
    (raw / "manifest.json").unlink()
    undo(raw, read_runs(raw)[-1].name)
    assert people(raw) == before
    grow(store, raw)
    assert people(raw) == grown != before


def test_a_deleted_manifest_names_the_undo_that_restores_it(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    store.add(2)
    grow(store, raw)
    last = read_runs(raw)[-1].name
    (raw / "manifest.json").unlink()
    (raw / "contact_sheet.png").touch()
    again = f"gone: `undo {raw} {last}` restores the one before"
    with pytest.raises(CannotWrite, match=again):
        cluster(store, raw, ClusterOptions(), work=Work())
    with pytest.raises(WrongUsage, match=f"any more: `undo {raw} {last}` restores"):
        grow(store, raw)
    undo(raw, last)
    assert people(raw) == before
    (raw / "manifest.json").unlink()
    with pytest.raises(WrongUsage, match=f"any more: `undo {raw} 0001-cluster` removes what was written"):
        grow(store, raw)
    # What was drawn since is taken back first, as `undo` wants it.
    write_drawings(raw, {"drawn.png": b""}, "sheet")
    first, then = f"`undo {raw} 0002-sheet`", f"`undo {raw} 0001-cluster`"
    with pytest.raises(WrongUsage, match=f"any more: {first}, then {then} removes what was written"):
        grow(store, raw)


def test_a_result_without_manifest_and_journal_says_how_to_go_on(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    (raw / "manifest.json").unlink()
    shutil.rmtree(raw / ".facesets-journal")
    (raw / "contact_sheet.png").touch()
    how = f"restore it from a backup; or move {raw} away and run the command that wrote it again"
    with pytest.raises(CannotWrite, match=f"manifest is gone: {how}"):
        cluster(store, raw, ClusterOptions(), work=Work())
    with pytest.raises(WrongUsage, match=f"any more: {how}"):
        grow(store, raw)


def test_faces_that_are_too_small_are_nobody_new_and_join_whom_they_resemble(
    store: MadeStore, tmp_path: Path
) -> None:
    store.specks = {8, 9}
    for _ in range(6):
        store.add(8)
    raw, _ = make(store, tmp_path)
    for person in (9, 9, 9, 9, 5, 5):
        store.add(person)
    summary = grow(store, raw)
    assert (summary.raw.made, summary.raw.alone) == ({"person_004": 2}, 4)
    truth, before = store.people_by_face(), people(raw)
    found = {truth[face] for members in before.values() for face in members}
    assert not found & store.specks
    manifest = read_manifest(raw, ClusterManifest)
    assert {manifest.placements[face] for face, person in truth.items() if person == 8} == {"poor"}
    store.specks = {2}
    store.add(2)
    assert grow(store, raw).raw.joined == {"person_002": 1}


def test_a_face_that_is_too_small_makes_no_two_strangers_one(
    store: MadeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.specks = {9}
    raw, _ = make(store, tmp_path)
    for person in (5, 6, 9):
        store.add(person)
    found = store.load()
    one, other = np.eye(64)[-1], 0.2 * np.eye(64)[-1] + 0.98 * np.eye(64)[-2]
    between = (one + other) / np.linalg.norm(one + other)
    embedding = np.concatenate([found.faces.embedding[:-3], np.array([one, other, between], np.float32)])
    drawn = replace(found, faces=replace(found.faces, embedding=embedding))
    monkeypatch.setattr(store, "load", lambda: drawn)
    summary = grow(store, raw)
    assert (summary.raw.made, summary.raw.alone) == ({}, 3)


def test_what_a_method_made_that_takes_every_face_as_it_is_grows_so(store: MadeStore, tmp_path: Path) -> None:
    store.specks = {8, 9}
    for _ in range(4):
        store.add(8)
    raw, options = tmp_path / "raw", ClusterOptions(sheet=False, method="agglomerative")
    cluster(store, raw, options, work=Work())
    for _ in range(4):
        store.add(9)
    assert list(grow(store, raw).raw.made.values()) == [4]


def test_extending_twice_changes_nothing(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    for person in (1, 3, 5, 5, 6):
        store.add(person)
    grow(store, raw, sets)
    before = tree(tmp_path)
    summary = grow(store, raw, sets)
    assert (summary.raw.new, summary.raw.run, summary.raw.copied) == (0, "", 0)
    assert tree(tmp_path) == before


def test_a_dry_run_says_what_a_run_does_and_writes_nothing(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    for person in (1, 3, 5, 5, 6):
        store.add(person)
    before = tree(tmp_path)
    planned = grow(store, raw, sets, ExtendOptions(sheet=False, dry_run=True))
    assert tree(tmp_path) == before
    done = grow(store, raw, sets)
    assert (planned.raw.joined, planned.raw.made) == (done.raw.joined, done.raw.made)
    new = set(tree(raw)) - {name.removeprefix("raw/") for name in before if name.startswith("raw/")}
    assert set(planned.raw.written) | {"person_004/.facesets-group.json"} == new


def test_two_faces_of_one_photo_never_both_join_a_person(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    both = store.add(1, 1)
    grow(store, raw)
    mine = [face for faces in people(raw).values() for face in faces]
    assert sum(face.startswith(store_sha(both)) for face in mine) == 1
    other = tmp_path / "allowed"
    store.shown.pop()
    raw, _ = make(store, other)
    store.add(1, 1)
    grow(store, raw, options=ExtendOptions(sheet=False, same_image_ok=True))
    assert len(people(raw)["person_001"]) == 12


def test_faces_that_a_gate_drops_are_listed_with_it(library: Library, tmp_path: Path) -> None:
    raw, sets = tmp_path / "raw", tmp_path / "sets"
    gates = RefineOptions(min_faces=5, min_short=60, min_blur=70, sheet=False)
    cluster(library.store, raw, ClusterOptions(sheet=False), work=Work())
    refine(library.store, sets, gates, work=Work())
    half = tmp_path / "half"
    shutil.copytree(sets, half)
    manifest = read_manifest(half, RefineManifest)
    assert len(manifest.facesets) == len(PEOPLE)
    every = {face.face for group in manifest.facesets for face in group.faces}
    every |= {drop.face.face for drop in manifest.dropped}
    assert every == set(library.store.load().face_ids())


def test_new_faces_pass_the_gate_of_norms_that_the_face_sets_were_made_with(tmp_path: Path) -> None:
    norms = np.array([20, 20, 20, 20, 12, np.nan], np.float32)

    class Measured(MadeStore):
        def load(self) -> Collection:
            found = super().load()
            return replace(found, faces=replace(found.faces, norm=norms[: len(found.faces)]))

    store, progress = Measured(tmp_path / "photos", random.Random(0)), RecordingProgress()
    for _ in range(4):
        store.add(1)
    gates = replace(GATES, min_norm=16)
    raw, sets = make(store, tmp_path, gates)
    blurred, unknown = store.add(1), store.add(1)
    options = ExtendOptions(sheet=False)
    grown = extend(store, raw, options, refine_out=sets, work=Work(progress=progress)).sets
    assert grown is not None
    assert (grown.dropped_by, sum(grown.joined.values())) == ({"min_norm": 1}, 1)
    manifest = read_manifest(sets, RefineManifest)
    assert [drop.face.paths for drop in manifest.dropped] == [(blurred,)]
    assert (unknown,) in [face.paths for face in manifest.facesets[0].faces]
    assert [line for line in progress.lines if line.startswith("1 of 2 faces has no norm")]


def test_renamed_moved_and_deleted_photos_are_statements(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    (raw / "person_001").rename(raw / "Anna")
    moved = photo_of(raw / "person_002")
    moved_face = f"{store_sha(str(moved))}#0"
    moved.rename(raw / "Anna" / moved.name)
    deleted = photo_of(raw / "person_002")
    deleted_face = f"{store_sha(str(deleted))}#0"
    deleted.unlink()
    shutil.rmtree(raw / "person_003")
    for person in (1, 2, 3, 3):
        store.add(person)
    learned = grow(store, raw).raw.learned
    assert learned == [
        "person_001 is called Anna.",
        "person_003 was deleted: its faces get no folder any more.",
        "1 face shows Anna, not person_002.",
        "1 face does not show person_002.",
    ]
    after = people(raw)
    assert after["Anna"] >= before["person_001"] | {moved_face}
    assert set(after) == {"Anna", "person_002"}
    assert len(after["person_002"]) == len(before["person_002"]) - 2 + 1
    assert not any(deleted_face in faces for faces in after.values())
    assert not list(raw.rglob(deleted.name))
    assert not (raw / "person_003").exists()
    lying = tree(raw)
    assert grow(store, raw).raw.learned == []
    assert tree(raw) == lying
    store.add(9)
    store.add(9)
    assert grow(store, raw).raw.made == {"person_004": 2}


def test_photos_moved_to_a_new_folder_are_a_person_of_that_name(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    (raw / "Ben").mkdir()
    for photo in sorted((raw / "person_001").glob("[!.]*"))[:3]:
        photo.rename(raw / "Ben" / photo.name)
    grow(store, raw)
    assert len(people(raw)["Ben"]) == 3
    assert len(people(raw)["person_001"]) == 7


def test_an_emptied_folder_says_nothing(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    for folder in raw.glob("[p_]*"):
        shutil.rmtree(folder)
    assert grow(store, raw).raw.learned == []
    assert people(raw) == before


def test_a_run_in_two_folders_is_taken_back_in_both(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    before = tree(tmp_path / "raw"), tree(tmp_path / "sets")
    for person in (1, 5, 5, 5, 5):
        store.add(person)
    summary = grow(store, raw, sets)
    assert summary.sets is not None
    assert summary.raw.run == summary.sets.run == "0002-extend"
    undo(raw, "0002-extend")
    assert (tree(tmp_path / "raw"), tree(tmp_path / "sets")) == before
    again = grow(store, raw, sets)
    assert (again.raw.joined, again.raw.made) == (summary.raw.joined, summary.raw.made)


def test_a_result_that_was_cut_off_by_another_command_is_refused(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    store.add(8)
    store.add(8)
    other = ClusterOptions(method="agglomerative", sheet=False, threshold=0.01)
    cluster_stopping_after(store, raw, other, photos=1)
    with pytest.raises(WrongUsage, match="cluster` was cut off"):
        grow(store, raw)


def look_for_new_people(store: DrawnStore, out: Path) -> None:
    """`discover` with small gates and small pictures."""
    gates = RefineOptions(min_faces=3, sheet=False)
    export = ExportSwapOptions(out_size=64, top_n=3, verify_max_distance=2, sheet=False)
    quiet = SilentProgress()
    discover(store, out, [], OneFaceEverywhere(), DiscoverOptions(), gates, export, work=Work(progress=quiet))


def discover_with_kills(
    store: DrawnStore, out: Path, calm: Path, before: dict[str, tuple[int, bytes]], rng: random.Random
) -> dict[str, tuple[int, bytes]]:
    """Every file of every set afterwards; those of `before` are among them as they were."""
    for _ in range(rng.randrange(3)):
        in_a_child(lambda: look_for_new_people(store, out), rng.randrange(1, 200))
    look_for_new_people(store, out)
    look_for_new_people(store, calm)
    now = {name: state for name, state in tree(out).items() if "/" in name}
    assert {name: state for name, state in now.items() if name in before} == before
    return now


def sets_in(out: Path) -> dict[str, set[str]]:
    """Faces of each set of an export; none where nobody was found yet."""
    listed = read_manifest(out, ExportManifest).sets if out.exists() else ()
    return {
        entry.name: {item.face.face for item in read_manifest(out / entry.name, SetManifest).faces}
        for entry in listed
    }


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("seed", soaking(range(50), else_=range(2)))
def test_names_stay_over_random_histories_with_kills(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = DrawnStore(tmp_path / "photos", rng)
    for _ in range(12):
        store.add(rng.randrange(3))
    raw, sets = make(store, tmp_path)
    swap, calm = tmp_path / "swap", tmp_path / "calm"
    names: dict[str, str] = {}
    set_names: dict[str, str] = {}
    exported: dict[str, tuple[int, bytes]] = {}
    for _ in range(5):
        for _ in range(rng.randrange(5)):
            store.add(*rng.sample(range(8), rng.choice([1, 1, 2])))
        for _ in range(rng.randrange(3)):
            in_a_child(lambda: grow(store, raw, sets), rng.randrange(1, 120))
        grow(store, raw, sets)
        for seen, now in ((names, people(raw)), (set_names, sets_of(sets))):
            owner = {face: name for name, faces in now.items() for face in faces}
            assert all(owner[face] == name for face, name in seen.items())
            seen.update(owner)
        if rng.random() < 0.4:
            exported = discover_with_kills(store, swap, calm, exported, rng)
    undisturbed = tree(raw), tree(sets)
    assert not list(tmp_path.rglob("*.tmp"))
    grow(store, raw, sets)
    assert (tree(raw), tree(sets)) == undisturbed
    assert contents(swap) == contents(calm)
    truth = store.people_by_face()
    for groups in (people(raw), sets_of(sets), sets_in(swap)):
        for faces in groups.values():
            assert len({truth[face] for face in faces}) == 1
    # Whoever was in a folder from the beginning is there whole: as from scratch, up to numbering.
    fresh, fresh_sets = make(store, tmp_path / "fresh")
    whole = defaultdict(set)
    for face, person in truth.items():
        whole[person].add(face)
    assert {frozenset(faces) for faces in people(fresh).values()} == {
        frozenset(faces) for faces in whole.values() if len(faces) > 1
    }
    first = read_manifest(raw, ClusterManifest).singletons
    split = {truth[face.face] for face in first}
    assert {frozenset(faces) for name, faces in people(raw).items() if truth[min(faces)] not in split} == {
        frozenset(faces) for faces in people(fresh).values() if truth[min(faces)] not in split
    }
    assert {frozenset(faces) for faces in sets_of(sets).values()} == {
        frozenset(faces) for faces in sets_of(fresh_sets).values()
    }


@pytest.mark.slow
@pytest.mark.soak
def test_a_kill_at_every_change_ends_in_the_same_tree_or_back_at_the_start(tmp_path: Path) -> None:
    store = MadeStore(tmp_path / "photos", random.Random(0))
    for person in (1, 1, 1, 1, 2):
        store.add(person)
    make(store, tmp_path / "start")
    start, start_folders = contents(tmp_path / "start"), folders(tmp_path / "start")
    for person in (1, 2, 2, 2):
        store.add(person)
    shutil.copytree(tmp_path / "start", tmp_path / "whole")
    changes = changes_of(lambda: grow(store, tmp_path / "whole" / "raw", tmp_path / "whole" / "sets"))
    assert changes > 60
    whole = contents(tmp_path / "whole")
    assert set(people(tmp_path / "whole" / "raw")) == {"person_001", "person_002"}
    assert set(sets_of(tmp_path / "whole" / "sets")) == {"faceset_001", "faceset_002"}
    for number, kill_at in enumerate(moments(changes)):
        root = tmp_path / f"killed_{kill_at}"
        undone = root / ("raw", "sets")[number % 2]
        shutil.copytree(tmp_path / "start", root)
        assert in_a_child(lambda root=root: grow(store, root / "raw", root / "sets"), kill_at)  # type: ignore[misc]
        if read_runs(undone)[-1].command == "extend" and number % 4 < 2:
            undo(undone, read_runs(undone)[-1].name)
            assert contents(root) == start
        grow(store, root / "raw", root / "sets")
        assert contents(root) == whole
        (run,) = {read_runs(root / folder)[-1].name for folder in ("raw", "sets")}
        undo(undone, run)
        assert (contents(root), folders(root)) == (start, start_folders)


def folders(root: Path) -> set[str]:
    """Every folder of both results, but those of the journals."""
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}
    return {name for name in found if "/.facesets-journal" not in name}


def contents(root: Path) -> dict[str, bytes]:
    """Every file but what names the folder itself."""
    return {name: content for name, (_, content) in tree(root).items()}


def test_sorting_anew_keeps_what_the_user_said(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    (raw / "person_002").rename(raw / "Anna")
    moved, deleted = sorted((raw / "person_001").glob("[!.]*"))[:2]
    moved_face, deleted_face = (f"{store_sha(str(path))}#0" for path in (moved, deleted))
    moved.rename(raw / "Anna" / moved.name)
    deleted.unlink()
    shutil.rmtree(raw / "person_003")
    for person in (2, 2, 3, 3):
        store.add(person)
    for _ in range(2):
        cluster(store, raw, ClusterOptions(sheet=False), work=Work())
        after = people(raw)
        assert set(after) == {"Anna", "person_001"}
        assert after["Anna"] >= before["person_002"] | {moved_face}
        assert len(after["Anna"]) == 6 + 1 + 2
        assert len(after["person_001"]) == 10 - 2
        assert not any(deleted_face in faces for faces in after.values())
        assert not list(raw.rglob(deleted.name))
        assert sum(1 for _ in (raw / "Anna").glob("[!.]*")) == len(after["Anna"])
    lying = tree(raw)
    cluster(store, raw, ClusterOptions(sheet=False), work=Work())
    assert tree(raw) == lying
    store.add(3)
    store.add(1)
    assert grow(store, raw).raw.joined == {"person_001": 1, "person_003": 1}
    assert not (raw / "person_003").exists()


def test_a_folder_of_the_old_default_is_sorted_by_auto_and_people_keep_their_names(
    store: MadeStore, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    old = ClusterOptions(method="agglomerative", threshold=0.55, sheet=False)
    cluster(store, raw, old, work=Work())
    before = people(raw)
    (raw / "person_002").rename(raw / "Anna")
    store.add(2)
    now = ClusterOptions(sheet=False)
    changed = cluster(store, raw, now, work=Work())
    assert changed.reasons[0].startswith("Grouped by auto, which is used where no method is named")
    assert "agglomerative (threshold 0.55)" in changed.reasons[0]
    after = people(raw)
    assert set(after) == {"person_001", "Anna", "person_003"}
    assert (after["person_001"], after["person_003"]) == (before["person_001"], before["person_003"])
    assert len(after["Anna"] - before["person_002"]) == 1 < len(after["Anna"])
    lying = tree(raw)
    again = cluster(store, raw, now, work=Work())
    assert not any("before" in reason for reason in again.reasons)
    assert tree(raw) == lying


def test_refining_anew_keeps_what_the_user_said(store: MadeStore, tmp_path: Path) -> None:
    _, sets = make(store, tmp_path)
    (sets / "faceset_002").rename(sets / "Ben")
    moved, deleted = sorted((sets / "faceset_001").glob("[!.]*"))[:2]
    moved_face, deleted_face = (f"{store_sha(str(path))}#0" for path in (moved, deleted))
    moved.rename(sets / "Ben" / moved.name)
    deleted.unlink()
    for _ in range(2):
        refine(store, sets, GATES, work=Work())
        after = sets_of(sets)
        assert set(after) == {"faceset_001", "Ben"}
        assert moved_face in after["Ben"]
        assert (len(after["faceset_001"]), len(after["Ben"])) == (8, 7)
        assert not any(deleted_face in faces for faces in after.values())
        assert not list(sets.rglob(deleted.name))


def test_a_beginner_without_a_face_set_is_told_which_gate_to_open(store: MadeStore, tmp_path: Path) -> None:
    options = RefineOptions(min_faces=15, sheet=False, materialize="none")
    summary = refine(store, tmp_path / "sets", options, work=Work())
    assert "With --min-faces 3 there would be 3 face sets with 19 faces, where there are 0" in summary.hint
    assert summary.try_flags == ["--min-faces 3"]


@pytest.mark.slow
@pytest.mark.soak
def test_a_cluster_that_is_killed_and_completed_is_taken_back_whole(tmp_path: Path) -> None:
    store = MadeStore(tmp_path / "photos", random.Random(0))
    for person in (1, 1, 2):
        store.add(person)
    raw, quiet = tmp_path / "out" / "raw", ClusterOptions(sheet=False)
    cluster(store, raw, quiet, work=Work())
    before = contents(tmp_path / "out"), folders(tmp_path / "out")
    for person in (2, 3, 3):
        store.add(person)

    def complete() -> None:
        cluster(store, raw, quiet, work=Work())

    def take_back() -> None:
        undo(raw, read_runs(raw)[-1].name)
        assert (contents(tmp_path / "out"), folders(tmp_path / "out")) == before

    changes = changes_of(complete)
    assert changes > 30
    take_back()
    for kill_at in moments(changes):
        assert in_a_child(complete, kill_at)
        complete()
        take_back()
