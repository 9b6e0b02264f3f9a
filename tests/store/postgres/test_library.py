"""A library with folders elsewhere on this host: paths here go in and out, its own are stored."""

import pytest

from facesets.file_records import FileRecord
from facesets.library_records import GalleryLink, GalleryRow
from facesets.path_map import PathMap
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

IMAGE = made_image("a", 1)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def mapped(database: Database) -> Library:
    """The library, seen from a host with its photos elsewhere."""
    return Library(database, paths=PathMap.of({"/mnt/photos": "/data/p"})).looking_for(SETTINGS, None)


def test_photos_added_here_are_stored_by_the_librarys_paths(library: Library, mapped: Library) -> None:
    taken, unread = made_file("/data/p/s/a.jpg", IMAGE), FileRecord("/data/p/b.jpg", 9, 1, "", "no picture")
    numbers = mapped.store_galleries([GalleryRow("/data/p/s", "Summer"), GalleryRow("/data/p")])
    assert numbers.keys() == {"/data/p/s", "/data/p"}
    mapped.add([taken, unread], [IMAGE], {taken.path: numbers["/data/p/s"]})
    assert list(library.files()) == ["/mnt/photos/s/a.jpg", "/mnt/photos/b.jpg"]
    assert library.linked_at(["/mnt/photos/s/a.jpg"]) == {GalleryLink("/mnt/photos/s", "/mnt/photos/s")}
    assert mapped.linked_at([taken.path]) == {GalleryLink("/data/p/s", "/data/p/s")}
    mapped.assign_to_galleries({"/data/p": numbers["/data/p"]})
    assert mapped.linked_at([unread.path]) == {GalleryLink("/data/p", "/data/p")}
    assert mapped.seen_at([taken.path, unread.path]) == mapped.known_below(["/data/p"])
    seen = mapped.seen_at([taken.path, unread.path])
    assert {path: file.reason for path, file in seen.items()} == {taken.path: "", unread.path: "no picture"}
    mapped.forget_paths([unread.path])
    assert list(library.files()) == ["/mnt/photos/s/a.jpg"]


def test_paths_that_this_host_does_not_see_are_left_out(library: Library, mapped: Library) -> None:
    library.looking_for(SETTINGS, None).add(
        [made_file("/mnt/photos/a.jpg", IMAGE), made_file("/elsewhere/a.jpg", IMAGE)], [IMAGE]
    )
    assert mapped.paths_with([IMAGE.sha256]) == {IMAGE.sha256: ["/data/p/a.jpg"]}
    assert library.paths_with([IMAGE.sha256]) == {IMAGE.sha256: ["/mnt/photos/a.jpg", "/elsewhere/a.jpg"]}


def test_a_file_is_claimed_by_the_name_that_all_hosts_know(mapped: Library, library_url: str) -> None:
    other = Database(library_url)
    try:
        theirs, ours = Claims(other, "path"), mapped.claims("path")
        assert theirs.take(["/mnt/photos/a.jpg"])
        assert ours.take(["/data/p/a.jpg", "/data/p/b.jpg"]) == {"/data/p/b.jpg"}
        assert ours.holds("/data/p/b.jpg")
        assert theirs.take(["/mnt/photos/b.jpg"]) == set()
        ours.release(["/data/p/b.jpg"])
        assert theirs.take(["/mnt/photos/b.jpg"]) == {"/mnt/photos/b.jpg"}
    finally:
        other.close()


def test_the_length_limit_applies_to_the_path_in_the_library(database: Database) -> None:
    deep = Library(database, paths=PathMap.of({"/mnt/" + "x" * 2590: "/p"}))
    assert deep.fits("/p/a.jpg") is False
    assert Library(database).fits("/p/a.jpg")
    short = Library(database, paths=PathMap.of({"/p": "/data/" + "x" * 2590}))
    assert short.fits(f"/data/{'x' * 2590}/a.jpg")
