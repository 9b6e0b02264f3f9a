"""`/persons`: lists, and everything that can be said about a person."""

import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from facesets.store.postgres.people.person_faces import shown_faces
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
    small = largest(website, 3)
    say(website, small, action="rename", name="Ännchen Müller")
    other = largest(website, 2)
    say(website, other, action="rename", name="Susanne")
    everybody = website.people()
    assert [each["name"] for each in everybody] == ["Susanne", "Ännchen Müller", None, None]
    assert [each["name"] for each in website.get("/persons", find="änn")["items"]] == ["Ännchen Müller"]
    assert [each["name"] for each in website.get("/persons", find="MÜ")["items"]] == ["Ännchen Müller"]
    assert [each["name"] for each in website.get("/persons", find="Annchen mu")["items"]] == [
        "Ännchen Müller"
    ]
    # "s" begins one name; the other does not hold it.
    assert website.get("/persons", find="s")["total"] == 1
    assert (
        website.get("/persons", unnamed=True)["total"] == website.get("/persons", unnamed=False)["total"] == 2
    )


def test_a_person_is_renamed_and_called_by_a_further_name(website: Website) -> None:
    anna = largest(website)
    done = say(website, anna, action="rename", name="Anna")
    assert (done["personId"], done["personName"], done["facesMoved"]) == (anna["id"], "Anna", 0)
    assert done["version"] > anna["version"]
    again = website.post(
        f"/persons/{anna['id']}", {"action": "name", "name": "Aennchen", "version": done["version"]}
    )
    assert website.get(f"/persons/{anna['id']}")["names"] == ["Anna", "Aennchen"]
    website.post("/undo", {"step": again["step"]})
    assert website.get(f"/persons/{anna['id']}")["names"] == ["Anna"]


def test_two_who_change_one_person_notice_each_other(website: Website) -> None:
    seen = largest(website)
    say(website, seen, action="rename", name="Anna")
    refused = say(website, seen, 409, action="rename", name="Hanna")
    assert refused["kind"] == "changed"
    assert website.get(f"/persons/{seen['id']}")["name"] == "Anna"
    # Whoever says nothing about what they saw is not asked.
    website.post(f"/persons/{seen['id']}", {"action": "rename", "name": "Hanna"})


def test_a_name_that_somebody_has_is_a_question(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    say(website, anna, action="rename", name="Anna")
    for action in ("rename", "name"):
        refused = say(website, ben, 409, action=action, name="anna")
        assert (refused["kind"], "one person?" in refused["question"]) == ("name-taken", True)
    done = say(website, ben, action="name", name="Anna", into=True)
    assert (done["personId"], done["personName"]) == (anna["id"], "Anna")
    assert done["facesMoved"] == ben["faceCount"]
    assert website.get(f"/persons/{ben['id']}")["id"] == anna["id"]


def test_faces_move_to_a_new_name_to_somebody_and_to_nobody(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    faces = faces_of(website, anna["id"])
    done = say(website, anna, action="move", faceIds=faces[:2], name="Somebody new")
    assert (done["personName"], done["facesMoved"]) == ("Somebody new", 2)
    assert website.get(f"/persons/{done['personId']}")["faceCount"] == 2
    anna = website.get(f"/persons/{anna['id']}")
    assert (anna["faceCount"], anna["version"]) == (len(faces) - 2, done["version"])
    done = say(website, anna, action="move", faceIds=[faces[2]], toPersonId=ben["id"])
    assert (done["personId"], website.get(f"/faces/{faces[2]}")["personId"]) == (ben["id"], ben["id"])
    anna = website.get(f"/persons/{anna['id']}")
    done = say(website, anna, action="move", faceIds=[faces[3]])
    assert done["personId"] is None
    assert website.get(f"/faces/{faces[3]}")["personId"] is None
    website.post("/undo", {"step": done["step"]})
    assert website.get(f"/faces/{faces[3]}")["personId"] == anna["id"]


def test_faces_that_are_somebody_elses_are_not_moved(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    theirs = faces_of(website, ben["id"])
    refused = say(website, anna, 422, action="move", faceIds=theirs[:1], name="X")
    assert "is not" in refused["detail"]
    assert say(website, anna, 404, action="move", faceIds=[999_999], name="X")
    assert say(website, anna, 422, action="move", faceIds=[], name="X")
    assert say(website, anna, 422, action="move", faceIds=theirs, name="X", toPersonId=ben["id"])
    assert say(website, anna, 422, action="dance")
    assert website.post(f"/persons/{uuid4()}", {"action": "hide"}, status=404)
    assert website.post("/persons/no-id", {"action": "hide"}, status=422)


def test_somebody_new_is_split_off_and_stays_apart(website: Website) -> None:
    anna = largest(website)
    faces = faces_of(website, anna["id"])
    done = say(website, anna, action="split", faceIds=faces[:3])
    assert (done["personName"], done["facesMoved"]) == (None, 3)
    new = website.get(f"/persons/{done['personId']}")
    refused = website.post(f"/persons/{new['id']}/merge", {"intoPersonId": anna["id"]}, status=422)
    assert "are two people" in refused["detail"]
    rest = website.get(f"/persons/{anna['id']}")
    assert "These are all faces" in say(website, rest, 422, action="split", faceIds=faces[3:])["detail"]


def test_somebody_falls_into_parts(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    website.post(f"/persons/{ben['id']}/merge", {"intoPersonId": anna["id"]})
    both = website.get(f"/persons/{anna['id']}")
    done = say(website, both, action="split", minClusterSize=2)
    assert done["facesMoved"] in {anna["faceCount"], ben["faceCount"]}


def test_the_best_face_shows_the_person(website: Website) -> None:
    anna = largest(website)
    others = [face for face in faces_of(website, anna["id"]) if face != anna["faceId"]]
    done = {"version": anna["version"]}
    for face in (others[0], others[1], others[0]):
        done = say(website, {**anna, "version": done["version"]}, action="bestFace", faceId=face)
        assert website.get(f"/persons/{anna['id']}")["faceId"] == face
    website.post("/undo", {"step": done["step"]})
    assert website.get(f"/persons/{anna['id']}")["faceId"] == others[1]


def test_hidden_people_are_listed_apart(website: Website) -> None:
    anna = largest(website)
    done = say(website, anna, action="hide")
    assert [each["id"] for each in website.get("/persons", status="hidden")["items"]] == [anna["id"]]
    assert website.get("/persons")["total"] == 3
    website.post(f"/persons/{anna['id']}", {"action": "unhide", "version": done["version"]})
    assert website.get("/persons")["total"] == 4


def test_two_people_become_one(website: Website) -> None:
    anna, ben = largest(website), largest(website, 1)
    done = website.post(
        f"/persons/{ben['id']}/merge",
        {"intoPersonId": anna["id"], "version": ben["version"], "intoVersion": anna["version"]},
    )
    assert (done["sourcePersonId"], done["targetPersonId"]) == (ben["id"], anna["id"])
    assert done["facesMoved"] == ben["faceCount"]
    assert website.get(f"/persons/{anna['id']}")["version"] == done["version"]
    stale = {"intoPersonId": anna["id"], "intoVersion": anna["version"]}
    carla = largest(website, 1)
    assert website.post(f"/persons/{carla['id']}/merge", stale, status=409)["kind"] == "changed"
    assert website.post(f"/persons/{anna['id']}/merge", {"into_person_id": anna["id"]}, status=422)
    assert website.post(f"/persons/{anna['id']}/merge", {"intoPersonId": f"{uuid4()}"}, status=404)


def test_faces_of_nobody_become_somebody_unless_somebody_else_was_faster(website: Website) -> None:
    anna = largest(website)
    face = faces_of(website, anna["id"])[0]
    say(website, anna, action="move", faceIds=[face])
    made = website.post("/persons", {"name": BAD_NAME, "faceIds": [face], "unassigned": True})
    assert made["personName"] == BAD_NAME
    refused = website.post("/persons", {"name": "Other", "faceIds": [face], "unassigned": True}, status=422)
    assert "is not unassigned" in refused["detail"]
    assert website.post("/persons", {"name": BAD_NAME, "faceIds": [face]}, status=409)["kind"] == "name-taken"


def test_a_person_is_erased_only_by_typing_who(website: Website, tmp_path: Path) -> None:
    anna = largest(website)
    face = anna["faceId"]
    say(website, anna, action="rename", name="Anna")
    anna = website.get(f"/persons/{anna['id']}")
    website.client.get(f"/api/v1/faces/faces/{face}/crop")
    kept = list((tmp_path / "crops").rglob("*.jpg"))
    assert kept
    assert (
        say(website, anna, 422, action="forget", name="Ann")["detail"] == "Type Anna to erase them for good."
    )
    done = say(website, anna, action="forget", name="anna")
    assert website.site.jobs.find(done["jobId"]).what == "people forget"
    while website.site.jobs.find(done["jobId"]).status == "running":
        time.sleep(0.05)
    assert website.site.jobs.find(done["jobId"]).status == "done"
    assert website.client.get(f"/api/v1/faces/persons/{anna['id']}").status_code == 404
    assert website.client.get(f"/api/v1/faces/faces/{face}").status_code == 404
    assert not [path for path in kept if path.exists()]


@pytest.mark.parametrize("path", ["/persons?pageSize=101", "/persons?page=0", "/persons?status=odd"])
def test_what_no_list_has_is_refused(onlooked: Website, path: str) -> None:
    assert onlooked.client.get(f"/api/v1/faces{path}").status_code == 422


def test_counts_follow_what_is_said_without_counting_everybody(website: Website) -> None:
    website.get("/persons")
    anna = largest(website)
    best = faces_of(website, anna["id"])[0]
    say(website, anna, action="move", faceIds=[best])
    counts = {each["id"]: each["faceCount"] for each in website.people()}
    assert counts[anna["id"]] == anna["faceCount"] - 1
