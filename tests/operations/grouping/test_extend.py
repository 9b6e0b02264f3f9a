import random
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.made_library import MadeStore
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.results import (
    GATES,
    PLAIN,
    QUIET,
    cluster_stopping_after,
    grow,
    make,
    people,
    photo_of,
    sets_of,
    sort,
    store_sha,
)
from tests.fixtures.soak import soaking
from tests.fixtures.trees import tree

from facesets.errors import CannotWrite, DamagedFile, WrongUsage
from facesets.operations.grouping.extend import extend
from facesets.operations.options.start import ClusterOptions
from facesets.operations.undo import undo
from facesets.records import Collection
from facesets.results.folder_runs import write_drawings
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.results.run_records import read_runs
from facesets.work import Work


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
    lying = tree(tmp_path)
    again = grow(store, raw, sets)
    assert (again.raw.new, again.raw.run, again.raw.copied) == (0, "", 0)
    assert tree(tmp_path) == lying
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
    again = f"missing: `undo {raw} {last}` restores the previous one"
    with pytest.raises(CannotWrite, match=again):
        sort(store, raw, ClusterOptions())
    with pytest.raises(WrongUsage, match=f"It was deleted: `undo {raw} {last}` restores"):
        grow(store, raw)
    undo(raw, last)
    assert people(raw) == before
    (raw / "manifest.json").unlink()
    with pytest.raises(
        WrongUsage, match=f"It was deleted: `undo {raw} 0001-cluster` removes what the runs wrote"
    ):
        grow(store, raw)
    # Later drawings are undone first, as `undo` requires.
    write_drawings(raw, {"drawn.png": b""}, "sheet")
    first, then = f"`undo {raw} 0002-sheet`", f"`undo {raw} 0001-cluster`"
    with pytest.raises(WrongUsage, match=f"It was deleted: {first}, then {then} removes what the runs wrote"):
        grow(store, raw)


def test_a_result_without_manifest_and_journal_is_refused_with_advice(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    (raw / "manifest.json").unlink()
    shutil.rmtree(raw / ".facesets-journal")
    (raw / "contact_sheet.png").touch()
    how = f"restore it from a backup, or move {raw} away and run the command that wrote it again"
    with pytest.raises(CannotWrite, match=f"manifest is missing: {how}"):
        sort(store, raw, ClusterOptions())
    with pytest.raises(WrongUsage, match=f"It was deleted: {how}"):
        grow(store, raw)


def test_too_small_faces_make_no_person_but_join_similar_ones(store: MadeStore, tmp_path: Path) -> None:
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


def test_a_too_small_face_does_not_join_two_strangers(
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


def test_results_of_other_methods_than_auto_also_grow_by_poor_faces(store: MadeStore, tmp_path: Path) -> None:
    store.specks = {8, 9}
    for _ in range(4):
        store.add(8)
    raw = tmp_path / "raw"
    sort(store, raw, replace(PLAIN, method="agglomerative"))
    for _ in range(4):
        store.add(9)
    assert list(grow(store, raw).raw.made.values()) == [4]


def test_a_dry_run_reports_what_a_run_does_and_writes_nothing(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    for person in (1, 3, 5, 5, 6):
        store.add(person)
    before = tree(tmp_path)
    planned = grow(store, raw, sets, replace(QUIET, dry_run=True))
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
    grow(store, raw, options=replace(QUIET, same_image_ok=True))
    assert len(people(raw)["person_001"]) == 12


def test_new_faces_must_pass_the_norm_gate_of_their_face_sets(tmp_path: Path) -> None:
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
    grown = extend(store, raw, QUIET, refine_out=sets, work=Work(progress=progress)).sets
    assert grown is not None
    assert (grown.dropped_by, sum(grown.joined.values())) == ({"min_norm": 1}, 1)
    manifest = read_manifest(sets, RefineManifest)
    assert [drop.face.paths for drop in manifest.dropped] == [(blurred,)]
    assert (unknown,) in [face.paths for face in manifest.facesets[0].faces]
    assert [line for line in progress.lines if line.startswith("1 of 2 faces has no norm")]


def test_renamed_moved_and_deleted_photos_are_corrections(store: MadeStore, tmp_path: Path) -> None:
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
        "person_001 was renamed to Anna.",
        "person_003 was deleted: its faces get no folder.",
        "1 face moved from person_002 to Anna.",
        "1 face removed from person_002.",
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


def test_a_result_with_an_interrupted_run_of_another_command_is_refused(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    store.add(8)
    store.add(8)
    cluster_stopping_after(store, raw, replace(PLAIN, method="agglomerative", threshold=0.01), photos=1)
    with pytest.raises(WrongUsage, match="cluster` was interrupted"):
        grow(store, raw)


@pytest.mark.soak
@pytest.mark.parametrize("seed", soaking(range(50), else_=range(2)))
def test_a_library_that_grew_is_sorted_as_from_scratch_and_names_stay(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = MadeStore(tmp_path / "photos", rng)
    for _ in range(12):
        store.add(rng.randrange(3))
    raw, sets = make(store, tmp_path)
    names: dict[str, str] = {}
    set_names: dict[str, str] = {}
    for _ in range(5):
        for _ in range(rng.randrange(5)):
            store.add(*rng.sample(range(8), rng.choice([1, 1, 2])))
        grow(store, raw, sets)
        for seen, now in ((names, people(raw)), (set_names, sets_of(sets))):
            owner = {face: name for name, faces in now.items() for face in faces}
            assert all(owner[face] == name for face, name in seen.items())
            seen.update(owner)
    truth = store.people_by_face()
    for groups in (people(raw), sets_of(sets)):
        for faces in groups.values():
            assert len({truth[face] for face in faces}) == 1
    # People in a folder from the beginning are complete there: as from scratch, up to numbering.
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


def test_sorting_again_respects_corrections(store: MadeStore, tmp_path: Path) -> None:
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
        sort(store, raw)
        after = people(raw)
        assert set(after) == {"Anna", "person_001"}
        assert after["Anna"] >= before["person_002"] | {moved_face}
        assert len(after["Anna"]) == 6 + 1 + 2
        assert len(after["person_001"]) == 10 - 2
        assert not any(deleted_face in faces for faces in after.values())
        assert not list(raw.rglob(deleted.name))
        assert sum(1 for _ in (raw / "Anna").glob("[!.]*")) == len(after["Anna"])
    lying = tree(raw)
    sort(store, raw)
    assert tree(raw) == lying
    store.add(3)
    store.add(1)
    assert grow(store, raw).raw.joined == {"person_001": 1, "person_003": 1}
    assert not (raw / "person_003").exists()


def test_a_folder_of_the_old_default_is_sorted_by_auto_and_people_keep_their_names(
    store: MadeStore, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    sort(store, raw, replace(PLAIN, method="agglomerative", threshold=0.55))
    before = people(raw)
    (raw / "person_002").rename(raw / "Anna")
    store.add(2)
    changed = sort(store, raw)
    assert changed.method_changed.startswith(
        "Grouped with auto, the default method, which needs no threshold"
    )
    assert "agglomerative (threshold 0.55)" in changed.method_changed
    after = people(raw)
    assert set(after) == {"person_001", "Anna", "person_003"}
    assert (after["person_001"], after["person_003"]) == (before["person_001"], before["person_003"])
    assert len(after["Anna"] - before["person_002"]) == 1 < len(after["Anna"])
    lying = tree(raw)
    again = sort(store, raw)
    assert not any("before" in reason for reason in again.reasons)
    assert tree(raw) == lying
