"""`/clusters`: unnamed clusters and people, and their corrections."""

from typing import Any

import pytest

from tests.fixtures.website import BASE, Website

pytestmark = pytest.mark.slow

UNKNOWN = "unknown_cluster_1"


def groups(website: Website, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = website.get("/clusters", **parameters)["items"]
    return found


@pytest.fixture
def unknown(website: Website) -> str:
    """A cluster without a person: the five faces of a removed person."""
    website.change(
        f"""UPDATE face_detections SET person_id = NULL, cluster = '{UNKNOWN}'
            WHERE person_id = (SELECT person_id FROM face_detections WHERE person_id IS NOT NULL
                GROUP BY person_id HAVING count(*) = 5)"""
    )
    website.change(f"INSERT INTO clusters (id, model_id) VALUES ('{UNKNOWN}', 1)")
    return UNKNOWN


def test_unnamed_people_and_clusters_are_listed_by_size(website: Website, unknown: str) -> None:
    page = website.get("/clusters")
    assert (page["total"], page["page"], page["pageSize"]) == (4, 1, 20)
    assert [each["faceCount"] for each in page["items"]] == [9, 6, 5, 3]
    first, third = page["items"][0], page["items"][2]
    assert first["clusterId"] == f"person_{first['personId']}"
    assert (third["clusterId"], third["personId"], third["personName"]) == (unknown, None, None)
    for each in page["items"]:
        assert set(each) == {
            *("clusterId", "faceCount", "sampleFaceIds", "avgQuality", "personId", "personName")
        }
        assert len(each["sampleFaceIds"]) == min(5, each["faceCount"])
        assert 0 < each["avgQuality"] <= 1
    assert [each["faceCount"] for each in groups(website, page=2, pageSize=3)] == [3]


def test_named_people_are_listed_only_on_request(website: Website) -> None:
    first = groups(website)[0]["clusterId"]
    website.post(f"/clusters/{first}/label", {"name": "Anna"})
    assert first not in {each["clusterId"] for each in groups(website)}
    labeled = groups(website, includeLabeled=True)[0]
    assert (labeled["clusterId"], labeled["personName"]) == (first, "Anna")


def test_a_face_denied_for_the_person_of_its_cluster_is_in_no_group(website: Website) -> None:
    person = website.people()[0]["id"]
    website.change(
        f"""UPDATE face_detections SET cluster = 'person_{person}', person_id = NULL
            WHERE id = (SELECT min(id) FROM face_detections WHERE person_id = '{person}')"""
    )
    assert sorted(each["faceCount"] for each in groups(website)) == [3, 5, 6, 8]
    assert website.page("/unknown/faces").count('type="checkbox"') == 2


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("place", [0, 2])
def test_a_cluster_lists_all_of_its_faces(website: Website, place: int) -> None:
    asked = groups(website)[place]
    group = website.get(f"/clusters/{asked['clusterId']}")
    assert (group["clusterId"], group["personId"]) == (asked["clusterId"], asked["personId"])
    assert len(group["faces"]) == asked["faceCount"]
    face = group["faces"][0]
    assert face["id"] == asked["sampleFaceIds"][0]
    assert len(face["assetId"]) == 64
    assert set(face["bbox"]) == {"x", "y", "width", "height"}
    assert (place == 0) == (face["personId"] is not None)
    assert {"detectionConfidence", "qualityScore", "clusterId", "personName", "createdAt"} <= set(face)
    assert [
        each["id"] for each in website.get(f"/clusters/{asked['clusterId']}", offset=1, limit=2)["faces"]
    ] == [each["id"] for each in group["faces"][1:3]]


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("place", [0, 2])
def test_a_group_gets_a_name_or_is_hidden_unless_it_changed_since_it_was_seen(
    website: Website, place: int
) -> None:
    group = groups(website)[place]
    path = f"/clusters/{group['clusterId']}"
    step = website.post(f"{path}/hide")["step"]
    assert group not in groups(website)
    assert website.post(f"{path}/hide")["step"] is None
    website.post("/undo", {"step": step})
    assert groups(website)[place] == group
    labeled = website.post(f"{path}/label", {"name": "  Zoë  "})
    assert (labeled["personName"], labeled["facesLabeled"]) == ("Zoë", group["faceCount"])
    assert labeled["prototypesCreated"] > 0
    assert website.get(f"/persons/{labeled['personId']}")["faceCount"] == group["faceCount"]
    # Whoever has the old id finds who it is.
    assert website.get(path)["personName"] == "Zoë"
    website.post("/undo", {"step": labeled["step"]})
    assert groups(website)[place] == group
    seen = website.get(path)
    website.post("/persons", {"name": "Eva", "faceIds": [seen["faces"][0]["id"]]})
    for what, body in (("label", {"name": "Anna"}), ("hide", {}), ("split", {})):
        refused = website.post(f"{path}/{what}", {**body, "version": seen["version"]}, status=409)
        assert refused["kind"] == "changed"
    now = website.get(path)["version"]
    assert website.post(f"{path}/label", {"name": "Anna", "version": now})["step"]


def test_a_cluster_is_labeled_even_where_a_person_is_called_like_it(website: Website, unknown: str) -> None:
    other = groups(website)[0]["clusterId"]
    website.post(f"/clusters/{other}/label", {"name": unknown})
    labeled = website.post(f"/clusters/{unknown}/label", {"name": "Carla"})
    assert (labeled["personName"], labeled["facesLabeled"]) == ("Carla", 5)


def test_a_taken_name_needs_confirmation(website: Website, unknown: str) -> None:
    first = groups(website)[0]["clusterId"]
    anna = website.post(f"/clusters/{first}/label", {"name": "Anna"})
    refused = website.post(f"/clusters/{unknown}/label", {"name": "anna"}, status=409)
    assert (refused["kind"], refused["personId"]) == ("name-taken", anna["personId"])
    assert refused["question"].endswith("Are they the same person?")
    merged = website.post(f"/clusters/{unknown}/label", {"name": "anna", "into": True})
    assert (merged["personId"], merged["facesLabeled"]) == (anna["personId"], 5)
    # Its faces are unassigned now, so a second answer finds nothing.
    assert website.client.post(f"{BASE}/clusters/{unknown}/label", json={"name": "Eva"}).status_code == 404


GONE = "person_00000000-0000-4000-8000-000000000000"


def test_a_cluster_named_after_a_removed_person_follows_its_faces(website: Website) -> None:
    website.change(f"UPDATE face_detections SET cluster = '{GONE}', person_id = NULL")
    (listed,) = groups(website)
    seen = website.get(f"/clusters/{listed['clusterId']}")
    named = website.post(f"/clusters/{GONE}/label", {"name": "Anna", "version": seen["version"]})
    assert named["facesLabeled"] == listed["faceCount"] == len(seen["faces"])


def test_merged_people_do_not_wait_for_a_name(website: Website) -> None:
    first, second, *_ = groups(website)
    website.post(f"/persons/{first['personId']}/merge", {"intoPersonId": second["personId"]})
    website.post(f"/clusters/{first['clusterId']}/label", {"name": "Anna"}, status=404)
    assert website.client.get(f"{BASE}/clusters/{first['clusterId']}").status_code == 404
    assert website.get(f"/persons/{second['personId']}")["name"] is None


@pytest.mark.parametrize("place", [0, 3])
def test_a_group_of_two_people_is_split(website: Website, unknown: str, place: int) -> None:
    if place:
        # Two people in one unassigned cluster.
        website.change(
            f"""UPDATE face_detections SET person_id = NULL, cluster = '{unknown}'
                WHERE person_id = '{groups(website)[0]["personId"]}'"""
        )
        cluster = unknown
    else:
        cluster = groups(website)[0]["clusterId"]
        website.change(
            f"""UPDATE face_detections SET person_id = '{cluster.removeprefix("person_")}'
                WHERE cluster = '{unknown}'"""
        )
    split = website.post(f"/clusters/{cluster}/split", {"minClusterSize": 3})
    assert (split["originalClusterId"], split["status"], len(split["newClusters"])) == (cluster, "split", 1)
    sizes = {each["clusterId"]: each["faceCount"] for each in groups(website)}
    assert sorted((sizes[cluster], sizes[split["newClusters"][0]])) == [5, 9]
    website.post("/undo", {"step": split["step"]})
    assert len(website.get(f"/clusters/{cluster}")["faces"]) == 14


def test_a_group_that_holds_together_stays_whole_and_a_body_may_be_left_out(website: Website) -> None:
    cluster = groups(website)[0]["clusterId"]
    split = website.client.post(f"{BASE}/clusters/{cluster}/split").json()
    assert (split["status"], split["newClusters"], split["step"]) == ("unchanged", [], None)
    for path in (f"/clusters/{cluster}/hide", "/undo"):
        assert website.client.post(BASE + path).status_code == 200


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("nothing_here/label", {"name": "Anna"}, 404),
        ("nothing_here/hide", {}, 404),
        ("nothing_here/split", {}, 404),
        (f"person_{'0' * 8}-0000-4000-8000-{'0' * 12}/label", {"name": "Anna", "version": 3}, 409),
        ("nothing%00here/label", {"name": "Anna", "version": 3}, 400),
        ("nothing_here/label", {"name": ""}, 422),
        ("nothing_here/label", {"name": "Anna", "surname": "Karenina"}, 422),
        ("nothing_here/split", {"minClusterSize": 0}, 422),
    ],
)
def test_impossible_changes_are_refused(
    onlooked: Website, call: str, body: dict[str, Any], status: int
) -> None:
    answer = onlooked.client.post(f"{BASE}/clusters/{call}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].endswith(".")


def test_queries_are_understood_in_snake_case_too(website: Website) -> None:
    found = website.get("/clusters", page_size=2)
    assert (found["pageSize"], len(found["items"])) == (2, 2)
    website.post(f"/clusters/{found['items'][0]['clusterId']}/label", {"name": "Anna"})
    assert website.get("/clusters", include_labeled=True)["total"] == found["total"]
    assert website.get("/clusters")["total"] == found["total"] - 1
