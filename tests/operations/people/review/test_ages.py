"""Faces that look too old or too young for their person become suggestions, and both answers are stored."""

from datetime import date

import numpy as np
from tests.fixtures.aged_people import FIRST_YEAR, look, looks, photo
from tests.fixtures.corrections import BY, by_sql, call, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster, rows, who_is

from facesets.face_attributes import FaceAttributes
from facesets.operations.ingest.stages import attributes_stage
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.review.answering import answer
from facesets.operations.people.review.question_sheet import draw_question
from facesets.operations.people.review.questions import Question, next_questions, refresh_questions
from facesets.records import Finding, Float32, ImageRecord, Pixels
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

BORN = 1950


def fill(database: Database) -> None:
    library = Library(database)
    add_person(library, "anna", 8)
    look(library, "anna", BORN)
    cluster(library)
    call(library, "anna-0-0", "Anna")


template = template_by(fill)


def questions(library: Library) -> list[Question]:
    """Those about ages, as `people review` finds them."""
    refresh_questions(library)
    return [each for each in next_questions(library.database) if each.kind == "age"]


def make_a_child(library: Library, place: int = 7) -> int:
    """Make one of Anna's faces look like a child's; return it."""
    face = photo(library, "anna", place)
    looks(library.database, face, 6)
    return face


def test_a_child_among_the_faces_of_an_adult_is_asked_about_in_words(library: Library) -> None:
    face = make_a_child(library)
    (question,) = questions(library)
    assert FIRST_YEAR + 7 - BORN == 47
    assert question.text == f"Is face {face} really Anna? The face looks about 6, expected about 47."
    (item,) = question.items
    assert (item.note, item.faces, item.settles) == ("looks about 6, expected about 47", [face], 1)
    assert item.cosine_similarity > 0.5
    assert draw_question(library.database, question).startswith(b"\x89PNG")


def test_no_denies_the_match_and_undo_asks_again(library: Library) -> None:
    face = make_a_child(library)
    (question,) = questions(library)
    step = answer(library.database, question.id, "no", by=BY).step
    assert who_is(library, "anna-0-7") == ""
    assert rows(library, f"SELECT status FROM face_candidates WHERE face_id = {face}") == [("accepted",)]
    assert rows(library, f"SELECT is_person FROM face_corrections WHERE face_id = {face}") == [(False,)]
    assert questions(library) == []
    undo(library, step)
    assert [each.id for each in questions(library)] == [question.id]


def test_yes_keeps_the_face_and_it_is_not_asked_about_again(library: Library) -> None:
    face = make_a_child(library)
    (question,) = questions(library)
    answer(library.database, question.id, "yes", by=BY)
    assert who_is(library, "anna-0-7") == who_is(library, "anna-0-0")
    assert rows(library, f"SELECT status FROM face_candidates WHERE face_id = {face}") == [("rejected",)]
    for _ in range(2):
        cluster(library)
        assert questions(library) == []


def test_several_are_asked_about_together_and_one_of_them_may_be_right(library: Library) -> None:
    wrong, right = make_a_child(library, 6), make_a_child(library, 7)
    (question,) = questions(library)
    assert question.text == "Are these 2 faces really Anna? Their estimated ages do not fit."
    (number,) = [item.number for item in question.items if item.faces == [right]]
    answer(library.database, question.id, "no", by=BY, but=[number])
    assert (who_is(library, "anna-0-6"), who_is(library, "anna-0-7")) == ("", who_is(library, "anna-0-0"))
    assert wrong not in [item.faces[0] for each in questions(library) for item in each.items]


def test_a_birth_set_by_a_user_decides_which_faces_are_suggested(library: Library) -> None:
    assert questions(library) == []
    set_birth(library.database, "Anna", Birth(1992), by=BY, today=date(2024, 1, 1))
    assert questions(library) == []
    make_a_child(library, 3)
    set_birth(library.database, "Anna", Birth(1951), by=BY, today=date(2024, 1, 1))
    assert [each.items[0].note for each in questions(library)] == ["looks about 6, expected about 42"]


def test_few_faces_and_photos_without_dates_are_not_asked_about(library: Library) -> None:
    make_a_child(library)
    by_sql(library, "UPDATE images SET taken = NULL WHERE id % 2 = 0")
    assert questions(library) == []


class Looking:
    """A model that estimates the age of all people."""

    version = "made"

    def __init__(self, age: float) -> None:
        self._age = age

    def of(self, pixels: Pixels, box: Float32, body: Float32 | None = None) -> FaceAttributes:  # noqa: ARG002
        age = np.full(len(box), self._age, np.float32)
        return FaceAttributes(age, age * np.float32(0.01), age[:, None], ("age",))


def test_ages_found_later_become_suggestions_without_another_cluster_run(library: Library) -> None:
    assert questions(library) == []
    ((digest, face, *box),) = rows(
        library,
        f"""SELECT i.sha256, f.id, f.x1, f.y1, f.x2, f.y2 FROM face_detections f
            JOIN images i ON i.id = f.image_id WHERE f.id = {photo(library, "anna", 7)}""",
    )
    record = library.load()
    row = int(np.flatnonzero((record.faces.box == np.array(box, np.float32)).all(axis=1))[0])
    faces = record.faces.take(np.array([row])).with_image(np.zeros(1, np.int64))
    found = Looking(5).of(np.zeros((1, 1, 3), np.uint8), faces.box)
    bare = ImageRecord(digest, 100, 100, np.datetime64("NaT"), bytes(32), faces)
    library.store_findings([bare.with_finding(attributes_stage(Looking(5)).name, Finding("made", found))])
    assert [each.items[0].faces for each in questions(library)] == [[face]]
