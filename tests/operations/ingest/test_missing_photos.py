"""Photos without any file count nowhere, and come back with all their data."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import cluster, heart_of, rows
from tests.fixtures.made_faces import SETTINGS, made_image

from facesets.file_records import FileRecord
from facesets.files import mtime_ns_of
from facesets.operations.ingest.library_intake import note_missing
from facesets.operations.library.stats import stats
from facesets.operations.people.corrections import naming
from facesets.operations.people.lists.listing import people, person
from facesets.path_map import PathMap
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import nearest_of_person
from facesets.store.postgres.people.people_list import PeopleWanted, people_cards
from facesets.store.postgres.people.persons import exemplars
from facesets.store.postgres.photos.missing import missing_photos


def add(library: Library, path: Path, *who: str, content: str = "") -> None:
    """Add a file that shows one or several people, and its records in the library."""
    path.parent.mkdir(exist_ok=True)
    name = content or path.name
    path.write_text(name)
    image = made_image(name, len(who))
    noise = np.random.default_rng(len(name) + sum(name.encode()))
    vectors = np.array([heart_of(each) + noise.standard_normal(512) * 0.02 for each in who])
    embedding = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    status = path.stat()
    record = FileRecord(str(path), status.st_size, mtime_ns_of(status), image.sha256)
    with library.writing(SETTINGS):
        library.commit([record], [replace(image, faces=replace(image.faces, embedding=embedding))])


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def photos(library: Library, tmp_path: Path) -> Path:
    """Six photos of Anna, and four of an unnamed person."""
    folder = tmp_path / "photos"
    for number in range(6):
        add(library, folder / f"anna-{number}.jpg", "anna")
    for number in range(4):
        add(library, folder / f"ben-{number}.jpg", "ben")
    cluster(library)
    first = rows(library.database, "SELECT min(person_id::text) FROM face_detections WHERE id = 1")[0][0]
    naming.name(library.database, first, "Anna", into=False, face=False, by="anna@home")
    return folder


def shown(library: Library) -> dict[str, tuple[int, int]]:
    """Names, and how many faces and photos the list of people gives them."""
    listed = people(library.database, status="active", unnamed=False, sort="faces")
    return {"".join(line.names): (line.faces, line.photos) for line in listed}


def remove(folder: Path, pattern: str) -> dict[Path, tuple[bytes, int]]:
    gone = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob(pattern)}
    for path in gone:
        path.unlink()
    return gone


def put_back(files: dict[Path, tuple[bytes, int]]) -> None:
    for path, (content, mtime_ns) in files.items():
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))


def test_photos_without_a_file_count_nowhere_until_they_are_back(library: Library, photos: Path) -> None:
    assert note_missing(library) == 0
    assert shown(library) == {"Anna": (6, 6), "": (4, 4)}
    before = stats(library)
    gone = remove(photos, "*-[01].jpg")
    assert note_missing(library) == 4
    assert shown(library) == {"Anna": (4, 4), "": (2, 2)}
    now = stats(library)
    assert (now.images, now.paths, now.faces, now.assigned, now.missing) == (6, 6, 6, 6, 4)
    assert len(person(library.database, "Anna", faces=10).shown) == 4
    assert len(library.load().images) == 6
    put_back(gone)
    assert note_missing(library) == 0
    assert shown(library) == {"Anna": (6, 6), "": (4, 4)}
    assert replace(stats(library), megabytes=0) == replace(before, megabytes=0)


def test_an_unnamed_person_goes_with_all_photos_and_a_named_one_stays(library: Library, photos: Path) -> None:
    gone = remove(photos, "ben-*.jpg") | remove(photos, "anna-*.jpg")
    (photos / "note.txt").touch()
    assert note_missing(library) == 10
    assert shown(library) == {"Anna": (0, 0)}
    assert stats(library).persons == {"active": 1}
    (card,) = library.database.run(lambda c: people_cards(c, PeopleWanted(empty=False), limit=9))
    assert (card.name, card.faces, card.sha256) == ("Anna", 0, "")
    put_back(gone)
    assert note_missing(library) == 0
    assert shown(library) == {"Anna": (6, 6), "": (4, 4)}


def test_a_folder_that_may_be_on_a_drive_is_not_missing(library: Library, photos: Path) -> None:
    remove(photos, "*.jpg")
    assert note_missing(library) == 0
    source = GallerySource([photos])
    (photos.parent / "elsewhere.txt").touch()
    photos.rmdir()
    assert note_missing(library, source) == 0
    assert note_missing(library) == 10


def test_a_photo_is_missing_when_its_last_copy_is(library: Library, photos: Path) -> None:
    add(library, photos / "copy.jpg", "anna", content="anna-0.jpg")
    (photos / "anna-0.jpg").unlink()
    assert note_missing(library, GallerySource([photos])) == 0
    (photos / "copy.jpg").unlink()
    assert note_missing(library, GallerySource([photos])) == 1


def test_a_host_with_other_paths_notes_what_is_missing_of_its_own(library: Library, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    mapped = Library(library.database, paths=PathMap.of({"/mnt/photos": str(here)}))
    for number in range(2):
        add(mapped, here / f"anna-{number}.jpg", "anna")
    # Paths of other hosts, though there is such a folder on this one.
    add(library, elsewhere / "copy.jpg", "anna", content="anna-1.jpg")
    add(library, elsewhere / "ben.jpg", "ben")
    add(library, here / "carl.jpg", "carl")
    gone = remove(here, "*.jpg") | remove(elsewhere, "*.jpg")
    for folder in (here, elsewhere):
        (folder / "note.txt").touch()
    assert note_missing(mapped, GallerySource([here])) == 1
    listed = library.database.run(missing_photos)
    assert [photo.path for _, photo in listed] == ["/mnt/photos/anna-0.jpg"]
    put_back(gone)
    assert note_missing(mapped, GallerySource([here])) == 0


def test_a_photo_is_missing_once_no_path_leads_to_it_and_back_by_one(library: Library, photos: Path) -> None:
    library.forget_paths([str(photos / "anna-0.jpg")])
    assert stats(library).missing == 1
    assert shown(library)["Anna"] == (5, 5)
    add(library, photos / "new name.jpg", "anna", content="anna-0.jpg")
    assert (stats(library).missing, shown(library)["Anna"]) == (0, (6, 6))
    library.database.run(lambda connection: connection.execute("DELETE FROM image_paths"))
    assert stats(library).missing == 10


def test_missing_faces_make_no_person_and_no_suggestion(library: Library, tmp_path: Path) -> None:
    for number in range(4):
        add(library, tmp_path / "photos" / f"carl-{number}.jpg", "carl")
    add(library, tmp_path / "photos" / "dora.jpg", "dora")
    remove(tmp_path / "photos", "carl-*.jpg")
    assert note_missing(library) == 4
    assert cluster(library).new_persons == 0
    assert rows(library.database, "SELECT count(*) FROM face_detections WHERE person_id IS NOT NULL") == [
        (0,)
    ]


def test_checking_again_without_changes_changes_nothing(library: Library, photos: Path) -> None:
    remove(photos, "anna-0.jpg")
    add(library, photos / "copy.jpg", "anna", content="anna-1.jpg")
    remove(photos, "anna-1.jpg")
    note_missing(library)
    shown(library)

    def state(connection: Connection) -> list[object]:
        tables = ("images", "image_paths", "changes_without_step", "computed_states")
        return [connection.execute(f"TABLE {table}".encode()).fetchall() for table in tables]

    before = library.database.run(state)
    assert (note_missing(library), note_missing(library, GallerySource([photos]))) == (1, 1)
    shown(library)
    assert library.database.run(state) == before


def test_questions_and_reasons_show_no_missing_photo(library: Library, photos: Path) -> None:
    (face, who), *others = rows(
        library.database,
        """SELECT f.id, person_id FROM face_detections f JOIN image_paths p USING (image_id)
            WHERE path LIKE '%anna%' ORDER BY path""",
    )
    remove(photos, "anna-[1-4].jpg")
    assert note_missing(library) == 4
    assert set(library.database.run(exemplars, who, 9)) == {face, others[-1][0]}
    assert [near for near, _ in library.database.run(nearest_of_person, face, who, 9)] == [others[-1][0]]
