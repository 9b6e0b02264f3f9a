"""Photos of a folder: at any depth, without ignored ones."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from facesets.errors import SourceGone, WrongUsage
from facesets.file_records import FoundFile
from facesets.sources.folders import FolderSource, ListedOnce
from facesets.sources.galleries import GallerySource

Names = list[str]


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(root: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[Names, Names]:
    """Return listed and ignored files, about which both kinds of source agree."""
    folder = FolderSource(root, include=include, exclude=exclude)
    files = [os.path.relpath(file.path, root) for file in folder.files()]
    galleries = GallerySource([root], include=include, exclude=exclude)
    stamps = [FoundFile.of_stamp(stamp).path for some in galleries.stamps() for stamp in some]
    assert sorted(os.path.relpath(path, root) for path in stamps) == sorted(files)
    assert folder.ignored == galleries.ignored
    return files, sorted(os.path.relpath(path, root) for path in folder.ignored)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder nested far deeper than a path can name, with a photo at each of three depths."""
    here = os.open(tmp_path, os.O_RDONLY)
    for depth in range(2_500):
        if depth in (1, 1_500, 2_499):
            os.close(os.open("photo.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    yield tmp_path
    # Only a system program can remove folders this deep.
    subprocess.run(["rm", "-rf", "--", tmp_path / "d"], check=True)


def test_folders_are_listed_as_deep_as_paths_reach(deep: Path) -> None:
    files = list(FolderSource(deep).files())
    assert [file.path.count("/d") for file in files if file.size >= 0] == [1_500, 1]
    (closed,) = [file.path for file in files if file.size < 0]
    assert len(closed) > 4_000
    assert len([stamp for some in GallerySource([deep]).stamps() for stamp in some]) == 3


def test_photos_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = ["a.jpg", "b/1.jpg", "b/c/2.jpg", "b/d.jpg", "c.jpg"]
    make(tmp_path, *reversed(names), "notes.txt")
    assert listed(tmp_path) == (names, [])


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ([], ["private"], ["2019/a.jpg", "2020/b.png"]),
        ([], ["*.png"], ["2019/a.jpg", "private/c.jpg", "2019/private/d.jpg"]),
        (["2019/*"], [], ["2019/a.jpg", "2019/private/d.jpg"]),
        (["*.jpg"], ["2019/private"], ["2019/a.jpg", "private/c.jpg"]),
    ],
)
def test_patterns_choose_files_and_exclude_folders(
    tmp_path: Path, include: list[str], exclude: list[str], left: list[str]
) -> None:
    make(tmp_path, "2019/a.jpg", "2020/b.png", "private/c.jpg", "2019/private/d.jpg")
    files, ignored = listed(tmp_path, include, exclude)
    assert (sorted(files), ignored) == (sorted(left), [])


def test_ignore_files_speak_as_gits_do(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "private/b.jpg", "deep/private/c.jpg", "deep/only/d.jpg", "only/e.jpg")
    make(tmp_path, "scans/1.tif", "scans/keep.tif", "scans/2.jpg", "private.jpg", "old/keep.jpg", "old/x.jpg")
    rules = ["# what nobody should see", "private/", "/only", "*.tif", "old/*", "!old/keep.jpg"]
    (tmp_path / ".facesetsignore").write_text("\n".join(rules))
    (tmp_path / "scans" / ".facesetsignore").write_text("!keep.tif\n/2.jpg\n")
    assert listed(tmp_path) == (
        ["a.jpg", "deep/only/d.jpg", "old/keep.jpg", "private.jpg", "scans/keep.tif"],
        ["deep/private", "old/x.jpg", "only", "private", "scans/1.tif", "scans/2.jpg"],
    )


def test_an_ignore_file_counts_for_its_own_folder_only(tmp_path: Path) -> None:
    make(tmp_path, "one/a.jpg", "two/a.jpg", "one/sub/a.jpg")
    (tmp_path / "one" / ".facesetsignore").write_bytes(b"\xef\xbb\xbfa.jpg\r\n")
    assert listed(tmp_path) == (["two/a.jpg"], ["one/a.jpg", "one/sub/a.jpg"])


@pytest.mark.parametrize("content", [b"!", None])
def test_an_ignore_file_that_cannot_be_used_stops_the_run(tmp_path: Path, content: bytes | None) -> None:
    make(tmp_path, "a.jpg")
    ignore = tmp_path / ".facesetsignore"
    if content is None:
        ignore.mkdir()
    else:
        ignore.write_bytes(content)
    with pytest.raises(WrongUsage, match=r"\.facesetsignore is invalid"):
        list(FolderSource(tmp_path).files())


def test_photos_beside_what_run_makes_are_photos_and_its_pages_are_not(tmp_path: Path) -> None:
    names = ("trip/2023/a.jpg", "trip/pages/thumbnails/ab/cd.jpg", "trip/people/Ann/a.jpg", "pages/b.jpg")
    make(tmp_path, *names)
    (tmp_path / "trip" / "facesets-run.json").write_text('{"format": "facesets/run", "version": 1}')
    (tmp_path / "trip" / "people" / "manifest.json").write_text('{"format": "facesets/clusters"}')
    assert sorted(listed(tmp_path)[0]) == ["pages/b.jpg", "trip/2023/a.jpg"]
    assert listed(tmp_path / "trip")[0] == ["2023/a.jpg"]


@pytest.mark.parametrize(
    ("mark", "content"),
    [("manifest.json", '{\n  "format": "facesets/cluster"\n}'), (".facesets-writing.json", "{}")],
    ids=["whole", "unfinished"],
)
def test_results_below_the_photos_are_not_taken_for_photos(tmp_path: Path, mark: str, content: str) -> None:
    make(tmp_path, "a.jpg", "result/person_001/a.jpg", "result/b.jpg", "other/c.jpg")
    (tmp_path / "result" / mark).write_text(content)
    (tmp_path / "other" / "manifest.json").write_text('{"name": "somebody else\'s"}')
    assert sorted(listed(tmp_path)[0]) == ["a.jpg", "other/c.jpg"]


def test_folders_are_listed_once(tmp_path: Path) -> None:
    """A command may look at the first photos before it reads all."""
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    plain = list(FolderSource(tmp_path).files())
    source = ListedOnce(FolderSource(tmp_path))
    assert list(islice(source.files(), 2)) == plain[:2]
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).unlink()
        assert list(source.files()) == plain


def test_ignored_files_are_known_after_listing(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / ".facesetsignore").write_text("b.jpg\n")
    source = ListedOnce(FolderSource(tmp_path))
    assert [Path(file.path).name for file in source.files()] == ["a.jpg"]
    assert source.chooses
    assert source.ignored == {str(tmp_path / "b.jpg")}
    assert source.covers(str(tmp_path / "c.jpg"))
    assert source.is_there()


def test_a_missing_folder_is_refused_when_it_is_first_listed(tmp_path: Path) -> None:
    source = ListedOnce(FolderSource(tmp_path / "none"))
    with pytest.raises(SourceGone):
        list(source.files())
