"""From a cache to bundles through the real command."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import Result, run
from tests.fixtures.trees import files_in

from facesets.cli import progress

pytestmark = pytest.mark.usefixtures("networks_once")

PEOPLE = ("Colin_Powell", "Ariel_Sharon", "Hugo_Chavez")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, pack_dir: Path) -> Path:
    """A folder with `photos` and `faces.npz`."""
    root = tmp_path_factory.mktemp("journey")
    copy_photos([p for name in PEOPLE for p in sorted((lfw_dir / name).glob("*.jpg"))[:8]], root / "photos")
    done = run("embed", root / "photos", root / "faces.npz", "--pack", pack_dir)
    assert done.status == 0, done.err
    return root


@pytest.mark.slow
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
    assert f"{len(PEOPLE)} good, 0 with problems." in verified.out
    assert "2 good, 0 with" in run("verify-bundle", swap / "faceset_001", "--pack", pack_dir).out
    for place in (raw, sets, swap):
        assert (place / "contact_sheet.png").is_file()


def test_a_log_begins_with_what_is_done_unless_it_is_to_be_quiet(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_FIRST_LINE_AFTER_S", 0.0)
    cache, out = embedded / "faces.npz", tmp_path / "my raw"
    done = run("cluster", cache, out, "--no-sheet", "--threshold", "0.5")
    assert done.err.splitlines()[0] == f"Started: facesets cluster {cache} '{out}'"
    assert run("cluster", cache, out, "--no-sheet", "-q").err == ""


def test_names_from_files_reach_the_terminal_as_harmless_lines(
    embedded: Path, pack_dir: Path, tmp_path: Path
) -> None:
    evil = os.fsdecode(b"\x1b[31m\xff\n")
    photos, work = tmp_path / evil / "photos", tmp_path / (evil + "work")
    photos.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        shutil.copy2(embedded / "photos" / "Hugo_Chavez_0001.jpg", photos / name)
    Image.open(photos / "a.jpg").resize((200, 200)).save(photos / "c.jpg")
    work.mkdir()
    cache = work / "faces.npz"
    assert run("embed", photos, cache, "--pack", pack_dir).status == 0
    gates = ("--min-faces", 1, "--min-short", 60, "--min-blur", 0)
    done = [
        run("cluster", cache, work / "raw"),
        run("refine", cache, work / "fs", *gates),
        run("dedup", cache),
        run("export-swap", cache, work / "fs", work / "swap", "--min-face-short", 60, "--pack", pack_dir),
        run("verify-bundle", work / "swap/faceset_001/faceset_001_all.fsz", "--pack", pack_dir),
        run("sheet", work / "raw"),
        *(run("show", path) for path in (cache, f"{cache}.duplicates.json", work / "swap/faceset_001")),
    ]
    for result in done:
        assert result.status == 0, result.err
        assert "\x1b" not in result.out + result.err
    assert any("\\x1b[31m\\udcff" in result.out for result in done)


def test_a_missing_photo_ends_with_status_3_and_its_name(embedded: Path, tmp_path: Path) -> None:
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
    ("line", "reported"),
    [
        ("sheet nothing.json", "Manifest not found"),
        ("show nothing.json", "Manifest not found"),
        ("verify-bundle nothing.fsz", "Bundle not found"),
        ("verify-bundle .", "No bundle in"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(tmp_path: Path, line: str, reported: str) -> None:
    done = run(*line.split(), cwd=tmp_path)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert reported in done.err


def test_face_sets_are_exported_from_the_cache_that_they_were_made_from(
    embedded: Path, tmp_path: Path, pack_dir: Path
) -> None:
    cache, sets, swap = shutil.copy2(embedded / "faces.npz", tmp_path), tmp_path / "sets", tmp_path / "swap"
    gates = ("--min-faces", 3, "--min-short", 60, "--no-sheet")
    assert run("refine", cache, sets, *gates).status == 0
    export = ("export-swap", sets, swap, "--min-face-short", 60, "--pack", pack_dir, "--dry-run", "--json")
    planned = run(*export)
    assert planned.status == 0, planned.err
    assert json.loads(planned.out)["faces"] > 0
    Path(cache).unlink()
    refused = run(*export)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert f"was made from the cache {cache}, which is not there. Give the cache first" in refused.err


def test_a_result_grows_and_a_run_is_undone(
    embedded: Path, tmp_path: Path, lfw_dir: Path, pack_dir: Path
) -> None:
    cache, raw = tmp_path / "faces.npz", tmp_path / "raw"
    shutil.copy2(embedded / "faces.npz", cache)
    assert run("cluster", cache, raw, "--no-sheet").status == 0
    before = {str(path): path.read_bytes() for path in files_in(raw)}
    known, stranger = (sorted((lfw_dir / name).glob("*.jpg")) for name in ("Hugo_Chavez", "Bob_Hope"))
    more = copy_photos([*known[8:10], *stranger[:2]], tmp_path / "more")
    assert run("embed", more, cache, "--pack", pack_dir).status == 0
    done = run("extend", cache, raw, "--no-sheet", "--json")
    assert done.status == 0, done.err
    reported = json.loads(done.out)["raw"]
    assert (sum(reported["joined"].values()), reported["run"]) == (2, "0002-extend")
    again = run("extend", cache, raw, "--no-sheet")
    assert "0 new faces: 0 joined" in again.out
    listed = run("undo", raw).out.splitlines()[0]
    did = "new photos and your changes taken in"
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.match(rf"0002-extend: {when}, {did}: \d+ files created, 1 replaced", listed)
    assert run("undo", raw, "2", "--dry-run").status == 0
    assert {str(path): path.read_bytes() for path in files_in(raw)} != before
    undone = run("undo", raw, "2")
    assert undone.status == 0, undone.err
    assert {str(path): path.read_bytes() for path in files_in(raw)} == before
    refused = run("undo", raw, "2")
    assert (refused.status, "runs: 0001-cluster" in refused.err) == (2, True)


def test_suggested_commands_are_typed_as_they_stand(embedded: Path, tmp_path: Path) -> None:
    """Through a shell, which takes the words apart; then as any other command."""

    def suggested(done: Result, name: str) -> Result:
        line = re.findall(rf"facesets {name} (?:.*? OUT(?=`)|.*$)", done.err + done.out, re.MULTILINE)[-1]
        typed = f"facesets() {{ printf '%s\\0' \"$@\"; }}; {line}"
        words = subprocess.run(["/bin/sh", "-c", typed], capture_output=True, text=True, check=True).stdout
        return run(*words.split("\0")[:-1], "--no-sheet", cwd=folder)

    folder = tmp_path / 'it\'s "$HOME" `id`'
    folder.mkdir()
    cache = shutil.copy2(embedded / "faces.npz", folder / "my faces.npz")
    done = [
        suggested(run("cluster", cache), "cluster"),
        suggested(run("run", cache), "cluster"),
        refined := suggested(run("refine", cache, folder / "sets", "--min-short", 100), "refine"),
    ]
    assert [each.status for each in done] == [0] * 3, [each.err for each in done]
    assert (folder / "OUT" / "manifest.json").is_file()
    assert "face set" in refined.out
