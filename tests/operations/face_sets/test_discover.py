import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.photo_library import STRANGERS, Library
from tests.fixtures.trees import contents

from facesets.errors import WrongUsage
from facesets.interfaces import Embedder
from facesets.operations.face_sets.discover import MARKER, discover
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import DiscoverOptions, ExportSwapOptions
from facesets.operations.options.start import RefineOptions
from facesets.operations.undo import undo
from facesets.records import Faces, Float32, Pixels
from facesets.result import Result
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import SilentProgress, Stop, Work

pytestmark = pytest.mark.slow

GATES = RefineOptions(min_faces=5, min_short=60, min_blur=0, materialize="none", sheet=False)
TASTE = ExportSwapOptions(min_face_short=60, top_n=3, out_size=128, sheet=False)
KINDS = {
    "faceset_001": "refined",
    "faceset_002": "refined",
    "faceset_003": "discovered",
    "faceset_004": "discovered",
}
"""The sets of an export of two people to which the other two came."""


@pytest.fixture(scope="module")
def two_known(tmp_path_factory: pytest.TempPathFactory, pristine: Library, checker: Embedder) -> Path:
    """An export of two of the four people."""
    root = tmp_path_factory.mktemp("known")
    refine(pristine.store, root / "sets", GATES, work=Work())
    export_swap(pristine.store, root / "sets", root / "all", checker, TASTE, work=Work())
    manifest = root / "sets" / "refine_manifest.json"
    raw = json.loads(manifest.read_text())
    raw["facesets"] = raw["facesets"][:2]
    manifest.write_text(json.dumps(raw))
    export_swap(pristine.store, root / "sets", root / "swap", checker, TASTE, work=Work())
    return root


@pytest.fixture
def out(tmp_path: Path, two_known: Path) -> Path:
    """Their export, for one test."""
    return shutil.copytree(two_known / "swap", tmp_path / "swap")


def run(
    library: Library,
    out: Path,
    checker: Embedder,
    roots: Sequence[Path] = (),
    taste: ExportSwapOptions = TASTE,
    gates: RefineOptions = GATES,
    work: Work | None = None,
) -> Result:
    options = DiscoverOptions()
    return discover(library.store, out, list(roots), checker, options, gates, taste, work=work or Work())


def new_sets(found: Result) -> list[str]:
    return [cluster.name for cluster in found.clusters if cluster.name]


def test_new_people_get_the_next_numbers_and_known_ones_stay(
    out: Path, pristine: Library, checker: Embedder
) -> None:
    before = contents(out)
    planned = run(pristine, out, checker, taste=ExportSwapOptions(min_face_short=60, dry_run=True))
    assert contents(out) == before
    summary = run(pristine, out, checker)
    assert summary.clusters == planned.clusters
    assert new_sets(summary) == ["faceset_003", "faceset_004"]
    export = read_manifest(out, ExportManifest)
    assert {entry.name: entry.kind for entry in export.sets} == KINDS
    after = contents(out)
    assert {name for name in before if before[name] != after[name]} == {"manifest.json"}
    for name in new_sets(summary):
        assert "all photos" in (out / name / MARKER).read_text()
        photos = {Path(f.face.paths[0]).name for f in read_manifest(out / name, SetManifest).faces}
        assert len({photo.rpartition("_")[0] for photo in photos} - {"two people"}) <= 2
        assert not any(stranger in photo for photo in photos for stranger in STRANGERS)
    again = run(pristine, out, checker)
    assert new_sets(again) == []
    assert contents(out) == after
    undo(out, "0002-discover")
    assert contents(out) == before


def test_only_photos_below_the_source_root_count_by_any_of_their_paths(
    pristine: Library, checker: Embedder, tmp_path: Path
) -> None:
    summary = run(pristine, tmp_path / "swap", checker, [pristine.photos / "album"])
    assert summary.faces == 1
    assert summary.export is None
    assert not (tmp_path / "swap").exists()
    with pytest.raises(WrongUsage, match="Folder not found"):
        run(pristine, tmp_path / "swap", checker, [pristine.photos / "no album"])


def test_a_set_that_was_renamed_or_deleted_is_not_discovered_again(
    out: Path, pristine: Library, checker: Embedder
) -> None:
    unwanted = {item.face.face for item in read_manifest(out / "faceset_001", SetManifest).faces}
    shutil.rmtree(out / "faceset_001")
    first, second = new_sets(run(pristine, out, checker))
    assert (first, second) == ("faceset_003", "faceset_004")
    (out / first).rename(out / "Gloria")
    shutil.rmtree(out / second)
    before = contents(out)
    for _ in range(2):
        assert new_sets(run(pristine, out, checker)) == []
        assert contents(out) == before
    names = [path.parent.name for path in out.glob("*/manifest.json")]
    assert sorted(names) == ["Gloria", "faceset_002"]
    for name in names:
        assert not unwanted & {item.face.face for item in read_manifest(out / name, SetManifest).faces}


def test_moved_crops_make_no_new_person_and_wait_for_their_set(
    out: Path, pristine: Library, two_known: Path, checker: Embedder
) -> None:
    first, second = (read_manifest(out / f"faceset_00{n}", SetManifest) for n in (1, 2))
    moved = [item.face.face for item in first.faces[2:]]
    for item in first.faces[2:]:
        (out / "faceset_001" / item.file).rename(out / "faceset_002" / f"moved {item.file}")
    summary = run(pristine, out, checker)
    assert summary.export is not None
    assert f"{len(moved)} faces moved from faceset_001 to faceset_002." in summary.export.learned
    new = [read_manifest(out / name, SetManifest) for name in new_sets(summary)]
    assert not {item.face.face for manifest in new for item in manifest.faces} & set(moved)
    assert read_manifest(out / "faceset_002", SetManifest) == second
    again = replace(TASTE, merge=False)
    for name in new_sets(summary):
        shutil.rmtree(out / name)
    export_swap(pristine.store, two_known / "sets", out, checker, again, work=Work())
    having = {item.face.face for item in read_manifest(out / "faceset_002", SetManifest).faces}
    assert set(moved) <= having


class Interrupting(SilentProgress):
    """Requests a stop after some faces."""

    def __init__(self, stop: Stop, faces: int) -> None:
        self._stop, self._left = stop, faces

    def advance(self, count: int = 1) -> None:
        self._left -= count
        if self._left <= 0:
            self._stop.request()


def test_a_stopped_run_is_completed_or_undone(
    pristine: Library, two_known: Path, checker: Embedder, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        shutil.copytree(two_known / "swap", out)
    before = contents(cut)
    run(pristine, whole, checker)
    for _ in range(2):
        stop = Stop()
        summary = run(pristine, cut, checker, work=Work(progress=Interrupting(stop, 12), stop=stop))
        assert summary.stopped
        assert contents(cut).keys() > before.keys()
    shutil.copytree(cut, tmp_path / "back")
    undo(tmp_path / "back", "2")
    assert contents(tmp_path / "back") == before
    run(pristine, cut, checker)
    assert contents(cut) == contents(whole)


def test_an_export_grows_after_discover_without_duplicate_people(
    pristine: Library, two_known: Path, checker: Embedder, tmp_path: Path
) -> None:
    sets, out = tmp_path / "sets", tmp_path / "swap"
    shutil.copytree(two_known / "sets", sets)

    def export(manifest: Path, options: ExportSwapOptions = TASTE) -> dict[str, str]:
        export_swap(pristine.store, manifest, out, checker, options, work=Work())
        return {entry.name: entry.kind for entry in read_manifest(out, ExportManifest).sets}

    export(sets)
    run(pristine, out, checker)
    people = {name: read_manifest(out / name, SetManifest).faces for name in KINDS}
    assert export(sets / "refine_manifest.json") == KINDS
    refine(pristine.store, sets, GATES, work=Work())
    assert export(sets, replace(TASTE, merge=True)) == KINDS
    assert export(sets) == dict.fromkeys(KINDS, "refined")
    for name, faces in people.items():
        now = {item.face.face for item in read_manifest(out / name, SetManifest).faces}
        assert now >= {item.face.face for item in faces}
    before = contents(out)
    export(sets / "refine_manifest.json")
    assert contents(out) == before


def test_faces_that_fail_only_the_gates_of_the_export_make_no_set_and_are_found_by_a_looser_run(
    out: Path, pristine: Library, checker: Embedder
) -> None:
    before = contents(out)
    strict = replace(TASTE, min_face_short=5000)
    planned = run(pristine, out, checker, taste=replace(strict, dry_run=True))
    summary = run(pristine, out, checker, taste=strict)
    for found in (planned, summary):
        assert new_sets(found) == []
        assert found.export is not None
        assert [(e.name, set(e.dropped_by)) for e in found.export.empty] == [("", {"min_face_short"})] * 2
    after = contents(out)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} <= {"manifest.json"}
    assert new_sets(run(pristine, out, checker)) == ["faceset_003", "faceset_004"]


class BlindForOne:
    """An embedder that finds no face of one person."""

    def __init__(self, embedder: Embedder, person: Float32) -> None:
        self.settings = embedder.settings
        self._embedder = embedder
        self._person = person

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """As the embedder, but without that person."""
        found = self._embedder.embed(pictures)
        return [faces.take(np.flatnonzero(faces.embedding @ self._person < 0.4)) for faces in found]


def test_a_person_without_a_passing_face_takes_no_number(
    pristine: Library, two_known: Path, checker: Embedder, tmp_path: Path
) -> None:
    calm, out = tmp_path / "calm", tmp_path / "swap"
    for folder in (calm, out):
        shutil.copytree(two_known / "swap", folder)
    first, second = new_sets(run(pristine, calm, checker))
    centroid = np.array(read_manifest(calm / first, SetManifest).centroid, np.float32)
    summary = run(pristine, out, BlindForOne(checker, centroid))
    assert new_sets(summary) == [first]
    found, expected = (
        [item.face.face for item in read_manifest(folder / name, SetManifest).faces]
        for folder, name in ((out, first), (calm, second))
    )
    assert found == expected
    assert not (out / second).exists()
    assert new_sets(run(pristine, out, checker)) == [second]


def test_empty_sets_of_an_earlier_version_go_and_their_faces_are_found(
    out: Path, pristine: Library, checker: Embedder
) -> None:
    _, last = new_sets(run(pristine, out, checker))
    made = contents(out)
    export = json.loads((out / "manifest.json").read_text())
    entry = next(entry for entry in export["sets"] if entry["name"] == last)
    entry |= {"faces": 0, "candidates": 0, "bundles": [], "best": []}
    (out / "manifest.json").write_text(json.dumps(export))
    manifest = json.loads((out / last / "manifest.json").read_text())
    manifest |= {"faces": [], "bundles": [], "contents": {}}
    manifest["files"] = [f"{last}/{MARKER}", f"{last}/manifest.json"]
    (out / last / "manifest.json").write_text(json.dumps(manifest))
    for path in [*(out / last).glob("*.png"), *(out / last).glob("*.fsz")]:
        path.unlink()
    assert new_sets(run(pristine, out, checker)) == [last]
    assert contents(out).keys() == made.keys()


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_people_with_too_poor_faces_are_dropped_on_request(
    pristine: Library, two_known: Path, checker: Embedder
) -> None:
    norm = pristine.store.load().faces.norm
    assert norm is not None
    plan = replace(TASTE, dry_run=True)
    assert new_sets(run(pristine, two_known / "swap", checker, taste=plan))
    blind = replace(GATES, min_norm=float(norm.max()) + 1)
    found = run(pristine, two_known / "swap", checker, taste=plan, gates=blind)
    assert (new_sets(found), {cluster.survivors for cluster in found.clusters}) == ([], {0})


def test_the_manifest_records_the_gates_by_which_people_were_found(
    out: Path, pristine: Library, checker: Embedder
) -> None:
    run(pristine, out, checker)
    options = read_manifest(out, ExportManifest).made.options
    assert options["outlier_threshold"] == TASTE.outlier_threshold
    assert options["refine_outlier_threshold"] == GATES.outlier_threshold
    found = pristine.store.load()
    used = asdict(GATES.for_store(len(found.images), found.settings.recognizer))
    gates = {"initial_threshold", "merge_threshold", "outlier_min_cluster", "min_faces", "min_short"}
    gates |= {"min_blur", "min_det_score", "same_image_ok"}
    assert {name: options[name] for name in gates} == {name: used[name] for name in gates}
