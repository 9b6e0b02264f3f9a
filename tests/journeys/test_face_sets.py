"""From a cache to bundles through the real command."""

import json
import shutil
from pathlib import Path

import pytest
from tests.photos import copy_photos
from tests.program import Result, run

PEOPLE = ("Colin_Powell", "Ariel_Sharon", "Hugo_Chavez")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, pack_dir: Path) -> Path:
    """A folder with `photos` and `faces.npz`."""
    root = tmp_path_factory.mktemp("journey")
    copy_photos([p for name in PEOPLE for p in sorted((lfw_dir / name).glob("*.jpg"))[:8]], root / "photos")
    done = run("embed", root / "photos", root / "faces.npz", "--pack", pack_dir)
    assert done.status == 0, done.err
    return root


def last_line(done: Result) -> str:
    return done.err.strip().splitlines()[-1]


def test_a_folder_of_photos_becomes_bundles_in_four_commands(
    embedded: Path, pack_dir: Path, tmp_path: Path
) -> None:
    cache = embedded / "faces.npz"
    raw, sets, swap = tmp_path / "raw", tmp_path / "facesets", tmp_path / "swap"
    clustered = run("cluster", cache, raw, "--json")
    assert clustered.status == 0, clustered.err
    assert json.loads(clustered.out)["persons"] == len(PEOPLE)
    refined = run("refine", cache, sets, "--min-faces", 5, "--min-short", 60)
    assert refined.status == 0, refined.err
    assert "3 face sets" in refined.out
    gates = ("--min-face-short", 60, "--candidates", "--raw-manifest", raw / "manifest.json")
    exported = run(
        "export-swap", cache, sets / "refine_manifest.json", swap, *gates, "--pack", pack_dir, "--json"
    )
    assert exported.status == 0, exported.err
    assert json.loads(exported.out)["sets"] == len(PEOPLE)
    bundles = sorted(swap.glob("faceset_*/*_all.fsz"))
    verified = run("verify-bundle", *bundles, "--pack", pack_dir)
    assert verified.status == 0, verified.out
    assert verified.out.count("good") == len(PEOPLE)
    for place in (raw, sets, swap):
        assert (place / "contact_sheet.png").is_file()


def test_dedup_and_show_speak_json_and_nothing_else(embedded: Path, tmp_path: Path) -> None:
    cache = tmp_path / "faces.npz"
    shutil.copy2(embedded / "faces.npz", cache)
    done = run("dedup", cache, "--json")
    assert (done.status, json.loads(done.out)["images"]) == (0, 24)
    assert (tmp_path / "faces.npz.duplicates.json").is_file()
    assert json.loads(run("show", cache, "--json").out)["facts"]["images"] == 24
    assert "24" in run("show", cache).out


def test_a_photo_that_is_gone_ends_with_status_3_and_its_name(embedded: Path, tmp_path: Path) -> None:
    photos = embedded / "photos"
    hidden = shutil.move(photos / "Hugo_Chavez_0002.jpg", tmp_path / "hidden.jpg")
    try:
        done = run("cluster", embedded / "faces.npz", tmp_path / "raw", "--no-sheet")
    finally:
        shutil.move(hidden, photos / "Hugo_Chavez_0002.jpg")
    assert done.status == 3
    assert "Hugo_Chavez_0002.jpg" in done.err
    assert len({path.name for path in (tmp_path / "raw").glob("*/*.jpg")}) == 23


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cluster", "nothing.npz", "out"), "no cache"),
        (("refine", "nothing.npz", "out", "--min-faces", 0), "--min-faces must be"),
        (("sheet", "nothing.json"), "no manifest"),
        (("show", "nothing.json"), "no manifest"),
        (("verify-bundle", "nothing.fsz", "--pack", "PACK"), "no bundle"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    tmp_path: Path, pack_dir: Path, arguments: tuple[object, ...], said: str
) -> None:
    given = [pack_dir if argument == "PACK" else argument for argument in arguments]
    done = run(*given, cwd=tmp_path)
    assert done.status == 2
    assert said in last_line(done)
    assert "Traceback" not in done.err
    assert done.out == ""
