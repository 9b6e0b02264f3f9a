"""Folders of a library's faces are called as its people are, and its people keep together there."""

from pathlib import Path

import pytest
from tests.fixtures.library_people import cluster as cluster_library
from tests.fixtures.library_people import rows
from tests.fixtures.photo_library import Library as Photos

from facesets.interfaces import Embedder
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.grouping.cluster import cluster
from facesets.operations.library.transfer import import_cache
from facesets.operations.options.results import ExportSwapOptions, ImportFoldersOptions
from facesets.operations.options.start import ClusterOptions
from facesets.operations.people.corrections import correcting, naming
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.result_names import people_of_result
from facesets.operations.people.lists.listing import people, person
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "anna@home"


@pytest.fixture
def filled(database: Database, library: Photos) -> Library:
    """Photos of four people, found by `cluster` and not named."""
    filled = Library(database)
    filled.require(library.store.load().settings)
    import_cache(library.store, filled, work=Work())
    cluster_library(filled)
    return filled


def run(store: Library, out: Path) -> Result:
    return cluster(store, out, ClusterOptions(materialize="symlink"), work=Work())


def folders(out: Path) -> dict[str, set[str]]:
    """The people that photos in a folder are named after, except photos of several people."""
    return {
        folder.name: {photo.name.partition("_")[0] for photo in folder.glob("[!.]*")}
        for folder in out.glob("[!._]*")
        if folder.is_dir()
    }


def photos_of(out: Path, folder: str) -> set[str]:
    return {Path(photo).name.rpartition("__")[2] for photo in map(str, (out / folder).glob("[!.]*"))}


def call(store: Library, photo: str, name: str) -> None:
    naming.name(store.database, who(store, photo), name, into=False, face=False, by=BY)


def who(store: Library, photo: str) -> str:
    found = rows(
        store.database,
        f"""SELECT f.person_id::text FROM face_detections f JOIN image_paths p USING (image_id)
            WHERE p.path LIKE '%/{photo}' AND person_id IS NOT NULL ORDER BY f.ordinal LIMIT 1""",
    )
    return str(found[0][0])


@pytest.mark.slow
def test_a_named_person_has_a_folder_of_that_name_and_it_follows_when_renamed(
    filled: Library, tmp_path: Path
) -> None:
    out = tmp_path / "raw"
    call(filled, "Hugo_Chavez_0001.jpg", "Hugo / Rafael")
    run(filled, out)
    (named,) = [name for name in folders(out) if name.startswith("Hugo")]
    assert all(
        "Hugo_Chavez" in photo or "two" in photo or "sm" in photo or "same" in photo
        for photo in photos_of(out, named)
    )
    naming.rename(filled.database, who(filled, "Hugo_Chavez_0001.jpg"), "Hugo", by=BY)
    run(filled, out)
    assert "Hugo" in folders(out)
    assert named not in folders(out)
    assert run(filled, out).copied == 0


@pytest.mark.slow
def test_the_name_that_the_user_gave_a_folder_wins(filled: Library, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    call(filled, "Hugo_Chavez_0001.jpg", "Hugo")
    run(filled, out)
    (out / "Hugo").rename(out / "El Presidente")
    run(filled, out)
    naming.rename(filled.database, "Hugo", "Hugo Chavez", by=BY)
    run(filled, out)
    assert "El Presidente" in folders(out)
    assert not [name for name in folders(out) if name.startswith("Hugo")]


def test_merged_people_are_one_folder_and_hidden_ones_have_none(filled: Library, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    call(filled, "Hugo_Chavez_0001.jpg", "Hugo")
    call(filled, "Ariel_Sharon_0001.jpg", "Ariel")
    correcting.merge(filled.database, ["Ariel"], "Hugo", drop_names=True, by=BY)
    naming.set_hidden(filled.database, who(filled, "Colin_Powell_0001.jpg"), hidden=True, by=BY)
    run(filled, out)
    both = photos_of(out, "Hugo")
    assert any("Ariel" in name for name in both)
    assert any("Hugo" in name for name in both)
    # Two bystanders are on some of his photos.
    every = [folder for folder in (*folders(out), "_singletons") if (out / folder).is_dir()]
    assert max(sum("Colin" in name for name in photos_of(out, folder)) for folder in every) <= 2
    naming.set_hidden(filled.database, who(filled, "Colin_Powell_0001.jpg"), hidden=False, by=BY)
    run(filled, out)
    assert max(sum("Colin" in name for name in photos_of(out, folder)) for folder in folders(out)) > 2


def test_names_of_folders_are_added_to_the_library(filled: Library, library: Photos, tmp_path: Path) -> None:
    """Folders of the cache: the library never saw them."""
    out = tmp_path / "raw"
    cluster(library.store, out, ClusterOptions(), work=Work())
    (hugo,) = [f for f in folders(out) if any("Hugo_Chavez_0002" in n for n in photos_of(out, f))]
    (out / hugo).rename(out / "Hugo")
    call(filled, "Ariel_Sharon_0001.jpg", "Ariel")
    (ariel,) = [f for f in folders(out) if any("Ariel_Sharon_0002" in n for n in photos_of(out, f))]
    (out / ariel).rename(out / "The General")
    brought = people_of_result(filled, out)
    summary = import_people(filled.database, brought.file, "raw", by=BY, members=brought.members)
    names = [each.names for each in people(filled.database, status="active", unnamed=False, sort="faces")]
    assert sorted(name for each in names for name in each) == ["Ariel", "Hugo"]
    assert summary.names == 1
    assert summary.skipped == ["The General: most of the faces belong to Ariel here"]
    again = import_people(filled.database, brought.file, "raw", by=BY, members=brought.members)
    assert (again.step, again.names) == (None, 0)


def test_sorted_folders_name_the_people_of_the_library(
    filled: Library, library: Photos, checker: Embedder, tmp_path: Path
) -> None:
    hugo = who(filled, "Hugo_Chavez_0001.jpg")
    folders = SortedFolders(people=(("Hugo", library.photos / "album"),))
    options = ExportSwapOptions(min_face_short=60, top_n=4, out_size=128, sheet=False)

    def sort_in() -> Result:
        return import_folders(
            filled, folders, tmp_path / "swap", checker, ImportFoldersOptions(), options, work=Work(by=BY)
        )

    named = sort_in().named
    assert named is not None
    assert (named.names, named.new_people) == (1, 0)
    assert find_by_name(filled, "Hugo") == hugo
    again = sort_in().named
    assert again is not None
    assert (again.names, again.step) == (0, None)


def find_by_name(store: Library, name: str) -> str:
    return person(store.database, name, faces=0).person.id
