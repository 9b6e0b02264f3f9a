"""The hidden mark of a group's folder: copied, lost, damaged, moved, or of another result."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import (
    PLAIN,
    QUIET,
    Again,
    Heard,
    groups,
    grow,
    make,
    people,
    photo_of,
    result,
    sort,
    store_sha,
)
from tests.fixtures.trees import tree

from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.folder_corrections import Seen, merge, undo_change
from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest_json import manifest_bytes
from facesets.work import Work


def marks_in(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in root.glob(f"*/{GROUP_MARK}")}


def unmark(root: Path) -> None:
    """Let a result be as one that an earlier version made."""
    for mark in root.glob(f"*/{GROUP_MARK}"):
        mark.unlink()
    manifest = result(root)
    (root / "manifest.json").write_bytes(manifest_bytes(replace(manifest, marks={})))


def heard_from(store: MadeStore, raw: Path) -> list[str]:
    heard = Heard()
    learned: list[str] = extend(store, raw, QUIET, work=Work(progress=heard)).raw.learned
    return [*learned, *heard.lines]


def test_each_person_and_each_face_set_has_a_mark_of_its_own(store: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(store, tmp_path)
    assert marks_in(raw).keys() == people(raw).keys()
    assert marks_in(sets).keys() == groups(sets).keys()
    every = [*marks_in(raw).values(), *marks_in(sets).values()]
    assert len({*every}) == len(every)
    for name, group in result(raw).marks.items():
        assert group.encode() in marks_in(raw)[name]


def test_without_photos_there_are_no_folders_and_no_marks(store: MadeStore, tmp_path: Path) -> None:
    sort(store, tmp_path / "raw", replace(PLAIN, materialize="none"))
    assert (marks_in(tmp_path / "raw"), result(tmp_path / "raw").marks) == ({}, {})


def test_equal_runs_write_equal_marks(store: MadeStore, tmp_path: Path) -> None:
    raws = [make(store, tmp_path / name)[0] for name in ("one", "two")]
    assert marks_in(raws[0]) == marks_in(raws[1])


Before = dict[str, set[str]]
Deed = Callable[[Path, Path, Before], Before]
"""A user's changes in a result folder, and the expected person of each folder by the former one."""


def photos_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def lying_in(raw: Path) -> dict[str, list[str]]:
    """The photos in each folder of people."""
    return {folder.name: sorted(path.name for path in folder.glob("[!.]*")) for folder in raw.glob("[!._]*/")}


def carry(photos: list[Path], target: Path) -> set[str]:
    """Move photos of one face each; their faces."""
    target.mkdir(exist_ok=True)
    return {f"{store_sha(str(photo.rename(target / photo.name)))}#0" for photo in photos}


def most_photos_leave_a_folder_that_is_renamed(raw: Path, _: Path, before: Before) -> Before:
    (raw / "person_001").rename(raw / "Anna")
    moved = carry(photos_in(raw / "Anna")[:7], raw / "person_002")
    one, two, three = before.values()
    return {"Anna": one - moved, "person_002": two | moved, "person_003": three}


def all_photos_leave_a_folder_that_is_renamed(raw: Path, _: Path, before: Before) -> Before:
    (raw / "person_001").rename(raw / "Anna")
    carry(photos_in(raw / "Anna"), raw / "person_002")
    one, two, three = before.values()
    return {"person_002": one | two, "person_003": three}


def some_photos_make_a_new_folder(raw: Path, _: Path, before: Before) -> Before:
    moved = carry(photos_in(raw / "person_001")[:3], raw / "Ben")
    return before | {"person_001": before["person_001"] - moved, "Ben": moved}


def a_photo_is_put_to_the_single_ones(raw: Path, _: Path, before: Before) -> Before:
    moved = carry(photos_in(raw / "person_001")[:1], raw / "_singletons")
    return before | {"person_001": before["person_001"] - moved}


def a_single_photo_is_copied_to_a_person(raw: Path, _: Path, before: Before) -> Before:
    (photo,) = photos_in(raw / "_singletons")
    shutil.copy2(photo, raw / "person_003")
    return before | {"person_003": before["person_003"] | {f"{store_sha(str(photo))}#0"}}


def a_photo_has_a_name_like_the_mark(raw: Path, _: Path, before: Before) -> Before:
    photo = photos_in(raw / "person_001")[0]
    photo = photo.rename(photo.with_name(f"{photo.stem}{GROUP_MARK}.jpg"))
    moved = carry([photo], raw / "person_002")
    one, two, three = before.values()
    return {"person_001": one - moved, "person_002": two | moved, "person_003": three}


def every_folder_is_deleted(raw: Path, _: Path, before: Before) -> Before:
    for folder in raw.glob("[p_]*"):
        shutil.rmtree(folder)
    return before


def a_part_is_copied_from_a_folder_that_is_renamed(raw: Path, _: Path, before: Before) -> Before:
    shutil.copytree(raw / "person_001", raw / "A part")
    for photo in photos_in(raw / "A part")[:6]:
        photo.unlink()
    (raw / "person_001").rename(raw / "The whole")
    return {{"person_001": "The whole"}.get(name, name): faces for name, faces in before.items()}


def a_folder_is_renamed_next_to_its_copy(raw: Path, _: Path, before: Before) -> Before:
    shutil.copytree(raw / "person_001", raw / "Backup", copy_function=shutil.copyfile)
    (raw / "person_001").rename(raw / "Hans")
    return {{"person_001": "Hans"}.get(name, name): faces for name, faces in before.items()}


def a_folder_comes_from_another_result(raw: Path, away: Path, before: Before) -> Before:
    other = MadeStore(away / "others", random.Random(1))
    for _ in range(5):
        other.add(9)
    theirs, _sets = make(other, away / "other")
    shutil.copytree(theirs / "person_001", raw / "Theirs")
    (raw / "person_001" / GROUP_MARK).unlink()
    return before


def two_folders_become_one(raw: Path, _: Path, before: Before) -> Before:
    for path in list((raw / "person_001").iterdir()):
        path.replace(raw / "person_002" / path.name)
    one, two, three = before.values()
    return {"person_002": one | two, "person_003": three}


def two_folders_become_one_and_their_marks_stay(raw: Path, _: Path, before: Before) -> Before:
    carry(photos_in(raw / "person_001"), raw / "person_002")
    one, two, three = before.values()
    return {"person_002": one | two, "person_003": three}


def two_folders_change_names_and_one_lost_its_mark(raw: Path, _: Path, before: Before) -> Before:
    (raw / "person_001" / GROUP_MARK).unlink()
    for old, new in (("person_001", "swap"), ("person_002", "person_001"), ("swap", "person_002")):
        (raw / old).rename(raw / new)
    one, two, three = before.values()
    return {"person_001": two, "person_002": one, "person_003": three}


def photos_of_two_folders_change_places(raw: Path, away: Path, before: Before) -> Before:
    # Most file managers, and `mv *.jpg`, leave hidden files where they are.
    carry(photos_in(raw / "person_001"), away / "between")
    carry(photos_in(raw / "person_002"), raw / "person_001")
    carry(photos_in(away / "between"), raw / "person_002")
    return before | {"person_001": before["person_002"], "person_002": before["person_001"]}


def a_folder_is_refilled_with_the_photos_of_another(raw: Path, _: Path, before: Before) -> Before:
    for photo in photos_in(raw / "person_002"):
        photo.unlink()
    carry(photos_in(raw / "person_001"), raw / "person_002")
    shutil.rmtree(raw / "person_001")
    return {"person_002": before["person_001"], "person_003": before["person_003"]}


def a_mark_is_copied_over_that_of_another_folder(raw: Path, _: Path, before: Before) -> Before:
    shutil.copy(raw / "person_001" / GROUP_MARK, raw / "person_002" / GROUP_MARK)
    (raw / "person_001").rename(raw / "Anna")
    (raw / "person_002").rename(raw / "Ben")
    one, two, three = before.values()
    return {"Anna": one, "Ben": two, "person_003": three}


def a_mark_comes_with_photos_of_the_same_names(raw: Path, _: Path, before: Before) -> Before:
    for path in list((raw / "person_004").iterdir()):
        path.replace(raw / "person_001" / path.name)
    (raw / "person_004").rmdir()
    (raw / "person_001").rename(raw / "Hans")
    one, two, three, _four = before.values()
    return {"Hans": one, "person_002": two, "person_003": three}


def a_folder_takes_the_name_of_a_deleted_one_with_the_same_photos(
    raw: Path, _: Path, before: Before
) -> Before:
    shutil.rmtree(raw / "person_004")
    (raw / "person_005").rename(raw / "person_004")
    return {name: faces for name, faces in before.items() if name < "person_004"} | {
        "person_004": before["person_005"]
    }


def a_folder_takes_the_name_of_a_deleted_one_with_more_photos(raw: Path, _: Path, before: Before) -> Before:
    shutil.rmtree(raw / "person_001")
    (raw / "person_004").rename(raw / "person_001")
    wanted = before | {"person_001": before["person_004"]}
    return {name: faces for name, faces in wanted.items() if name != "person_004"}


DEEDS: list[tuple[Deed, list[tuple[int, ...]]]] = [
    (most_photos_leave_a_folder_that_is_renamed, []),
    (all_photos_leave_a_folder_that_is_renamed, []),
    (some_photos_make_a_new_folder, []),
    (a_photo_is_put_to_the_single_ones, []),
    (a_single_photo_is_copied_to_a_person, []),
    (a_photo_has_a_name_like_the_mark, []),
    (every_folder_is_deleted, []),
    (a_part_is_copied_from_a_folder_that_is_renamed, []),
    (a_folder_is_renamed_next_to_its_copy, []),
    (a_folder_comes_from_another_result, []),
    (two_folders_become_one, []),
    (two_folders_become_one_and_their_marks_stay, []),
    (two_folders_change_names_and_one_lost_its_mark, []),
    # A photo of two people has one name in both folders.
    (photos_of_two_folders_change_places, [(1, 2)] * 3),
    (a_folder_is_refilled_with_the_photos_of_another, [(1, 2)] * 3),
    (a_mark_is_copied_over_that_of_another_folder, [(1, 2)] * 3),
    (a_mark_comes_with_photos_of_the_same_names, [(1, 9)] * 2),
    (a_folder_takes_the_name_of_a_deleted_one_with_the_same_photos, [(1, 8, 9)] * 2),
    (a_folder_takes_the_name_of_a_deleted_one_with_more_photos, [(1, 8, 9)] * 2),
]
"""What users do, with photos of several people."""


@pytest.mark.parametrize(("deed", "together"), DEEDS)
def test_people_of_folders_are_clear_after(
    store: MadeStore, tmp_path: Path, again: Again, deed: Deed, together: list[tuple[int, ...]]
) -> None:
    for shown in together:
        store.add(*shown)
    raw, sets = make(store, tmp_path)
    before = people(raw)
    wanted = deed(raw, tmp_path, before)
    copies = {name: files for name, files in lying_in(raw).items() if name not in {*before, *wanted}}
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw) == wanted
        assert result(raw).set_aside == ()
        lying = {
            folder.name: sorted(path.name for path in folder.glob("[!.]*")) for folder in raw.glob("[!._]*/")
        }
        assert {name: paths for name, paths in lying.items() if name not in wanted} == copies
        if deed is not every_folder_is_deleted:
            assert {name: len(lying[name]) for name in wanted} == {
                name: len(faces) for name, faces in wanted.items()
            }


def test_a_copied_folder_has_no_effect_and_is_reported(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    shutil.copytree(raw / "person_002", raw / "Ben")
    (line,) = heard_from(store, raw)
    assert line.startswith("6 copies of photos are in Ben, which has no effect")
    assert people(raw) == before
    (raw / "person_002").rename(tmp_path / "away")
    assert heard_from(store, raw) == ["person_002 was renamed to Ben."]
    assert result(raw).statements[-1].kind == "named"


def test_the_folder_with_unedited_photos_is_the_group(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    (raw / "person_002").rename(raw / "The person")
    shutil.copytree(raw / "The person", raw / "A copy", copy_function=shutil.copy)
    learned, warning = heard_from(store, raw)
    assert learned == "person_002 was renamed to The person."
    assert warning.startswith("6 copies of photos are in A copy, which has no effect")
    assert people(raw) == {
        {"person_002": "The person"}.get(name, name): faces for name, faces in before.items()
    }


def _garbage(mark: Path) -> None:
    mark.write_bytes(b"\xff\0{")


def _deep(mark: Path) -> None:
    mark.write_bytes(b"[" * 1000)


def _huge(mark: Path) -> None:
    with mark.open("ab") as file:
        file.truncate(1 << 33)


def _link(mark: Path) -> None:
    mark.rename(mark.parents[2] / "outside")
    mark.symlink_to(mark.parents[2] / "outside")


def _pipe(mark: Path) -> None:
    mark.unlink()
    os.mkfifo(mark)


def _folder(mark: Path) -> None:
    mark.unlink()
    mark.mkdir()
    (mark / "mine").write_bytes(b"mine")


def _another(mark: Path) -> None:
    shutil.copyfile(mark.parents[1] / "person_003" / GROUP_MARK, mark)


@pytest.mark.parametrize("spoil", [Path.unlink, _garbage, _deep, _huge, _link, _pipe, _folder, _another])
def test_a_folder_with_a_damaged_mark_is_recognized_by_its_photos(
    store: MadeStore, tmp_path: Path, again: Again, spoil: Callable[[Path], None]
) -> None:
    raw, sets = make(store, tmp_path)
    before, marks = people(raw), marks_in(raw)
    spoil(raw / "person_001" / GROUP_MARK)
    (raw / "person_001").rename(raw / "Anna")
    again(store, raw, sets)
    assert people(raw) == {{"person_001": "Anna"}.get(name, name): faces for name, faces in before.items()}
    if spoil is _folder:
        assert (raw / "Anna" / GROUP_MARK / "mine").exists()
    else:
        assert marks_in(raw)["Anna"] == marks["person_001"]
    if spoil is _link:
        assert (tmp_path / "outside").read_bytes() == marks["person_001"]


@pytest.mark.parametrize("spoilt", ["folder", "mark"])
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and read everything")
def test_a_mark_that_cannot_be_written_or_read_stops_no_run(
    store: MadeStore, tmp_path: Path, spoilt: str
) -> None:
    raw, _ = make(store, tmp_path)
    if spoilt == "folder":
        unmark(raw)
    locked = raw / "person_003" if spoilt == "folder" else raw / "person_003" / GROUP_MARK
    locked.chmod(0o500 if spoilt == "folder" else 0)
    (raw / "person_001").rename(raw / "Anna")
    for _ in range(2):
        assert grow(store, raw).failed == 0
    assert "Anna" in people(raw)
    assert {"Anna", "person_002"} <= result(raw).marks.keys()
    locked.chmod(0o700)


def test_a_result_copied_elsewhere_is_a_result_of_its_own(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    shutil.copytree(raw, tmp_path / "copy")
    (tmp_path / "copy" / "person_001").rename(tmp_path / "copy" / "Anna")
    assert grow(store, tmp_path / "copy").raw.learned == ["person_001 was renamed to Anna."]
    assert grow(store, raw).raw.learned == []


def test_a_result_of_an_earlier_version_gets_marks_with_the_next_change(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    unmark(raw)
    lying = tree(raw)
    for _ in range(3):
        grow(store, raw)
        sort(store, raw)
        assert tree(raw) == lying
    store.add(1)
    run = grow(store, raw).raw.run
    assert marks_in(raw).keys() == people(raw).keys()
    undo(raw, run)
    assert tree(raw) == lying


def test_a_folder_emptied_in_the_browser_is_removed_and_restored_with_its_mark(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    marks = marks_in(raw)
    merge(raw, Seen("person_002"), Seen("person_001"))
    assert not (raw / "person_002").exists()
    undo_change(raw)
    assert marks_in(raw) == marks
    assert photo_of(raw / "person_002").exists()
