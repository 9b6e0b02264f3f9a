"""Names and corrections pass to the same faces on the new content of a changed file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.fixtures.library_people import heart_of, rows
from tests.fixtures.made_faces import SETTINGS, made_faces, made_image

from facesets.errors import WrongUsage
from facesets.file_records import FileRecord
from facesets.operations.people.corrections import correcting, history, naming
from facesets.records import ImageRecord
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import pin_only, store_pair_correction
from facesets.store.postgres.people.steps import making_step
from facesets.store.postgres.photos.missing import count_missing, places_of_missing

BY = "anna@home"
BOXES = np.array([[20, 20, 120, 120], [300, 40, 400, 140]], np.float32)


def content(name: str, *faces: tuple[str, float], moved: float = 0) -> ImageRecord:
    """A photo of several people, each with how similar the face is to that of the first content."""
    vectors = []
    for who, similarity in faces:
        heart = heart_of(who) / np.linalg.norm(heart_of(who))
        other = heart_of(who + name)
        other -= (other @ heart) * heart
        vectors.append(similarity * heart + np.sqrt(1 - similarity**2) * other / np.linalg.norm(other))
    found = replace(
        made_faces(len(faces)),
        embedding=np.array(vectors, np.float32),
        box=BOXES[: len(faces)] + np.float32(moved),
    )
    return replace(made_image(name, len(faces)), faces=found)


NEW = content("new", ("anna", 0.9), ("ben", 0.9))
"""A photo of Anna and Ben, edited by a program."""


def put(library: Library, image: ImageRecord, path: str = "/a.jpg", reason: str = "") -> None:
    """Let a file have this content."""
    with library.writing(SETTINGS):
        record = FileRecord(path, 1000, 1, "" if reason else image.sha256, reason)
        library.add([record], [] if reason else [image])


def faces(library: Library, image: ImageRecord) -> list[int]:
    found = rows(
        library.database,
        f"""SELECT f.id FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE i.sha256 = '{image.sha256}' ORDER BY f.x1""",
    )
    return [face for (face,) in found]


def corrections(library: Library) -> dict[str, set[tuple[Any, ...]]]:
    """All corrections, and the people of faces."""
    return {
        table: set(rows(library.database, f"SELECT {columns} FROM {table}"))
        for table, columns in (
            ("face_corrections", "face_id, is_person"),
            ("face_pair_corrections", "face_a, face_b, same"),
            ("prototype_corrections", "face_id, pinned"),
            ("face_detections", "id, person_id, assigned_by, cluster"),
        )
    }


def call(library: Library, face: int, name: str) -> None:
    """Name the person of a face."""
    somebody = correcting.move(library.database, [face], "new", by=BY).person
    naming.name(library.database, somebody, name, into=False, face=False, by=BY)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def old(library: Library) -> ImageRecord:
    """Anna and Ben, named by hand, who are two people; the first face shows Anna best."""
    image = content("old", ("anna", 1), ("ben", 1))
    put(library, image)
    anna, ben = faces(library, image)
    call(library, anna, "Anna")
    call(library, ben, "Ben")

    def confirm(connection: Connection) -> None:
        with making_step(connection, "move", BY, "said") as step:
            store_pair_correction(step, anna, ben, same=False)
            (who,) = rows(library.database, f"SELECT person_id FROM face_detections WHERE id = {anna}")[0]
            pin_only(step, anna, who)

    library.database.run(confirm)
    return image


def owners(library: Library, numbers: Sequence[int]) -> list[str | None]:
    found = dict(
        rows(
            library.database,
            """SELECT f.id, n.name FROM face_detections f
                LEFT JOIN person_names n ON n.person_id = f.person_id""",
        )
    )
    return [found[number] for number in numbers]


@pytest.mark.parametrize(("similarity", "moved"), [(0.75, 0), (0.85, 90)])
def test_names_and_corrections_pass_to_the_same_faces(
    library: Library, old: ImageRecord, similarity: float, moved: float
) -> None:
    before = corrections(library)
    new = content("new", ("anna", similarity), ("ben", similarity), moved=moved)
    put(library, new)
    first, second = faces(library, new)
    assert owners(library, [first, second]) == ["Anna", "Ben"]
    assert owners(library, faces(library, old)) == [None, None]
    now = corrections(library)
    assert now["face_corrections"] == {(first, True), (second, True)}
    assert now["face_pair_corrections"] == {(first, second, False)}
    assert now["prototype_corrections"] == {(first, True)}
    assert library.database.run(count_missing) == 0
    (step,) = [step for step in history.log(library.database) if step.kind == "replace"]
    history.undo(library.database, step.id, by=BY)
    undone = corrections(library)
    assert {table: undone[table] for table in before if table != "face_detections"} == {
        table: before[table] for table in before if table != "face_detections"
    }
    assert before["face_detections"] < undone["face_detections"]
    assert library.database.run(count_missing) == 1


def test_names_without_a_matching_face_stay_with_the_former_photo(library: Library, old: ImageRecord) -> None:
    anna, ben = faces(library, old)
    new = content("new", ("anna", 0.9), ("carl", 1))
    put(library, new)
    assert owners(library, [*faces(library, new), anna, ben]) == ["Anna", None, None, "Ben"]
    assert (ben, True) in corrections(library)["face_corrections"]
    assert library.database.run(count_missing) == 1
    assert corrections(library)["face_pair_corrections"] == {(*sorted((ben, faces(library, new)[0])), False)}


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(("similarity", "moved"), [(0.6, 0), (0.75, 90)])
def test_faces_that_are_less_similar_get_nothing(library: Library, similarity: float, moved: float) -> None:
    before = corrections(library)
    put(library, content("new", ("anna", similarity), ("ben", similarity), moved=moved))
    now = corrections(library)
    assert all(before[table] <= now[table] for table in before)
    assert len(now["face_corrections"]) == 2


def test_a_photo_that_lies_elsewhere_still_keeps_its_names_too(library: Library, old: ImageRecord) -> None:
    put(library, old, "/copy.jpg")
    put(library, NEW)
    assert owners(library, [*faces(library, NEW), *faces(library, old)]) == ["Anna", "Ben", "Anna", "Ben"]
    newer = content("newer", ("anna", 0.9), ("ben", 0.9))
    put(library, newer, "/copy.jpg")
    assert owners(library, [*faces(library, newer), *faces(library, old)]) == ["Anna", "Ben", None, None]


def test_a_content_that_comes_back_has_its_names_again(library: Library, old: ImageRecord) -> None:
    before = corrections(library)
    put(library, NEW)
    put(library, old)
    assert owners(library, faces(library, old)) == ["Anna", "Ben"]
    assert corrections(library)["face_corrections"] == before["face_corrections"]


def test_a_file_that_could_not_be_read_in_between_loses_no_names(library: Library, old: ImageRecord) -> None:
    put(library, old, reason="is cut off")
    assert owners(library, faces(library, old)) == ["Anna", "Ben"]
    put(library, NEW)
    assert owners(library, faces(library, NEW)) == ["Anna", "Ben"]


def test_corrections_of_the_new_face_stand(library: Library, old: ImageRecord) -> None:
    put(library, NEW, "/b.jpg")
    call(library, faces(library, NEW)[0], "Carla")
    put(library, NEW)
    assert owners(library, [*faces(library, NEW), *faces(library, old)]) == ["Carla", "Ben", "Anna", "Ben"]


def test_a_photo_that_another_one_was_renamed_to_keeps_its_names(library: Library, old: ImageRecord) -> None:
    before = corrections(library)
    other = content("other", ("anna", 0.9), ("ben", 0.9))
    put(library, other, "/b.jpg")
    library.forget_paths(["/b.jpg"])
    put(library, other)
    assert owners(library, faces(library, old)) == ["Anna", "Ben"]
    assert before["face_corrections"] <= corrections(library)["face_corrections"]
    assert library.database.run(count_missing) == 1


def test_undo_gives_no_names_to_erased_faces(library: Library, old: ImageRecord) -> None:
    put(library, NEW)
    (step,) = [step for step in history.log(library.database) if step.kind == "replace"]
    rows(library.database, f"DELETE FROM images WHERE sha256 = '{old.sha256}' RETURNING 1")
    with pytest.raises(WrongUsage, match="erased"):
        history.undo(library.database, step.id, by=BY)
    assert owners(library, faces(library, NEW)) == ["Anna", "Ben"]


def test_an_unsearched_photo_is_not_missing_when_its_file_is_changed(library: Library) -> None:
    for name in ("old", "new"):
        put(library, replace(made_image(name, 0), searched=False))
    assert library.database.run(count_missing) == 0
    assert len(library.database.run(places_of_missing)) == 1
