"""Somebody who is several people: parts are proposed, and made when that is said."""

from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_face, add_person, cluster, face_of, heart_of, rows, who_is

from facesets.operations.options.people import SplitOptions
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.corrections.splitting import apply_split, draw_split, propose_split
from facesets.operations.people.lists.listing import people, person
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "anna@home"


def fill(database: Database) -> None:
    """Anna and Ben, who were merged by mistake."""
    library = Library(database)
    for name, images in (("anna", 8), ("ben", 6), ("cleo", 4)):
        add_person(library, name, images)
    cluster(library)
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    correcting.merge(library.database, [who_is(library, "ben-0-0")], "Anna", drop_names=False, by=BY)
    forget_what_merging_said(library)


template = template_by(fill)


def forget_what_merging_said(library: Library) -> None:
    """A merge says of three faces of each that they are the person; here a run erred, not a human."""
    faces = ", ".join(str(face_of(library, f"ben-0-{i}")) for i in range(6))

    def work(connection: Connection) -> None:
        connection.execute(f"DELETE FROM said_faces WHERE face_id IN ({faces})".encode())

    library.database.run(work)


def sizes(library: Library, who: str, options: SplitOptions) -> list[int]:
    return [len(part.faces) for part in propose_split(library.database, who, options).parts]


def test_two_people_in_one_are_told_apart_and_nothing_is_changed(library: Library) -> None:
    before = rows(library.database, "SELECT id, person_id FROM face_detections ORDER BY 1")
    found = propose_split(library.database, "Anna", SplitOptions())
    assert [(len(part.faces), part.stays) for part in found.parts] == [(8, True), (6, False)]
    assert set(found.parts[1].faces) == {face_of(library, f"ben-0-{i}") for i in range(6)}
    assert found.parts[0].distances[1] == pytest.approx(1, abs=0.2)
    assert rows(library.database, "SELECT id, person_id FROM face_detections ORDER BY 1") == before


def test_one_person_holds_together_unless_a_number_of_parts_is_asked_for(library: Library) -> None:
    cleo = who_is(library, "cleo-0-0")
    assert sizes(library, cleo, SplitOptions()) == [4]
    assert sum(sizes(library, cleo, SplitOptions(parts=2, min_size=1))) == 4
    assert len(sizes(library, cleo, SplitOptions(parts=2, min_size=1))) == 2


def test_a_part_that_is_too_small_joins_what_it_resembles_most(library: Library) -> None:
    odd = heart_of("anna") + 1.2 * np.random.default_rng(1).standard_normal(512)
    add_face(library, "odd", odd)
    anna = who_is(library, "anna-0-0")
    face = face_of(library, "odd")
    correcting.move(library.database, [face], "Anna", by=BY)
    history.undo(library.database, by=BY)

    def give(connection: Connection) -> None:
        connection.execute("UPDATE face_detections SET person_id = %s WHERE id = %s", (anna, face))

    library.database.run(give)
    found = propose_split(library.database, "Anna", SplitOptions())
    assert sorted(len(part.faces) for part in found.parts) == [6, 9]
    assert face in next(part for part in found.parts if part.stays).faces


def test_applied_it_is_one_step_that_keeps_the_two_apart_for_good(library: Library) -> None:
    before = (
        rows(library.database, "SELECT id, person_id, assigned_by FROM face_detections ORDER BY 1"),
        rows(library.database, "SELECT * FROM said_faces ORDER BY 1, 2"),
        rows(library.database, "SELECT * FROM persons ORDER BY 1"),
    )
    summary = apply_split(library.database, "Anna", SplitOptions(), by=BY)
    ben = who_is(library, "ben-0-0")
    assert (person(library.database, "Anna", faces=0).person.faces, len(summary.parts)) == (8, 2)
    assert ben[:8] == summary.parts[1].name
    assert rows(library.database, "SELECT count(*) FROM said_of_people") == [(1,)]
    cluster(library)
    assert who_is(library, "ben-0-3") == ben
    history.undo(library.database, summary.step, by=BY)
    after = (
        rows(library.database, "SELECT id, person_id, assigned_by FROM face_detections ORDER BY 1"),
        rows(library.database, "SELECT * FROM said_faces ORDER BY 1, 2"),
        rows(library.database, "SELECT * FROM persons ORDER BY 1"),
    )
    assert after == before


def test_what_was_said_is_honoured(library: Library) -> None:
    """Faces that were said to be Anna stay with her, with those that are said to be the same as they."""
    correcting.same(
        library.database,
        str(face_of(library, "anna-0-0")),
        str(face_of(library, "ben-0-0")),
        faces=True,
        by=BY,
    )
    said = rows(library.database, "SELECT face_id FROM said_faces WHERE is_person")
    found = propose_split(library.database, "Anna", SplitOptions(parts=2, min_size=1))
    staying = set(next(part for part in found.parts if part.stays).faces)
    assert {face for (face,) in said} <= staying
    together = {face_of(library, "anna-0-0"), face_of(library, "ben-0-0")}
    assert any(together <= set(part.faces) for part in found.parts)


def test_a_cluster_is_split_into_clusters(library: Library) -> None:
    def ungroup(connection: Connection) -> None:
        connection.execute("UPDATE face_detections SET person_id = NULL, cluster = 'clu_1'")

    library.database.run(ungroup)
    summary = apply_split(library.database, "clu_1", SplitOptions(), by=BY)
    clusters = rows(
        library.database, "SELECT cluster, count(*) FROM face_detections GROUP BY 1 ORDER BY 2 DESC"
    )
    assert [size for _, size in clusters] == [8, 6, 4]
    assert clusters[0][0] == "clu_1"
    assert all(
        len(name) == len("clu_1_sub_") + 6 and name.startswith("clu_1_sub_") for name, _ in clusters[1:]
    )
    history.undo(library.database, summary.step, by=BY)
    assert rows(library.database, "SELECT DISTINCT cluster FROM face_detections") == [("clu_1",)]


def test_the_parts_are_drawn(library: Library, tmp_path: Path) -> None:
    found = propose_split(library.database, "Anna", SplitOptions())
    draw_split(library.database, found, tmp_path / "parts.png", work=Work())
    assert (tmp_path / "parts.png").read_bytes().startswith(b"\x89PNG")
    assert len(people(library.database, status="active", unnamed=False, sort="new")) == 2
