"""What is kept of everybody's faces for as long as nobody changes anything follows whatever changes."""

from collections.abc import Callable

import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_like, face_of, rows, who_is

from facesets.operations.people.corrections import history, naming
from facesets.operations.people.corrections.labeling import hide_cluster, label_cluster
from facesets.operations.people.lists.current_groups import CurrentGroups
from facesets.operations.people.lists.current_totals import Kept, count_totals, make_all_prototypes
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.changes import current_state
from facesets.store.postgres.people.face_groups import group_sizes

BY = "anna@home"
template = template_by(grouped(anna=6, ben=4, cleo=3))


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


@pytest.mark.parametrize("change", CHANGES)
def test_totals_and_prototypes_that_are_kept_follow_every_change(
    library: Library, change: Callable[[Library], None]
) -> None:
    kept = [Kept(count_totals), Kept(make_all_prototypes)]
    for each in kept:
        each.refresh(library.database)
    change(library)
    for each in kept:
        each.refresh(library.database)
    counted = rows(
        library.database,
        """SELECT person_id, count(*) FROM face_detections WHERE person_id IS NOT NULL
            GROUP BY 1 ORDER BY 1""",
    )
    for table in ("person_totals", "prototype_sources"):
        assert rows(library.database, f"SELECT person_id, faces FROM {table} ORDER BY 1") == counted


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
