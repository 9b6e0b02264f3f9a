"""What is kept of everybody's faces for as long as nobody changes anything follows whatever changes."""

from collections.abc import Callable

import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_like, cluster, face_of, rows, who_is

from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.corrections.labeling import hide_cluster, label_cluster
from facesets.operations.people.lists import current_totals
from facesets.operations.people.lists.current_groups import CurrentGroups
from facesets.operations.people.lists.current_totals import Kept, count_totals, make_all_prototypes
from facesets.operations.people.review.answering import Verdict, answer
from facesets.operations.people.review.questions import next_questions, refresh_questions
from facesets.operations.people.review.waiting import CurrentWaiting, waiting
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.changes import current_state
from facesets.store.postgres.people.face_groups import group_sizes
from facesets.store.postgres.people.person_edits import take_faces
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import making_step

BY = "anna@home"
template = template_by(grouped(anna=6, ben=4, cleo=3))


@pytest.fixture(autouse=True)
def counting_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: what takes long is not counted again each time."""
    monkeypatch.setattr(current_totals, "_QUICK_S", float("inf"))


def label(library: Library) -> None:
    person = f"person_{_uuid(library, 'ben-0-0')}"
    label_cluster(library.database, person, "Ben", into=False, by=BY)


def label_and_undo(library: Library) -> None:
    label(library)
    history.undo(library.database, None, by=BY)


def hide(library: Library) -> None:
    hide_cluster(library.database, f"person_{_uuid(library, 'anna-0-0')}", by=BY)


def sql(statement: str) -> Callable[[Library], None]:
    """A change that makes no step."""

    def do(library: Library) -> None:
        text = statement.format(face=face_of(library, "anna-0-0"))
        library.database.run(lambda connection: connection.execute(text.encode()))

    return do


def _uuid(library: Library, photo: str) -> str:
    [(person,)] = rows(
        library.database,
        f"SELECT person_id::text FROM face_detections WHERE id = {face_of(library, photo)}",
    )
    return str(person)


CHANGES = [
    label,
    label_and_undo,
    hide,
    lambda library: add_like(library, "annika", "anna", 0.5, 3),
    sql("DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})"),
    sql("UPDATE face_detections SET person_id = NULL, cluster = 'unknown_cluster_7' WHERE id = {face}"),
    sql("UPDATE face_detections SET person_id = NULL, cluster = NULL"),
    sql("DELETE FROM persons"),
    sql("DELETE FROM person_totals"),
    sql("TRUNCATE person_prototypes, prototype_sources"),
]


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_groups_that_are_kept_are_those_that_would_be_counted(
    library: Library, change: Callable[[Library], None], labeled: bool
) -> None:
    kept = CurrentGroups()
    before = kept.sizes(library.database, labeled=labeled)
    assert kept.sizes(library.database, labeled=labeled) is before
    change(library)
    counted = library.database.run(lambda connection: group_sizes(connection, labeled=labeled))
    assert kept.sizes(library.database, labeled=labeled) == counted


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_totals_and_prototypes_that_are_kept_follow_every_change(
    library: Library, change: Callable[[Library], None], restarted: bool
) -> None:
    kept = [Kept(count_totals), Kept(make_all_prototypes)]
    for each in kept:
        each.refresh(library.database)
    change(library)
    for each in [Kept(count_totals), Kept(make_all_prototypes)] if restarted else kept:
        each.refresh(library.database)
    counted = rows(
        library.database,
        """SELECT person_id, count(*) FROM face_detections WHERE person_id IS NOT NULL
            GROUP BY 1 ORDER BY 1""",
    )
    for table in ("person_totals", "prototype_sources"):
        assert rows(library.database, f"SELECT person_id, faces FROM {table} ORDER BY 1") == counted


def test_who_starts_counts_only_whom_steps_changed_since_everybody_was_counted(library: Library) -> None:
    Kept(count_totals).refresh(library.database)
    library.database.run(lambda connection: make_all_prototypes(connection, None))
    # Nobody but a program that looks at everybody finds this.
    library.database.run(lambda connection: connection.execute("UPDATE person_totals SET photos = 99"))
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    history.undo(library.database, None, by=BY)
    correcting.move(library.database, [face_of(library, "anna-0-1")], "nobody", by=BY)
    Kept(count_totals).refresh(library.database)
    library.database.run(lambda connection: make_all_prototypes(connection, None))
    assert rows(library.database, "SELECT photos FROM person_totals ORDER BY photos") == [(5,), (99,), (99,)]
    counted = rows(library.database, "SELECT faces FROM prototype_sources ORDER BY faces")
    assert counted == [(3,), (4,), (5,)]


def test_within_a_step_everybody_is_looked_at_and_nothing_is_noted(library: Library) -> None:
    library.database.run(lambda connection: make_all_prototypes(connection, None))
    noted = rows(library.database, "SELECT * FROM kept_states")

    def work(connection: Connection) -> int:
        with making_step(connection, "move", BY, "a face") as step:
            take_faces(step, [face_of(library, "anna-0-1")])
            detector = usual_detector(connection)
            assert detector is not None
            return refresh_prototypes(connection, detector)

    assert library.database.run(work) == 1
    assert rows(library.database, "SELECT * FROM kept_states") == noted


def answer_first(library: Library, verdict: Verdict, *, undone: bool = False) -> None:
    question = next(each for each in next_questions(library.database) if each.kind != "name")
    answer(library.database, question.id, verdict, by=BY)
    if undone:
        history.undo(library.database, None, by=BY)


QUESTIONED: list[Callable[[Library], None]] = [
    label,
    label_and_undo,
    hide,
    lambda library: answer_first(library, "yes"),
    lambda library: answer_first(library, "no"),
    lambda library: answer_first(library, "no", undone=True),
    sql("DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})"),
    sql("UPDATE face_candidates SET status = 'rejected'"),
    sql("DELETE FROM person_candidates"),
    sql("INSERT INTO said_of_people SELECT min(id::text)::uuid, max(id::text)::uuid FROM persons"),
    sql("DELETE FROM prototype_sources"),
    sql("DELETE FROM persons"),
]


@pytest.mark.parametrize("change", QUESTIONED)
def test_how_many_questions_wait_is_kept_as_it_would_be_counted(
    library: Library, change: Callable[[Library], None]
) -> None:
    add_like(library, "annika", "anna", 0.52, 3)
    cluster(library, method="components")
    refresh_questions(library)
    kept = CurrentWaiting()
    before = kept.count(library.database)
    assert before.questions
    assert kept.count(library.database) is before
    change(library)
    assert kept.count(library.database) == waiting(library.database)


def test_steps_are_told_apart_from_what_makes_none(library: Library) -> None:
    first = library.database.run(current_state)
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    named = library.database.run(current_state)
    assert (named.step > first.step, named.others) == (True, first.others)
    sql("DELETE FROM face_detections WHERE id = {face}")(library)
    gone = library.database.run(current_state)
    assert (gone.step, gone.others > named.others) == (named.step, True)


def test_a_change_that_is_not_kept_counts_for_nobody(library: Library) -> None:
    kept = CurrentGroups()
    before = kept.sizes(library.database)
    with pytest.raises(KeyError):
        library.database.run(_delete_and_fail)
    assert kept.sizes(library.database) is before


def _delete_and_fail(connection: Connection) -> None:
    connection.execute("DELETE FROM face_detections")
    raise KeyError
