"""`relocate`: paths follow a folder without a photo being read."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fixtures.made_faces import SETTINGS, made_image

from facesets.errors import SourceGone, WrongUsage
from facesets.file_records import FileRecord
from facesets.library_records import GalleryRow
from facesets.operations.ingest.relocate import forget_folder, relocate, writing
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

AnyStore = Cache | Library


@pytest.fixture(params=["cache", "library"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AnyStore:
    if request.param == "cache":
        return Cache(tmp_path / "c.npz")
    return Library(request.getfixturevalue("database"))


def fill(store: AnyStore, folder: Path, names: Sequence[str] = ("a.jpg", "sub/b.jpg", "c.jpg")) -> list[str]:
    """Make files that are no pictures, and let the store know them as images."""
    images, files = [], []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        images.append(made_image(name))
        status = path.stat()
        files.append(FileRecord(str(path), status.st_size, status.st_mtime_ns, images[-1].sha256))
    with store.writing(SETTINGS):
        store.commit(files, images)
    return [file.path for file in files]


def again(store: AnyStore) -> AnyStore:
    return Cache(store.path) if isinstance(store, Cache) else Library(store.database)


def move(store: AnyStore, old: Path, new: Path, *, dry_run: bool = False) -> tuple[int, int]:
    with writing(store, dry_run=dry_run):
        done = relocate(store, old, new, dry_run=dry_run)
    return done.relocated, done.merged


def test_paths_follow_their_folder_and_back(store: AnyStore, tmp_path: Path) -> None:
    before = fill(store, tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert move(store, tmp_path / "old", tmp_path / "new", dry_run=True) == (3, 0)
    assert list(again(store).files()) == before
    assert move(store, tmp_path / "old", tmp_path / "new") == (3, 0)
    assert list(again(store).files()) == [path.replace("/old/", "/new/") for path in before]
    assert len(again(store).load().images) == 3
    (tmp_path / "new").rename(tmp_path / "old")
    move(store, tmp_path / "new", tmp_path / "old")
    assert list(again(store).files()) == before


def test_a_cache_of_windows_is_worked_on_here(tmp_path: Path) -> None:
    store = Cache(tmp_path / "c.npz")
    fill(store, tmp_path / "photos")
    with store.writing(SETTINGS):
        of_windows = {
            path: f"Z:\\photos{path[len(f'{tmp_path}/photos') :]}".replace("/", "\\")
            for path in store.files()
        }
        store.relocate_paths("", "", of_windows)
    assert "Z:\\photos\\sub\\b.jpg" in again(store).files()
    assert move(store, Path("Z:\\photos"), tmp_path / "photos") == (3, 0)
    assert all(Path(path).is_file() for path in again(store).files())


def test_a_folder_may_move_into_itself(store: AnyStore, tmp_path: Path) -> None:
    before = fill(store, tmp_path / "old", ("a", "old/a", "old/old/a"))
    (tmp_path / "old").rename(tmp_path / "between")
    (tmp_path / "old").mkdir()
    (tmp_path / "between").rename(tmp_path / "old" / "old")
    shutil.rmtree(tmp_path / "old" / "old" / "old" / "old")
    assert move(store, tmp_path / "old", tmp_path / "old" / "old") == (3, 0)
    assert list(again(store).files()) == [
        path.replace(f"{tmp_path}/old", f"{tmp_path}/old/old") for path in before
    ]


def test_paths_known_at_the_new_place_are_not_duplicated(store: AnyStore, tmp_path: Path) -> None:
    fill(store, tmp_path / "old")
    fill(store, tmp_path / "new", ("a.jpg",))
    shutil.copytree(tmp_path / "old", tmp_path / "new", dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "old")
    assert move(store, tmp_path / "old", tmp_path / "new") == (2, 1)
    there = ("a.jpg", "c.jpg", "sub/b.jpg")
    assert sorted(again(store).files()) == [str(tmp_path / "new" / name) for name in there]


def test_invalid_folders_are_refused(store: AnyStore, tmp_path: Path) -> None:
    before = fill(store, tmp_path / "old")
    for old, new, error, words in (
        ("old", "old", WrongUsage, "given twice"),
        ("never", "old", WrongUsage, "There are no photos below"),
        ("old", "never", SourceGone, "Folder not found"),
    ):
        with pytest.raises(error, match=words):
            move(store, tmp_path / old, tmp_path / new)
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    with pytest.raises(WrongUsage, match="still exist"):
        move(store, tmp_path / "old", tmp_path / "copy")
    shutil.rmtree(tmp_path / "old")
    for path in (tmp_path / "copy").rglob("*.jpg"):
        os.utime(path, (1, 1))
    with pytest.raises(WrongUsage, match=r"Only 0 of 3 known photos"):
        move(store, tmp_path / "old", tmp_path / "copy")
    assert list(again(store).files()) == before


def test_only_a_missing_folder_is_forgotten(store: AnyStore, tmp_path: Path) -> None:
    fill(store, tmp_path / "old")
    stored = fill(store, tmp_path / "other", ("d.jpg",))
    with pytest.raises(WrongUsage, match="still exists"):
        forget_folder(store, tmp_path / "old", dry_run=False)
    shutil.rmtree(tmp_path / "old")
    with writing(store, dry_run=False):
        assert forget_folder(store, tmp_path / "old", dry_run=False).forgotten == 3
    assert list(again(store).files()) == stored


def test_galleries_go_along(database: Database, tmp_path: Path) -> None:
    library = Library(database)
    paths = fill(library, tmp_path / "old")
    titled = {"old": "one", "old/sub": "two", "new/sub": "three"}
    rows = [GalleryRow(str(tmp_path / name), title) for name, title in titled.items()]
    numbers = library.store_galleries(rows)
    library.assign_to_galleries(
        {str(tmp_path / name): numbers[str(tmp_path / name)] for name in ("old", "old/sub")}
    )
    (tmp_path / "old").rename(tmp_path / "new")
    move(library, tmp_path / "old", tmp_path / "new")
    linked = library.linked_at([path.replace("/old/", "/new/") for path in paths])
    assert {(each.directory, each.gallery) for each in linked} == {
        (str(tmp_path / name), str(tmp_path / name)) for name in ("new", "new/sub")
    }
    titles = database.run(lambda session: session.execute("SELECT title FROM galleries").fetchall())
    assert {title for (title,) in titles} == {"one", "three"}
