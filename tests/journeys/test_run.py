"""`facesets run` as a newcomer types it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import run

from facesets.inference.attributes import attribute_model
from facesets.inference.packs import read_pack
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.store.npz.cache import Cache

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


@pytest.fixture
def album(tmp_path: Path, lfw_dir: Path) -> Path:
    names = ("Hugo_Chavez", "Colin_Powell")
    return copy_photos(
        [photo for n in names for photo in sorted((lfw_dir / n).glob("*.jpg"))[:3]], tmp_path / "album"
    )


def test_one_command_and_again_and_again(album: Path, tmp_path: Path, pack_dir: Path, lfw_dir: Path) -> None:
    first = run("run", album, "--pack", pack_dir, cwd=tmp_path)
    assert first.status == 0, first.err
    out = tmp_path / "facesets-out"
    last = first.out.splitlines()[-1]
    assert str(out / "index.html") in last
    assert "Next:" not in first.out, "what to do next is for who looks on"
    assert "6 photos with 6 faces: 2 people" in first.out
    has_ages = attribute_model(read_pack(pack_dir)) is not None
    assert (Cache(out / "faces.npz").load().faces.age is not None) == has_ages
    shutil.copy2(lfw_dir / "Celine_Dion" / "Celine_Dion_0001.jpg", album / "private.jpg")
    # The settings of the parts hold, from wherever they come; --json gives one object.
    (tmp_path / "facesets.toml").write_text(
        "[refine]\nmin-faces = 2\nmin-short = 60\n[extend]\nsheet = false\n[run]\nmaterialize = 'symlink'\n"
        "[embed]\nexclude = ['private*']\n"
    )
    line = ("run", album, tmp_path / "other", "--pack", pack_dir, "--json")
    reported = run(*line, cwd=tmp_path, env={"FACESETS_CLUSTER_METHOD": "components"})
    assert reported.status == 0, reported.err
    assert (json.loads(reported.out)["persons"], json.loads(reported.out)["images"]) == (2, 6)
    refined = read_manifest(tmp_path / "other" / "facesets", RefineManifest).made.options
    grouped = read_manifest(tmp_path / "other" / "people", ClusterManifest).made.options
    assert (refined["min_faces"], refined["min_short"], refined["materialize"]) == (2, 60, "symlink")
    assert (grouped["method"], grouped["materialize"]) == ("components", "symlink")
    # The results of other photos are not added to by a forgotten argument.
    refused = run("run", copy_photos([], tmp_path / "second"), "--pack", pack_dir, cwd=tmp_path)
    assert refused.status == 2
    assert "OUT" in refused.err


def test_possible_next_commands_on_results_are_printed(album: Path, tmp_path: Path, pack_dir: Path) -> None:
    out = tmp_path / "out"
    run("run", album, out, "--pack", pack_dir)
    shutil.copy2(max(album.iterdir()), album / "copy.jpg")
    # Neither a file that was renamed nor one with another time is a copy.
    min(album.iterdir()).rename(album / "called otherwise.jpg")
    os.utime(sorted(album.iterdir())[2], (0, 0))
    assert "Added 1 copy of a photo." in run("run", album, out, "--pack", pack_dir).out.splitlines()
    min(album.iterdir()).unlink()
    (album / "broken.jpg").write_bytes(b"no picture")
    again = run("run", album, out, "--pack", pack_dir)
    assert (again.status, "broken.jpg" in again.err, "1 file cannot be read" in again.out) == (3, True, True)
    assert f"1 of these photos is no longer in {album}" in again.out
    assert f"`facesets relocate OLD NEW {out}/faces.npz`" in again.out
    for command in ("show", "sheet"):
        refused = run(command, out)
        assert (refused.status, f"facesets {command} {out}/people" in refused.err) == (2, True)
    other = run("run", album, out, "--pack", "buffalo_l", env={"FACESETS_MODELS": str(tmp_path)})
    assert (other.status, "Omit --pack" in other.err) == (2, True)
    moved = album.rename(tmp_path / "moved")
    follow = f"`facesets relocate {album} {moved} {out}/faces.npz`"
    assert follow in run("run", moved, out, "--dry-run").err


def test_what_facesets_wrote_is_not_taken_for_photos(tmp_path: Path) -> None:
    for name, advice in (("faces.npz", "`facesets cluster"), ("manifest.json", "Give a photo folder")):
        written = tmp_path / name
        written.write_bytes(b"")
        refused = run("run", written, tmp_path / "out")
        assert (refused.status, advice in refused.err) == (2, True)
    assert not (tmp_path / "out").exists()
