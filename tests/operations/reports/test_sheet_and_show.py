import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET
from PIL import Image
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.program import run

from facesets.errors import WrongUsage
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import DedupOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.reports.dedup import dedup
from facesets.operations.reports.evaluation_sheet import sheet
from facesets.operations.reports.show import show_manifest, show_store
from facesets.results.manifest import REFINE_MANIFEST, ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.results.pages import contact_sheets
from facesets.results.pages.contact_sheets import count_in_words, draw_sheets, plan_rows
from facesets.work import Work


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, pristine: Library) -> Path:
    root = tmp_path_factory.mktemp("results")
    store = pristine.store
    cluster(store, root / "raw", ClusterOptions(sheet=False), work=Work())
    gates = RefineOptions(min_faces=5, min_short=80, materialize="none")
    refine(store, root / "fs", gates, work=Work())
    dedup(store, root / "duplicates.json", DedupOptions(), work=Work())
    return root


@pytest.mark.slow
def test_a_sheet_shows_faces_and_mutes_dropped_ones(results: Path) -> None:
    page = np.asarray(Image.open(results / "fs" / "contact_sheet.png").convert("RGB"))
    colourful = np.ptp(page.astype(int), axis=2) > 40
    assert colourful.mean() > 0.02
    assert page.shape[1] > 1000


def test_a_value_and_the_limit_that_it_fails_never_look_the_same(results: Path) -> None:
    manifest = read_manifest(results / "fs", RefineManifest)
    dropped = next(item for item in manifest.dropped if item.gate == "min_short")
    for value, caption in (
        (71.4, "71 px, needs 80"),
        (79.999996, "79 px, needs 80"),
    ):
        close = replace(manifest, dropped=(replace(dropped, value=value),))
        captions = {tile.caption for row in plan_rows(close, results / "fs") for tile in row.dropped}
        assert captions == {caption}


def test_a_sheet_shows_known_capture_dates(results: Path) -> None:
    manifest = read_manifest(results / "fs", RefineManifest)
    group = manifest.facesets[0]
    assert all(len(tile.caption) == 4 for tile in plan_rows(manifest, results / "fs")[0].faces)
    times = ["2012-07-04T15:30:00", "2019-01-01T00:00:00", *[""] * (len(group.faces) - 2)]
    dated = tuple(replace(face, taken=time or UNSET) for face, time in zip(group.faces, times, strict=True))
    row = plan_rows(replace(manifest, facesets=(replace(group, faces=dated),)), results / "fs")[0]
    assert "taken 2012 to 2019" in row.facts
    captions = {tile.caption[6:] for tile in row.faces}
    assert {"2012-07-04", "2019-01-01", ""} >= captions > {""}


def test_face_sets_and_people_show_their_counterparts(results: Path) -> None:
    raw, refined = (
        read_manifest(results / "raw", ClusterManifest),
        read_manifest(results / "fs", RefineManifest),
    )
    person_of = {face.face: group.name for group in raw.persons for face in group.faces}
    is_who = {group.name: person_of[group.faces[0].face] for group in refined.facesets}
    of_sets, of_people = show_manifest(results / "fs"), show_manifest(results / "raw")
    assert (of_sets.headings[-1], of_people.headings[-1]) == ("person", "face set")
    assert {str(row[0]): row[-1] for row in of_sets.rows} == is_who
    assert {str(row[-1]): row[0] for row in of_people.rows if row[-1] != "-"} == is_who
    assert show_manifest(results / "fs", "faceset_001").facts["person"] == is_who["faceset_001"]
    for row in plan_rows(refined, results / "fs"):
        assert row.title not in is_who or row.facts[0] == f"person: {is_who[row.title]}"


def test_results_of_another_cache_give_no_counterparts(results: Path, tmp_path: Path) -> None:
    for name in ("raw/manifest.json", "fs/refine_manifest.json"):
        (tmp_path / name).parent.mkdir()
        shutil.copy2(results / name, tmp_path / name)
    assert show_manifest(tmp_path / "fs").headings[-1] == "person"
    other = tmp_path / "raw" / "manifest.json"
    made = json.loads(other.read_text())
    made["made"]["store"] = "another"
    other.write_text(json.dumps(made))
    assert show_manifest(tmp_path / "fs").headings[-1] == "worst"
    other.write_text("{")
    assert show_manifest(tmp_path / "fs").headings[-1] == "worst"


def test_a_sheet_lies_beside_its_manifest_by_default(results: Path, tmp_path: Path) -> None:
    summary = sheet(results / "raw", None, work=Work())
    assert summary.pages == [str(results / "raw" / "sheet.png")]
    assert summary.rows >= len(PEOPLE)
    named = sheet(results / "raw" / "manifest.json", tmp_path / "a.png", work=Work())
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert named.rows == summary.rows
    with pytest.raises(WrongUsage, match="no people"):
        sheet(results / "duplicates.json", None, work=Work())


def test_a_photo_that_moved_is_shown_from_its_other_path(results: Path, tmp_path: Path) -> None:
    text = (results / "raw" / "manifest.json").read_text()
    (tmp_path / "m.json").write_text(text.replace("Hugo_Chavez_0001.jpg", "vanished.jpg"))
    pages = [
        sheet(manifest, tmp_path / name, work=Work()).pages[0]
        for manifest, name in ((results / "raw", "all.png"), (tmp_path / "m.json", "moved.png"))
    ]
    complete, moved = (np.asarray(Image.open(page).convert("RGB"))[100:] for page in pages)
    assert (complete == moved).all()
    (tmp_path / "m.json").write_text(text.replace("Hugo_Chavez_0003.jpg", "vanished.jpg"))
    assert sheet(tmp_path / "m.json", tmp_path / "an empty tile.png", work=Work()).pages


def test_show_counts_the_content_of_a_cache(pristine: Library, pack_dir: Path) -> None:
    contents = show_store(pristine.store, "cache")
    collection = pristine.store.load()
    assert contents.facts["faces"] == len(collection.faces)
    assert contents.facts["copies of images"] == 1
    assert contents.facts["images without a face"] == 1
    assert contents.facts["model pack"] == pack_dir.name


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_show_names_the_command_that_measures_unmeasured_faces(pristine: Library, library: Library) -> None:
    healthy = run("show", pristine.cache).out
    assert "a quality measure" not in healthy
    assert "without norm" not in healthy
    facts = json.loads(run("show", pristine.cache, "--json").out)["facts"]
    norm = pristine.store.load().faces.norm
    assert norm is not None
    assert (facts["faces without norm"], facts["median norm"]) == (0, round(float(np.median(norm)), 1))
    with np.load(library.cache) as arrays:
        left = {name: column for name, column in arrays.items() if name != "face_norm"}
    np.savez(library.cache, **left)
    printed = run("show", library.cache).out
    lacking = f"{facts['faces']} faces from an older version have no norm (a quality measure)"
    assert f"{lacking}: run `facesets enrich {library.cache}`.\n" in printed
    assert json.loads(run("show", library.cache, "--json").out)["facts"]["faces without norm"] == len(norm)


def test_faces_placed_by_auto_show_how(pristine: Library, tmp_path: Path) -> None:
    options = ClusterOptions(method="auto", sheet=False, materialize="none")
    cluster(pristine.store, tmp_path / "auto", options, work=Work())
    manifest = read_manifest(tmp_path / "auto", ClusterManifest)
    together = [face.face for group in manifest.persons for face in group.faces]
    alone = [face.face for face in manifest.singletons]
    assert {manifest.placements[face] for face in together} <= {"core", "joined", "linked", "satellite"}
    assert {manifest.placements[face] for face in alone} <= {"alone", "incoherent", "poor"}
    first = manifest.persons[0]
    contents = show_manifest(tmp_path / "auto", first.name)
    assert contents.headings[-2:] == ["sharpness", "norm"]
    # The open pack gives no norms.
    norms = [face.norm if isinstance(face.norm, float) else "" for face in first.faces]
    assert [row[-2:] for row in contents.rows] == [
        [face.blur, norm] for face, norm in zip(first.faces, norms, strict=True)
    ]
    assert [row[:2] for row in contents.rows] == [
        [face.paths[0], manifest.placements[face.face]] for face in first.faces
    ]
    table = show_manifest(tmp_path / "auto")
    assert all(sum(map(int, row[3:])) == row[1] for row in table.rows)


@pytest.mark.parametrize(
    ("name", "heading"), [("raw", "person"), ("fs", "face set"), ("duplicates.json", "keep")]
)
def test_show_lists_a_manifest(results: Path, name: str, heading: str) -> None:
    contents = show_manifest(results / name)
    assert contents.headings[0] == heading
    assert contents.rows
    assert all(len(row) == len(contents.headings) for row in contents.rows)
    with pytest.raises(WrongUsage, match="no person or face set person_999"):
        show_manifest(results / "raw", "person_999")


@pytest.mark.parametrize(
    ("what", "one", "many"),
    [
        ("images", "1 photo", "2 photos"),
        ("persons", "1 person", "2 people"),
        ("facesets", "1 face set", "2 face sets"),
        ("singletons", "1 unassigned face", "2 unassigned faces"),
        ("no_face", "1 photo without a face", "2 photos without a face"),
        ("sets", "1 face set", "2 face sets"),
        ("dropped", "1 rejected", "2 rejected"),
    ],
)
def test_counts_on_a_sheet_have_the_right_noun(what: str, one: str, many: str) -> None:
    assert (count_in_words(what, 1), count_in_words(what, 2)) == (one, many)


def test_a_sheet_of_one_face_set_has_no_plural(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headings = []

    def draw(title: str, subtitle: str, _rows: object) -> np.ndarray:
        headings.append((title, subtitle))
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(contact_sheets, "draw_sheet", draw)
    manifest = read_manifest(results / "fs", RefineManifest)
    one = replace(manifest, counts=manifest.counts | {"facesets": 1})
    draw_sheets(one, plan_rows(one, results / "fs")[:1], REFINE_MANIFEST, work=Work())
    ((title, subtitle),) = headings
    assert (title, "   ·   1 face set   ·   " in subtitle) == ("1 face set", True)
