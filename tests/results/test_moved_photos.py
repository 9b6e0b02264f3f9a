"""Renamed and moved photos in caches, libraries and results."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import MadeStore
from tests.fixtures.photos import copy_photos
from tests.fixtures.results import PLAIN, Again, groups, grow, make, people, sort
from tests.fixtures.trees import files_in, tree

from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Store
from facesets.operations.ingest.embed import embed
from facesets.operations.ingest.index import index
from facesets.operations.options.index import IndexOptions
from facesets.operations.options.start import EmbedOptions
from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.names.file_names import flatten
from facesets.sources import folders, missing
from facesets.sources.folders import FolderSource
from facesets.sources.galleries import GallerySource
from facesets.store.npz.cache import Cache
from facesets.store.postgres.library import Library
from facesets.words.results import photos_line
from facesets.work import Work


@pytest.fixture(params=["cache", "library"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "cache":
        return Cache(tmp_path / "c.npz")
    return Library(request.getfixturevalue("database"))


def take_in(store: Store, photos: Path, embedder: LocalEmbedder, *, prune: bool = False) -> int:
    """Embed or index a folder; return how many paths were forgotten because their files are in it now."""
    if isinstance(store, Library):
        options = IndexOptions(prune=prune)
        source, describer = GallerySource([photos]), LocalDescriber(embedder, None)
        done = index(source, store, describer, options, work=Work())
        return int(done.moved)
    assert isinstance(store, Cache)
    with store.writing(embedder.settings):
        forgotten: int = embed(
            FolderSource(photos), store, embedder, EmbedOptions(prune=prune), work=Work()
        ).moved
    return forgotten


def folders_of(store: Store) -> list[str]:
    return sorted({Path(path).parent.name for path in store.files()})


def names(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in files_in(out) if path.name != GROUP_MARK)


def test_a_renamed_source_duplicates_nothing(
    filled: Store, embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "src")
    take_in(filled, photos, embedder)
    sort(filled, tmp_path / "out")
    before = names(tmp_path / "out")
    photos.rename(tmp_path / "fotos")
    assert take_in(filled, tmp_path / "fotos", embedder) == 6
    assert folders_of(filled) == ["fotos"]
    planned = sort(filled, tmp_path / "out", replace(PLAIN, dry_run=True))
    done = sort(filled, tmp_path / "out")
    assert (done.copied, done.removed, done.failed) == (0, 0, 0)
    assert planned.renamed == done.renamed == sum(name.endswith(".jpg") for name in before)
    assert f"({done.renamed} renamed)" in photos_line(done)
    old, new = flatten(str(tmp_path / "src")), flatten(str(tmp_path / "fotos"))
    assert names(tmp_path / "out") == [name.replace(old, new) for name in before]


def test_a_renamed_photo_leaves_no_copy_behind(
    filled: Store, embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:3], tmp_path / "src")
    take_in(filled, photos, embedder)
    sort(filled, tmp_path / "out")
    (photos / lfw_photos[0].name).rename(photos / "renamed.jpg")
    take_in(filled, photos, embedder)
    sort(filled, tmp_path / "out")
    found = names(tmp_path / "out")
    assert len(found) == 4
    assert sum(name.endswith("renamed.jpg") for name in found) == 1


def test_a_folder_named_by_a_detour_is_the_same_folder(
    filled: Store, embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "src")
    for named in (photos, photos / ".." / "src"):
        take_in(filled, named, embedder)
    assert sorted(filled.files()) == sorted(map(str, photos.iterdir()))


def test_paths_with_detours_of_earlier_versions_are_forgotten(
    embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "src")
    cache = Cache(tmp_path / "c.npz")
    with monkeypatch.context() as earlier:
        earlier.setattr(folders, "plain_path", Path.absolute)
        take_in(cache, photos / ".." / "src", embedder)
    assert all("/../" in path for path in cache.files())
    assert take_in(cache, photos, embedder) == 2
    assert sorted(cache.files()) == sorted(map(str, photos.iterdir()))


def test_copies_and_drives_that_are_not_mounted_are_not_taken_for_moved(
    filled: Store,
    embedder: LocalEmbedder,
    lfw_photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drive = tmp_path / "media" / "usb"
    photos = copy_photos(lfw_photos[:2], drive / "photos")
    take_in(filled, photos, embedder)
    shutil.copytree(photos, tmp_path / "copies")
    assert take_in(filled, tmp_path / "copies", embedder) == 0
    # A mount point without its drive is an empty folder, or missing where drives appear.
    drive.rename(tmp_path / "unplugged")
    drive.mkdir()
    assert take_in(filled, tmp_path / "copies", embedder, prune=True) == 0
    monkeypatch.setattr(missing, "_DRIVES", frozenset({drive.parent}))
    (drive.parent / "another").mkdir()
    drive.rmdir()
    assert take_in(filled, tmp_path / "copies", embedder, prune=True) == 0
    assert folders_of(filled) == ["copies", "photos"]


def test_prune_forgets_missing_photos_of_other_folders(
    embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path
) -> None:
    first, second = (
        copy_photos(lfw_photos[n : n + 2], tmp_path / name) for n, name in ((0, "first"), (2, "second"))
    )
    cache = Cache(tmp_path / "c.npz")
    for folder in (first, second):
        take_in(cache, folder, embedder)
    shutil.rmtree(first)
    take_in(cache, second, embedder)
    assert folders_of(cache) == ["first", "second"]
    take_in(cache, second, embedder, prune=True)
    assert folders_of(Cache(cache.path)) == ["second"]
    assert len(cache.load().images) == 2


def test_ignored_photos_are_not_embedded_and_prune_forgets_them(
    filled: Store, embedder: LocalEmbedder, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "src")
    private = copy_photos(lfw_photos[1:3], photos / "private")
    take_in(filled, photos, embedder)
    (photos / ".facesetsignore").write_text("private/\n")
    shutil.copy2(lfw_photos[3], private)
    take_in(filled, photos, embedder)
    assert len(filled.files()) == 3
    take_in(filled, photos, embedder, prune=True)
    assert folders_of(filled) == ["src"]


def test_corrections_in_a_result_hold_after_its_photos_moved(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        (folder / f"{kind}_002").rename(folder / "Ben")
        mine = (folder / f"{kind}_001").glob("[!.]*")
        alone = [path for path in mine if not (folder / "Ben" / path.name).exists()]
        sorted(alone)[0].rename(folder / "Ben" / "mine.jpg")
        sorted(alone)[1].unlink()
        sorted(alone)[2].write_bytes(b"edited")
    again(company, raw, sets)
    corrected = [groups(folder) for folder in (raw, sets)]
    before = [names(folder) for folder in (raw, sets)]
    company.move(tmp_path / "fotos")
    for _ in range(2):
        again(company, raw, sets)
        assert [groups(folder) for folder in (raw, sets)] == corrected
        assert [names(folder) for folder in (raw, sets)] == [
            [name.replace("photos+", "fotos+") for name in of_folder] for of_folder in before
        ]
    for folder in (raw, sets):
        assert (folder / "Ben" / "mine.jpg").is_file()
        assert sum(path.read_bytes() == b"edited" for path in files_in(folder)) == 1


def test_changes_in_a_result_after_its_photos_moved_are_understood(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    company.move(tmp_path / "fotos")
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        photo = min(
            path
            for path in (folder / f"{kind}_001").glob("[!.]*")
            if not (folder / f"{kind}_002" / path.name).exists()
        )
        photo.rename(folder / f"{kind}_002" / photo.name)
    sizes = [{name: len(faces) for name, faces in groups(folder).items()} for folder in (raw, sets)]
    again(company, raw, sets)
    for folder, kind, before in ((raw, "person", sizes[0]), (sets, "faceset", sizes[1])):
        after = {name: len(faces) for name, faces in groups(folder).items()}
        assert after[f"{kind}_002"] == before[f"{kind}_002"] + 1
        assert after[f"{kind}_001"] == before[f"{kind}_001"] - 1
        assert [name for name in names(folder) if "+photos+" in name] == []


def test_following_moved_photos_can_be_undone(store: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(store, tmp_path)
    before = tree(raw)
    store.move(tmp_path / "fotos")
    grown = grow(store, raw)
    assert people(raw)
    assert tree(raw).keys() != before.keys()
    undo(raw, grown.raw.run)
    assert tree(raw) == before
