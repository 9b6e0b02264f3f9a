"""`/persons`: lists and corrections, including births."""

import re
import time
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, expect

from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.store.postgres.people.person_faces import shown_faces
from tests.fixtures.chromium import accessibility_findings, opened
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow

BAD_NAME = "<img src=x onerror=alert(1)>"


def largest(website: Website, place: int = 0) -> dict[str, Any]:
    """The person with most faces, or the next one, with the version to send."""
    who = website.get("/persons", status="active")["items"][place]["id"]
    found: dict[str, Any] = website.get(f"/persons/{who}")
    return found


def faces_of(website: Website, who: str) -> list[int]:
    with website.site.library() as session:
        return [face.id for face in session.run(lambda c: shown_faces(c, UUID(who), "newest", limit=100))]


def say(website: Website, who: dict[str, Any], status: int = 200, **asked: Any) -> Any:
    return website.post(f"/persons/{who['id']}", {"version": who["version"], **asked}, status=status)


def test_people_are_listed_with_the_fields_of_the_api(onlooked: Website) -> None:
    page = onlooked.get("/persons", pageSize=2)
    assert (page["total"], page["page"], page["pageSize"], len(page["items"])) == (4, 1, 2, 2)
    first = page["items"][0]
    assert (first["name"], first["faceCount"], first["photoCount"], first["status"]) == (None, 9, 9, "active")
    assert first["prototypeCount"] > 0
    assert {"id", "createdAt", "updatedAt", "faceId", "names"} <= set(first)
    assert onlooked.get("/persons", page=3, pageSize=2)["items"] == []


def test_those_with_a_name_come_first_and_are_found_by_parts_of_it(website: Website) -> None:
    say(website, largest(website, 3), action="rename", name="Ännchen Müller")
    say(website, largest(website, 2), action="rename", name="Susanne")
    assert [each["name"] for each in website.people()] == ["Susanne", "Ännchen Müller", None, None]
    # "s" begins one name; the other does not hold it.
    for part, name in (("Annchen mu", "Ännchen Müller"), ("MÜ", "Ännchen Müller"), ("s", "Susanne")):
        assert [each["name"] for each in website.get("/persons", find=part)["items"]] == [name]
    assert [website.get("/persons", unnamed=each)["total"] for each in (True, False)] == [2, 2]


def test_naming_needs_the_current_version_and_a_free_name(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    done = say(website, anna, action="rename", name="Anna")
    assert (done["personId"], done["personName"], done["facesMoved"]) == (anna["id"], "Anna", 0)
    assert done["version"] > anna["version"]
    assert say(website, anna, 409, action="rename", name="Hanna")["kind"] == "changed"
    # Without a version there is no check.
    again = website.post(f"/persons/{anna['id']}", {"action": "name", "name": "Aennchen"})
    assert website.get(f"/persons/{anna['id']}")["names"] == ["Anna", "Aennchen"]
    website.post("/undo", {"step": again["step"]})
    assert website.get(f"/persons/{anna['id']}")["names"] == ["Anna"]
    for action in ("rename", "name"):
        refused = say(website, ben, 409, action=action, name="anna")
        assert (refused["kind"], "the same person?" in refused["question"]) == ("name-taken", True)
    done = say(website, ben, action="name", name="Anna", into=True)
    assert (done["personId"], done["facesMoved"]) == (anna["id"], ben["faceCount"])
    assert website.get(f"/persons/{ben['id']}")["id"] == anna["id"]


def test_faces_move_to_a_new_person_an_existing_one_or_none(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    faces = faces_of(website, anna["id"])
    done = say(website, anna, action="move", faceIds=faces[:2], name="Somebody new")
    assert (done["personName"], done["facesMoved"]) == ("Somebody new", 2)
    assert website.get(f"/persons/{done['personId']}")["faceCount"] == 2
    anna = website.get(f"/persons/{anna['id']}")
    assert (anna["faceCount"], anna["version"]) == (len(faces) - 2, done["version"])
    # Lists count that, too, which have been asked for before.
    assert {each["id"]: each["faceCount"] for each in website.people()}[anna["id"]] == len(faces) - 2
    done = say(website, anna, action="move", faceIds=[faces[2]], toPersonId=ben["id"])
    assert (done["personId"], website.get(f"/faces/{faces[2]}")["personId"]) == (ben["id"], ben["id"])
    done = website.post(f"/persons/{anna['id']}", {"action": "move", "faceIds": [faces[3]]})
    assert (done["personId"], website.get(f"/faces/{faces[3]}")["personId"]) == (None, None)
    made = {"name": BAD_NAME, "faceIds": [faces[3]], "unassigned": True}
    assert website.post("/persons", made)["personName"] == BAD_NAME
    # Somebody else was faster.
    refused = website.post("/persons", made | {"name": "Other"}, status=422)
    assert "is not unassigned" in refused["detail"]
    refused = website.post("/persons", {"name": BAD_NAME, "faceIds": [faces[4]]}, status=409)
    assert refused["kind"] == "name-taken"


def test_invalid_actions_on_a_person_are_refused(onlooked: Website) -> None:
    anna, ben = largest(onlooked), largest(onlooked, 1)
    theirs = faces_of(onlooked, ben["id"])
    refused = say(onlooked, anna, 422, action="move", faceIds=theirs[:1], name="X")
    assert "is not" in refused["detail"]
    refused = say(onlooked, ben, 422, action="split", faceIds=theirs)
    assert "These are all of" in refused["detail"]
    say(onlooked, anna, 404, action="move", faceIds=[999_999], name="X")
    say(onlooked, anna, 422, action="move", faceIds=[], name="X")
    say(onlooked, anna, 422, action="move", faceIds=theirs, name="X", toPersonId=ben["id"])
    say(onlooked, anna, 422, action="dance")
    onlooked.post(f"/persons/{uuid4()}", {"action": "hide"}, status=404)
    onlooked.post("/persons/no-id", {"action": "hide"}, status=422)
    onlooked.post(f"/persons/{anna['id']}/merge", {"into_person_id": anna["id"]}, status=422)
    onlooked.post(f"/persons/{anna['id']}/merge", {"intoPersonId": f"{uuid4()}"}, status=404)


def test_a_person_is_split_by_faces_or_into_parts_and_merged(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    merged = website.post(
        f"/persons/{ben['id']}/merge",
        {"intoPersonId": anna["id"], "version": ben["version"], "intoVersion": anna["version"]},
    )
    assert (merged["sourcePersonId"], merged["targetPersonId"]) == (ben["id"], anna["id"])
    assert merged["facesMoved"] == ben["faceCount"]
    both = website.get(f"/persons/{anna['id']}")
    assert both["version"] == merged["version"]
    led_on = website.client.get(f"/people/{ben['id']}")
    assert (led_on.status_code, led_on.headers["location"]) == (303, f"/people/{anna['id']}")
    stale = {"intoPersonId": anna["id"], "intoVersion": anna["version"]}
    carla = largest(website, 1)
    assert website.post(f"/persons/{carla['id']}/merge", stale, status=409)["kind"] == "changed"
    done = say(website, both, action="split", minClusterSize=2)
    assert done["facesMoved"] in {anna["faceCount"], ben["faceCount"]}
    done = say(website, carla, action="split", faceIds=faces_of(website, carla["id"])[:3])
    assert (done["personName"], done["facesMoved"]) == (None, 3)
    refused = website.post(f"/persons/{done['personId']}/merge", {"intoPersonId": carla["id"]}, status=422)
    assert "are two people" in refused["detail"]


def test_the_best_face_is_set_and_hidden_people_are_listed_separately(website: Website) -> None:
    anna = largest(website)
    face, other = [each for each in faces_of(website, anna["id"]) if each != anna["faceId"]][:2]
    done = say(website, anna, action="bestFace", faceId=face)
    for shown in (other, face):
        done = say(website, {**anna, "version": done["version"]}, action="bestFace", faceId=shown)
        assert website.get(f"/persons/{anna['id']}")["faceId"] == shown
    website.post("/undo", {"step": done["step"]})
    assert website.get(f"/persons/{anna['id']}")["faceId"] == other
    done = website.post(f"/persons/{anna['id']}", {"action": "hide"})
    assert [each["id"] for each in website.get("/persons", status="hidden")["items"]] == [anna["id"]]
    assert website.get("/persons")["total"] == 3
    website.post(f"/persons/{anna['id']}", {"action": "unhide", "version": done["version"]})
    assert website.get("/persons")["total"] == 4


def test_a_person_is_erased_only_by_typing_who(website: Website, tmp_path: Path) -> None:
    anna = largest(website)
    face = anna["faceId"]
    say(website, anna, action="rename", name="Anna")
    anna = website.get(f"/persons/{anna['id']}")
    website.client.get(f"/api/v1/faces/faces/{face}/crop")
    stored = list((tmp_path / "crops").rglob("*.jpg"))
    assert stored
    assert (
        say(website, anna, 422, action="forget", name="Ann")["detail"]
        == "To erase this person permanently, type Anna."
    )
    done = say(website, anna, action="forget", name="anna")
    assert website.site.jobs.find(done["jobId"]).what == "people forget"
    while website.site.jobs.find(done["jobId"]).status == "running":
        time.sleep(0.05)
    assert website.site.jobs.find(done["jobId"]).status == "done"
    assert website.client.get(f"/api/v1/faces/persons/{anna['id']}").status_code == 404
    assert website.client.get(f"/api/v1/faces/faces/{face}").status_code == 404
    assert not [path for path in stored if path.exists()]


def test_the_birth_year_is_estimated_from_faces_until_it_is_set(website: Website) -> None:
    who = website.people()[0]["id"]
    assert "<dt>Born</dt><dd>unknown</dd>" in website.page(f"/people/{who}/about")
    website.change("UPDATE images SET taken = '2001-02-03'")
    website.change("UPDATE face_detections SET age = 31, male = 0.1, sex = 'F'")
    html = website.page(f"/people/{who}/about")
    assert "<dt>Born</dt><dd>about 1970 " in html
    # The estimated sex is shown only on request.
    assert "<dt>Sex</dt><dd><details><summary>Estimate</summary>female " in html
    with website.site.library() as session:
        set_birth(session, who, Birth(1971), by="anna@home", today=date(2024, 1, 1))
    assert "<dt>Born</dt><dd>1971</dd>" in website.page(f"/people/{who}/about")


def test_the_api_sets_a_birth_and_undoes_it(website: Website) -> None:
    who = website.people()[0]["id"]
    path = f"/persons/{who}"
    seen = website.get(path)
    assert (seen["birth"]["said"], seen["birth"]["byFaces"], seen["birth"]["sex"]) == (None, None, "U")
    for wrong in ({"year": 3000}, {"year": 1985, "day": "1985-01-01"}, {"day": "1985-02-30"}):
        website.post(path, {"action": "birth", **wrong}, status=422)
    done = website.post(path, {"action": "birth", "day": "1971-02-03", "version": seen["version"]})
    assert "born 1971-02-03" in done["did"]
    assert website.get(path)["birth"]["said"] == "1971-02-03"
    stale = website.post(path, {"action": "birth", "year": 1972, "version": seen["version"]}, status=409)
    assert stale["kind"] == "changed"
    website.post("/undo", {"step": done["step"]})
    for expected, shown in (({}, None), ({"year": 1972}, "1972"), ({}, None)):
        website.post(path, {"action": "birth", **expected})
        assert website.get(path)["birth"]["said"] == shown


def test_a_birth_is_set_on_the_page_of_the_person_and_undone(website: Website, browser: Browser) -> None:
    who = website.people()[0]["id"]
    with opened(browser, f"{website.address}/people/{who}") as page:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Date of birth…").click()
        field = page.get_by_label("Year or date")
        field.fill("31.5.1985")
        field.press("Enter")
        expect(field).to_be_visible()
        assert not accessibility_findings(page)
        field.fill("1985-05-31")
        field.press("Enter")
        page.get_by_text("Facts").click()
        born = page.locator("dt:has-text('Born') + dd")
        expect(born).to_have_text("1985-05-31")
        page.get_by_role("button", name="Undo").click()
        expect(born).to_have_text("unknown")


def test_a_photo_shows_ages_by_all_faces_and_by_one_only_on_request(
    website: Website,
) -> None:
    together = "image_id = (SELECT image_id FROM image_paths WHERE path LIKE '%/together.jpg')"
    website.change(
        f"""UPDATE face_detections SET age = 30.6 + ordinal, male = 0.9 - 0.4 * ordinal,
            sex = (ARRAY['M', 'U', 'F'])[1 + ordinal] WHERE {together}"""
    )
    ((photo, face, who),) = website.rows(
        f"""SELECT i.sha256, f.id, f.person_id::text FROM images i JOIN face_detections f ON f.image_id = i.id
            WHERE {together} AND ordinal = 0"""
    )
    website.change("UPDATE images SET taken = '2001-02-03'")
    page = website.page(f"/photos/{photo}")
    assert not re.search("looks|male|about 3", page)
    why = website.page(f"/photos/{photo}/why/{face}")
    assert "<dt>Estimated</dt><dd>about 30, male " in why
    found = website.get(f"/faces/{face}")
    assert (found["age"], found["sex"]) == (30.6, "M")
    unseen = next(each for each in website.people() if each["photoCount"] == 3)
    other = website.get(f"/faces/{unseen['faceId']}")
    assert (other["age"], other["sex"]) == (None, None)
    website.change(f"UPDATE face_detections SET age = 31 WHERE person_id = '{who}'")
    assert '<div class="hint">about 30 (estimated)</div>' in website.page(f"/photos/{photo}")
    website.post(f"/persons/{who}", {"action": "birth", "day": "1971-02-04"})
    assert '<div class="hint">29</div>' in website.page(f"/photos/{photo}")
