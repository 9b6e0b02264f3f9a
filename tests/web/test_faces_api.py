"""`/faces` and `/assets`: single faces, and those on a photo."""

from typing import Any

from tests.fixtures.website import Website


def together(website: Website) -> dict[str, Any]:
    """A face of the photo with three people."""
    for face in range(1, 30):
        found: dict[str, Any] = website.get(f"/faces/{face}")
        if website.get(f"/assets/{found['assetId']}")["total"] == 3:
            return found
    raise AssertionError("no photo has three faces")


def test_a_face_has_the_fields_of_the_api(website: Website) -> None:
    face = website.get("/faces/1")
    assert face["bbox"].keys() == {"x", "y", "width", "height"}
    assert (face["bbox"]["width"], face["bbox"]["height"], face["detectionConfidence"]) == (150, 150, 0.9)
    assert 0 <= face["qualityScore"] <= 1
    assert face["personId"] is not None
    assert (face["personName"], len(face["assetId"])) == (None, 64)
    assert "T" in face["createdAt"]
    assert "clusterId" in face


def test_the_faces_of_a_photo_come_in_pages(website: Website) -> None:
    photo = together(website)["assetId"]
    page = website.get(f"/assets/{photo}", pageSize=2)
    assert (page["total"], len(page["items"])) == (3, 2)
    assert page["items"][0]["bbox"]["x"] < page["items"][1]["bbox"]["x"]
    assert len(website.get(f"/assets/{photo}", pageSize=2, page=2)["items"]) == 1


def test_what_the_library_has_not_is_not_found(website: Website) -> None:
    get = website.client.get
    assert get("/api/v1/faces/faces/999999").status_code == 404
    assert get("/api/v1/faces/faces/999999/explain").status_code == 404
    assert get(f"/api/v1/faces/assets/{'0' * 64}").status_code == 404
    assert get("/api/v1/faces/assets/..%2f..%2fetc%2fpasswd").status_code in {404, 422}
    assert get("/api/v1/faces/faces/0").status_code == 422


def test_a_face_is_explained(website: Website) -> None:
    why = website.get("/faces/1/explain")
    assert why["faceId"] == 1
    assert why["about"]["cosineSimilarity"] > 0.6
    assert why["about"]["nearest"][0].keys() == {"faceId", "cosineSimilarity"}
    assert "`assign` gives it" in why["verdict"]
    assert why["thresholds"]["assign"] > 0
    assert website.client.get("/api/v1/faces/faces/1/explain", params={"who": "nobody"}).status_code == 404
