"""Tags in the browser: beside a photo, and as a field of the search."""

import pytest

from facesets.library_records import TagCategory, TagWord
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.tagging import keep_categories
from tests.fixtures.library_people import rows
from tests.fixtures.website import BASE, Website


@pytest.fixture
def tagged(album: Library) -> str:
    """A library with one photo that is tagged `a & b`, and a face on it that is happy; that photo."""
    words = (TagWord("a & b", ("a & b",)), TagWord("other", ("other",)))
    categories = [
        TagCategory("setting", "scene", "single", 0, ("{}",), words),
        TagCategory("emotion", "face", "single", 0, ("{}",), (TagWord("happy", ("happy",)),)),
    ]
    album.database.run(lambda connection: keep_categories(connection, categories))
    ((sha256,),) = rows(
        album.database,
        """WITH f AS (SELECT min(id) AS face, min(image_id) AS image FROM face_detections
                WHERE image_id = (SELECT min(image_id) FROM face_detections)),
            of_image AS (INSERT INTO image_tags (image_id, tag_id, confidence)
                SELECT f.image, w.id, 0.91 FROM f, tags w WHERE w.name = 'a & b'),
            of_face AS (INSERT INTO face_tags (face_id, tag_id, confidence)
                SELECT f.face, w.id, 0.5 FROM f, tags w WHERE w.name = 'happy')
            SELECT i.sha256 FROM images i JOIN f ON f.image = i.id""",
    )
    return str(sha256)


def test_a_photo_shows_its_tags_which_lead_to_photos_with_them(website: Website, tagged: str) -> None:
    page = website.page(f"/photos/{tagged}")
    assert 'href="/search?tag=setting%3Aa+%26+b"' in page
    assert ">a &amp; b</a>" in page
    assert 'title="emotion, 50 %">happy</a>' in page
    found = website.page("/search?tag=setting%3Aa%20%26%20b&tag=happy&tag=")
    assert found.count('class="photo-link"') == 1
    assert f"/photos/{tagged}" in found
    assert found.count("checked>") == 2
    assert "No photos found for other<" in website.page("/search?tag=other")


def test_the_call_finds_photos_by_tags(website: Website, tagged: str) -> None:
    found = website.get("/search", tag=["a & b", "emotion:happy"])
    assert [each["assetId"] for each in found["items"]] == [tagged]
    assert website.get("/search", tag=["a & b", "other"])["total"] == 0
    unknown = website.client.get(f"{BASE}/search", params={"tag": "hapy"})
    assert (unknown.status_code, "Did you mean happy?" in unknown.json()["detail"]) == (404, True)
