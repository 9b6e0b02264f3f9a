"""The hidden file that says which group a folder is: copied, lost, spoilt, moved, or of another result."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import (
    Again,
    Heard,
    again,
    groups,
    grow,
    make,
    people,
    photo_of,
    result,
    store,
    tree,
)

from facesets.operations.grouping.by_hand import Seen, merge, take_back
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.start import ClusterOptions
from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest_json import manifest_bytes
from facesets.work import Work

__all__ = ["again", "store"]


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
    learned: list[str] = extend(store, raw, ExtendOptions(sheet=False), work=Work(progress=heard)).raw.learned
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
    cluster(store, tmp_path / "raw", ClusterOptions(sheet=False, materialize="none"), work=Work())
    assert (marks_in(tmp_path / "raw"), result(tmp_path / "raw").marks) == ({}, {})


def test_equal_runs_write_equal_marks(store: MadeStore, tmp_path: Path) -> None:
    raws = [make(store, tmp_path / name)[0] for name in ("one", "two")]
    assert marks_in(raws[0]) == marks_in(raws[1])


def test_a_renamed_folder_is_known_though_most_of_its_photos_were_moved_out(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    for photo in sorted((raw / "Anna").glob("*.jpg"))[:7]:
        photo.rename(raw / "person_002" / photo.name)
    for _ in range(2):
        again(store, raw, sets)
        assert {name: len(faces) for name, faces in people(raw).items()} == {
            "Anna": 3,
            "person_002": 13,
            "person_003": 3,
        }


def test_a_copied_folder_says_nothing_and_is_told(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    shutil.copytree(raw / "person_002", raw / "Ben")
    (line,) = heard_from(store, raw)
    assert line.startswith("6 copies of photos lie in Ben, which says nothing")
    assert people(raw) == before
    (raw / "person_002").rename(tmp_path / "away")
    assert heard_from(store, raw) == ["person_002 is called Ben."]


def test_of_two_copies_of_a_folder_that_is_gone_the_fuller_one_is_the_group(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    before = people(raw)
    shutil.copytree(raw / "person_001", raw / "A part")
    for photo in sorted((raw / "A part").glob("*.jpg"))[:6]:
        photo.unlink()
    (raw / "person_001").rename(raw / "The whole")
    lying = {path.name for path in (raw / "A part").iterdir()}
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw) == {
            {"person_001": "The whole"}.get(name, name): faces for name, faces in before.items()
        }
        assert {path.name for path in (raw / "A part").iterdir()} == lying


def test_of_two_full_folders_the_one_with_the_photos_as_they_were_put_there_is_the_group(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    (raw / "person_002").rename(raw / "The person")
    shutil.copytree(raw / "The person", raw / "A copy", copy_function=shutil.copy)
    learned, warning = heard_from(store, raw)
    assert learned == "person_002 is called The person."
    assert warning.startswith("6 copies of photos lie in A copy, which says nothing")
    assert people(raw) == {
        {"person_002": "The person"}.get(name, name): faces for name, faces in before.items()
    }


def test_a_photo_called_much_like_the_mark_is_a_photo(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    photo = min((raw / "person_001").glob("*.jpg"))
    photo.rename(raw / "person_002" / f"{photo.stem}{GROUP_MARK}.jpg")
    assert heard_from(store, raw) == ["1 face shows person_002, not person_001."]


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
def test_a_folder_whose_mark_was_spoilt_is_known_by_its_photos(
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


def test_a_folder_copied_in_from_another_result_is_no_group_of_this_one(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    other = MadeStore(tmp_path / "others", random.Random(1))
    for _ in range(5):
        other.add(9)
    theirs, _ = make(other, tmp_path / "other")
    before = people(raw)
    shutil.copytree(theirs / "person_001", raw / "Theirs")
    (raw / "person_001" / GROUP_MARK).unlink()
    again(store, raw, sets)
    assert people(raw) == before
    assert len(list((raw / "Theirs").iterdir())) == 6


@pytest.mark.parametrize("overwrites", [True, False])
def test_folders_put_together_are_one_person(
    store: MadeStore, tmp_path: Path, again: Again, overwrites: bool
) -> None:
    raw, sets = make(store, tmp_path)
    before = people(raw)
    for path in list((raw / "person_001").iterdir()):
        if overwrites or path.name != GROUP_MARK:
            path.replace(raw / "person_002" / path.name)
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw)["person_002"] == before["person_001"] | before["person_002"]
        assert "person_001" not in people(raw)
        # A folder that holds nothing else is as empty as one without.
        assert not (raw / "person_001").exists()


def with_pairs(store: MadeStore) -> None:
    """Photos that show two people each: such a photo has one name in both folders."""
    for _ in range(3):
        store.add(1, 2)


def photos_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def test_photos_of_two_folders_that_changed_places_took_their_names_along(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    with_pairs(store)
    raw, sets = make(store, tmp_path)
    before = people(raw)
    (tmp_path / "between").mkdir()
    # Most file managers, and `mv *.jpg`, leave hidden files where they are.
    for source, target in (
        (raw / "person_001", tmp_path / "between"),
        (raw / "person_002", raw / "person_001"),
        (tmp_path / "between", raw / "person_002"),
    ):
        for photo in photos_in(source):
            photo.rename(target / photo.name)
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw) == {
            **before,
            "person_001": before["person_002"],
            "person_002": before["person_001"],
        }


def test_a_folder_refilled_with_the_photos_of_another_person_is_that_person(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    with_pairs(store)
    raw, sets = make(store, tmp_path)
    before = people(raw)
    for photo in photos_in(raw / "person_002"):
        photo.unlink()
    for photo in photos_in(raw / "person_001"):
        photo.rename(raw / "person_002" / photo.name)
    shutil.rmtree(raw / "person_001")
    again(store, raw, sets)
    assert people(raw)["person_002"] == before["person_001"]
    assert result(raw).set_aside == ()


def test_a_mark_that_came_with_photos_of_the_same_names_says_nothing_about_the_folder(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    for _ in range(2):
        store.add(1, 9)
    again(store, raw, sets)
    (small,) = people(raw).keys() - {"person_001", "person_002", "person_003"}
    before = people(raw)
    for path in list((raw / small).iterdir()):
        path.replace(raw / "person_001" / path.name)
    (raw / small).rmdir()
    (raw / "person_001").rename(raw / "Hans")
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw)["Hans"] == before["person_001"]
        assert result(raw).set_aside == ()


def test_a_folder_that_took_the_name_of_a_deleted_one_is_the_group_that_its_mark_says(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    for _ in range(2):
        store.add(1, 8, 9)
    again(store, raw, sets)
    one, other = sorted(people(raw).keys() - {"person_001", "person_002", "person_003"})
    before = people(raw)
    shutil.rmtree(raw / one)
    (raw / other).rename(raw / one)
    again(store, raw, sets)
    assert people(raw)[one] == before[other]
    assert [{face.face for face in group.faces} for group in result(raw).hidden] == [before[one]]
    (raw / one / GROUP_MARK).replace(tmp_path / "mark")
    shutil.rmtree(raw / "person_001")
    (tmp_path / "mark").replace(raw / one / GROUP_MARK)
    (raw / one).rename(raw / "person_001")
    again(store, raw, sets)
    assert people(raw)["person_001"] == before[other]


def test_a_mark_copied_over_that_of_another_folder_is_no_copy_of_it(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    with_pairs(store)
    raw, sets = make(store, tmp_path)
    before = people(raw)
    shutil.copy(raw / "person_001" / GROUP_MARK, raw / "person_002" / GROUP_MARK)
    (raw / "person_001").rename(raw / "Anna")
    (raw / "person_002").rename(raw / "Ben")
    for _ in range(2):
        again(store, raw, sets)
        assert (people(raw)["Anna"], people(raw)["Ben"]) == (before["person_001"], before["person_002"])
        assert result(raw).set_aside == ()


def test_a_folder_renamed_beside_its_copy_is_the_person(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = people(raw)
    shutil.copytree(raw / "person_001", raw / "Backup", copy_function=shutil.copyfile)
    (raw / "person_001").rename(raw / "Hans")
    grow(store, raw)
    assert people(raw)["Hans"] == before["person_001"]


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


def test_a_folder_renamed_and_emptied_is_nobody(store: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(store, tmp_path)
    (raw / "person_001").rename(raw / "Anna")
    for photo in (raw / "Anna").glob("*.jpg"):
        photo.rename(raw / "person_002" / photo.name)
    again(store, raw, sets)
    assert {name: len(faces) for name, faces in people(raw).items()} == {"person_002": 16, "person_003": 3}


def test_a_folder_deleted_and_restored_under_another_name_is_who_it_was(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    before = people(raw)
    (raw / "person_002").rename(tmp_path / "backup")
    again(store, raw, sets)
    assert "person_002" not in people(raw)
    shutil.copytree(tmp_path / "backup", raw / "Ben")
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw)["Ben"] == before["person_002"]


def test_a_result_copied_elsewhere_is_a_result_of_its_own(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    shutil.copytree(raw, tmp_path / "copy")
    (tmp_path / "copy" / "person_001").rename(tmp_path / "copy" / "Anna")
    assert grow(store, tmp_path / "copy").raw.learned == ["person_001 is called Anna."]
    assert grow(store, raw).raw.learned == []


def test_a_result_of_an_earlier_version_gets_marks_with_the_next_news_and_undo_takes_them(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    unmark(raw)
    lying = tree(raw)
    for _ in range(3):
        grow(store, raw)
        cluster(store, raw, ClusterOptions(sheet=False), work=Work())
        assert tree(raw) == lying
    store.add(1)
    run = grow(store, raw).raw.run
    assert marks_in(raw).keys() == people(raw).keys()
    undo(raw, run)
    assert tree(raw) == lying


def test_an_emptied_folder_goes_in_the_browser_and_comes_back_with_its_mark(
    store: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(store, tmp_path)
    marks = marks_in(raw)
    merge(raw, Seen("person_002"), Seen("person_001"))
    assert not (raw / "person_002").exists()
    take_back(raw)
    assert marks_in(raw) == marks
    assert photo_of(raw / "person_002").exists()


def test_folders_change_names_though_one_lost_its_mark(
    store: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(store, tmp_path)
    before = people(raw)
    (raw / "person_001" / GROUP_MARK).unlink()
    for old, new in (("person_001", "swap"), ("person_002", "person_001"), ("swap", "person_002")):
        (raw / old).rename(raw / new)
    for _ in range(2):
        again(store, raw, sets)
        assert people(raw) == {
            "person_001": before["person_002"],
            "person_002": before["person_001"],
            "person_003": before["person_003"],
        }
        assert result(raw).statements[-1].kind == "named"
