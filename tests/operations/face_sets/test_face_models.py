"""Face models of an export, with real models on real photos.

The test pack is not the one that swappers need: for their formats, its recognizer's sha256 replaces that of
w600k_r50 in the catalog.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.trees import contents

from facesets.assembly.crop_checker import EmbedderOnDemand
from facesets.errors import RecognizerMismatch, WrongUsage
from facesets.imaging.renumbered_faces import Renumbered
from facesets.inference.catalog import PUBLISHED
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.inference.providers import ProviderChoice
from facesets.interfaces import Embedder
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import ExportSwapOptions, formats_named
from facesets.operations.options.start import RefineOptions
from facesets.operations.reports.export_context import bundles_at
from facesets.operations.reports.verify_bundle import verify_bundles
from facesets.operations.undo import undo
from facesets.records import Collection
from facesets.result import Result
from facesets.results.current_faces import ErasureInResult
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.forgetting import forget_in_result
from facesets.results.manifest_json import read_manifest
from facesets.results.run_records import read_runs
from facesets.store.npz.cache import Cache
from facesets.words import face_sets as words
from facesets.work import Work

pytestmark = pytest.mark.slow

ALL = formats_named("--formats", "fsz,images,safetensors,visomaster,rope,npz")
CROPS = ExportSwapOptions(min_face_short=60, top_n=5, out_size=128, sheet=False)
EVERY_FORMAT = replace(CROPS, formats=ALL)


class Enriched(Cache):
    """A cache of faces with columns for which the pack has no model."""

    def load(self) -> Collection:
        collection = super().load()
        count = len(collection.faces)
        landmarks = np.tile(np.array([50, 60, 10], np.float32), (count, 68, 1))
        faces = replace(collection.faces, landmark_3d_68=landmarks, pose=np.full((count, 3), 2.5, np.float32))
        return replace(collection, faces=faces)


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory, pristine: Library) -> Path:
    root = tmp_path_factory.mktemp("refined")
    options = RefineOptions(min_faces=5, min_short=60, min_blur=70, materialize="none", sheet=False)
    refine(pristine.store, root, options, work=Work())
    return root


@pytest.fixture(scope="module")
def modeller(insightface_pack: Path) -> EmbedderOnDemand:
    return EmbedderOnDemand(lambda: (read_pack(insightface_pack), ProviderChoice("cpu", ())), 640, 0.35)


@contextmanager
def known(embedder: Embedder) -> Iterator[None]:
    """Let the recognizer at hand be the one that swappers know."""
    with pytest.MonkeyPatch.context() as patch:
        files = PUBLISHED["buffalo_l"].files
        patch.setitem(files, "w600k_r50.onnx", embedder.settings.recognizer_sha256)
        yield


@pytest.fixture
def known_to_swappers(embedder: LocalEmbedder) -> Iterator[None]:
    with known(embedder):
        yield


@pytest.fixture(scope="module")
def run(pristine: Library, refined: Path, checker: Embedder, modeller: EmbedderOnDemand) -> Run:
    def run(out: Path, options: ExportSwapOptions = EVERY_FORMAT, store: type[Cache] = Enriched) -> Result:
        return export_swap(
            store(pristine.cache), refined, out, checker, options, modeller=modeller, work=Work()
        )

    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Run, embedder: LocalEmbedder) -> Path:
    """An export in every format, which no test changes."""
    out = tmp_path_factory.mktemp("models") / "swap"
    with known(embedder):
        run(out)
    return out


@pytest.fixture
def out(tmp_path: Path, exported: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(exported, tmp_path / "swap")


def verified(out: Path, loader: Any) -> Result:
    return verify_bundles(bundles_at([out]), loader, work=Work())


def test_a_set_has_a_file_in_each_format_and_its_manifest_names_them(exported: Path) -> None:
    export = read_manifest(exported, ExportManifest)
    assert [entry.name for entry in export.sets] == [f"faceset_00{n}" for n in range(1, len(PEOPLE) + 1)]
    assert export.models == ("visomaster.json", "merged_embeddings.txt")
    for entry in export.sets:
        images = [name for name in entry.bundles if "/" in name]
        assert {name.partition("/")[0] for name in images} == {f"{entry.name}_top5"}
        assert len(images) == 5
        others = [name.removeprefix(entry.name) for name in entry.bundles if "/" not in name]
        assert others == ["_top5.fsz", "_all.fsz", ".safetensors", "_visomaster.json", "_rope.txt", ".npz"]
        manifest = read_manifest(exported / entry.name, SetManifest)
        assert set(entry.bundles) <= set(manifest.contents)
        for name in entry.bundles:
            assert (exported / entry.name / name).is_file()


@pytest.mark.usefixtures("known_to_swappers")
def test_every_file_is_good_as_its_consumer_reads_it(exported: Path, embedder: LocalEmbedder) -> None:
    summary = verified(exported, embedder)
    assert [check.problems for check in summary.bundles if check.problems] == []
    count = len(PEOPLE)
    expected = Counter(dict.fromkeys(ALL, count)) + Counter({"fsz": count, "visomaster": 1, "rope": 1})
    assert Counter(check.format for check in summary.bundles) == expected
    for check in summary.bundles:
        assert check.own_cosine_similarity is not None, check.file
        assert check.nearest_other_cosine_similarity is not None
        assert check.own_cosine_similarity > 0.9 > 0.5 > check.nearest_other_cosine_similarity
    together = [check for check in summary.bundles if Path(check.file).parent == exported]
    assert [check.people for check in together] == [count, count]


def test_all_models_of_a_set_hold_the_mean_that_the_bundle_of_the_same_faces_gives(
    exported: Path, embedder: LocalEmbedder
) -> None:
    from safetensors.numpy import load_file

    from facesets.formats.bundle import read_bundle

    folder = exported / "faceset_001"
    pictures, _ = read_bundle(folder / "faceset_001_top5.fsz")
    raw = [embedder.raw_embeddings(pixels, embedder.detect(pixels).kps) for _, pixels in pictures]
    mean = np.concatenate(raw).mean(axis=0)
    face = load_file(folder / "faceset_001.safetensors")
    assert np.allclose(face["embedding"], mean, atol=1e-3)
    assert np.linalg.norm(mean) > 3
    entry = json.loads((folder / "faceset_001_visomaster.json").read_text())
    stored = entry[0]["embedding_store"]["Inswapper128ArcFace"]
    assert np.array_equal(np.array(stored, np.float32), face["embedding"])
    # The box is that of the face in its crop, and the pack's own landmarks lie in it.
    x1, y1, x2, y2 = face["bbox"].tolist()
    assert 0 < x1 < x2 < CROPS.out_size
    assert 0 < y1 < y2 < CROPS.out_size
    middle = face["landmark_2d_106"].mean(axis=0)
    assert x1 < middle[0] < x2
    assert y1 < middle[1] < y2
    # Columns without a model in the pack come from the store, moved into the crop.
    (best, *_) = read_manifest(folder, SetManifest).faces
    x, y, edge = best.crop
    expected = np.array([50 - x, 60 - y, 10]) * CROPS.out_size / edge
    assert np.allclose(face["landmark_3d_68"], expected, atol=0.01)
    assert np.array_equal(face["pose"], np.full(3, 2.5, np.float32))


@pytest.mark.usefixtures("known_to_swappers")
def test_a_second_run_changes_nothing_and_a_damaged_model_is_made_again(
    out: Path, exported: Path, run: Run
) -> None:
    whole = contents(exported)
    assert run(out).unchanged_sets == len(PEOPLE)
    assert contents(out) == whole
    (out / "faceset_002" / "faceset_002.safetensors").write_bytes(b"damaged")
    (out / "merged_embeddings.txt").unlink()
    assert run(out).unchanged_sets == len(PEOPLE) - 1
    assert contents(out) == whole


@pytest.mark.usefixtures("known_to_swappers")
def test_formats_no_longer_requested_are_removed_and_an_undo_restores_them(
    out: Path, exported: Path, run: Run
) -> None:
    summary = run(out, CROPS)
    assert (summary.bundles, summary.models) == (2 * len(PEOPLE), 0)
    assert f"{summary.removed} files of the previous export removed." in words.export_swap(summary)[1]
    assert {Path(name).suffix for name in contents(out)} == {".png", ".fsz", ".json"}
    assert not list(out.glob("*/*_top5"))
    # Earlier programs can read files without models.
    written = [json.loads((folder / "manifest.json").read_text()) for folder in (exported, out)]
    assert [(each["version"], "models" in each) for each in written] == [(7, True), (6, False)]
    undo(out, read_runs(out)[-1].name)
    assert contents(out) == contents(exported)


@pytest.mark.usefixtures("known_to_swappers")
def test_a_file_of_the_users_is_never_replaced(tmp_path: Path, run: Run) -> None:
    from facesets.errors import CannotWrite

    out = tmp_path / "swap"
    out.mkdir()
    (out / "merged_embeddings.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="not written by facesets"):
        run(out)
    assert contents(out) == {"merged_embeddings.txt": b"mine"}


@pytest.mark.parametrize("kind", ["safetensors", "visomaster", "rope"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_embeddings_of_another_recognizer_are_refused_before_anything_is_written(
    tmp_path: Path, run: Run, kind: str, dry_run: bool
) -> None:
    formats = formats_named("--formats", f"fsz,{kind}")
    with pytest.raises(
        RecognizerMismatch, match=r"w600k_r50.onnx \(buffalo_l\).*choose formats fsz"
    ) as raised:
        run(tmp_path / "swap", replace(CROPS, formats=formats, dry_run=dry_run))
    assert raised.value.exit_status == 2
    assert not (tmp_path / "swap").exists()


def test_formats_for_any_recognizer_are_written_with_any(
    tmp_path: Path, run: Run, embedder: LocalEmbedder
) -> None:
    options = replace(CROPS, formats=formats_named("--formats", "npz,images"))
    planned = run(tmp_path / "swap", replace(options, dry_run=True))
    summary = run(tmp_path / "swap", options)
    assert (planned.bundles, planned.models) == (summary.bundles, summary.models) == (0, 2 * len(PEOPLE))
    assert not list((tmp_path / "swap").glob("*/*.fsz"))
    checks = verified(tmp_path / "swap", embedder)
    assert checks.failed == 0
    assert len(checks.bundles) == 2 * len(PEOPLE)


def test_a_damaged_model_is_found_by_its_name_where_no_manifest_lists_it(
    tmp_path: Path, embedder: LocalEmbedder
) -> None:
    damaged = {"Anna.safetensors", "Anna_visomaster.json", "Anna_rope.txt", "merged_embeddings.txt"}
    for name in damaged | {"readme.txt", "settings.json", "arrays.npz"}:
        (tmp_path / name).write_bytes(b"\xff\xff\xff")
    found = verified(tmp_path, embedder)
    assert {Path(check.file).name for check in found.bundles} == damaged
    assert found.failed == len(damaged)


@pytest.mark.usefixtures("known_to_swappers")
def test_reactors_models_are_refused_without_their_columns(tmp_path: Path, run: Run) -> None:
    with pytest.raises(WrongUsage, match="also need landmark_3d_68, pose"):
        run(tmp_path / "swap", store=Cache)
    assert not (tmp_path / "swap").exists()


def test_a_model_of_another_person_or_recognizer_is_detected(
    out: Path, exported: Path, embedder: LocalEmbedder
) -> None:
    for ending in (".safetensors", "_visomaster.json"):
        shutil.copy2(out / f"faceset_002/faceset_002{ending}", out / f"faceset_001/faceset_001{ending}")
    text = (out / "merged_embeddings.txt").read_text()
    text = text.replace("faceset_001", "X").replace("faceset_002", "faceset_001").replace("X", "faceset_002")
    (out / "merged_embeddings.txt").write_text(text)
    with known(embedder):
        bad = [check for check in verified(out, embedder).bundles if check.problems]
    problems = {str(Path(check.file).relative_to(out)): check.problems for check in bad}
    resembles = "matches faceset_00{} better than its own face set"
    assert problems == {
        "faceset_001/faceset_001.safetensors": [f"it {resembles.format(2)}"],
        "faceset_001/faceset_001_visomaster.json": [f"it {resembles.format(2)}"],
        "merged_embeddings.txt": [f"faceset_00{3 - n} in it {resembles.format(n)}" for n in (1, 2)],
    }
    recognizer = embedder.settings.recognizer
    (check,) = verified(exported / "faceset_001" / "faceset_001_rope.txt", embedder).bundles
    assert check.problems == [f"it is in an export made with {recognizer}, but Rope expects w600k_r50.onnx"]


def test_choices_of_faces_are_made_again_only_if_they_change(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "swap"
    run(out, CROPS)
    assert run(out, replace(CROPS, select="best")).unchanged_sets == len(PEOPLE)
    diverse = replace(CROPS, select="diverse")
    assert run(out, diverse).unchanged_sets == 0
    assert run(out, diverse).unchanged_sets == len(PEOPLE)
    assert run(out, replace(diverse, era=True)).unchanged_sets == 0


def test_formats_are_named_with_commas() -> None:
    assert formats_named("--formats", " npz, fsz,npz ") == ("fsz", "npz")
    for wrong, message in ((",", "no format given"), ("fsz,gif", "--formats gif is not a known format")):
        with pytest.raises(WrongUsage, match=message):
            formats_named("--formats", wrong)


def test_an_erased_person_is_in_no_file_of_all_people(out: Path) -> None:
    person = ErasureInResult(lambda _: False, Renumbered({}, {}), frozenset({"faceset_001"}))
    found = forget_in_result(out, person, apply=True)
    assert found is not None
    assert found.left == []
    assert not (out / "faceset_001").exists()
    assert not any(b"faceset_001" in content for content in contents(out).values())
    assert read_manifest(out, ExportManifest).models == ()
