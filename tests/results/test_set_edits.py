"""Sets of an export with renamed, deleted or linked folders, and sets without readable photos."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import DrawnStore
from tests.fixtures.results import CROPS, choose, export
from tests.fixtures.trees import tree

from facesets.operations.options.start import RefineOptions
from facesets.operations.undo import known_runs, undo
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest_json import read_manifest


@pytest.fixture
def store(tmp_path: Path) -> DrawnStore:
    """Eight photos of person 1, six of 2 and five of 3, and their export."""
    made = DrawnStore(tmp_path / "photos", random.Random(0))
    for person, count in ((1, 8), (2, 6), (3, 5)):
        for _ in range(count):
            made.add(person)
    choose(made, tmp_path / "sets", RefineOptions(min_faces=4, sheet=False, materialize="none"))
    export(made, tmp_path)
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """That export."""
    return tmp_path / "swap"


def faces(out: Path) -> dict[str, list[str]]:
    """The faces of each set that the export lists, by its folder; the set's manifest has the same name."""
    sets = {}
    for entry in read_manifest(out, ExportManifest).sets:
        manifest = read_manifest(out / entry.name, SetManifest)
        assert manifest.name == entry.name
        assert all((out / name).is_file() for name in manifest.files)
        sets[entry.name] = [item.face.face for item in manifest.faces]
    return sets


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("is_known", [False, True], ids=["deleted at once", "known to be deleted"])
def test_a_set_with_the_name_of_a_deleted_one_is_another_set(
    store: DrawnStore, tmp_path: Path, out: Path, merge: bool, is_known: bool
) -> None:
    before, options = faces(out), replace(CROPS, merge=merge)
    shutil.rmtree(out / "faceset_001")
    learned = export(store, tmp_path, options).learned if is_known else []
    (out / "faceset_002").rename(out / "faceset_001")
    assert sorted([*learned, *export(store, tmp_path, options).learned]) == [
        "faceset_001 was deleted: it stays deleted.",
        "faceset_002 was renamed to faceset_001.",
    ]
    for _ in range(2):
        assert faces(out) == {"faceset_001": before["faceset_002"], "faceset_003": before["faceset_003"]}
        lying = tree(out)
        assert export(store, tmp_path, options).learned == []
        assert tree(out) == lying


@pytest.mark.parametrize("merge", [False, True])
def test_sets_may_change_names(store: DrawnStore, tmp_path: Path, out: Path, merge: bool) -> None:
    before, options = faces(out), replace(CROPS, merge=merge)
    for old, new in (("faceset_001", "free"), ("faceset_002", "faceset_001"), ("free", "faceset_002")):
        (out / old).rename(out / new)
    assert export(store, tmp_path, options).learned == [
        "faceset_001 was renamed to faceset_002.",
        "faceset_002 was renamed to faceset_001.",
    ]
    swapped = {"faceset_001": before["faceset_002"], "faceset_002": before["faceset_001"]}
    for _ in range(2):
        assert faces(out) == before | swapped
        assert export(store, tmp_path, options).learned == []


def test_a_set_comes_back_from_the_trash_and_by_undo(store: DrawnStore, tmp_path: Path, out: Path) -> None:
    (out / "faceset_002").rename(out / "Ben")
    export(store, tmp_path)
    whole = tree(out).keys()
    shutil.move(out / "Ben", tmp_path / "trash")
    export(store, tmp_path)
    assert not (out / "Ben").exists()
    shutil.move(tmp_path / "trash", out / "Ben")
    for _ in range(2):
        export(store, tmp_path)
        assert tree(out).keys() == whole
    shutil.rmtree(out / "Ben")
    export(store, tmp_path)
    undo(out, known_runs(out).runs[0].run)
    for _ in range(2):
        export(store, tmp_path)
        assert tree(out).keys() == whole


def test_a_set_that_is_renamed_and_made_a_link_at_once_is_left_as_it_is(
    store: DrawnStore, tmp_path: Path, out: Path
) -> None:
    disk = tmp_path / "disk"
    shutil.move(out / "faceset_001", disk)
    (out / "Anna").symlink_to(disk)
    before = tree(disk)
    for _ in range(2):
        export(store, tmp_path)
        names = [entry.name for entry in read_manifest(out, ExportManifest).sets]
        assert names == ["Anna", "faceset_002", "faceset_003"]
        assert tree(disk) == before
        assert not (out / "faceset_001").exists()


def test_an_unchanged_set_has_the_users_name_in_its_manifest(
    store: DrawnStore, tmp_path: Path, out: Path
) -> None:
    before = faces(out)
    (out / "faceset_001").rename(out / "Anna")
    export(store, tmp_path, replace(CROPS, merge=True))
    assert faces(out)["Anna"] == before["faceset_001"]
    # Its bundles are called after it by the next run that makes its set again.
    export(store, tmp_path)
    assert sorted(path.name for path in (out / "Anna").glob("*.fsz")) == ["Anna_all.fsz", "Anna_top30.fsz"]
    assert faces(out)["Anna"] == before["faceset_001"]


def test_a_set_stays_as_it_is_while_none_of_its_photos_can_be_read(
    store: DrawnStore, tmp_path: Path, out: Path
) -> None:
    before = faces(out)
    entry = read_manifest(out, ExportManifest).sets[1]
    paths = {path for item in read_manifest(out / entry.name, SetManifest).faces for path in item.face.paths}
    contents = {path: Path(path).read_bytes() for path in paths}
    folder = {path.name: path.read_bytes() for path in (out / entry.name).iterdir()}
    for path in paths:
        Path(path).write_bytes(b"not a picture")
    larger = replace(CROPS, pad_ratio=0.6)
    for _ in range(2):
        summary = export(store, tmp_path, larger)
        assert (summary.failed, summary.empty, summary.sets) == (len(paths), [], 3)
        assert {path.name: path.read_bytes() for path in (out / entry.name).iterdir()} == folder
        assert faces(out) == before
        assert entry in read_manifest(out, ExportManifest).sets
    for path, content in contents.items():
        Path(path).write_bytes(content)
    assert export(store, tmp_path, larger).failed == 0
    assert faces(out) == before
    assert {path.name: path.read_bytes() for path in (out / entry.name).iterdir()} != folder


def test_an_edited_crop_set_aside_without_readable_photos_was_not_deleted(
    store: DrawnStore, tmp_path: Path, out: Path
) -> None:
    before = faces(out)
    manifest = read_manifest(out / "faceset_002", SetManifest)
    (out / "faceset_002" / manifest.faces[0].file).write_bytes(b"painted over by hand")
    contents = {path: Path(path).read_bytes() for item in manifest.faces for path in item.face.paths}
    for path in contents:
        Path(path).write_bytes(b"not a picture")
    export(store, tmp_path)
    for path, content in contents.items():
        Path(path).write_bytes(content)
    assert export(store, tmp_path).learned == []
    assert faces(out) == before
