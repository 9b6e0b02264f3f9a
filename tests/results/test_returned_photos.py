"""Folders that were deleted by accident, and how they are had back."""

import random
import shutil
from pathlib import Path

import pytest
from tests.fixtures.made_library import DrawnStore, MadeStore
from tests.fixtures.results import (
    QUIET,
    Again,
    Heard,
    again,
    company,
    export,
    groups,
    grow,
    make,
    people,
    photo_of,
    sets_of,
    sort_anew,
    tree,
)

from facesets.errors import WrongUsage
from facesets.operations.grouping.extend import extend
from facesets.operations.undo import known_runs, undo
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import Work

pytestmark = pytest.mark.slow

__all__ = ["again", "company"]


@pytest.mark.parametrize("new", ["{}_001", "Anna"])
def test_a_folder_that_is_put_back_is_who_it_was(
    company: MadeStore, tmp_path: Path, again: Again, new: str
) -> None:
    raw, sets = make(company, tmp_path)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        before, old, name = groups(folder), f"{kind}_001", new.format(kind)
        shutil.move(folder / old, tmp_path / "trash")
        again(company, raw, sets)
        company.add(1)
        again(company, raw, sets)
        assert old not in groups(folder)
        shutil.move(tmp_path / "trash", folder / name)
        for _ in range(2):
            again(company, raw, sets)
            back = groups(folder)
            assert before[old] <= back.pop(name)
            assert back == {group: faces for group, faces in before.items() if group != old}
        assert len(list((folder / name).glob("[!.]*"))) == len(groups(folder)[name])


def test_a_photo_and_single_photos_that_are_put_back_are_where_they_were(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(company, tmp_path)
    before = tree(raw)
    photo = photo_of(raw / "person_001")
    shutil.move(photo, tmp_path / photo.name)
    shutil.move(raw / "_singletons", tmp_path / "trash")
    who = people(raw)
    grow(company, raw)
    assert people(raw) != who
    shutil.move(tmp_path / photo.name, photo)
    shutil.move(tmp_path / "trash", raw / "_singletons")
    grow(company, raw)
    assert people(raw) == who
    assert {n: s for n, s in tree(raw).items() if n != "manifest.json"} == {
        n: s for n, s in before.items() if n != "manifest.json"
    }
    assert grow(company, raw).raw.run == ""


@pytest.mark.parametrize("gone", ["folder", "photo"])
def test_what_the_user_puts_in_place_of_a_photo_stays_whatever_comes_back(
    company: MadeStore, tmp_path: Path, again: Again, gone: str
) -> None:
    raw, sets = make(company, tmp_path)
    photo = photo_of(raw / "person_002")
    shutil.move(photo.parent if gone == "folder" else photo, tmp_path / "trash")
    again(company, raw, sets)
    if gone == "folder":
        shutil.move(tmp_path / "trash", photo.parent)
    photo.write_bytes(b"work of hours")
    for _ in range(2):
        again(company, raw, sets)
    shutil.move(raw / "person_001", tmp_path / "bin")
    again(company, raw, sets)
    assert photo.read_bytes() == b"work of hours"


def test_a_folder_that_comes_back_under_a_name_of_no_group_is_refused(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    shutil.move(raw / "person_002", tmp_path / "trash")
    again(company, raw, sets)
    shutil.move(tmp_path / "trash", raw / "Anna: 2020")
    with pytest.raises(WrongUsage, match="Give that folder a name without"):
        again(company, raw, sets)
    (raw / "Anna: 2020").rename(raw / "Anna")
    again(company, raw, sets)
    assert "Anna" in people(raw)


def test_a_deletion_that_was_taken_back_is_not_learned_again(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    again(company, raw, sets)
    before = people(raw), sets_of(sets)
    for folder, name in ((raw, "person_002"), (sets, "faceset_002")):
        shutil.rmtree(folder / name)
    again(company, raw, sets)
    assert "person_002" not in people(raw)
    undo(sets, "2")
    if again is sort_anew:
        undo(raw, "2")
    for _ in range(2):
        again(company, raw, sets)
        assert (people(raw), sets_of(sets)) == before
        assert len(list((raw / "person_002").glob("[!.]*"))) == len(before[0]["person_002"])
    shutil.rmtree(raw / "person_002")
    again(company, raw, sets)
    assert "person_002" not in people(raw)


def test_an_exported_set_comes_back_from_the_trash_and_by_undo(tmp_path: Path) -> None:
    store = DrawnStore(tmp_path / "photos", random.Random(0))
    for person, count in ((1, 6), (2, 5)):
        for _ in range(count):
            store.add(person)
    make(store, tmp_path)
    export(store, tmp_path)
    swap = tmp_path / "swap"
    whole = {name for name in tree(swap) if name != "manifest.json"}
    (swap / "faceset_002").rename(swap / "Ben")
    export(store, tmp_path)
    whole = set(tree(swap))
    shutil.move(swap / "Ben", tmp_path / "trash")
    export(store, tmp_path)
    assert not (swap / "Ben").exists()
    shutil.move(tmp_path / "trash", swap / "Ben")
    for _ in range(2):
        export(store, tmp_path)
        assert set(tree(swap)) == whole
    shutil.rmtree(swap / "Ben")
    export(store, tmp_path)
    undo(swap, known_runs(swap).runs[0].run)
    for _ in range(2):
        export(store, tmp_path)
        assert set(tree(swap)) == whole


def test_a_deleted_set_whose_name_the_user_gave_to_another_stays_away(tmp_path: Path) -> None:
    store = DrawnStore(tmp_path / "photos", random.Random(0))
    for person, count in ((1, 6), (2, 5)):
        for _ in range(count):
            store.add(person)
    make(store, tmp_path)
    export(store, tmp_path)
    swap = tmp_path / "swap"
    shutil.rmtree(swap / "faceset_001")
    export(store, tmp_path)
    (swap / "faceset_002").rename(swap / "faceset_001")
    export(store, tmp_path)
    before = tree(swap)
    export(store, tmp_path)
    assert tree(swap) == before


def test_a_set_that_is_renamed_and_made_a_link_at_once_is_left_as_it_is(tmp_path: Path) -> None:
    store = DrawnStore(tmp_path / "photos", random.Random(0))
    for person, count in ((1, 6), (2, 5)):
        for _ in range(count):
            store.add(person)
    make(store, tmp_path)
    export(store, tmp_path)
    swap, disk = tmp_path / "swap", tmp_path / "disk"
    shutil.move(swap / "faceset_001", disk)
    (swap / "Anna").symlink_to(disk)
    before = tree(disk)
    for _ in range(2):
        export(store, tmp_path)
        assert [entry.name for entry in read_manifest(swap, ExportManifest).sets] == ["Anna", "faceset_002"]
        assert tree(disk) == before
        assert not (swap / "faceset_001").exists()


def test_a_deletion_is_said_before_anything_is_written_with_the_way_back(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(company, tmp_path)
    shutil.rmtree(raw / "person_002")
    heard = Heard()
    extend(company, raw, QUIET, work=Work(progress=heard))
    (line,) = heard.lines
    assert line.startswith("person_002 was deleted")
    assert "put the folder back" in line
    assert f"`undo {raw} RUN`" in line


def test_copies_in_a_new_folder_are_not_passed_over_in_silence(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    (raw / "Bea").mkdir()
    for photo in sorted((raw / "person_001").glob("[!.]*"))[:3]:
        shutil.copy2(photo, raw / "Bea")
    heard = Heard()
    assert extend(company, raw, QUIET, work=Work(progress=heard)).raw.learned == []
    (line,) = heard.lines
    assert line.startswith("3 copies of photos lie in Bea")
    assert people(raw) == before
