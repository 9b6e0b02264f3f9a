"""`/candidates`: the questions of `people review`, and their answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from facesets.operations.interchange.import_names import import_names
from facesets.operations.interchange.name_sources import FilesRead, named_photos
from facesets.store.postgres.library import Library
from facesets.work import Work
from tests.fixtures.names_elsewhere import osxphotos_photo
from tests.fixtures.website import BASE, Website

pytestmark = pytest.mark.slow


def questions(website: Website, kind: str = "", **parameters: Any) -> list[dict[str, Any]]:
    found = website.get("/candidates", **parameters)["items"]
    return [each for each in found if kind in ("", each["kind"])]


def test_questions_that_settle_most_faces_come_first(asking: Website) -> None:
    found = questions(asking)
    assert [each["kind"] for each in found[:4]] == ["name"] * 4
    assert sorted(each["kind"] for each in found[4:]) == ["far"] * 4 + ["near"] + ["same"] * 2
    assert [each["worth"] for each in found] == sorted((each["worth"] for each in found), reverse=True)
    (same, _) = questions(asking, "same")
    assert (same["personName"], same["faceCount"], same["namelessId"]) == (None, 9, None)
    item = same["items"][0]
    assert (item["number"], item["settles"], item["cosineSimilarity"]) == (1, 6, 0.45)
    assert all(len(face["assetId"]) == 64 for face in [*same["faces"], *item["faces"]])
    assert asking.get("/candidates/waiting") == {"questions": 7, "unnamed": 4, "skipped": 0}


def test_an_open_suggestion_is_returned_in_its_current_state(asking: Website) -> None:
    same = questions(asking, "same")[0]
    assert asking.get(f"/candidates/{same['id']}") == same
    person = asking.get(f"/persons/{same['personId']}")
    asking.post(f"/persons/{person['id']}", {"action": "name", "name": "Anna"})
    now = asking.get(f"/candidates/{same['id']}")
    assert (now["personName"], now["version"] > same["version"]) == ("Anna", True)
    asking.post(f"/candidates/{same['id']}/accept", {"version": now["version"]})
    assert asking.client.get(f"{BASE}/candidates/{same['id']}").status_code == 404


def test_yes_merges_and_can_be_undone_and_no_is_final(asking: Website) -> None:
    same = questions(asking, "same")[0]
    answered = asking.post(f"/candidates/{same['id']}/accept", {"version": same["version"]})
    assert answered["id"] == same["id"]
    assert asking.get(f"/persons/{same['personId']}")["faceCount"] == 15
    # Answered twice: it is not open any more.
    again = asking.post(f"/candidates/{same['id']}/accept", status=404)
    assert again["detail"].startswith("Suggestion not open")
    asking.post("/undo", {"step": answered["step"]})
    assert asking.get(f"/persons/{same['personId']}")["faceCount"] == 9
    assert same["id"] in {each["id"] for each in questions(asking)}
    asking.post(f"/candidates/{same['id']}/reject")
    assert same["id"] not in {each["id"] for each in questions(asking)}
    assert asking.get(f"/persons/{same['personId']}")["faceCount"] == 9


def test_all_but_one_of_several(asking: Website) -> None:
    doubted = next(each for each in questions(asking, "far") if len(each["items"]) == 2)
    asking.post(f"/candidates/{doubted['id']}/accept", {"but": [2]})
    remaining, taken = (asking.get(f"/faces/{item['faces'][0]['id']}") for item in doubted["items"])
    assert (remaining["personId"], taken["personId"]) == (doubted["personId"], None)


def test_an_unnamed_person_is_named_or_hidden(asking: Website) -> None:
    first, second, third, *_ = questions(asking, "name")
    assert (first["namelessId"], first["items"]) == (first["personId"], [])
    asking.post(f"/candidates/{first['id']}/name", {"name": "Anna"})
    assert asking.get(f"/persons/{first['personId']}")["name"] == "Anna"
    taken = asking.post(f"/candidates/{second['id']}/name", {"name": "ANNA"}, status=409)
    assert (taken["kind"], taken["personId"]) == ("name-taken", first["personId"])
    asking.post(f"/candidates/{second['id']}/name", {"name": "ANNA", "into": True})
    assert asking.get(f"/persons/{first['personId']}")["faceCount"] == 15
    # Who has a name is asked for none.
    asking.post(f"/candidates/{first['id']}/accept", status=404)
    asking.post(f"/candidates/{third['id']}/hide", {"version": third["version"]})
    assert asking.get(f"/persons/{third['personId']}")["status"] == "hidden"


def test_whoever_changed_since_the_question_was_seen_is_left_as_they_are(asking: Website) -> None:
    same = questions(asking, "same")[0]
    other = same["items"][0]["personId"]
    asking.post(f"/persons/{other}", {"action": "rename", "name": "Ben"})
    for verdict in ("accept", "reject", "hide"):
        refused = asking.post(f"/candidates/{same['id']}/{verdict}", {"version": same["version"]}, status=409)
        assert refused["kind"] == "changed"
    (now, *_) = questions(asking, "same")
    assert now["version"] > same["version"]
    asking.post(f"/candidates/{now['id']}/accept", {"version": now["version"]})


def test_invalid_answers_are_reported(asking: Website) -> None:
    same = questions(asking, "same")[0]["id"]
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("nothing/accept", {}, 404),
        (f"far-{'0' * 32}-{'9' * 30}/accept", {}, 404),
        (f"{same}/accept", {"but": [7]}, 422),
        (f"{same}/accept", {"but": [0]}, 422),
        (f"{same}/name", {"name": "Anna"}, 422),
        (f"{same}/name", {}, 422),
        (f"{same}/hide", {"version": "old"}, 422),
    ]
    for call, body, status in cases:
        answer = asking.client.post(f"{BASE}/candidates/{call}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["detail"].endswith(".")


def test_questions_are_looked_for_again_when_people_changed(asking: Website) -> None:
    found = asking.get("/candidates/waiting")
    assert asking.post("/candidates/refresh") == found
    # What was made up for these tests is not found once these people changed.
    for number, each in enumerate(questions(asking, "name")):
        asking.post(f"/candidates/{each['id']}/name", {"name": f"Person {number}"})
    asking.post("/candidates/refresh")
    assert questions(asking, "same") == []


def test_names_of_other_programs_become_suggestions(website: Website, tmp_path: Path) -> None:
    with website.site.library() as session:
        ((person, face, path, *box),) = website.rows(
            """SELECT f.person_id::text, f.id, p.path, f.x1 / i.width, f.y1 / i.height, f.x2 / i.width,
                    f.y2 / i.height
                FROM face_detections f JOIN images i ON i.id = f.image_id
                JOIN image_paths p ON p.image_id = i.id
                WHERE f.person_id IS NOT NULL ORDER BY f.id LIMIT 1""",
        )
        website.post(f"/persons/{person}", {"action": "name", "name": "Anna"})
        output = [osxphotos_photo(path, 640, 480, {"Berta": tuple(box)})]
        (tmp_path / "photos.json").write_text(json.dumps(output))
        read = FilesRead()
        photos = named_photos([tmp_path / "photos.json"], "auto", read)
        import_names(Library(session), photos, read, "photos", work=Work(by="anna"))
    (question,) = questions(website, "import")
    assert (question["personName"], question["text"]) == (
        "Berta",
        f"Is face {face} Berta? Apple Photos has this name; here it is Anna.",
    )
    answered = website.post(f"/candidates/{question['id']}/accept", {"version": question["version"]})
    assert answered["step"] is not None
    assert questions(website, "import") == []
    assert website.get(f"/faces/{face}")["personId"] == question["personId"]


def test_skipped_suggestions_are_left_out_until_requested(asking: Website) -> None:
    first, second, third = questions(asking, limit=3)
    assert questions(asking, limit=1, skip=[first["id"], second["id"]]) == [third]
    for question in (first, second):
        asking.post(f"/candidates/{question['id']}/skip")
    assert asking.get("/candidates")["items"][0]["id"] == third["id"]
    assert asking.get("/candidates/waiting")["skipped"] == 2
    asking.post(f"/candidates/{second['id']}/ask-again")
    assert asking.get("/candidates")["items"][0]["id"] == second["id"]
    asking.post("/candidates/ask-again")
    assert asking.get("/candidates")["items"][0]["id"] == first["id"]
    assert asking.post("/candidates/name-none/skip", status=404)
