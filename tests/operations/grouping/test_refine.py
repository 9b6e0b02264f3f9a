from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.recording_progress import RecordingProgress

from facesets.cli.wording import worded
from facesets.errors import WrongUsage
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.gating import advise
from facesets.operations.grouping.refine import gate_faces, refine
from facesets.operations.options.results import ExportSwapOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.records import Collection
from facesets.result import Result
from facesets.results.manifest import RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.store.npz.cache import Cache
from facesets.work import Work

TASTE = RefineOptions(min_faces=5, min_short=80, min_blur=60)


def run(library: Library, out: Path, options: RefineOptions = TASTE) -> Result:
    return refine(library.store, out, options, work=Work())


@pytest.fixture(scope="module")
def chosen(pristine: Library, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Face sets of the library, which no test changes, and the result of the run."""
    out = tmp_path_factory.mktemp("refined") / "fs"
    return out, run(pristine, out)


def test_face_sets_hold_one_person_each_and_pass_every_gate(chosen: tuple[Path, Result]) -> None:
    out, _ = chosen
    manifest = read_manifest(out / "refine_manifest.json", RefineManifest)
    assert len(manifest.facesets) == len(PEOPLE)
    for group in manifest.facesets:
        assert len({Path(f.paths[0]).name[:8] for f in group.faces if "_" in Path(f.paths[0]).name}) == 1
        assert len({face.image for face in group.faces}) == group.images >= 5
        assert all(f.face_short >= 80 and f.blur >= 60 and f.det_score >= 0.6 for f in group.faces)
        assert len(list((out / group.name).glob("[!.]*"))) >= group.images


def test_every_face_passes_or_is_dropped_with_gate_and_value(
    pristine: Library, chosen: tuple[Path, Result]
) -> None:
    out, summary = chosen
    manifest = read_manifest(out, RefineManifest)
    passed = [face.face for group in manifest.facesets for face in group.faces]
    dropped = [item.face.face for item in manifest.dropped]
    assert sorted(passed + dropped) == sorted(pristine.store.load().face_ids())
    for item in manifest.dropped:
        assert (item.value > item.limit) == (item.gate == "outlier_threshold")
        assert item.limit == manifest.made.options[item.gate]
    assert sum(summary.dropped_by.values()) == summary.dropped == len(dropped)
    assert summary.kept == len(passed)


def test_a_face_with_a_contradicting_age_is_dropped_on_request(library: Library) -> None:
    collection = library.store.load()
    names = [Path(collection.images.paths[i][0]).name for i in collection.faces.image]
    hugo = np.flatnonzero([name.startswith("Hugo") for name in names])[:8]
    taken = np.arange(2000, 2008).astype(np.float64)
    age = np.array([46, 49, 45, 50, 48, 47, 20, 51], np.float32)
    faces = replace(collection.faces.take(hugo), age=age, male=np.ones(8, np.float32))
    open_gates = RefineOptions(min_faces=1, min_short=0, min_blur=0, min_det_score=0, outlier_threshold=2)
    assert set(gate_faces(faces, open_gates, taken).gate) == {""}
    asked = replace(open_gates, age_spreads=3.0)
    gated = gate_faces(faces, asked, taken)
    assert np.flatnonzero(gated.gate == "age_spreads").tolist() == [6]
    assert gated.value[6] > gated.limit[6] == 3
    undated = taken.copy()
    undated[6] = np.nan
    assert set(gate_faces(faces, asked, undated).gate) == {""}
    assert set(gate_faces(faces.take(np.r_[4:8]), asked, taken[4:]).gate) == {""}


def test_defaults_are_the_documented_ones() -> None:
    o = RefineOptions()
    assert (o.initial_threshold, o.outlier_threshold) == (0.55, 0.55)
    assert o.for_store(20_000, "w600k_r50.onnx").merge_threshold == 0.40
    assert o.for_store(20_000, "dlib_resnet.onnx").merge_threshold == 0.30
    assert RefineOptions(merge_threshold=0.2).for_store(1, "dlib_resnet.onnx").merge_threshold == 0.2
    assert (o.min_short, o.min_blur, o.min_det_score) == (90, 40.0, 0.6)
    assert o.min_faces is None
    assert o.for_store(20_000, "").min_faces == 15


def test_an_outlier_is_dropped_from_four_on_and_not_before(library: Library) -> None:
    collection = library.store.load()
    faces = collection.faces
    people = np.array([Path(collection.images.paths[i][0]).name.startswith("Hugo") for i in faces.image])
    other = np.array([Path(collection.images.paths[i][0]).name.startswith("Celine") for i in faces.image])
    options = RefineOptions(
        initial_threshold=2, min_faces=1, min_short=0, min_blur=0, min_det_score=0, outlier_threshold=0.6
    )
    hugo, celine = np.flatnonzero(people), np.flatnonzero(other)[:1]
    three = gate_faces(faces.take(np.r_[hugo[:2], celine]), options)
    assert (three.gate == "").all()
    many = gate_faces(faces.take(np.r_[hugo[:8], celine]), options)
    assert many.gate.tolist() == [""] * 8 + ["outlier_threshold"]
    assert many.value[8] > 0.6 == many.limit[8]


def test_size_counts_distinct_images(library: Library) -> None:
    faces = library.store.load().faces
    same_image = faces.take(np.zeros(6, np.int64))
    options = RefineOptions(min_faces=2, min_short=0, min_blur=0, min_det_score=0)
    gated = gate_faces(same_image, options)
    assert set(gated.gate) == {"min_faces"}
    assert set(gated.value) == {1.0}


def test_two_faces_in_one_image_are_two_people_unless_allowed(library: Library) -> None:
    faces = library.store.load().faces.take(np.arange(7))
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 512))
    other = one + other * 0.75
    # Two people with close centroids; the two of image 0 must stay apart through the merge.
    made = np.stack([one, one, one, other, other, other, other]) + rng.standard_normal((7, 512)) * 0.3
    unit = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    pairs = replace(faces, embedding=unit, image=np.array([0, 1, 2, 0, 3, 4, 5]))
    options = RefineOptions(initial_threshold=0.2, merge_threshold=0.5, min_faces=1, min_short=0, min_blur=0)
    apart = gate_faces(pairs, options).cluster
    together = gate_faces(pairs, replace(options, same_image_ok=True)).cluster
    assert (unit[0] @ unit[3]) < 0.8
    assert apart.tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert together.tolist() == [0] * 7


def test_a_dry_run_counts_as_the_run_does_and_tighter_gates_remove_photos(
    library: Library, tmp_path: Path
) -> None:
    planned = run(library, tmp_path / "fs", replace(TASTE, dry_run=True))
    assert not (tmp_path / "fs").exists()
    assert planned.facesets == run(library, tmp_path / "fs").facesets == len(PEOPLE)
    before = {p.relative_to(tmp_path / "fs") for p in (tmp_path / "fs").rglob("*.jpg")}
    summary = run(library, tmp_path / "fs", RefineOptions(min_faces=5, min_short=90, min_blur=60))
    after = {p.relative_to(tmp_path / "fs") for p in (tmp_path / "fs").rglob("*.jpg")}
    assert len(after) < len(before)
    assert summary.removed > 0


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_folder_of_another_command_is_refused_untouched(
    library: Library, tmp_path: Path, dry_run: bool
) -> None:
    out = tmp_path / "raw"
    cluster(library.store, out, ClusterOptions(), work=Work())
    before = sorted(out.rglob("*"))
    with pytest.raises(WrongUsage, match="another command"):
        run(library, out, replace(TASTE, dry_run=dry_run))
    assert sorted(out.rglob("*")) == before


def test_a_set_needs_one_photo_for_every_hundred_from_3_to_15() -> None:
    least = [RefineOptions().for_store(photos, "").min_faces for photos in range(0, 5000, 50)]
    assert least == sorted(least)  # type: ignore[type-var]
    assert (least[0], least[10], least[20], least[-1]) == (3, 5, 10, 15)
    assert RefineOptions(min_faces=8).for_store(100_000, "").min_faces == 8


def test_the_minimum_for_a_small_album_is_recorded(library: Library, tmp_path: Path) -> None:
    summary = run(library, tmp_path / "fs", RefineOptions(materialize="none", sheet=False))
    manifest = read_manifest(tmp_path / "fs", RefineManifest)
    assert manifest.made.options["min_faces"] == 3
    assert summary.facesets == len(manifest.facesets) >= len(PEOPLE)


@pytest.mark.parametrize(
    ("options", "gate"),
    [
        (RefineOptions(min_short=120), "--min-short"),
        (RefineOptions(min_blur=5000), "--min-blur"),
        (RefineOptions(min_det_score=0.99), "--min-det-score"),
        (RefineOptions(min_faces=40), "--min-faces"),
    ],
)
def test_the_hint_names_the_limiting_gate_and_is_right(
    library: Library, tmp_path: Path, options: RefineOptions, gate: str
) -> None:
    dry = replace(options, dry_run=True)
    summary = run(library, tmp_path / "fs", dry)
    assert summary.facesets == 0
    assert f"by {gate}" in summary.hint
    flags = dict(flag.split() for flag in summary.try_flags)
    assert gate in flags
    looser = {name[2:].replace("-", "_"): float(value) for name, value in flags.items()}
    looser["min_faces"] = int(looser.get("min_faces", 3))
    better = run(library, tmp_path / "fs", replace(RefineOptions(dry_run=True), **looser))  # type: ignore[arg-type]
    sets = f"{better.facesets} face set{'s' if better.facesets > 1 else ''} with {better.kept} faces"
    assert better.facesets > 0
    assert f"would give {sets}, compared with 0 face sets" in summary.hint


@pytest.mark.parametrize(
    ("edge", "options", "hint", "needs_more"),
    [
        (70, replace(TASTE, min_short=110), "--min-short 70 would give", True),
        (105, replace(TASTE, min_short=110), "--min-short 105 would give", False),
        (95, replace(TASTE, min_short=90, min_blur=5000), ". --min-blur", True),
    ],
)
def test_a_hint_for_smaller_faces_names_the_option_of_an_export(
    library: Library, edge: int, options: RefineOptions, hint: str, needs_more: bool
) -> None:
    collection = library.store.load()
    faces = replace(collection.faces, face_short=np.full(len(collection.faces), edge, np.float32))
    advice = advise(faces, len(collection.images), options, lambda tried: gate_faces(faces, tried))
    assert hint in advice.hint
    least = min(edge, options.min_short)
    also = f"Also give --min-face-short {least} to `export-swap`, which requires 100 pixels by default."
    assert advice.hint.endswith(also) == needs_more


def test_gates_that_drop_nothing_are_not_mentioned(library: Library, tmp_path: Path) -> None:
    everything = RefineOptions(
        initial_threshold=2, outlier_threshold=2, min_faces=1, min_short=0, min_blur=0, min_det_score=0
    )
    summary = run(library, tmp_path / "fs", replace(everything, same_image_ok=True, dry_run=True))
    assert (summary.dropped, summary.hint, summary.try_flags) == (0, "", [])


class CacheWith(Cache):
    """A cache with further columns of its faces."""

    def __init__(self, path: Path, **columns: Any) -> None:
        super().__init__(path)
        self._of_faces = columns

    def load(self) -> Collection:
        collection = super().load()
        return replace(collection, faces=replace(collection.faces, **self._of_faces))


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_a_face_that_shows_too_little_is_dropped_on_request(library: Library, tmp_path: Path) -> None:
    collection = library.store.load()
    assert collection.faces.norm is not None
    limit = float(np.median(collection.faces.norm))
    norm = np.where(np.arange(len(collection.faces)) % 5, collection.faces.norm, np.nan).astype(np.float32)
    store, progress = CacheWith(library.cache, norm=norm), RecordingProgress()
    asked = replace(TASTE, min_faces=2, min_norm=limit)
    summary = refine(store, tmp_path / "fs", asked, work=Work(progress=progress))
    manifest = read_manifest(tmp_path / "fs", RefineManifest)
    assert manifest.made.options["min_norm"] == limit
    passed = [face.norm for group in manifest.facesets for face in group.faces]
    assert UNSET in passed
    assert all(each is UNSET or each >= round(limit, 2) for each in passed)
    dropped = [item for item in manifest.dropped if item.gate == "min_norm"]
    assert len(dropped) == summary.dropped_by["min_norm"] > 0
    assert all(item.value < item.limit == limit for item in dropped)
    unknown, every = int(np.isnan(norm).sum()), len(norm)
    (message,) = (worded(line) for line in progress.lines if "norm" in line)
    assert message.startswith(
        f"{unknown} of {every} faces have no norm, so --min-norm does not apply to them. "
    )
    assert message.endswith("`facesets enrich` measures them.")


@pytest.mark.usefixtures("shared_dir")
def test_unknown_norms_are_mentioned_only_if_they_matter(library: Library, tmp_path: Path) -> None:
    progress = RecordingProgress()
    unmeasured = CacheWith(library.cache, norm=None)
    refine(unmeasured, tmp_path / "fs", TASTE, work=Work(progress=progress))
    assert "min_norm" not in read_manifest(tmp_path / "fs", RefineManifest).made.options
    asked = replace(TASTE, min_norm=1, dry_run=True)
    summary = refine(library.store, tmp_path / "fs", asked, work=Work(progress=progress))
    assert (progress.lines, summary.dropped_by.get("min_norm")) == ([], None)


def test_ages_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(WrongUsage, match=r"60 is above .* 50"):
        replace(TASTE, min_age=60, max_age=50)
    with pytest.raises(WrongUsage, match=r"60 is above .* 50"):
        ExportSwapOptions(min_age=60, max_age=50)


def test_only_faces_of_the_requested_ages_are_in_face_sets(library: Library, tmp_path: Path) -> None:
    asked = replace(TASTE, min_age=12, max_age=40, min_faces=2)
    with pytest.raises(WrongUsage, match="requires ages"):
        run(library, tmp_path / "fs", asked)
    faces = library.store.load().faces
    # Those of the first image are 8, of the next but one 10, and so on.
    ages = np.where(faces.image == 1, np.nan, 8 + faces.image).astype(np.float32)
    store = CacheWith(library.cache, age=ages, male=ages * np.float32(0.01))
    summary = refine(store, tmp_path / "fs", asked, work=Work())
    age = dict(zip(store.load().face_ids(), ages.tolist(), strict=True))
    manifest = read_manifest(tmp_path / "fs", RefineManifest)
    passed = [age[face.face] for group in manifest.facesets for face in group.faces]
    assert passed
    assert all(12 <= each <= 40 for each in passed)
    for item in manifest.dropped:
        if item.gate in {"min_age", "max_age"}:
            looks = age[item.face.face]
            assert not 12 <= looks <= 40
            assert item.value == looks or (np.isnan(looks) and item.value == -1)
    assert summary.dropped_by["min_age"] > 0
    assert summary.dropped_by["max_age"] > 0
