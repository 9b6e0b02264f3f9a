"""`explain`: why a face was matched to a person."""

import json
import re
from pathlib import Path

import pytest
from tests.fixtures.corrections import by_sql, call, move
from tests.fixtures.filled_library import template_by
from tests.fixtures.heads import random_head, use
from tests.fixtures.library_people import add_like, add_person, cluster, face_of
from tests.fixtures.program import run

from facesets.errors import WrongUsage
from facesets.operations.options.people import AssignOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.review.explaining import Explanation, explain
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import vectors_of_faces
from facesets.training.evaluation import ProjectedThresholds
from facesets.training.head import project
from facesets.work import Work


def fill(database: Database) -> None:
    library = Library(database)
    add_person(library, "anna", 4)
    add_person(library, "ben", 3)
    cluster(library)
    for label, name in (("anna-0-0", "Anna"), ("ben-0-0", "Ben")):
        call(library, label, name)


template = template_by(fill)


def why(library: Library, label: str, who: str | None = None) -> Explanation:
    return explain(library.database, face_of(library, label), who)


def test_an_assigned_face_is_explained_by_other_faces_of_the_person_and_the_runner_up(
    library: Library,
) -> None:
    face = face_of(library, "anna-0-3")
    found = explain(library.database, face)
    assert (found.name, found.photo) == ("Anna", "/anna-0-3.jpg")
    assert found.step
    assert found.about
    assert found.runner_up
    others = {face_of(library, f"anna-0-{i}") for i in range(3)}
    assert {number for number, _ in found.about.nearest} == others
    assert found.about.cosine_similarity > 0.99
    assert (found.runner_up.name, found.runner_up.cosine_similarity < 0.2) == ("Ben", True)
    assert found.turning_point == 0.372


def test_an_unassigned_face_is_explained_by_the_most_similar_person_and_what_it_lacks(
    library: Library,
) -> None:
    add_like(library, "carl", "anna", 0.3, 1)
    found = why(library, "carl-0-0")
    assert (found.person, found.step) == ("", None)
    assert found.about
    assert found.about.name == "Anna"
    assert found.about.cosine_similarity == pytest.approx(0.3, abs=0.01)
    assert found.verdict == "`assign` does not give it to Anna: similarity 0.30, at least 0.37 needed."
    assign(library, AssignOptions(threshold=0.45), work=Work())
    verdict = why(library, "carl-0-0").verdict
    assert verdict == "`assign` does not give it to Anna: similarity 0.30, at least 0.45 needed."
    assert why(library, "carl-0-0", "Ben").about.name == "Ben"  # type: ignore[union-attr]
    # If it were too small, that would be reported.
    by_sql(library, f"UPDATE face_detections SET face_short = 20 WHERE id = {found.face}")
    assert "too low for `cluster` to make a new person of it (its pixels)" in why(library, "carl-0-0").verdict


def test_a_rival_raises_what_is_needed(library: Library) -> None:
    add_like(library, "carl", "anna", 0.7, 1)
    move(library, "carl-0-0", to="new")
    assert why(library, "carl-0-0", "Ben").turning_point == pytest.approx(0.75, abs=0.01)


def test_corrections_bind_at_any_similarity(library: Library) -> None:
    move(library, "anna-0-1", to="Ben")
    found = why(library, "anna-0-1")
    assert (found.name, found.assigned_by) == ("Ben", "manual")
    assert f"face {found.face} is Ben" in found.corrections
    assert found.step
    assert found.step.what == "1 face moved to Ben"
    assert found.verdict == "You confirmed it; no similarity changes that."
    move(library, "anna-0-2", to="nobody")
    verdict = why(library, "anna-0-2").verdict
    assert verdict == "You denied that this is Anna; no command assigns it to them."


def test_with_a_head_in_use_similarities_and_thresholds_are_those_of_the_head(
    library: Library, library_url: str
) -> None:
    layers = random_head()
    add_like(library, "carl", "anna", 0.5, 1)
    face, other = face_of(library, "carl-0-0"), face_of(library, "anna-0-1")
    before = explain(library.database, face, "Anna")

    use(library, layers, ProjectedThresholds(0.93, 0.9, 0.95, 0.02, 0.1, 0.0, 0.1))
    (vectors,) = library.database.run(lambda connection: vectors_of_faces(connection, [face, other]))
    projected = project(layers, vectors.embedding)
    of_face, of_other = (projected[vectors.face_id.tolist().index(each)] for each in (face, other))
    found = explain(library.database, face, "Anna")
    assert (before.head, found.head) == ("", "lda-1")
    assert (found.thresholds["assign"], found.thresholds["margin"]) == (0.93, 0.02)
    assert found.thresholds["link"] == pytest.approx(1 - 0.1)
    assert found.about
    assert before.about
    assert dict(found.about.nearest)[other] == pytest.approx(float(of_face @ of_other), abs=1e-3)
    assert found.about.cosine_similarity != pytest.approx(before.about.cosine_similarity, abs=0.01)
    assert "head              lda-1" in run("explain", face, "--database", library_url).out


def test_the_command_prints_the_same_as_lines_and_as_json(library: Library, library_url: str) -> None:
    face = face_of(library, "anna-0-3")
    shown = run("explain", face, "--database", library_url)
    assert shown.status == 0, shown.err
    assert f"face              {face} in /anna-0-3.jpg" in shown.out
    assert "best other person Ben" in shown.out
    assert re.search(r"^person            Anna \(\w{8}\), assigned automatically ", shown.out, re.MULTILINE)
    assert re.search(r"assigned from 0\.\d\d, lead over the next person 0\.05, suggested from", shown.out)
    reported = json.loads(run("explain", face, "Ben", "--json", "--database", library_url).out)
    notices = (reported["name"], reported["about"]["name"], reported["runner_up"]["name"])
    assert notices == ("Anna", "Ben", "Anna")
    assert run("explain", 99999, "--database", library_url).status == 2
    # All faces on a photo are explained by its path.
    where = ("/anna-0-3.jpg", "--database", library_url)
    of_photo = run("explain", *where)
    assert (of_photo.status, of_photo.out) == (0, shown.out)
    (reported,) = json.loads(run("explain", "--json", *where).out)["faces"]
    assert reported["face"] == face
    assert "asked about       Ben" in run("explain", where[0], "Ben", *where[1:]).out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/nowhere.jpg", "/nowhere.jpg is not in the library"),
        ("Anna", "Anna is neither a face number nor a photo. To list face numbers, run"),
        ("12345678", "A number always means a face. Give a photo by its path."),
        ("12345679", "For the photo, run `facesets explain ./12345679.jpg`."),
        ("/etc/passwd", "is neither a face number nor a photo"),
    ],
)
def test_an_invalid_face_gets_advice_how_to_find_a_number(
    library_url: str, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "12345679.jpg").touch()
    refused = run("explain", text, "--database", library_url, cwd=tmp_path)
    assert (refused.status, sentence in refused.err) == (2, True)


def test_a_face_that_does_not_exist_is_refused(library: Library) -> None:
    for number in (0, 10**30, 99999):
        with pytest.raises(WrongUsage, match="Face not found"):
            explain(library.database, number)
