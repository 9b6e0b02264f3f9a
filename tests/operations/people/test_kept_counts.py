"""Data computed from the faces of all people follows every change."""

from collections.abc import Callable
from operator import attrgetter
from uuid import UUID

import pytest
from tests.fixtures.corrections import BY, by_sql, call, move, undo
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_like, face_of, rows, who_is

from facesets.operations.people.corrections.cluster_corrections import hide_cluster, label_cluster
from facesets.operations.people.lists.listing import people, person
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.face_groups import groups_page
from facesets.store.postgres.people.people_list import refresh_totals
from facesets.store.postgres.people.people_state import current_state
from facesets.store.postgres.people.persons import take_faces
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import making_step

template = template_by(grouped(anna=6, ben=4, cleo=3))


def label(library: Library) -> None:
    label_cluster(library.database, f"person_{who_is(library, 'ben-0-0')}", "Ben", into=False, by=BY)


def label_and_undo(library: Library) -> None:
    label(library)
    undo(library)


def hide(library: Library) -> None:
    hide_cluster(library.database, f"person_{who_is(library, 'anna-0-0')}", by=BY)


def sql(statement: str) -> Callable[[Library], None]:
    """A change that makes no step."""
    return lambda library: by_sql(library, statement.format(face=face_of(library, "anna-0-0")))


def refresh(library: Library) -> None:
    """Bring the computed data up to date."""
    library.database.run(refresh_totals)
    library.database.run(
        lambda connection: refresh_prototypes(connection, library.require_detector(connection))
    )


WITHOUT_PROTOTYPES = sql("TRUNCATE person_prototypes, prototype_sources")
CHANGES = [
    label,
    label_and_undo,
    hide,
    lambda library: add_like(library, "annika", "anna", 0.5, 3),
    sql("DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})"),
    sql("UPDATE face_detections SET person_id = NULL, cluster = 'unknown_cluster_7' WHERE id = {face}"),
    sql("UPDATE face_detections SET person_id = NULL, cluster = NULL"),
    sql("UPDATE face_detections SET person_id = (SELECT person_id FROM face_detections WHERE id = {face})"),
    sql("UPDATE images SET taken = timestamp '2001-02-03 04:05:06' + id * interval '1 day'"),
    sql("DELETE FROM persons"),
    sql("DELETE FROM person_totals"),
    WITHOUT_PROTOTYPES,
]


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_groups_are_those_of_the_faces_as_they_are(
    library: Library, change: Callable[[Library], None], labeled: bool
) -> None:
    def listed() -> list[tuple[str, int]]:
        found = library.database.run(groups_page, limit=100, labeled=labeled)
        assert (found.total, found.after) == (len(found.groups), None)
        return [(each.id, each.faces) for each in found.groups]

    for do in (lambda _: None, change):
        do(library)
        counted = rows(
            library,
            f"""SELECT coalesce('person_' || p.id, f.cluster), count(*) FROM face_detections f
                LEFT JOIN persons p ON p.id = f.person_id LEFT JOIN clusters k ON k.id = f.cluster
                LEFT JOIN person_names n ON n.person_id = p.id
            WHERE CASE WHEN p.id IS NULL THEN f.cluster IS NOT NULL AND k.hidden IS NOT TRUE AND NOT EXISTS (
                    SELECT FROM persons o WHERE f.cluster = 'person_' || o.id)
                ELSE p.status = 'active' AND ({labeled} OR n.id IS NULL) END
            GROUP BY 1 ORDER BY 2 DESC, 1""",
        )
        assert listed() == counted


def test_groups_are_paged_without_gaps(library: Library) -> None:
    every = library.database.run(groups_page, limit=100)
    assert [each.faces for each in every.groups] == [6, 4, 3]
    seen: list[str] = []
    after = None
    for number in range(3):
        found = library.database.run(groups_page, limit=1, after=after)
        by_offset = library.database.run(groups_page, limit=1, offset=number)
        assert (found.groups, found.total) == (by_offset.groups, 3)
        seen += [each.id for each in found.groups]
        after = found.after
    assert (seen, after) == ([each.id for each in every.groups], None)
    beyond = library.database.run(groups_page, limit=1, offset=3)
    assert (beyond.groups, beyond.total) == ([], 3)


@pytest.mark.parametrize("change", CHANGES)
def test_stored_lists_totals_and_prototypes_follow_every_change(
    library: Library, change: Callable[[Library], None]
) -> None:
    refresh(library)
    change(library)
    counted = rows(
        library,
        """SELECT p.id, count(f.id), count(DISTINCT f.image_id), coalesce(min(i.taken)::date::text, ''),
                coalesce(max(i.taken)::date::text, '')
            FROM persons p LEFT JOIN face_detections f ON f.person_id = p.id
            LEFT JOIN images i ON i.id = f.image_id GROUP BY 1 ORDER BY 1""",
    )
    lines = sorted(people(library.database, status="all", unnamed=False, sort="faces"), key=attrgetter("id"))
    assert [(UUID(line.id), line.faces, line.photos, line.first, line.last) for line in lines] == counted
    expected = 0 if change is WITHOUT_PROTOTYPES else 4
    assert all(line.prototypes == (expected if line.faces else 0) for line in lines)
    for line in lines:
        assert change is WITHOUT_PROTOTYPES or person(library.database, line.id, faces=0).person == line
    refresh(library)
    stored = [(person, faces) for person, faces, *_ in counted if faces]
    for table in ("person_totals", "prototype_sources"):
        assert rows(library, f"SELECT person_id, faces FROM {table} ORDER BY 1") == stored


def test_a_new_process_counts_only_people_changed_since_the_last_count(library: Library) -> None:
    refresh(library)
    # Only a process that checks all people finds this.
    by_sql(library, "UPDATE person_totals SET photos = 99")
    call(library, "anna-0-0", "Anna")
    undo(library)
    move(library, "anna-0-1", to="nobody")
    refresh(library)
    assert rows(library, "SELECT photos FROM person_totals ORDER BY photos") == [(5,), (99,), (99,)]
    counted = rows(library, "SELECT faces FROM prototype_sources ORDER BY faces")
    assert counted == [(3,), (4,), (5,)]


def test_within_a_step_all_people_are_checked_and_nothing_is_noted(library: Library) -> None:
    refresh(library)
    noted = rows(library, "SELECT * FROM computed_states")

    def work(connection: Connection) -> int:
        with making_step(connection, "move", BY, "a face") as step:
            take_faces(step, [face_of(library, "anna-0-1")])
            detector = usual_detector(connection)
            assert detector is not None
            return refresh_prototypes(connection, detector)

    assert library.database.run(work) == 1
    assert rows(library, "SELECT * FROM computed_states") == noted


def test_steps_are_distinguished_from_changes_without_one(library: Library) -> None:
    first = library.database.run(current_state)
    call(library, "anna-0-0", "Anna")
    named = library.database.run(current_state)
    assert (named.step > first.step, named.others) == (True, first.others)
    sql("DELETE FROM face_detections WHERE id = {face}")(library)
    gone = library.database.run(current_state)
    assert (gone.step, gone.others > named.others) == (named.step, True)
