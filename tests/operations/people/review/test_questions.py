"""Suggestions: their content, the effect of answers, and that no answered one comes back."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.fixtures.corrections import BY, apart, by_sql, call, hide, merge, move, pair, redo, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.heads import OUTPUTS, confusing_head, use
from tests.fixtures.library_people import (
    add_like,
    add_person,
    cluster,
    face_of,
    forget_prototypes,
    rows,
    who_is,
)

from facesets.clustering.people.questions import find_duplicate_people, similarity_to_rest
from facesets.errors import NotFound, WrongUsage
from facesets.operations.people.corrections import cluster_corrections as cluster_corrections
from facesets.operations.people.corrections import correcting
from facesets.operations.people.review import finding, people_suggestions
from facesets.operations.people.review.answering import answer, ask_again, skip
from facesets.operations.people.review.open_questions import WaitingCounts, open_questions, waiting
from facesets.operations.people.review.questions import Question, next_questions, refresh_questions
from facesets.operations.people.training.heads import deactivate
from facesets.records import Float32
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import vectors_of_faces
from facesets.training.evaluation import ProjectedThresholds
from facesets.training.head import project

pytestmark = pytest.mark.slow

LIMITS = ProjectedThresholds(0.9, 0.8, 0.99, 0.02, max_cosine_distance=0.4, middle=0.0, spread=0.1)


def fill(database: Database) -> None:
    library = Library(database)
    add_person(library, "anna", 6)
    add_person(library, "ben", 4)
    group(library)


template = template_by(fill)


def group(library: Library) -> None:
    """Make people in a way that leaves those apart that `auto` would find to be one."""
    cluster(library, method="components")


def add_annie(library: Library) -> None:
    """Add a person who may be Anna."""
    add_like(library, "annie", "anna", 0.52, 3)
    group(library)


def ask(library: Library, kind: str = "") -> list[Question]:
    """Return suggestions, the most useful first; the count is the number found."""
    refresh_questions(library)
    found = [each.kind for each in library.database.run(open_questions)]
    counted = replace(waiting(library.database), skipped=0)
    assert counted == WaitingCounts(len(found) - found.count("name"), found.count("name"))
    return [each for each in next_questions(library.database) if kind in ("", each.kind)]


def one(library: Library, kind: str) -> Question:
    """The only question of a kind."""
    (question,) = ask(library, kind)
    return question


def give_answer(library: Library, question: Question, verdict: Any, **more: Any) -> int:
    """Answer; returns the step."""
    step: int | None = answer(library.database, question.id, verdict, by=BY, **more).step
    assert step is not None
    return step


def test_people_without_a_name_are_asked_about_by_size_until_named_or_hidden(library: Library) -> None:
    assert [(each.text, each.settles) for each in ask(library)] == [
        (f"Who is {who_is(library, 'anna-0-0')[:8]} (6 faces)?", 6),
        (f"Who is {who_is(library, 'ben-0-0')[:8]} (4 faces)?", 4),
    ]
    first, second = ask(library)
    # A skipped suggestion gives way to the next.
    assert next_questions(library.database, 1, [first.id]) == [second]
    assert next_questions(library.database, 5, [first.id, second.id]) == []
    give_answer(library, first, "name", name="Anna")
    give_answer(library, second, "hide")
    assert ask(library) == []
    assert waiting(library.database) == WaitingCounts(0, 0)


def test_two_similar_people_become_a_suggestion_and_yes_merges_them(library: Library) -> None:
    add_annie(library)
    call(library, "anna-0-0", "Anna")
    question = one(library, "same")
    assert (question.name, question.settles, question.nameless) == ("Anna", 3, who_is(library, "annie-0-0"))
    # Who they are is not asked besides.
    assert [each.kind for each in ask(library)] == ["name", "same"]
    give_answer(library, question, "yes")
    assert who_is(library, "annie-0-0") == who_is(library, "anna-0-0")
    assert ask(library, "same") == []


def test_no_keeps_two_people_apart_for_good_and_undo_asks_again(library: Library) -> None:
    add_annie(library)
    question = one(library, "same")
    step = give_answer(library, question, "no")
    for _ in range(2):
        group(library)
        assert ask(library, "same") == []
    undo(library, step)
    assert one(library, "same").id == question.id
    redo(library)
    assert "same" not in {each.kind for each in next_questions(library.database)}
    with pytest.raises(WrongUsage, match=r"Suggestion not open: "):
        give_answer(library, question, "yes")
    # It outlives a reset of all people.
    by_sql(library, "UPDATE face_detections SET person_id = NULL; DELETE FROM persons")
    group(library)
    assert who_is(library, "annie-0-0") != who_is(library, "anna-0-0") != ""
    assert ask(library, "same") == []


def test_another_name_in_answer_confirms_that_two_people_are_different(library: Library) -> None:
    add_annie(library)
    call(library, "anna-0-0", "Anna")
    step = give_answer(library, one(library, "same"), "name", name="Annie")
    assert who_is(library, "annie-0-0") != who_is(library, "anna-0-0")
    group(library)
    assert ask(library, "same") == []
    undo(library, step)
    give_answer(library, one(library, "same"), "name", name="anna", into=True)
    assert who_is(library, "annie-0-0") == who_is(library, "anna-0-0")


def test_faces_near_a_person_are_suggested_together_and_answered_each(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    for label in ("carl", "dora", "emil"):
        add_like(library, label, "anna", 0.5, 1)
    group(library)
    question = one(library, "near")
    assert (question.text, question.settles) == ("Are these 3 faces Anna?", 3)
    faces = [item.faces[0] for item in question.items]
    step = give_answer(library, question, "yes", but=[2])
    given = dict(rows(library, "SELECT id, assigned_by FROM face_detections"))
    assert [given[face] for face in faces] == ["manual", None, "manual"]
    group(library)
    assert ask(library, "near") == []
    statuses = dict(rows(library, "SELECT face_id, status FROM face_candidates WHERE kind = 'near'"))
    assert statuses == dict(zip(faces, ("accepted", "rejected", "accepted"), strict=True))
    undo(library, step)
    assert sorted(one(library, "near").id) == sorted(question.id)


def test_a_face_far_from_its_person_is_asked_about_and_no_takes_it_away(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    add_like(library, "carl", "anna", 0.2, 1)
    add_like(library, "dora", "anna", 0.25, 1)
    carl, dora = face_of(library, "carl-0-0"), face_of(library, "dora-0-0")
    by_sql(
        library,
        f"""UPDATE face_detections SET person_id = '{anna}', assigned_by = 'auto'
            WHERE id IN ({carl}, {dora})""",
    )
    group(library)
    question = one(library, "far")
    assert [item.faces for item in question.items] == [[carl], [dora]]
    assert question.items[0].uncertainty > question.items[1].uncertainty > 0.5
    give_answer(library, question, "no", but=[2])
    assert (who_is(library, "carl-0-0"), who_is(library, "dora-0-0")) == ("", anna)
    group(library)
    assert ask(library, "far") == []
    assert who_is(library, "carl-0-0") == ""


def person_of_two(library: Library) -> str:
    """Make a person of two people by a merge without a correction."""
    group(library)
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    by_sql(library, f"UPDATE face_detections SET person_id = '{anna}' WHERE person_id = '{ben}'")
    group(library)
    return anna


def test_yes_splits_a_person_who_may_be_two_and_the_suggestion_never_returns(library: Library) -> None:
    anna = person_of_two(library)
    question = one(library, "split")
    assert question.text == f"Is {anna[:8]} two people? 4 faces of 10 may be another person."
    step = give_answer(library, question, "no")
    group(library)
    assert ask(library, "split") == []
    undo(library, step)
    give_answer(library, one(library, "split"), "yes")
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-5") == anna
    assert who_is(library, "ben-0-0") == who_is(library, "ben-0-3") != anna
    group(library)
    assert (ask(library, "split"), ask(library, "same")) == ([], [])


def test_a_face_moved_to_another_person_leaves_the_suggestion_of_two_people(library: Library) -> None:
    person_of_two(library)
    question = one(library, "split")
    middle, *others = [face for item in question.items for face in item.faces]
    correcting.move(library.database, [middle], "new", by=BY)
    give_answer(library, question, "no")
    ((one_face, other),) = rows(library, "SELECT face_a, face_b FROM face_pair_corrections WHERE same")
    owners = dict(rows(library, "SELECT id, person_id FROM face_detections"))
    assert owners[one_face] == owners[other] == owners[others[0]] != owners[middle]


@pytest.mark.parametrize("middle", ["evidence -> 'part' ->> 0", "evidence ->> 'rest'"])
def test_a_person_who_may_be_two_by_a_missing_face_is_not_suggested(library: Library, middle: str) -> None:
    person_of_two(library)
    question = one(library, "split")
    by_sql(
        library,
        f"""DELETE FROM images i USING face_detections f, person_candidates c
            WHERE i.id = f.image_id AND c.kind = 'split' AND f.id = (c.{middle})::bigint""",
    )
    for verdict in ("yes", "no"):
        with pytest.raises(NotFound, match="people review"):
            give_answer(library, question, verdict)
    assert question.id not in {each.id for each in next_questions(library.database, 50)}


def test_yes_gives_a_cluster_to_its_suggested_person(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    add_like(library, "annie", "anna", 0.52, 3)
    by_sql(
        library,
        """INSERT INTO clusters (id, model_id) SELECT 'unknown_cluster_1', model_id FROM detectors;
            UPDATE face_detections SET cluster = 'unknown_cluster_1' WHERE person_id IS NULL""",
    )
    # A change that makes looking again due.
    call(library, anna, "Anna")
    question = one(library, "cluster")
    assert question.text == "Is cluster unknown_cluster_1 Anna?"
    step = give_answer(library, question, "yes")
    assert who_is(library, "annie-0-2") == anna
    undo(library, step)
    give_answer(library, one(library, "cluster"), "no")
    assert ask(library, "cluster") == []


def test_with_a_head_in_use_questions_follow_its_projections(library: Library) -> None:
    add_person(library, "carl", 1)
    group(library)
    assert {each.kind for each in ask(library)} == {"name"}
    layers = confusing_head(["anna", "ben", "carl"])
    use(library, layers, LIMITS)
    same, near = one(library, "same"), one(library, "near")
    assert same.text.endswith("the same person?")
    assert same.items[0].cosine_similarity > 0.5
    assert near.items[0].faces == [face_of(library, "carl-0-0")]
    theirs = rows(library, f"SELECT id FROM face_detections WHERE person_id = '{near.person}'")
    carl, *others = project(layers, vectors_of(library, [near.items[0].faces[0], *(i for (i,) in theirs)]))
    mean = float(np.mean([carl @ each for each in others]))
    assert near.items[0].cosine_similarity == pytest.approx(mean, abs=0.001)
    deactivate(library.database)
    assert {each.kind for each in ask(library)} == {"name"}


def vectors_of(library: Library, faces: list[int]) -> Float32:
    """The vectors of faces, in this order."""
    (found,) = library.database.run(lambda connection: vectors_of_faces(connection, faces))
    return found.embedding[[found.face_id.tolist().index(face) for face in faces]]


def test_known_or_implied_corrections_are_not_asked(library: Library) -> None:
    add_annie(library)
    pair(library, "anna-0-0", "annie-0-0", same=False)
    for label, name in (("anna-0-0", "Anna"), ("annie-0-0", "Annie")):
        call(library, label, name)
        move(library, label, to=name)
    assert ask(library, "same") == []


def test_two_people_in_one_photo_are_not_asked_about(library: Library) -> None:
    add_annie(library)
    assert len(ask(library, "same")) == 1
    anna, annie = face_of(library, "anna-0-0"), face_of(library, "annie-0-0")
    by_sql(
        library,
        f"""UPDATE face_detections f SET x1 = f.x1 + 1, image_id = o.image_id
            FROM face_detections o WHERE o.id = {anna} AND f.id = {annie}""",
    )
    call(library, "ben-0-0", "Ben")
    assert ask(library, "same") == []


def test_a_verdict_that_does_not_fit_changes_nothing(library: Library) -> None:
    add_annie(library)
    same, name = one(library, "same"), ask(library, "name")[0]
    for question, verdict, more, sentence in (
        (same.id, "yes", {"but": [2]}, "no number 2"),
        (name.id, "yes", {}, "needs a name"),
        (name.id, "name", {"name": " "}, "Missing name"),
        ("same-1", "yes", {}, "Suggestion not open: same-1"),
        ("near-" + same.person.replace("-", "") + "-1.2", "yes", {}, "not open"),
    ):
        with pytest.raises(WrongUsage, match=sentence):
            answer(library.database, question, verdict, by=BY, **more)  # type: ignore[arg-type]
    assert one(library, "same").id == same.id


PENDING = """SELECT kind, person_id::text, other_id::text, cluster_id, faces, round(uncertainty::numeric, 4),
        round(cosine_similarity::numeric, 4)
    FROM person_candidates WHERE status = 'pending' ORDER BY 1, 2, 3, 4"""


def make_cluster(library: Library, person: str) -> list[int]:
    """Turn a person into an unnamed cluster, `clu_1`; return its faces."""
    by_sql(library, "INSERT INTO clusters (id, model_id) SELECT 'clu_1', min(id) FROM models")
    faces = rows(
        library,
        f"""UPDATE face_detections SET person_id = NULL, cluster = 'clu_1' WHERE person_id = '{person}'
            RETURNING id""",
    )
    return [face for (face,) in faces]


def test_a_search_of_changed_people_finds_the_same_as_a_search_of_all(library: Library) -> None:
    database = library.database
    for label, name, share, images in (
        ("annie", "anna", 0.52, 3),
        ("anka", "anna", 0.5, 4),
        ("bennet", "ben", 0.52, 3),
        ("benno", "ben", 0.5, 2),
    ):
        add_like(library, label, name, share, images)
    group(library)
    anna, annie, anka, ben, bennet = (
        who_is(library, f"{each}-0-0") for each in ("anna", "annie", "anka", "ben", "bennet")
    )
    loose, *_ = make_cluster(library, bennet)
    ask(library)

    def looked(*, of_steps: bool) -> list[tuple[Any, ...]]:
        refresh_questions(library, of_steps=of_steps)
        return rows(database, PENDING)

    def all_people() -> list[tuple[Any, ...]]:
        by_sql(library, "UPDATE question_runs SET step_id = -1")
        return looked(of_steps=False)

    before = all_people()
    assert {kind for kind, *_ in before} == {"same", "cluster"}
    changes: list[Callable[[], object]] = [
        lambda: merge(library, annie, into=anna),
        lambda: move(library, "anka-0-0", to="new"),
        lambda: apart(library, ben, "benno-0-0"),
        lambda: correcting.move(database, [loose], ben, by=BY),
        lambda: hide(library, anka),
        *([lambda: undo(library)] * 5),
    ]
    seen = []
    for change in changes:
        change()
        seen.append(looked(of_steps=True))
        assert seen[-1] == all_people()
    assert seen[-1] == before
    assert all(one != other for one, other in zip([before, *seen], seen, strict=False))


def test_people_without_prototypes_keep_their_suggestion(library: Library) -> None:
    add_annie(library)
    question = one(library, "same")
    forget_prototypes(library)
    move(library, "anna-0-0", to="nobody")
    refresh_questions(library, of_steps=True)
    assert [each.id for each in next_questions(library.database) if each.kind == "same"] == [question.id]


def test_undone_answers_are_suggested_again_by_a_search_of_changed_people(library: Library) -> None:
    database = library.database
    add_like(library, "annie", "anna", 0.52, 3)
    add_like(library, "bennet", "ben", 0.52, 3)
    group(library)
    make_cluster(library, who_is(library, "bennet-0-0"))
    for label, name in (("anna-0-0", "Anna"), ("annie-0-0", "Annie")):
        call(library, label, name)
        move(library, label, to=name)
    before = {each.id for each in ask(library)}
    anna, annie = str(face_of(library, "anna-0-0")), str(face_of(library, "annie-0-0"))
    for kind, settle in (
        ("same", lambda: correcting.different(database, anna, annie, faces=True, by=BY)),
        ("cluster", lambda: cluster_corrections.hide_cluster(database, "clu_1", by=BY)),
    ):
        assert len(ask(library, kind)) == 1
        settle()
        assert ask(library, kind) == []
        undo(library)
        refresh_questions(library, of_steps=True)
        # As another row, for another number.
        assert len([each for each in next_questions(database) if each.kind == kind]) == 1
    assert len(next_questions(database)) == len(before)


def test_questions_are_looked_for_by_a_head_that_comes_into_use_meanwhile(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []

    def meanwhile(*given: Any) -> Any:
        looks.append(given)
        if len(looks) == 1:
            use(library, confusing_head(["anna", "ben"]), LIMITS)
        return similarity_to_rest(*given)

    monkeypatch.setattr(finding, "similarity_to_rest", meanwhile)
    group(library)
    assert [len(vectors[0]) for vectors, *_ in looks] == [512, OUTPUTS]
    assert rows(library, "SELECT middle FROM question_runs") == [(pytest.approx(LIMITS.middle),)]


def test_answers_do_not_wait_for_a_search(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = ask(library)
    # Prototypes are remade for people who lost a face.
    move(library, "anna-0-0", to="nobody")
    is_looking, is_answered = threading.Event(), threading.Event()
    compare = find_duplicate_people

    def compare_slowly(*given: Any) -> Any:
        is_looking.set()
        assert is_answered.wait(20)
        return compare(*given)

    monkeypatch.setattr(f"{people_suggestions.__name__}.find_duplicate_people", compare_slowly)
    other = library.database.another(reconnect_within_s=1)
    searching = threading.Thread(target=refresh_questions, args=(Library(other),))
    searching.start()
    try:
        assert is_looking.wait(20)
        by_sql(library, "SET lock_timeout = '5s'")
        give_answer(library, second, "name", name="Ben")
    finally:
        is_answered.set()
        searching.join()
        other.close()
    monkeypatch.undo()
    assert second.id not in {each.id for each in ask(library)}


def test_a_skipped_question_returns_on_request_or_with_new_evidence(library: Library) -> None:
    add_annie(library)
    same, *names = sorted(ask(library), key=lambda each: each.kind == "name")
    assert (same.kind, len(names)) == ("same", 2)
    for question in (same, names[0]):
        skip(library.database, question.id)
        group(library)
        refresh_questions(library)
        assert question.id not in {each.id for each in ask(library)}
    assert waiting(library.database) == WaitingCounts(0, 1, 2)
    # Half as many faces again are other evidence.
    assert (names[0].of_person, same.settles) == (6, 3)
    add_person(library, "anna", 3, seed=1)
    group(library)
    assert names[0].id in {each.id for each in ask(library)}
    assert same.id not in {each.id for each in ask(library)}
    ask_again(library.database)
    assert {same.id, names[0].id} <= {each.id for each in ask(library)}
    assert waiting(library.database) == WaitingCounts(1, 2)
    give_answer(library, same, "yes")


def test_skipped_faces_stay_away_while_they_are_as_similar(library: Library) -> None:
    add_like(library, "carl", "anna", 0.45, 1)
    group(library)
    question = one(library, "near")
    skip(library.database, question.id)
    group(library)
    assert ask(library, "near") == []
    assert waiting(library.database).skipped == 1
    ask_again(library.database, question.id)
    assert one(library, "near").id == question.id
