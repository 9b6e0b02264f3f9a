"""Changes by users in result folders, also accidental ones, and how the next run applies them."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import (
    PLAIN,
    QUIET,
    Again,
    Heard,
    cluster_stopping_after,
    groups,
    grow,
    make,
    people,
    photo_of,
    result,
    sets_of,
    sort_again,
    store_sha,
)
from tests.fixtures.results import sort as sort_people
from tests.fixtures.trees import tree

from facesets.errors import AlreadyRunning, WrongUsage
from facesets.operations.grouping.extend import extend
from facesets.operations.immich.local_people import people_of_folder
from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest import ClusterManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import Work

pytestmark = pytest.mark.slow


def rename(folder: Path, names: dict[str, str]) -> None:
    """Rename folders at once; they may change places."""
    for old in names:
        (folder / old).rename(folder / f"{old}.tmp")
    for old, new in names.items():
        (folder / f"{old}.tmp").rename(folder / new)


def unmark(folder: Path) -> None:
    """Let a result be as one that an earlier version made."""
    for mark in folder.glob(f"*/{GROUP_MARK}"):
        mark.unlink()


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "third"),
    [("Anna", "{}_001", "{}_003"), ("{}_002", "{}_003", "{}_001"), ("Anna", "Ben", "{}_003")],
)
def test_people_on_shared_photos_keep_their_faces_when_folders_are_renamed(
    company: MadeStore, tmp_path: Path, again: Again, first: str, second: str, third: str, is_marked: bool
) -> None:
    raw, sets = make(company, tmp_path)
    for folder in () if is_marked else (raw, sets):
        unmark(folder)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        before = groups(folder)
        names = [name.format(kind) for name in (first, second, third)]
        wanted = {new: before[f"{kind}_00{number}"] for number, new in enumerate(names, 1)}
        rename(folder, {f"{kind}_00{n}": new for n, new in enumerate(names, 1) if new != f"{kind}_00{n}"})
        for _ in range(2):
            again(company, raw, sets)
            assert groups(folder) == wanted
            assert {path.name: len(list(path.glob("[!.]*"))) for path in folder.glob("[!._]*/")} == {
                name: len(faces) for name, faces in wanted.items()
            }


@pytest.mark.parametrize("linked", ["person_001", "Anna"])
@pytest.mark.parametrize("is_inside", [True, False])
def test_a_folder_that_was_renamed_and_linked_at_once_was_not_deleted(
    company: MadeStore, tmp_path: Path, again: Again, linked: str, is_inside: bool
) -> None:
    raw, sets = make(company, tmp_path)
    before = groups(raw)
    disk = raw / ("person_001" if linked == "Anna" else "Anna") if is_inside else tmp_path / "disk"
    (raw / "person_001").rename(tmp_path / "disk")
    (tmp_path / "disk").rename(disk)
    if disk != raw / linked:
        (raw / linked).symlink_to(disk)
    for _ in range(2):
        again(company, raw, sets)
        assert sorted(groups(raw).values(), key=len) == sorted(before.values(), key=len)
        assert result(raw).hidden == ()
    if not is_inside:
        assert groups(raw)[linked] == before["person_001"]


def test_a_folder_on_an_unmounted_disk_was_not_deleted(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    before = groups(raw)
    (raw / "person_001").rename(tmp_path / "disk")
    (raw / "Anna").symlink_to(tmp_path / "unplugged")
    again(company, raw, sets)
    assert groups(raw) == before
    (raw / "Anna").unlink()
    (raw / "Anna").symlink_to(tmp_path / "disk")
    again(company, raw, sets)
    assert result(raw).hidden == ()


def test_a_photo_deleted_elsewhere_is_not_searched_in_a_renamed_folder(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        before = groups(folder)
        shared = next(
            path
            for path in (folder / f"{kind}_001").glob("[!.]*")
            if (folder / f"{kind}_002" / path.name).exists()
        )
        gone = {face for face in before[f"{kind}_001"] if face.startswith(store_sha(str(shared)))}
        shared.unlink()
        (folder / f"{kind}_002").rename(folder / "Ben")
        again(company, raw, sets)
        assert groups(folder) == {
            f"{kind}_001": before[f"{kind}_001"] - gone,
            "Ben": before[f"{kind}_002"],
            f"{kind}_003": before[f"{kind}_003"],
        }


@pytest.fixture
def twins(tmp_path: Path) -> MadeStore:
    """Two people on the same photos, and a third person."""
    store = MadeStore(tmp_path / "photos", random.Random(0))
    for _ in range(4):
        store.add(1, 2)
    store.add(3)
    return store


@pytest.mark.parametrize("names", [{1: "Anna", 2: "Ben"}, {1: "person_002", 2: "person_001"}])
def test_folders_of_the_same_photos_may_be_renamed_at_once(
    twins: MadeStore, tmp_path: Path, again: Again, names: dict[int, str]
) -> None:
    raw, sets = make(twins, tmp_path)
    before = people(raw)
    rename(raw, {f"person_00{number}": name for number, name in names.items()})
    for _ in range(2):
        again(twins, raw, sets)
        assert people(raw) == {name: before[f"person_00{number}"] for number, name in names.items()}


def test_unmarked_folders_of_the_same_photos_renamed_at_once_are_refused(
    twins: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(twins, tmp_path)
    unmark(raw)
    rename(raw, {"person_001": "Anna", "person_002": "Ben"})
    with pytest.raises(WrongUsage, match="rename one after the other"):
        grow(twins, raw)
    (raw / "Ben").rename(raw / "person_002")
    assert grow(twins, raw).raw.learned == ["person_001 was renamed to Anna."]


def test_a_shared_photo_moved_out_of_both_folders_is_unassigned(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    name = min(p.name for p in (raw / "person_001").glob("[!.]*") if (raw / "person_002" / p.name).exists())
    sha = store_sha(str(raw / "person_001" / name))
    (raw / "Dora").mkdir()
    (raw / "person_001" / name).rename(raw / "Dora" / name)
    (raw / "person_002" / name).unlink()
    learned = grow(company, raw).raw.learned
    assert "It is unclear which person they show now" in learned[-1]
    unclear = {face for faces in before.values() for face in faces if face.startswith(sha)}
    assert people(raw) == {group: faces - unclear for group, faces in before.items()}


def test_folders_put_into_another_are_refused_and_never_merged(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    (raw / "family").mkdir()
    for name in ("person_001", "person_002"):
        (raw / name).rename(raw / "family" / name)
    with pytest.raises(WrongUsage, match=r"family/person_001\. Each person needs a folder at the top"):
        grow(company, raw)
    for name, new in (("person_001", "Anna"), ("person_002", "Ben")):
        (raw / "family" / name).rename(raw / "family" / new)
    with pytest.raises(WrongUsage, match="Each person needs a folder at the top"):
        grow(company, raw)
    for name in ("Anna", "Ben"):
        (raw / "family" / name).rename(raw / name)
    grow(company, raw)
    assert people(raw) == {
        "Anna": before["person_001"],
        "Ben": before["person_002"],
        "person_003": before["person_003"],
    }


def test_single_faces_may_join_people_after_their_folder_was_deleted(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    shutil.rmtree(raw / "_singletons")
    assert grow(company, raw).raw.learned == [
        "_singletons was deleted: its photos are not added again, but its faces may join people."
    ]
    assert len(result(raw).set_aside) == 0
    for _ in range(2):
        sort_again(company, raw, sets)
        assert not (raw / "_singletons").exists()
    company.add(8)
    sort_again(company, raw, sets)
    assert len(people(raw)["person_004"]) == len(list((raw / "person_004").glob("[!.]*"))) == 2


def test_a_face_that_the_user_assigned_has_that_placement(company: MadeStore, tmp_path: Path) -> None:
    raw = tmp_path / "raw"

    def sort() -> ClusterManifest:
        sort_people(company, raw, replace(PLAIN, method="auto"))
        return read_manifest(raw, ClusterManifest)

    before = sort()
    (single,) = before.singletons
    assert before.placements[single.face] == "alone"
    photo = photo_of(raw / "_singletons")
    photo.rename(raw / "person_001" / photo.name)
    grow(company, raw)
    assert read_manifest(raw, ClusterManifest).placements == before.placements | {single.face: "said"}
    assert sort().placements == before.placements | {single.face: "said"}


def test_a_deleted_face_set_stays_deleted_despite_a_copy_of_its_photo(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    photo = photo_of(sets / "faceset_001")
    shutil.copy2(photo, sets / "faceset_003" / photo.name)
    grow(company, raw, sets)
    shutil.rmtree(sets / "faceset_001")
    for _ in range(3):
        company.add(1)
        grow(company, raw, sets)
        assert set(groups(sets)) == {"faceset_002", "faceset_003"}


def test_a_run_that_begins_while_another_works_on_the_folder_is_refused_before_it_reads(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    refused = []

    class Meanwhile(MadeStore):
        def load(self):  # type: ignore[no-untyped-def] # noqa: ANN202
            for work in (grow, sort_again):
                with pytest.raises(AlreadyRunning):
                    work(company, raw, sets)
                refused.append(work)
            return super().load()

    slow = Meanwhile(company.root, company.rng, company.shown)
    grow(slow, raw, sets)
    sort_again(slow, raw, sets)
    assert len(refused) == 6


def test_immich_push_reads_the_users_changes_in_a_folder(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    rename(raw, {"person_001": "Anna", "person_002": "Ben"})
    contents = [digest.decode() for digest in company.load().images.sha256]
    ours = people_of_folder(company, raw, contents)
    truth = company.people_by_face()
    for sha, photo in ours.photos.items():
        for ordinal, number in enumerate(photo.person.tolist()):
            name = "" if number < 0 else ours.persons[number].name
            assert name == {1: "Anna", 2: "Ben"}.get(truth[f"{sha}#{ordinal}"], "")
    other, _ = make(company, tmp_path / "other")
    cluster_stopping_after(company, other, replace(PLAIN, method="agglomerative", threshold=0.01), photos=1)
    with pytest.raises(WrongUsage, match="cluster` was interrupted"):
        people_of_folder(company, other, contents)


@pytest.mark.parametrize("new", ["{}_001", "Anna"])
def test_a_restored_folder_is_the_same_person(
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


def test_restored_photos_and_single_photos_are_assigned_as_before(company: MadeStore, tmp_path: Path) -> None:
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
def test_a_file_that_the_user_put_in_place_of_a_photo_stays(
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


def test_a_folder_restored_under_an_invalid_name_is_refused(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    shutil.move(raw / "person_002", tmp_path / "trash")
    again(company, raw, sets)
    shutil.move(tmp_path / "trash", raw / "Anna: 2020")
    with pytest.raises(WrongUsage, match="Rename that folder"):
        again(company, raw, sets)
    (raw / "Anna: 2020").rename(raw / "Anna")
    again(company, raw, sets)
    assert "Anna" in people(raw)


def test_an_undone_deletion_is_not_learned_again(company: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(company, tmp_path)
    again(company, raw, sets)
    before = people(raw), sets_of(sets)
    for folder, name in ((raw, "person_002"), (sets, "faceset_002")):
        shutil.rmtree(folder / name)
    again(company, raw, sets)
    assert "person_002" not in people(raw)
    undo(sets, "2")
    if again is sort_again:
        undo(raw, "2")
    for _ in range(2):
        again(company, raw, sets)
        assert (people(raw), sets_of(sets)) == before
        assert len(list((raw / "person_002").glob("[!.]*"))) == len(before[0]["person_002"])
    shutil.rmtree(raw / "person_002")
    again(company, raw, sets)
    assert "person_002" not in people(raw)


def test_a_deletion_is_reported_before_anything_is_written(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    shutil.rmtree(raw / "person_002")
    heard = Heard()
    extend(company, raw, QUIET, work=Work(progress=heard))
    (line,) = heard.lines
    assert line.startswith("person_002 was deleted")
    assert "put the folder back" in line
    assert f"`undo {raw} RUN`" in line


def test_copies_in_a_new_folder_are_reported(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    (raw / "Bea").mkdir()
    for photo in sorted((raw / "person_001").glob("[!.]*"))[:3]:
        shutil.copy2(photo, raw / "Bea")
    heard = Heard()
    assert extend(company, raw, QUIET, work=Work(progress=heard)).raw.learned == []
    (line,) = heard.lines
    assert line.startswith("3 copies of photos are in Bea")
    assert people(raw) == before
