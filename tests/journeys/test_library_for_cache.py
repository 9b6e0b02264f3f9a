"""Every command that works on a cache works on the library too, and comes to the same result."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.photos import copy_photos, wide_picture
from tests.fixtures.postgres import Server, temporary
from tests.fixtures.program import Result, run

from facesets.records import Faces
from facesets.store.npz.cache import Cache
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

PEOPLE = ("Hugo_Chavez", "Ariel_Sharon", "Colin_Powell")
GATES = ("--min-faces", "3", "--min-short", "60", "--min-blur", "0")

Both = Callable[..., tuple[Result, Result]]


@pytest.fixture(scope="module")
def photos(lfw_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, a copy, a smaller version of a photo, and two people in one photo."""
    root = tmp_path_factory.mktemp("both") / "photos"
    for person in PEOPLE:
        copy_photos(sorted((lfw_dir / person).glob("*.jpg"))[:7], root / person)
    first = sorted((lfw_dir / PEOPLE[0]).glob("*.jpg"))[0]
    copy_photos([first], root / "copies")
    Image.open(first).resize((200, 200)).save(root / "smaller.jpg", quality=90)
    pair = [sorted((lfw_dir / name).glob("*.jpg"))[9] for name in PEOPLE[:2]]
    wide_picture(pair, 600, 300).save(root / "two people.png")
    return root


@pytest.fixture(scope="module")
def stores(
    photos: Path,
    pack_dir: Path,
    server: Server,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, str]]:
    """The same photos in a cache and in a library, by the two commands for that."""
    models = ["--pack", pack_dir, "--provider", "cpu"]
    cache = tmp_path_factory.mktemp("cache") / "c.npz"
    assert run("embed", photos, cache, *models).status == 0
    for url in temporary(server, template):
        assert run("index", "--target", photos, *models, "--database", url).status == 0
        yield cache, url


@pytest.fixture
def both(stores: tuple[Path, str]) -> Both:
    """Run a command on either; the arguments after `None` are for both."""
    cache, url = stores

    def call(command: str, of_cache: list[object], of_library: list[object], *more: object) -> Any:
        results = (
            run(command, cache, *of_cache, *more),
            run(command, *of_library, *more, "--database", url),
        )
        assert [result.status for result in results] == [0, 0], results[0].err + results[1].err
        return results

    return call


def manifest(path: Path) -> dict[str, Any]:
    """A manifest without what says which store it is of, as the ids of groups do."""
    content: dict[str, Any] = json.loads(path.read_text())
    del content["made"]
    return {**content, "marks": list(content.get("marks", []))}


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".png", ".jpg", ".fsz")
    }


def known_columns(faces: Faces) -> dict[str, Any]:
    """Return the columns with known values."""
    columns = faces.columns().items()
    return {name: column for name, column in columns if not (column != column).all()}


def test_show_dedup_and_evaluate_print_the_same(
    both: Both, stores: tuple[Path, str], photos: Path, tmp_path: Path
) -> None:
    of_cache, of_library = (json.loads(result.out) for result in both("show", [], [], "--json"))
    assert (of_cache["kind"], of_library["kind"]) == ("cache", "library")
    assert of_cache["facts"].pop("cache") != of_library["facts"].pop("library")
    assert of_cache["facts"] == of_library["facts"]
    assert of_cache["facts"]["faces"] >= 21

    both("dedup", ["--out", tmp_path / "a.json"], ["--out", tmp_path / "b.json"])
    copies = manifest(tmp_path / "a.json")
    assert copies == manifest(tmp_path / "b.json")
    assert copies["identical"]
    assert copies["near"]
    done = run("dedup", "--database", stores[1], "--json", cwd=tmp_path)
    assert (done.status, json.loads(done.out)["images"]) == (0, 23)
    assert manifest(tmp_path / "library.duplicates.json") == copies

    truth = tmp_path / "truth.csv"
    rows = [f"{path},{path.parent.name}" for path in photos.rglob("*.jpg") if path.parent.name in PEOPLE]
    truth.write_text("\n".join(["path,name", *rows]))
    of_cache, of_library = both("evaluate", [], [], "--truth", truth, "--json")
    assert json.loads(of_cache.out) == json.loads(of_library.out)
    assert json.loads(of_cache.out)["people"] == 3


def test_the_ways_from_faces_to_bundles_are_the_same(
    both: Both, photos: Path, pack_dir: Path, tmp_path: Path
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    both("cluster", [a / "raw"], [b / "raw"])
    both("refine", [a / "sets"], [b / "sets"], *GATES)
    for name in ("raw/manifest.json", "sets/refine_manifest.json"):
        assert manifest(a / name) == manifest(b / name)
    swap: list[list[object]] = [
        [root / "sets", root / "swap", "--raw-manifest", root / "raw", "--candidates"] for root in (a, b)
    ]
    both("export-swap", swap[0], swap[1], "--pack", pack_dir, "--min-face-short", "60")

    rules = ("--min-face-short", 0, "--out-size", 128, "--no-sheet", "--pack", pack_dir)
    folder = ("--folder", f"us={photos}", "--first-threshold", 1, "--second-threshold", 1)
    both("import-folders", [a / "eras"], [b / "eras"], *folder, *rules, "--outlier-threshold", 1)
    loose = ("--recover-threshold", 1.2, "--recentre-threshold", 1.2, "--min-short", 0, "--min-blur", 0)
    eras = ("--set", "us", *loose, "--split-threshold", 0.6, "--min-era-faces", 3, "--force")
    both("split-eras", [a / "eras"], [b / "eras"], *eras, "--years", tmp_path / "y.npz", *rules)

    assert files(a) == files(b)
    bundles = {name for name in files(a) if name.endswith(".fsz")}
    assert {"eras/us/us_all.fsz"} < {name for name in bundles if name.startswith("eras")}
    assert any(name.startswith("swap") and name.endswith("_all.fsz") for name in bundles)


def test_enrich_finds_the_same_landmarks(both: Both, stores: tuple[Path, str], landmark_pack: Path) -> None:
    cache, url = stores
    of_cache, of_library = both("enrich", [], [], "--pack", landmark_pack, "--provider", "cpu", "--json")
    assert json.loads(of_cache.out) == json.loads(of_library.out)
    assert json.loads(of_library.out)["enriched"] >= 21
    with opened(Database(url)) as database:
        found = known_columns(Library(database).load().faces)
        expected = known_columns(Cache(cache).load().faces)
    assert found.keys() == expected.keys() >= {"pose", "landmark_2d_106"}
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    again = run("enrich", "--pack", landmark_pack, "--database", url, "--json")
    assert json.loads(again.out)["images"] == 0


def test_an_empty_library_explains_what_to_do(library_url: str, tmp_path: Path) -> None:
    for line in (["dedup"], ["enrich"], ["show"], ["evaluate"], ["cluster", tmp_path / "raw"]):
        result = run(*line, "--database", library_url, cwd=tmp_path)
        assert (result.status, "facesets index" in result.err) == (2, True), line
    # Coverage leaves its records where the commands ran.
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".coverage")} <= {"home"}


@pytest.mark.parametrize("command", ["cluster", "enrich"])
def test_a_second_run_while_one_is_going_ends_with_75(library_url: str, command: str) -> None:
    with opened(Database(library_url)) as other, RunLock(other, command):
        result = run(command, "--database", library_url)
    assert (result.status, f"Another `facesets {command}`" in result.err) == (75, True), result.err


def test_a_cache_without_a_place_for_results_is_not_taken_for_one(
    stores: tuple[Path, str], tmp_path: Path
) -> None:
    cache, url = stores
    for line in (["cluster", cache], ["export-swap", cache, tmp_path], ["cluster", "missing.npz"]):
        result = run(*line, "--database", url, cwd=tmp_path)
        assert (result.status, "Missing OUT" in result.err) == (2, True), line
