"""Names and faces leave only on request, and descriptions of a person are erased with them."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.described import (
    anthropic,
    as_text,
    forget_all,
    made_photos,
    run_check,
    run_describe,
    statuses,
    take_in,
)
from tests.fixtures.library_people import cluster, rows
from tests.fixtures.llm_server import an_answer

from facesets.imaging.encode import blurred
from facesets.operations.people.corrections import naming
from facesets.operations.people.forgetting.forget import forget
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.descriptions import of_image
from facesets.work import Work

BY = "ben@home"


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    """A photo with two people."""
    found = Library(database)
    (path,) = made_photos(tmp_path / "photos", 1, (400, 300))
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[60:100:2, 60:100] = 255
    Image.fromarray(pixels).save(path, quality=95)
    take_in(found, [path], boxes=[[50, 50, 110, 110], [250, 50, 310, 110]])
    cluster(found, min_size=1)
    for place, name in enumerate(("Zoe", "Adam")):
        ((who,),) = rows(
            database, f"SELECT person_id FROM face_detections ORDER BY x1 OFFSET {place} LIMIT 1"
        )
        naming.name(database, str(who), name, into=False, face=False, by=BY)
    return found


def test_names_leave_only_on_request_and_never_of_hidden_people(
    library: Library, llm: AnthropicServer
) -> None:
    run_describe(library, anthropic(llm.url), no_batch=True)
    assert "Zoe" not in as_text(llm.bodies)
    assert "Adam" not in as_text(llm.bodies)
    forget_all(library.database)
    run_describe(library, anthropic(llm.url), no_batch=True, send_names=True)
    assert "People known by name, from left to right: Zoe, Adam." in llm.paid[-1].text
    forget_all(library.database)
    rows(
        library.database,
        """UPDATE persons SET status = 'hidden'
            WHERE id IN (SELECT person_id FROM person_names WHERE name = 'Zoe') RETURNING 1""",
    )
    run_describe(library, anthropic(llm.url), no_batch=True, send_names=True)
    assert "left to right: Adam." in llm.paid[-1].text


def contrast(jpeg: bytes) -> float:
    """Of the part with a face."""
    return float(np.asarray(Image.open(BytesIO(jpeg)).convert("L"))[60:100, 60:100].std())


def test_faces_are_blurred_where_asked_however_they_were_found(
    library: Library, llm: AnthropicServer
) -> None:
    run_describe(library, anthropic(llm.url), no_batch=True)
    assert contrast(llm.paid[-1].jpeg) > 60
    forget_all(library.database)
    run_describe(library, anthropic(llm.url), no_batch=True, blur_faces=True)
    assert contrast(llm.paid[-1].jpeg) < 30
    seen = np.asarray(Image.open(BytesIO(llm.paid[-1].jpeg)).convert("L"))
    assert seen[200:, :].mean() == pytest.approx(90, abs=2)
    forget_all(library.database)
    rows(
        library.database,
        """WITH gone AS (DELETE FROM face_detections WHERE x1 = 50 RETURNING image_id)
            INSERT INTO bodies (image_id, face_x1, face_y1, face_x2, face_y2, face_score)
            SELECT image_id, 50, 50, 110, 110, 0.9 FROM gone RETURNING 1""",
    )
    run_describe(library, anthropic(llm.url), no_batch=True, blur_faces=True)
    assert contrast(llm.paid[-1].jpeg) < 30


@pytest.mark.parametrize(
    ("forgotten", "reason"), [(False, "face detection has not run"), (True, "cannot all be blurred")]
)
def test_a_photo_with_unknown_faces_waits_if_faces_are_blurred(
    library: Library, llm: AnthropicServer, forgotten: bool, reason: str
) -> None:
    if forgotten:
        forget(library.database, "Zoe", [], work=Work(by=BY))
    else:
        library.database.run(
            lambda connection: connection.execute("DELETE FROM face_scans; DELETE FROM face_detections")
        )
    summary = run_describe(library, anthropic(llm.url), no_batch=True, blur_faces=True)
    assert (summary.sent, summary.unavailable, llm.bodies) == (0, 1, [])
    assert reason in summary.failures[0].reason
    assert statuses(library.database) == {}


def test_a_blurred_face_at_the_edge_stays_within_the_picture() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[::2] = 255
    boxes = np.array([[-5, -5, 6, 6], [15, 15, 40, 40], [30, 30, 35, 35]], np.float32)
    out = blurred(pixels, boxes)
    assert out.shape == pixels.shape
    assert (out[10, 2] == pixels[10, 2]).all()
    assert (pixels[0] == 255).all()


def test_a_description_that_names_a_person_is_erased_with_them(
    library: Library, llm: AnthropicServer
) -> None:
    llm.answer = lambda _: as_text(an_answer(people={"count": 2, "notes": "Zoe stands left of Adam"}))
    run_describe(library, anthropic(llm.url), no_batch=True, send_names=True)
    ((number,),) = rows(library.database, "SELECT id FROM images")
    found = library.database.run(lambda connection: of_image(connection, number))
    assert found is not None
    assert found.answer["people"]["notes"] == "Zoe stands left of Adam"
    assert forget(library.database, "Zoe", [], work=Work(by=BY)).proof.is_clean
    assert library.database.run(lambda connection: of_image(connection, number)) is None
    assert run_describe(library, anthropic(llm.url), no_batch=True).sent == 0


def test_an_answer_that_names_a_forgotten_person_is_not_stored(
    library: Library, llm: AnthropicServer
) -> None:
    llm.answer = lambda _: as_text(an_answer(people={"count": 2, "notes": "Zoe stands left of Adam"}))
    assert run_describe(library, anthropic(llm.url), send_names=True).under_way == 1
    forget(library.database, "Zoe", [], work=Work(by=BY))
    llm.end()
    assert run_check(library, anthropic(llm.url)).cost_usd > 0
    assert rows(library.database, "SELECT count(*) FROM descriptions") == [(0,)]
    assert statuses(library.database) == {"failed": 1}
    assert run_describe(library, anthropic(llm.url)).sent == 0
