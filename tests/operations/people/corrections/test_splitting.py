"""A person who is several people: parts are proposed, and made on request."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.corrections import BY, by_sql, call, merge, pair, state, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_face, add_person, cluster, face_of, heart_of, rows, who_is

from facesets.operations.options.people import SplitOptions
from facesets.operations.people.corrections.splitting import apply_split, draw_split, propose_split
from facesets.operations.people.lists.listing import person
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work


def fill(database: Database) -> None:
    """Anna and Ben, who were merged by mistake."""
    library = Library(database)
    for name, images in (("anna", 8), ("ben", 6), ("cleo", 4)):
        add_person(library, name, images)
    cluster(library)
    call(library, "anna-0-0", "Anna")
    merge(library, "ben-0-0", into="Anna")
    # A merge confirms three faces of each for the person; here a run erred, not a user.
    by_sql(
        library,
        """DELETE FROM face_corrections s USING face_detections f, image_paths p
            WHERE s.face_id = f.id AND p.image_id = f.image_id AND p.path LIKE '/ben-%'""",
    )


template = template_by(fill)


def test_two_people_in_one_are_separated_and_drawn(library: Library, tmp_path: Path) -> None:
    before = state(library)
    found = propose_split(library.database, "Anna", SplitOptions())
    assert [(len(part.faces), part.stays) for part in found.parts] == [(8, True), (6, False)]
    assert set(found.parts[1].faces) == {face_of(library, f"ben-0-{i}") for i in range(6)}
    assert found.parts[0].distances[1] == pytest.approx(1, abs=0.2)
    draw_split(library.database, found, tmp_path / "parts.png", work=Work())
    assert (tmp_path / "parts.png").read_bytes().startswith(b"\x89PNG")
    assert state(library) == before


def test_one_person_is_not_split_unless_a_number_of_parts_is_requested(library: Library) -> None:
    def sizes(options: SplitOptions) -> list[int]:
        found = propose_split(library.database, who_is(library, "cleo-0-0"), options)
        return [len(part.faces) for part in found.parts]

    assert sizes(SplitOptions()) == [4]
    two = sizes(SplitOptions(parts=2, min_size=1))
    assert (len(two), sum(two)) == (2, 4)


def test_a_part_that_is_too_small_joins_what_it_resembles_most(library: Library) -> None:
    odd = heart_of("anna") + 1.2 * np.random.default_rng(1).standard_normal(512)
    add_face(library, "odd", odd)
    anna, face = who_is(library, "anna-0-0"), face_of(library, "odd")
    by_sql(library, f"UPDATE face_detections SET person_id = '{anna}' WHERE id = {face}")
    found = propose_split(library.database, "Anna", SplitOptions())
    assert sorted(len(part.faces) for part in found.parts) == [6, 9]
    assert face in next(part for part in found.parts if part.stays).faces


def test_applied_it_is_one_step_that_keeps_the_two_apart_for_good(library: Library) -> None:
    before = state(library)
    summary = apply_split(library.database, "Anna", SplitOptions(), by=BY)
    ben = who_is(library, "ben-0-0")
    assert (person(library.database, "Anna", faces=0).person.faces, len(summary.parts)) == (8, 2)
    assert ben[:8] == summary.parts[1].name
    assert rows(library, "SELECT count(*) FROM person_pair_corrections") == [(1,)]
    cluster(library)
    assert who_is(library, "ben-0-3") == ben
    undo(library, summary.step)
    assert state(library) == before


def test_corrections_are_followed(library: Library) -> None:
    """Faces confirmed as Anna stay with her, with those confirmed as the same person."""
    pair(library, "anna-0-0", "ben-0-0", same=True)
    reported = rows(library, "SELECT face_id FROM face_corrections WHERE is_person")
    found = propose_split(library.database, "Anna", SplitOptions(parts=2, min_size=1))
    staying = set(next(part for part in found.parts if part.stays).faces)
    assert {face for (face,) in reported} <= staying
    together = {face_of(library, "anna-0-0"), face_of(library, "ben-0-0")}
    assert any(together <= set(part.faces) for part in found.parts)


def test_a_cluster_is_split_into_clusters(library: Library) -> None:
    by_sql(library, "UPDATE face_detections SET person_id = NULL, cluster = 'clu_1'")
    summary = apply_split(library.database, "clu_1", SplitOptions(), by=BY)
    clusters = rows(library, "SELECT cluster, count(*) FROM face_detections GROUP BY 1 ORDER BY 2 DESC")
    assert [size for _, size in clusters] == [8, 6, 4]
    assert clusters[0][0] == "clu_1"
    assert all(re.fullmatch(r"clu_1_sub_\w{6}", name) for name, _ in clusters[1:])
    undo(library, summary.step)
    assert rows(library, "SELECT DISTINCT cluster FROM face_detections") == [("clu_1",)]
