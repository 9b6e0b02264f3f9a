"""The page of photos of which no file is left."""

import pytest
from playwright.sync_api import Browser

from tests.fixtures.chromium import PHONE, WORDS_ON_TWO_LINES, accessibility_findings, fits, opened
from tests.fixtures.library_people import rows
from tests.fixtures.waiting import wait_for
from tests.fixtures.website import Website


def test_missing_photos_are_shown_on_a_page_of_their_own_alone(website: Website) -> None:
    assert "No photo is missing." in website.page("/missing")
    assert "/missing" not in website.page("/people")
    first = website.get("/clusters")["items"][0]
    who = first["clusterId"].removeprefix("person_")
    with website.site.library() as session:
        gone = rows(
            session,
            f"""UPDATE images SET missing_since = now() WHERE id IN (SELECT image_id FROM face_detections
                WHERE person_id = '{who}') RETURNING sha256, id""",
        )
    assert '<a href="/missing">' in website.page("/people")
    page = website.page("/missing")
    assert f"{len(gone)} photo" in page
    assert all(f"/photos/{sha256}" in page for sha256, _ in gone)
    assert "/missing" in website.page(f"/photos/{gone[0][0]}")
    assert first["clusterId"] not in [each["clusterId"] for each in website.get("/clusters")["items"]]
    wait_for(lambda: who not in website.page("/people"))


@pytest.mark.slow
def test_words_beside_a_long_path_stay_whole_on_a_phone(website: Website, browser: Browser) -> None:
    with website.site.library() as session:
        rows(session, "UPDATE images SET missing_since = now() RETURNING id")
    with opened(browser, f"{website.address}/missing", PHONE) as page:
        page.locator("tbody td").first.wait_for()
        assert fits(page)
        assert page.evaluate(WORDS_ON_TWO_LINES) == []
        assert not accessibility_findings(page)
