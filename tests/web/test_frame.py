"""What all pages and calls have in common."""

from uuid import UUID

import httpx
from playwright.sync_api import Browser

from tests.fixtures.chromium import accessibility_findings, opened
from tests.fixtures.website import Website


def test_the_people_are_the_first_page(website: Website) -> None:
    assert "<h1>People</h1>" in website.client.get("/", follow_redirects=True).text


def test_health_tells_that_the_library_answers(website: Website) -> None:
    answer = httpx.get(f"{website.address}/health").json()
    assert (answer["status"], answer["database"]) == ("ok", "ok")
    assert answer["schema"] >= 3
    # Nobody has estimated it yet.
    assert answer["faces"] == 24


def test_a_face_is_cut_out_of_its_photo(website: Website) -> None:
    answer = website.client.get("/api/v1/faces/faces/1/crop", params={"size": 96})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_a_problem_is_a_sentence_for_programs_and_a_page_for_people(website: Website) -> None:
    answer = website.client.get("/api/v1/faces/faces/999999/crop")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "There is no face 999999."
    page = website.client.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is nothing at this address." in page.text


def test_a_command_in_a_sentence_is_code(website: Website) -> None:
    page = website.client.get(f"/people/{UUID(int=7)}", headers={"accept": "text/html"}).text
    assert "<code>facesets people list</code>" in page
    assert "`" not in page


def test_the_keys_are_explained_on_every_page(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/people") as page:
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("Review").wait_for()
        assert not accessibility_findings(page)
