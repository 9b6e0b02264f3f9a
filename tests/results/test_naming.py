"""A person's name in one result reaches the other results of the same cache."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import DrawnStore, MadeStore
from tests.fixtures.results import (
    CROPS,
    GATES,
    PLAIN,
    QUIET,
    Heard,
    choose,
    export,
    grow,
    import_in,
    make,
    people,
    sets_of,
    sort,
)
from tests.fixtures.trees import contents, tree

from facesets.errors import DamagedFile, NewerFormat
from facesets.operations.grouping.refine import refine
from facesets.operations.undo import undo
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import Work


@pytest.fixture
def store(tmp_path: Path) -> MadeStore:
    """Eight photos of person 1, six of 2, four of 3."""
    made = MadeStore(tmp_path / "photos", random.Random(0), names_file=tmp_path / "faces.npz.names.json")
    for person, count in ((1, 8), (2, 6), (3, 4)):
        for _ in range(count):
            made.add(person)
    return made


@pytest.fixture
def drawn(tmp_path: Path) -> DrawnStore:
    """Six photos of person 1, five of 2, with pictures that can be cut."""
    made = DrawnStore(tmp_path / "photos", random.Random(0), names_file=tmp_path / "faces.npz.names.json")
    for person, count in ((1, 6), (2, 5)):
        for _ in range(count):
            made.add(person)
    return made


def photos_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("[!.]*")}


def test_a_name_given_in_the_raw_result_reaches_the_face_sets(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    before, photos = sets_of(sets), photos_in(sets / "faceset_001")
    (raw / "person_001").rename(raw / "Anna")
    summary = choose(store, sets)
    assert summary.learned == ["faceset_001 was renamed to Anna."]
    assert (summary.copied, summary.removed) == (0, 0)
    assert sets_of(sets) == {
        "Anna": before["faceset_001"],
        "faceset_002": before["faceset_002"],
        "faceset_003": before["faceset_003"],
    }
    assert photos_in(sets / "Anna") == photos
    assert not (sets / "faceset_001").exists()
    lying = tree(tmp_path)
    assert choose(store, sets).learned == []
    assert tree(tmp_path) == lying
    assert sort(store, raw).learned == ["person_001 was renamed to Anna."]


@pytest.mark.parametrize("extends", [True, False])
def test_a_name_given_to_a_face_set_reaches_the_raw_result(
    store: MadeStore, tmp_path: Path, *, extends: bool
) -> None:
    raw, sets = make(store, tmp_path)
    before = people(raw)
    (sets / "faceset_001").rename(sets / "Anna")
    learned = grow(store, raw).raw.learned if extends else sort(store, raw).learned
    assert learned == ["person_001 was renamed to Anna."]
    assert people(raw) == {
        "Anna": before["person_001"],
        "person_002": before["person_002"],
        "person_003": before["person_003"],
    }
    assert len(photos_in(raw / "Anna")) == 8
    assert not (raw / "person_001").exists()


@pytest.mark.parametrize("named", ["raw/person_001", "sets/faceset_001"])
def test_both_folders_that_extend_grows_agree_after_one_run(
    store: MadeStore, tmp_path: Path, named: str
) -> None:
    raw, sets = make(store, tmp_path)
    (tmp_path / named).rename((tmp_path / named).with_name("Anna"))
    store.add(1)
    grow(store, raw, sets)
    for folder in (raw, sets):
        assert len(photos_in(folder / "Anna")) == 9
        assert not list(folder.glob("*_001"))
    lying = tree(tmp_path)
    again = grow(store, raw, sets)
    assert again.sets is not None
    assert (again.raw.learned, again.sets.learned) == ([], [])
    assert tree(tmp_path) == lying


def test_a_new_result_gets_the_names(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    (raw / "person_002").rename(raw / "Ben")
    assert choose(store, tmp_path / "more").learned == ["faceset_002 was renamed to Ben."]
    assert set(sets_of(tmp_path / "more")) == {"faceset_001", "Ben", "faceset_003"}
    shutil.rmtree(raw)
    sort(store, raw)
    assert set(people(raw)) == {"person_001", "Ben", "person_003"}


def test_a_person_who_joins_the_face_sets_later_gets_their_name(store: MadeStore, tmp_path: Path) -> None:
    store.add(4)
    store.add(4)
    raw, sets = make(store, tmp_path)
    (raw / "person_004").rename(raw / "Dora")
    store.add(4)
    store.add(4)
    summary = grow(store, raw, sets)
    assert summary.sets is not None
    assert summary.sets.made == {"Dora": 4}
    assert len(photos_in(sets / "Dora")) == 4


def test_the_newest_name_wins_in_any_folder(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    for folder, old, new in (
        (raw, "person_001", "Anna"),
        (sets, "Anna", "Annabel"),
        (raw, "Annabel", "Anna"),
        (raw, "Anna", "Nan"),
    ):
        (folder / old).rename(folder / new)
        sort(store, raw)
        choose(store, sets)
        sort(store, raw)
        assert new in people(raw).keys() & sets_of(sets).keys()
        assert len(people(raw)) == len(sets_of(sets)) == 3
    assert not list(tmp_path.glob("*/Ann*"))


def test_renamed_people_are_renamed_everywhere(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    (raw / "person_002").rename(raw / "Ben")
    grow(store, raw, sets)
    before = people(raw), sets_of(sets)
    for old, new in (("Anna", "swap"), ("Ben", "Anna"), ("swap", "Ben")):
        (raw / old).rename(raw / new)
    for _ in range(2):
        choose(store, sets)
        grow(store, raw)
        for now, was in zip((people(raw), sets_of(sets)), before, strict=True):
            assert (now["Anna"], now["Ben"]) == (was["Ben"], was["Anna"])
        assert (len(photos_in(sets / "Anna")), len(photos_in(sets / "Ben"))) == (6, 8)


def test_a_set_of_several_people_keeps_its_name_and_reports_it(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    for name in ("Anna", "Ben"):
        (raw / name).mkdir()
        for photo in sorted((raw / "person_001").glob("[!.]*"))[:4]:
            photo.rename(raw / name / photo.name)
    heard = Heard()
    refine(store, sets, GATES, work=Work(progress=heard))
    assert "faceset_001 contains Anna and Ben, so it keeps its name." in heard.lines
    assert set(sets_of(sets)) == {"faceset_001", "faceset_002", "faceset_003"}


def test_a_taken_name_is_given_to_no_other_person(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (sets / "Anna").mkdir()
    (sets / "Anna" / "letter.txt").write_text("mine")
    (raw / "person_001").rename(raw / "Anna")
    heard = Heard()
    refine(store, sets, GATES, work=Work(progress=heard))
    assert (
        "faceset_001 is named Anna in other results. That name is taken here, so it keeps its own."
        in heard.lines
    )
    assert photos_in(sets / "Anna") == {"letter.txt"}
    assert "faceset_001" in sets_of(sets)


def test_the_users_changes_to_files_move_along(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (sets / "faceset_001").rename(sets / "Ann")
    choose(store, sets)
    first, second, *_ = sorted((sets / "Ann").glob("[!.]*"))
    first.write_bytes(b"painted over")
    second.rename(second.with_name("the best.jpg"))
    sort(store, raw)
    (raw / "Ann").rename(raw / "Anna")
    for _ in range(2):
        choose(store, sets)
        assert (sets / "Anna" / first.name).read_bytes() == b"painted over"
        assert (sets / "Anna" / "the best.jpg").exists()
        assert len(photos_in(sets / "Anna")) == 8
        assert not (sets / "Ann").exists()


def test_a_name_replaced_by_a_number_is_removed(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    sort(store, raw)
    (raw / "Anna").rename(raw / "person_001")
    choose(store, sets)
    assert set(sets_of(sets)) == {"faceset_001", "faceset_002", "faceset_003"}


def test_an_undone_run_leaves_no_name_that_the_user_removed(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    before = tree(raw), tree(sets)
    (raw / "person_001").rename(raw / "Anna")
    edited = tree(raw)
    run = grow(store, raw, sets).raw.run
    undo(raw, run)
    assert (tree(raw), tree(sets)) == (edited, before[1])
    (raw / "Anna").rename(raw / "person_001")
    grow(store, raw, sets)
    assert (tree(raw), tree(sets)) == before
    assert not list(tmp_path.glob("*/Anna"))


def test_an_undone_run_is_done_again_while_the_folder_has_its_name(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    run = grow(store, raw, sets).raw.run
    after = contents(tmp_path)
    undo(sets, run)
    assert contents(tmp_path) != after
    grow(store, raw, sets)
    assert contents(tmp_path) == after


def test_a_dry_run_reports_the_names_it_would_give_and_changes_nothing(
    drawn: DrawnStore, tmp_path: Path
) -> None:
    raw, sets = make(drawn, tmp_path)
    export(drawn, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    before = tree(tmp_path)
    summary = choose(drawn, sets, replace(GATES, dry_run=True))
    assert (summary.learned, summary.copied, summary.removed) == (["faceset_001 was renamed to Anna."], 0, 0)
    assert export(drawn, tmp_path, replace(CROPS, dry_run=True)).learned == [
        "faceset_001 was renamed to Anna."
    ]
    grow(drawn, raw, sets, replace(QUIET, dry_run=True))
    sort(drawn, raw, replace(PLAIN, dry_run=True))
    assert tree(tmp_path) == before


def test_results_of_another_cache_get_no_names(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    sort(store, raw)
    other = MadeStore(store.root, store.rng, store.shown, "another", store.digests, store.names_file)
    choose(other, tmp_path / "others")
    assert set(sets_of(tmp_path / "others")) == {"faceset_001", "faceset_002", "faceset_003"}


def exported(swap: Path) -> dict[str, int]:
    assert {path.parent.name for path in swap.glob("*/manifest.json")} == {
        entry.name for entry in read_manifest(swap, ExportManifest).sets
    }
    return {path.parent.name: len(list(path.parent.glob("*.png"))) for path in swap.glob("*/manifest.json")}


@pytest.mark.parametrize("named", ["raw/person_001", "sets/faceset_001"])
@pytest.mark.parametrize("refined", [True, False])
def test_a_name_reaches_the_export_and_changes_to_crops_stay(
    drawn: DrawnStore, tmp_path: Path, named: str, *, refined: bool
) -> None:
    raw, sets = make(drawn, tmp_path)
    swap = tmp_path / "swap"
    export(drawn, tmp_path)
    (swap / "faceset_001" / "faceset_001_002.png").unlink()
    moved = swap / "faceset_002" / "faceset_002_001.png"
    moved.rename(swap / "faceset_001" / "hers.png")
    export(drawn, tmp_path)
    assert exported(swap) == {"faceset_001": 6, "faceset_002": 4}
    given = {path.name for path in (swap / "faceset_001" / "_given").iterdir()}
    (tmp_path / named).rename((tmp_path / named).with_name("Anna"))
    if refined:
        choose(drawn, sets)
    assert "faceset_001 was renamed to Anna." in export(drawn, tmp_path).learned
    assert exported(swap) == {"Anna": 6, "faceset_002": 4}
    assert not (swap / "faceset_001").exists()
    assert {path.name for path in (swap / "Anna" / "_given").iterdir()} == given
    choose(drawn, sets)
    sort(drawn, raw)
    lying = contents(swap)
    assert not [line for line in export(drawn, tmp_path).learned if "called" in line]
    assert {n: c for n, c in contents(swap).items() if n.endswith(".png")} == {
        n: c for n, c in lying.items() if n.endswith(".png")
    }


def test_a_set_renamed_in_the_export_names_its_person_in_all_results(
    drawn: DrawnStore, tmp_path: Path
) -> None:
    raw, sets = make(drawn, tmp_path)
    swap = tmp_path / "swap"
    export(drawn, tmp_path)
    (swap / "faceset_001").rename(swap / "Anna")
    choose(drawn, sets)
    sort(drawn, raw)
    assert set(sets_of(sets)) == {"Anna", "faceset_002"}
    assert set(people(raw)) == {"Anna", "person_002"}
    export(drawn, tmp_path)
    assert exported(swap) == {"Anna": 6, "faceset_002": 5}
    lying = contents(tmp_path)
    assert export(drawn, tmp_path).learned == []
    assert contents(tmp_path) == lying


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"format": "facesets/names", "version": true}',
        b'{"format": "facesets/names", "version": 2}',
        (
            b'{"format": "facesets/names", "version": 1, "store": "made-up", "folders": {},'
            b' "people": [{"name": "../up", "folder": "raw", "faces": []}]}'
        ),
    ],
)
def test_an_unreadable_file_of_names_is_reported_and_nothing_is_written(
    store: MadeStore, tmp_path: Path, content: bytes
) -> None:
    raw, _ = make(store, tmp_path)
    assert store.names_file is not None
    store.names_file.write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises((DamagedFile, NewerFormat), match=r"names\.json"):
        sort(store, raw)
    assert tree(tmp_path) == before


def test_names_of_sorted_folders_are_given_to_people(drawn: DrawnStore, tmp_path: Path) -> None:
    raw, sets = make(drawn, tmp_path)
    swap = tmp_path / "swap"
    export(drawn, tmp_path)
    import_in(drawn, tmp_path, "Everybody")
    (name,) = {path.parent.name for path in swap.glob("E*/manifest.json")}
    choose(drawn, sets)
    sort(drawn, raw)
    assert name in sets_of(sets)
    assert name in people(raw)


def test_a_folder_whose_number_is_given_back_keeps_it(drawn: DrawnStore, tmp_path: Path) -> None:
    raw, sets = make(drawn, tmp_path)
    import_in(drawn, tmp_path, "Everybody")
    grow(drawn, raw, sets)
    before, photos = people(raw), photos_in(raw / "Everybody")
    (raw / "Everybody").rename(raw / "person_001")
    assert grow(drawn, raw, sets).raw.learned == ["Everybody was renamed to person_001."]
    sort(drawn, raw)
    assert people(raw) == {"person_001": before["Everybody"], "person_002": before["person_002"]}
    assert photos_in(raw / "person_001") == photos
    assert not (raw / "Everybody").exists()
    assert sort(drawn, tmp_path / "more").learned == []


def test_an_undone_run_gives_no_earlier_name_back(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    grow(store, raw, sets)
    (raw / "Anna").rename(raw / "Hanna")
    undo(raw, grow(store, raw, sets).raw.run)
    assert (raw / "Hanna").is_dir()
    grow(store, raw, sets)
    assert (raw / "Hanna").is_dir()
    assert (sets / "Hanna").is_dir()
