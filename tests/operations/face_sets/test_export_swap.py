import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.kills import in_a_child
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.soak import soaking
from tests.fixtures.trees import contents, files_in

from facesets.errors import DamagedFile, RecognizerMismatch, WrongUsage
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Embedder
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.face_sets.selection import select_faces
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import ExportSwapOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.reports.verify_bundle import check_bundle, verify_bundles
from facesets.operations.undo import undo
from facesets.records import Collection
from facesets.result import Result
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest import RefineManifest
from facesets.results.manifest_json import manifest_bytes, read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.run_records import read_runs
from facesets.store.npz.cache import Cache
from facesets.work import Work

pytestmark = pytest.mark.slow

TASTE = ExportSwapOptions(min_face_short=60, top_n=5, candidates=True, out_size=128)
"""Small crops: a picture of the usual size takes sixteen times as long to write and to read."""


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory, pristine: Library, pack_dir: Path) -> Path:
    """A folder with the manifests of `cluster` and `refine`."""
    root = tmp_path_factory.mktemp("manifests")
    # So strict that some faces stay alone, and unassigned ones fall into two large groups.
    cut = 0.28 if pack_dir.name == "open" else 0.2
    raw = ClusterOptions(method="agglomerative", threshold=cut, materialize="none", sheet=False)
    cluster(pristine.store, root / "raw", raw, work=Work())
    sets = RefineOptions(min_faces=5, min_short=60, min_blur=70, materialize="none", sheet=False)
    refine(pristine.store, root / "fs", sets, work=Work())
    return root


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(pristine: Library, manifests: Path, checker: Embedder) -> Run:
    sets, people = manifests / "fs" / "refine_manifest.json", manifests / "raw" / "manifest.json"

    def run(
        out: Path, options: ExportSwapOptions = TASTE, refined: Path = sets, raw: Path = people
    ) -> Result:
        return export_swap(pristine.store, refined, out, checker, options, raw_manifest=raw, work=Work())

    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """An export that no test changes."""
    out = tmp_path_factory.mktemp("export") / "swap"
    run(out)
    return out


@pytest.fixture
def out(tmp_path: Path, exported: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(exported, tmp_path / "swap")


def set_manifests(out: Path) -> list[SetManifest]:
    export = read_manifest(out, ExportManifest)
    return [read_manifest(out / entry.name, SetManifest) for entry in export.sets]


def inodes(folder: Path) -> dict[str, int]:
    found = (path for path in files_in(folder) if path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.stat().st_ino for path in found}


def test_every_png_is_square_and_holds_exactly_the_right_face(
    exported: Path, embedder: LocalEmbedder, pristine: Library
) -> None:
    collection = pristine.store.load()
    rows = {face: row for row, face in enumerate(collection.face_ids())}
    items = [
        (exported / each.name / item.file, item) for each in set_manifests(exported) for item in each.faces
    ]
    assert len(items) > 30
    for path, item in items:
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (128, 128))
        (faces,) = embedder.embed([decode(str(path)).pixels])
        assert len(faces) == 1, path
        assert float(faces.embedding[0] @ collection.faces.embedding[rows[item.face.face]]) > 0.6


@pytest.mark.usefixtures("real_lfw")
def test_a_bystander_is_cut_off_or_painted_over(exported: Path) -> None:
    shared = [
        item
        for manifest in set_manifests(exported)
        for item in manifest.faces
        if item.face.paths[0].endswith("two people.png")
    ]
    assert len(shared) == 2
    assert any(item.masked for manifest in set_manifests(exported) for item in manifest.faces)


def test_faces_are_ranked_by_their_quality_and_carry_its_parts(exported: Path) -> None:
    for manifest in set_manifests(exported):
        totals = [item.quality.total for item in manifest.faces]
        assert totals == sorted(totals, reverse=True)
        assert [item.file for item in manifest.faces] == [
            f"{manifest.name}_{i:03d}.png" for i in range(len(totals))
        ]
        for item in manifest.faces:
            q = item.quality
            weighted = 0.3 * q.frontality + 0.2 * q.det_score + 0.2 * q.symmetry
            weighted += 0.15 * q.face_size + 0.15 * q.sharpness
            assert q.total == pytest.approx(weighted, abs=1e-3)


def test_every_face_of_a_set_is_exported_or_left_out_with_its_reason(exported: Path, manifests: Path) -> None:
    refined = read_manifest(manifests / "fs", RefineManifest)
    for group, manifest in zip(refined.facesets, set_manifests(exported), strict=True):
        faces = [item.face.face for item in manifest.faces] + [item.face.face for item in manifest.dropped]
        assert sorted(faces) == sorted(face.face for face in group.faces)


@pytest.mark.usefixtures("real_lfw")
def test_a_copy_of_a_photo_is_collapsed_into_the_better_one(exported: Path) -> None:
    (drop,) = [d for m in set_manifests(exported) for d in m.dropped if d.gate == "duplicate"]
    assert drop.value <= drop.limit
    (keeper,) = [f for m in set_manifests(exported) for f in m.faces if f.duplicates]
    assert keeper.duplicates == (drop.face.face,)
    both = {Path(keeper.face.paths[0]).name, Path(drop.face.paths[0]).name}
    assert both == {"Hugo_Chavez_0001.jpg", "smaller.jpg"}


def test_bundles_load_as_their_consumer_loads_them(exported: Path, embedder: LocalEmbedder) -> None:
    bundles = sorted(exported.glob("*/*.fsz"))
    assert len(bundles) == 2 * len(PEOPLE)
    summary = verify_bundles(bundles, embedder, work=Work())
    assert summary.failed == 0
    for check in summary.bundles:
        assert check.faces == check.pictures
        assert check.own_cosine_similarity is not None
        assert check.nearest_other_cosine_similarity is not None
        assert check.own_cosine_similarity > 0.9 > 0.5 > check.nearest_other_cosine_similarity
    top = [check.pictures for check in summary.bundles if "_top5" in check.file]
    assert top == [5] * len(PEOPLE)


def test_a_bundle_with_a_bystander_or_the_wrong_person_is_detected(
    tmp_path: Path, exported: Path, embedder: LocalEmbedder, pristine: Library
) -> None:
    import zipfile

    first, second = (read_manifest(exported / f"faceset_00{n}", SetManifest) for n in (1, 2))
    for name in ("manifest.json", "faceset_001", "faceset_002", "faceset_003", "faceset_004"):
        copy = shutil.copytree if (exported / name).is_dir() else shutil.copy2
        copy(exported / name, tmp_path / name)
    swapped = tmp_path / first.name / "swapped.fsz"
    shutil.copy2(exported / second.name / second.bundles[0], swapped)
    assert "better than its own face set" in " ".join(check_bundle(swapped, embedder).problems)
    crowd = tmp_path / first.name / "crowd.fsz"
    with zipfile.ZipFile(crowd, "w") as archive:
        archive.write(pristine.photos / "two people.png", "0.png")
    check = check_bundle(crowd, embedder)
    assert check.faces_per_picture == {"0.png": 2}
    assert any("2 faces" in problem for problem in check.problems)


def test_candidates_are_single_faces_near_a_set(exported: Path, manifests: Path) -> None:
    candidates = [(m.name, item) for m in set_manifests(exported) for item in m.candidates]
    in_sets = {f.face for g in read_manifest(manifests / "fs", RefineManifest).facesets for f in g.faces}
    assert candidates
    for name, item in candidates:
        assert (exported / "_candidates" / name / item.file).is_file()
        assert item.centroid_cosine_distance <= 0.55
        assert item.quality.total >= TASTE.candidate_min_score
        assert item.face.face not in in_sets


def test_candidates_need_the_raw_manifest(
    pristine: Library, manifests: Path, checker: Embedder, tmp_path: Path
) -> None:
    with pytest.raises(WrongUsage, match="candidates requires raw_manifest"):
        export_swap(pristine.store, manifests / "fs", tmp_path, checker, TASTE, work=Work())


def test_finished_sets_are_not_made_again(out: Path, exported: Path, run: Run) -> None:
    before = inodes(out)
    summary = run(out)
    assert summary.unchanged_sets == summary.sets == len(PEOPLE)
    assert inodes(out) == before
    assert contents(out) == contents(exported)


class Turned(Cache):
    """A cache in which one face has been given a pose."""

    face = ""

    def load(self) -> Collection:
        collection = super().load()
        pose = np.full((len(collection.faces), 3), np.nan, np.float32)
        pose[collection.face_ids().index(self.face)] = (40, 60, 0)
        return replace(collection, faces=replace(collection.faces, pose=pose))


def test_a_manifest_that_names_files_elsewhere_removes_none(out: Path, tmp_path: Path, run: Run) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    export = json.loads((out / "manifest.json").read_text())
    export["sheets"].append("../victim.txt")
    export["sets"][0]["bundles"].append("../../victim.txt")
    (out / "manifest.json").write_text(json.dumps(export))
    with pytest.raises(DamagedFile, match="Move it away"):
        run(out)
    assert victim.read_text() == "precious"


def test_a_set_is_made_again_if_the_ranking_of_its_faces_changed(
    out: Path, exported: Path, library: Library, manifests: Path, checker: Embedder
) -> None:
    best = set_manifests(exported)[1].faces[0]
    store = Turned(library.cache)
    store.face = best.face.face
    refined, raw = manifests / "fs" / "refine_manifest.json", manifests / "raw" / "manifest.json"
    summary = export_swap(store, refined, out, checker, TASTE, raw_manifest=raw, work=Work())
    assert summary.unchanged_sets == summary.sets - 1
    after = set_manifests(out)[1].faces
    assert after[0].face.face != best.face.face
    (turned,) = [item for item in after if item.face.face == best.face.face]
    assert turned.quality.frontality < 0.5


def test_an_interrupted_export_is_completed(out: Path, exported: Path, run: Run) -> None:
    for gone in ("faceset_002/manifest.json", "faceset_003/faceset_003_001.png", "contact_sheet.png"):
        (out / gone).unlink()
    (out / ANNOUNCEMENT).write_text("{}")
    run(out)
    assert contents(out) == contents(exported)


def test_a_deleted_crop_stays_out_and_so_do_its_duplicates(out: Path, run: Run) -> None:
    first, unwanted = next((m, item) for m in set_manifests(out) for item in m.faces if item.duplicates)
    (out / first.name / unwanted.file).unlink()
    for _ in range(3):
        summary = run(out)
        (after,) = [manifest for manifest in set_manifests(out) if manifest.name == first.name]
        ids = {item.face.face for item in after.faces}
        assert ids == {item.face.face for item in first.faces} - {unwanted.face.face}
        taken = {item.face.face for item in after.dropped if item.gate == "taken_out"}
        assert taken == {unwanted.face.face, *unwanted.duplicates}
        assert [first.name in line for line in summary.learned] == [True]
    assert run(out).unchanged_sets == 4


def test_further_sets_merge_in_and_leave_the_others_untouched(
    out: Path, exported: Path, tmp_path: Path, manifests: Path, run: Run
) -> None:
    before = inodes(out / "faceset_001")
    refined = read_manifest(manifests / "fs", RefineManifest)
    other = tmp_path / "other.json"
    other.write_bytes(manifest_bytes(replace(refined, facesets=refined.facesets[:1])))
    with pytest.raises(WrongUsage, match="Use merge"):
        run(out, refined=other)
    for _ in range(2):
        run(out, replace(TASTE, merge=True, candidates=False), refined=other)
        export = read_manifest(out, ExportManifest)
        assert [entry.name for entry in export.sets] == [f"faceset_00{n}" for n in range(1, 6)]
    assert inodes(out / "faceset_001") == before
    assert contents(out / "faceset_001") == contents(exported / "faceset_001")
    assert (out / "faceset_005" / "faceset_005_all.fsz").is_file()


def test_a_diverse_choice_turns_more_than_the_best_one(pristine: Library) -> None:
    from facesets.imaging.quality import known_pose, quality
    from facesets.operations.face_sets.selection import diverse_first

    faces = pristine.store.load().faces
    total = quality(faces).total
    ranked = np.argsort(-total)
    diverse = diverse_first(faces, ranked, total, 8)
    spread = [known_pose(faces.take(rows))[:, 1].std() for rows in (ranked[:8], diverse)]
    assert spread[1] > spread[0]
    assert len(set(diverse.tolist())) == 8


def test_a_folder_of_another_command_is_refused(manifests: Path, run: Run) -> None:
    for name in ("raw", "fs"):
        before = sorted((manifests / name).iterdir())
        with pytest.raises(WrongUsage, match="another command"):
            run(manifests / name)
        assert sorted((manifests / name).iterdir()) == before


def test_vectors_of_another_recognizer_are_refused(manifests: Path, tmp_path: Path, run: Run) -> None:
    refined = read_manifest(manifests / "fs", RefineManifest)
    models = replace(refined.made.models, recognizer_sha256="00" * 32)
    other = tmp_path / "other.json"
    other.write_bytes(manifest_bytes(replace(refined, made=replace(refined.made, models=models))))
    with pytest.raises(RecognizerMismatch):
        run(tmp_path / "swap", refined=other)


@pytest.mark.parametrize("which", ["refined", "raw"])
def test_faces_found_with_another_detection_are_refused(
    manifests: Path, tmp_path: Path, run: Run, which: str
) -> None:
    given = {"refined": manifests / "fs" / "refine_manifest.json", "raw": manifests / "raw" / "manifest.json"}
    other = tmp_path / "other.json"
    other.write_text(given[which].read_text().replace('"det_size": 640', '"det_size": 320'))
    with pytest.raises(WrongUsage, match="other detection settings"):
        run(tmp_path / "swap", **{which: other})


def test_defaults_are_the_documented_ones() -> None:
    o = ExportSwapOptions()
    assert (o.top_n, o.outlier_threshold, o.pad_ratio, o.out_size) == (30, 0.45, 0.5, 512)
    assert (o.min_face_short, o.candidates, o.candidate_min_score) == (100, False, 0.40)


def test_a_damaged_bundle_is_made_again_and_an_edited_crop_is_set_aside(out: Path, run: Run) -> None:
    whole = contents(out)
    bundle, crop = out / "faceset_001" / "faceset_001_all.fsz", out / "faceset_002" / "faceset_002_001.png"
    damaged = bytearray(bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    bundle.write_bytes(damaged)
    crop.write_bytes(b"retouched by hand")
    summary = run(out)
    assert summary.unchanged_sets == summary.sets - 2
    assert summary.learned == [
        "faceset_002/faceset_002_001.png was edited: it is set aside and exported again."
    ]
    after = contents(out)
    assert after.pop("_edited/faceset_002/faceset_002_001.png") == b"retouched by hand"
    assert after == whole
    assert run(out).unchanged_sets == summary.sets


def test_a_crop_that_was_moved_to_another_set_shows_that_person_and_not_the_first(
    out: Path, exported: Path, run: Run
) -> None:
    first, second = set_manifests(out)[:2]
    moved, stays = first.faces[3], first.faces[0]
    (out / first.name / moved.file).rename(out / second.name / moved.file)
    learned = f"1 face moved from {first.name} to {second.name}."
    planned = run(out, replace(TASTE, dry_run=True))
    assert learned in planned.learned
    assert learned in run(out).learned
    without, having = set_manifests(out)[:2]
    for _ in range(2):
        assert learned not in run(out).learned
        assert set_manifests(out)[:2] == [without, having]
        assert {item.face.face for item in without.faces} == {i.face.face for i in first.faces} - {
            moved.face.face
        }
        assert {item.face.face for item in having.faces} == {
            *(i.face.face for i in second.faces),
            moved.face.face,
        }
        assert moved.face.face in {d.face.face for d in without.dropped if d.gate == "taken_out"}
    assert run(out).unchanged_sets == len(PEOPLE)
    for manifest in (without, having):
        pngs = {path.name for path in (out / manifest.name).glob("*.png")}
        assert pngs == {item.file for item in manifest.faces}
    (png,) = [item.file for item in having.faces if item.face.face == moved.face.face]
    (out / having.name / png).rename(out / without.name / "back.png")
    run(out)
    before, after = (
        [[(i.file, i.face.face) for i in m.faces] for m in set_manifests(folder)]
        for folder in (exported, out)
    )
    assert after == before
    (out / without.name / stays.file).unlink()
    run(out)
    assert stays.face.face not in {i.face.face for m in set_manifests(out) for i in m.faces}


def test_a_person_sorted_completely_into_another_set_is_that_person(
    out: Path, exported: Path, run: Run
) -> None:
    first, second = set_manifests(out)[:2]
    for item in first.faces:
        (out / first.name / item.file).rename(out / second.name / f"was {item.file}")
    learned = run(out).learned
    assert f"{len(first.faces)} faces moved from {first.name} to {second.name}." in learned
    assert not (out / first.name).exists()
    having = set_manifests(out)[0]
    assert having.name == second.name
    assert {i.face.face for i in first.faces} <= {i.face.face for i in having.faces}
    undo(out, read_runs(out)[-1].name)
    assert [m.faces for m in set_manifests(out)] == [m.faces for m in set_manifests(exported)]
    assert (out / second.name / f"was {first.faces[0].file}").is_file()


def named_by_rank(out: Path) -> None:
    """Let an export be as earlier versions wrote it: every set has a crop `000.png`."""
    for manifest in set_manifests(out):
        path = out / manifest.name / "manifest.json"
        text = path.read_text()
        for folder, items in ((out, manifest.faces), (out / "_candidates", manifest.candidates)):
            for rank, item in enumerate(items):
                (folder / manifest.name / item.file).rename(folder / manifest.name / f"{rank:03d}.png")
                text = text.replace(item.file, f"{rank:03d}.png")
        path.write_text(text)
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"version": 6', '"version": 5'))


def test_crops_of_an_earlier_version_get_new_names_and_the_same_meaning(
    out: Path, exported: Path, run: Run
) -> None:
    named_by_rank(out)
    assert (out / "faceset_001" / "000.png").is_file()
    old = contents(out)
    assert run(out, replace(TASTE, dry_run=True)).removed == 0
    summary = run(out)
    assert summary.unchanged_sets == len(PEOPLE)
    (sentence,) = summary.learned
    assert "faceset_001/faceset_001_000.png" in sentence
    assert set_manifests(out) == set_manifests(exported)
    assert contents(out) == contents(exported)
    assert run(out).learned == []
    undo(out, read_runs(out)[-1].name)
    assert contents(out) == old
    moved, deleted = (set_manifests(exported)[n].faces[1].face.face for n in (0, 2))
    (out / "faceset_001" / "001.png").rename(out / "faceset_002" / "001 (2).png")
    (out / "faceset_003" / "001.png").unlink()
    assert "1 face moved from faceset_001 to faceset_002." in run(out).learned
    first, second, third, _ = ({item.face.face for item in m.faces} for m in set_manifests(out))
    assert moved in second - first
    assert deleted not in third


def test_a_set_without_a_passing_face_is_not_made(exported: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "swap"
    strict = replace(TASTE, min_face_short=5000)
    planned, summary = run(out, replace(strict, dry_run=True)), run(out, strict)
    for reported in (planned, summary):
        assert reported.sets == 0
        assert [(e.name, set(e.dropped_by)) for e in reported.empty] == [
            (f"faceset_00{n}", {"min_face_short"}) for n in range(1, len(PEOPLE) + 1)
        ]
        advice = re.fullmatch(
            r"(\d+) of \1 faces are smaller than the 5000 pixels that an export requires\. "
            r"--min-face-short \d+ would let (all|\d+) of them in\.",
            reported.hint,
        )
        assert advice is not None, reported.hint
        faces, pass_then = advice.groups()
        assert pass_then == "all" or 2 * int(pass_then) >= int(faces)
    assert [path.name for path in files_in(out)] == ["manifest.json"]
    run(out)
    assert read_manifest(out, ExportManifest).sets == read_manifest(exported, ExportManifest).sets
    assert run(out, strict).sets == 0
    assert [path.name for path in files_in(out)] == ["manifest.json"]


def test_a_set_in_a_linked_folder_is_left_as_it_is(exported: Path, tmp_path: Path, run: Run) -> None:
    out, disk = tmp_path / "swap", tmp_path / "disk"
    shutil.copytree(exported, out)
    (out / "faceset_002").rename(disk)
    (out / "faceset_002").symlink_to(disk)
    before = inodes(disk), contents(disk)
    summary = run(out, replace(TASTE, top_n=2))
    assert "faceset_002 is a link and is left as it is." in summary.learned
    assert (inodes(disk), contents(disk)) == before
    disk.rename(tmp_path / "unplugged")
    assert run(out, replace(TASTE, top_n=3)).sets == len(PEOPLE)
    assert read_manifest(out, ExportManifest).removed == ()
    (out / "faceset_002").unlink()
    (tmp_path / "unplugged").rename(out / "faceset_002")
    assert run(out).learned == []
    assert set_manifests(out) == set_manifests(exported)


@pytest.mark.soak
def test_a_kill_loses_no_moved_or_deleted_crop(exported: Path, tmp_path: Path, run: Run) -> None:
    def edited(name: str) -> Path:
        out = tmp_path / name
        shutil.copytree(exported, out)
        (out / "faceset_001" / "faceset_001_003.png").rename(out / "faceset_002" / "003 (1).png")
        (out / "faceset_003" / "faceset_003_001.png").unlink()
        (out / "faceset_004").rename(out / "Anna")
        return out

    run(edited("whole"))
    whole = [(m.name, m.faces) for m in set_manifests(tmp_path / "whole")]
    assert [name for name, _ in whole] == ["faceset_001", "faceset_002", "faceset_003", "Anna"]
    for kill_at in soaking((2, 3, 4, 5, 9, 24), else_=(9,)):
        out = edited(f"killed_{kill_at}")
        assert in_a_child(lambda out=out: run(out), kill_at)  # type: ignore[misc]
        run(out)
        assert [(m.name, m.faces) for m in set_manifests(out)] == whole, kill_at
        assert not list(out.rglob("*.tmp"))


def test_faces_of_other_ages_are_dropped_unless_the_user_put_them_there(pristine: Library) -> None:
    faces = pristine.store.load().faces
    rows = np.arange(12)
    age = np.full(len(faces), np.nan, np.float32)
    age[:10] = np.arange(10)
    options = ExportSwapOptions(outlier_threshold=2, min_face_short=0, min_age=3, max_age=6)
    rating = np.ones(len(faces), np.float32)
    selection = select_faces(replace(faces, age=age, male=age), rows, rating, options, given=[0])
    assert sorted(selection.rows.tolist()) == [0, 3, 4, 5, 6]
    assert {drop.row: (drop.gate.name, drop.value, drop.limit) for drop in selection.dropped} == {
        **{row: ("min_age", row, 3) for row in (1, 2)},
        **{row: ("max_age", row, 6) for row in (7, 8, 9)},
        **dict.fromkeys((10, 11), ("min_age", -1, 3)),
    }


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_faces_that_show_too_little_are_dropped_on_request(
    pristine: Library, manifests: Path, checker: Embedder, tmp_path: Path
) -> None:
    faces = pristine.store.load().faces
    assert faces.norm is not None
    limit = float(np.median(faces.norm))
    asked = replace(TASTE, min_norm=limit, candidates=False, sheet=False)
    out, progress = tmp_path / "swap", RecordingProgress()

    def export(store: Cache, options: ExportSwapOptions) -> Result:
        return export_swap(store, manifests / "fs", out, checker, options, work=Work(progress=progress))

    class Unmeasured(Cache):
        def load(self) -> Collection:
            found = super().load()
            return replace(found, faces=replace(found.faces, norm=None))

    rehearsed = export(pristine.store, replace(asked, dry_run=True))
    exported = export(pristine.store, asked)
    assert exported.dropped_by["min_norm"] == rehearsed.dropped_by["min_norm"] > 0
    sets = set_manifests(out)
    assert {each.made.options["min_norm"] for each in sets} == {limit}
    norms = [item.face.norm for each in sets for item in each.faces]
    assert all(isinstance(norm, float) and norm >= round(limit, 2) for norm in norms)
    assert progress.lines == []
    again = export(Unmeasured(pristine.cache), asked)
    assert "min_norm" not in again.dropped_by
    assert again.faces > exported.faces
    refined = read_manifest(manifests / "fs", RefineManifest)
    members = sum(len(group.faces) for group in refined.facesets)
    assert [line.partition(",")[0] for line in progress.lines] == [
        f"{members} of {members} faces have no norm"
    ]


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_candidates_must_show_as_much_as_faces(run: Run, pristine: Library, tmp_path: Path) -> None:
    norm = pristine.store.load().faces.norm
    assert norm is not None
    usual = replace(TASTE, dry_run=True)
    assert run(tmp_path / "swap", usual).candidates > 0
    assert run(tmp_path / "swap", replace(usual, min_norm=float(norm.max()) + 1)).candidates == 0


def test_ages_are_refused_if_no_face_has_one(run: Run, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="requires ages"):
        run(tmp_path / "swap", replace(TASTE, min_age=5))
