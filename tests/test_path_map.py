"""Folders with another path on this host than in the library."""

import pytest

from facesets.errors import WrongUsage
from facesets.path_map import PathMap

MAP = PathMap.of({"/mnt/photos": "/data/p", "/mnt/photos/old/": "/archive"})


def test_a_path_of_the_library_is_found_here_and_named_as_there_again() -> None:
    for known, here in (
        ("/mnt/photos/a/b.jpg", "/data/p/a/b.jpg"),
        ("/mnt/photos/old/c.jpg", "/archive/c.jpg"),
        ("/mnt/photos", "/data/p"),
        ("/elsewhere/d.jpg", "/elsewhere/d.jpg"),
        ("/mnt/photosets/e.jpg", "/mnt/photosets/e.jpg"),
    ):
        assert MAP.here(known) == here
        assert MAP.known(here) == known


def test_without_a_map_paths_are_the_same_and_with_one_only_those_in_it_are_known() -> None:
    assert PathMap().covers("/anything")
    assert MAP.covers("/mnt/photos/a")
    assert not MAP.covers("/mnt/other")


def test_photos_may_fill_a_whole_drive_here() -> None:
    whole = PathMap.of({"/mnt/photos": "/"})
    for known, here in (("/mnt/photos/a.jpg", "/a.jpg"), ("/mnt/photos", "/")):
        assert whole.here(known) == here
        assert whole.known(here) == known


def test_a_path_belongs_to_the_innermost_folder_here() -> None:
    nested = PathMap.of({"/a/long/path": "/data", "/b": "/data/b"})
    for known, here in (("/b/x.jpg", "/data/b/x.jpg"), ("/a/long/path/x.jpg", "/data/x.jpg")):
        assert nested.here(known) == here
        assert nested.known(here) == known


def test_ambiguous_folders_are_refused() -> None:
    with pytest.raises(
        WrongUsage, match=r"^`paths` maps both '/mnt/a' and '/mnt/b' to '/data'\. Give each a"
    ):
        PathMap.of({"/mnt/b": "/data", "/mnt/a": "/data/"})
    with pytest.raises(WrongUsage, match=r"^`paths` maps '/mnt/a' to both '/data' and '/else'\."):
        PathMap.of({"/mnt/a": "/data", "/mnt/a/": "/else"})
