"""Files of version 0.1 are read and continued: see tests/fixtures/version_0_1."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.trees import files_in

from facesets.file_records import FileRecord
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.refine import refine
from facesets.operations.immich.push_journal import journals
from facesets.operations.immich.stage_state import StageRecord
from facesets.operations.library.migrate import restore
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.options.results import ExportSwapOptions, ExtendOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.reports.show import show_manifest
from facesets.operations.undo import known_runs, undo
from facesets.records import CacheSettings, Faces, ImageRecord, Pixels
from facesets.result import Result
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest_json import manifest_bytes, read_any_manifest
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

pytestmark = pytest.mark.usefixtures("networks_once")

MADE = Path(__file__).parents[1] / "fixtures" / "version_0_1" / "made.zip"
SETTINGS = CacheSettings("made", "made.onnx", "aa" * 32, 512, "found.onnx", "bb" * 32, 640, 0.5)
GATES = RefineOptions(min_faces=2, min_short=10, min_blur=1, sheet=False)
RUNNING: dict[str, Any] = {"work": Work()}
SETS = ["Anna", "faceset_002", "faceset_003"]


@pytest.fixture
def before() -> Iterator[Path]:
    """The files, in a directory with a name as long as that of their origin."""
    with zipfile.ZipFile(MADE) as made:
        facts = json.loads(made.read("times.json"))
        base = Path(tempfile.mkdtemp(prefix="fsets."))
        root = base / "r".ljust(len(facts["root"]) - len(str(base)) - 1, "r")
        for name, mtime_ns in facts["mtime_ns"].items():
            content = moved(made.read(name), facts["root"], str(root))
            path = root / name.replace(facts["root"][1:].replace("/", "+"), str(root)[1:].replace("/", "+"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, ns=(mtime_ns, mtime_ns))
    yield root
    shutil.rmtree(base)


def moved(content: bytes, old: str, new: str) -> bytes:
    """A file in which the paths are those of another directory; a cache is written again for it."""
    for before, after in ((old, new), (old[1:].replace("/", "+"), new[1:].replace("/", "+"))):
        content = content.replace(before.encode(), after.encode())
    if not content.startswith(b"PK") or b"path_text" not in content:
        return content
    with tempfile.TemporaryFile() as file:
        file.write(content)
        with zipfile.ZipFile(file) as damaged:
            # The checksums are those of the old paths.
            members = {info.filename: stored(file, info) for info in damaged.infolist()}
        file.seek(0)
        file.truncate()
        with zipfile.ZipFile(file, "w") as whole:
            for name, member in members.items():
                whole.writestr(name, member)
        file.seek(0)
        return file.read()


def stored(file: Any, info: zipfile.ZipInfo) -> bytes:
    """The bytes of an uncompressed member."""
    file.seek(info.header_offset + 26)
    name, extra = np.frombuffer(file.read(4), "<u2")
    file.seek(int(name) + int(extra), os.SEEK_CUR)
    content: bytes = file.read(info.file_size)
    return content


def faces(people: Sequence[tuple[int, int]], edge: int = 240) -> Faces:
    """A face for each person by number, with a number of its own, as those of the earlier run."""
    embedding = np.zeros((len(people), 512), np.float32)
    for row, (person, own) in enumerate(people):
        embedding[row, person], embedding[row, 100 + own] = 0.84, 0.54
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    corner = np.array([edge / 4, edge / 4], np.float32)
    places = np.array([[0.25, 0.35], [0.75, 0.35], [0.5, 0.6], [0.3, 0.8], [0.7, 0.8]], np.float32)
    count = len(people)
    return Faces(
        image=np.zeros(count, np.int64),
        box=np.tile(np.concatenate([corner, corner * 3]), (count, 1)),
        kps=np.tile(corner + places * edge / 2, (count, 1, 1)).astype(np.float32),
        det_score=np.full(count, 0.9, np.float32),
        embedding=embedding,
        face_short=np.full(count, edge / 2, np.float32),
        blur=np.full(count, 200, np.float32),
    )


class Painted:
    """Finds in a crop the person of its colour."""

    settings: CacheSettings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        return [faces([(int(p[0, 0, 0]) // 20, int(p[0, 0, 1]))], p.shape[0]) for p in pictures]


def take_photo(store: Cache | Library, path: Path, person: int, number: int) -> None:
    """Add a photo of a person, in the store and on the disk."""
    Image.new("RGB", (240, 240), (20 * person, number, 1)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    status = path.stat()
    file = FileRecord(str(path), status.st_size, status.st_mtime_ns, digest)
    found = faces([(person, number)])
    image = ImageRecord(digest, 240, 240, np.datetime64("NaT", "s"), bytes.fromhex(digest), found)
    with store.writing(SETTINGS):
        store.commit([file], [image])


def listing(*folders: Path) -> dict[str, bytes]:
    """What lies in results, but in their journals, manifests, and the files that name groups."""
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for folder in folders
        for path in files_in(folder)
        if not path.name.endswith("manifest.json") and path.name != GROUP_MARK
    }


def export(root: Path) -> Result:
    options = ExportSwapOptions(min_face_short=10, out_size=64, sheet=False)
    cache = Cache(root / "faces.npz")
    return export_swap(
        cache, root / "sets" / "refine_manifest.json", root / "swap", Painted(), options, **RUNNING
    )


def test_manifests_read_and_are_written_as_they_were(before: Path) -> None:
    manifests = [path for path in before.rglob("*manifest.json") if path.is_file()]
    assert len(manifests) == 6
    for path in manifests:
        assert manifest_bytes(read_any_manifest(path)) == path.read_bytes()
        assert show_manifest(path).rows


def test_a_cache_loads_with_what_a_cut_off_run_left(before: Path) -> None:
    assert len(Cache(before / "faces.npz").load().faces) == 15
    assert len(Cache(before / "cut_off_0.npz").load().faces) == 10
    assert np.isclose(
        np.linalg.norm(Cache(before / "cut_off_10.npz").load().faces.embedding, axis=1), 1
    ).all()


def test_clustering_and_refining_again_rename_nothing(before: Path) -> None:
    cache, raw, sets = Cache(before / "faces.npz"), before / "raw", before / "sets"
    there = listing(raw, sets)
    cluster(cache, raw, ClusterOptions(sheet=False), **RUNNING)
    refine(cache, sets, GATES, **RUNNING)
    assert listing(raw, sets) == there


def test_a_new_photo_joins_its_person(before: Path) -> None:
    cache, raw, sets = Cache(before / "faces.npz"), before / "raw", before / "sets"
    there = listing(raw, sets)
    take_photo(cache, before / "photos" / "photo_99.png", person=1, number=99)
    extend(cache, raw, ExtendOptions(sheet=False), refine_out=sets, **RUNNING)
    new = {Path(name) for name in listing(raw, sets).keys() - there.keys()}
    assert {path.parent for path in new} == {Path("raw/Anna"), Path("sets/Anna")}
    assert all(path.name.endswith("photo_99.png") for path in new)
    assert there.items() <= listing(raw, sets).items()


def test_an_export_is_found_finished_and_a_damaged_set_is_made_again(before: Path) -> None:
    there = {path: path.read_bytes() for path in files_in(before / "swap")}
    again = export(before)
    assert (again.sets, again.unchanged_sets) == (3, 3)
    assert {path: path.read_bytes() for path in files_in(before / "swap")} == there
    (before / "swap" / "faceset_002" / "faceset_002_all.fsz").write_bytes(b"")
    assert export(before).unchanged_sets == 2


def test_the_old_runs_are_undone(before: Path) -> None:
    runs = [run.run for run in known_runs(before / "raw").runs]
    assert runs == ["0003-extend", "0002-cluster", "0001-cluster"]
    undo(before / "raw", "0003-extend")
    assert not (before / "raw" / "person_003").exists()
    assert not (before / "sets" / "faceset_003").exists()
    assert sorted(path.name[-12:] for path in files_in(before / "raw" / "Anna")) == [
        f"photo_0{number}.png" for number in (0, 1, 2, 3, 7)
    ]
    undo(before / "swap", "0001-export-swap")
    assert list(files_in(before / "swap")) == []
    assert sorted(path.name for path in (before / "photos").iterdir())[-1] == "photo_14.png"


def test_what_was_staged_and_pushed_is_known(before: Path) -> None:
    record = StageRecord(before / "immich" / "ana", "ana", str(UUID(int=9)))
    assert [row["path"] for row in record.records()] == ["1.jpg", "2.jpg"]
    with record.writing():
        record.append({"asset_id": str(UUID(int=3)), "outcome": "no_face", "sha1": "", "sha256": ""})
    assert [row["outcome"] for row in record.records()] == ["staged", "staged", "no_face"]
    (push,) = journals(before / "immich" / "ana")
    assert push.is_being_undone is False
    assert [noted.number for noted in push.open_changes] == [1]
    assert push.changes[0].outcome == {}


def test_a_library_is_restored_and_grows(before: Path, empty_url: str) -> None:
    restore(empty_url, before / "library.dump", replace=False, dry_run=False)
    database = Database(empty_url)
    try:
        given = database.run(lambda c: c.execute("SELECT count(person_id) FROM face_detections").fetchone())
        library = Library(database)
        take_photo(library, before / "photos" / "photo_99.png", person=1, number=99)
        summary = cluster_library(library, ClusterLibraryOptions(), **RUNNING)
        assert (summary.kept, summary.joined, summary.new_persons) == (8, 1, 0)
        assert given == (8,)
    finally:
        database.close()
