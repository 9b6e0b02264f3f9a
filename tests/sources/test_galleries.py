"""Galleries and folders as sources of photos."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.program import environment

from facesets.errors import WrongUsage
from facesets.sources.galleries import GallerySource, read_gallery


def test_targets_inside_one_another_count_once() -> None:
    targets = [
        Path("/", *parts) for n in range(4) for parts in itertools.product(("a", "a-b", "b"), repeat=n)
    ]
    for chosen in (targets[1:], targets[4:], targets[5:9] + targets[13:20]):
        outermost = {t for t in chosen if not any(t.is_relative_to(o) for o in chosen if o != t)}
        assert GallerySource(chosen[::-1]).roots == [str(target) for target in sorted(outermost)]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_tens_of_thousands_of_single_photos_may_be_targets() -> None:
    assert len(GallerySource([Path(f"/photos/{n // 100}/{n}.jpg") for n in range(20_000)]).roots) == 20_000


def test_thumbnails_of_a_gallery_are_no_target(tmp_path: Path) -> None:
    thumbnails = tmp_path / "trip" / "tn"
    (thumbnails / "small").mkdir(parents=True)
    (thumbnails / "a.jpg").touch()
    (tmp_path / "trip" / "index.json").write_text("{}")
    for target in (thumbnails, thumbnails / "small", thumbnails / "a.jpg"):
        with pytest.raises(WrongUsage, match=f"thumbnails of the gallery {tmp_path / 'trip'}, which"):
            GallerySource([target])
    (tmp_path / "trip" / "index.json").unlink()
    (stamp,) = [stamp for some in GallerySource([thumbnails]).stamps() for stamp in some]
    assert stamp.endswith("tn/a.jpg")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_index_may_be_in_any_encoding_of_unicode(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"title": "Über"}, ensure_ascii=False), encoding)
    assert read_gallery(str(tmp_path)).title == "Über"


@pytest.mark.timeout(20)
def test_an_index_that_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "index.json")
    assert read_gallery(str(tmp_path)).problem == "it cannot be read: not a regular file"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_an_unreadable_target_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "closed" / "photos").mkdir(parents=True, mode=0o700)
    tmp_path.joinpath("closed").chmod(0o700)
    photos = tmp_path / "closed" / "photos"
    imports = "import os, pathlib, facesets.sources.folders as f, facesets.sources.galleries as g"
    become = f"os.setuid(65534); target = pathlib.Path({str(photos)!r})"
    for asked, answer in (
        ("print(g.GallerySource([target]).unavailable())", str([str(photos)])),
        ("print(list(g.GallerySource([target]).stamps()))", "[]"),
        ("list(f.FolderSource(target).files())", f"SourceGone: Folder not found: {photos}"),
    ):
        line = [sys.executable, "-c", f"{imports}; {become}; {asked}"]
        done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
        assert answer in done.stdout + done.stderr
