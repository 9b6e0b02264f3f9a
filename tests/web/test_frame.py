"""What all pages and calls have in common, and the page of photos of which no file is left."""

import re
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.fixtures.chromium import PHONE, WORDS_ON_TWO_LINES, accessibility_findings, fits, opened
from tests.fixtures.postgres import Server, close_to_all, open_again
from tests.fixtures.waiting import wait_for
from tests.fixtures.website import BASE, TOKEN, Website, served


def test_the_people_are_the_first_page(onlooked: Website) -> None:
    assert "<h1>People</h1>" in onlooked.client.get("/", follow_redirects=True).text


def test_health_reports_that_the_library_answers(onlooked: Website) -> None:
    answer = httpx.get(f"{onlooked.address}/health").json()
    assert (answer["status"], answer["database"]) == ("ok", "ok")
    assert answer["schema"] >= 3
    # Nobody has estimated it yet.
    assert answer["faces"] == 24


NOBODY = UUID(int=7)


@pytest.mark.parametrize(
    ("path", "status", "heading", "sentence"),
    [
        ("/nothing", 404, "Not found", "There is no page at this address."),
        ("/people/abc", 404, "Not found", "There is no page at this address."),
        ("/photos/..%2fetc", 404, "Not found", "There is no page at this address."),
        (f"/photos/{'0' * 64}", 404, "Not found", "This photo is not in the library."),
        # It leads to another page, not to a terminal.
        (f"/people/{NOBODY}", 404, "Not found", "The People page shows all people."),
        (f"/people/{NOBODY}/about", 404, "Not found", "The People page shows all people."),
        ("/people?after=x", 422, "Invalid request", "The value of after in the address is invalid."),
        ("/people?find=%00", 400, "Bad request", "The request must not contain a null character."),
        ("/people/%00", 400, "Bad request", "The request must not contain a null character."),
    ],
)
def test_a_wrong_address_gets_an_error_page(
    onlooked: Website, path: str, status: int, heading: str, sentence: str
) -> None:
    answer = onlooked.client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in answer.text
    assert sentence in answer.text
    assert "<code>" not in answer.text


@pytest.mark.parametrize(
    ("path", "statuses", "sentence"),
    [
        ("/faces/999999", {404}, "Face not found: 999999."),
        ("/faces/999999/crop", {404}, "Face not found: 999999."),
        ("/faces/999999/explain", {404}, "Face not found: 999999."),
        ("/faces/1/explain?who=nobody", {404}, "Person not found: nobody"),
        ("/faces/0", {422}, ""),
        (f"/assets/{'0' * 64}", {404}, "This photo is not"),
        (f"/assets/{'0' * 64}/picture", {404}, "This photo is not"),
        (f"/assets/{'0' * 64}/picture?size=99999", {422}, "size: "),
        ("/assets/..%2f..%2fetc%2fpasswd", {404, 422}, ""),
        (f"/jobs/{'0' * 32}", {404}, ""),
        ("/jobs/99999", {404}, ""),
        ("/jobs/abc", {404, 422}, ""),
        ("/clusters/nothing_here", {404}, ""),
    ],
)
def test_missing_things_are_reported_to_programs(
    onlooked: Website, path: str, statuses: set[int], sentence: str
) -> None:
    answer = onlooked.client.get(BASE + path)
    assert answer.status_code in statuses
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(sentence)
    assert answer.json()["detail"].endswith(".")


def test_a_lost_library_is_reported_with_a_retry_and_recovers(
    website: Website, server: Server, album_url: str
) -> None:
    close_to_all(server, album_url)
    for path in ("/people?find=a%22b", "/search"):
        missing = website.client.get(path, headers={"accept": "text/html"})
        assert (missing.status_code, "<h1>Library unavailable</h1>" in missing.text) == (503, True)
        assert f'href="{path}">Try again</a>' in missing.text
        assert "Traceback" not in missing.text
        assert website.client.get(path).headers["content-type"] == "application/problem+json"
    health = httpx.get(f"{website.address}/health")
    assert (health.status_code, health.json()["database"]) == (503, "unavailable")
    open_again(server, album_url)
    assert "<h1>People</h1>" in website.page("/people")


@pytest.mark.slow
def test_a_page_reports_a_lost_library_until_it_is_back(
    website: Website, server: Server, album_url: str, browser: Browser
) -> None:
    context = browser.new_context()
    people, person = context.new_page(), context.new_page()
    people.goto(f"{website.address}/people")
    person.goto(f"{website.address}/people/{website.people()[0]['id']}")
    faces, output = person.locator("#faces [role=option]"), person.locator(".message.error")
    person.get_by_text("Facts", exact=True).wait_for()
    close_to_all(server, album_url)
    people.get_by_role("searchbox").fill("nobody")
    expect(people.locator(".message.error")).to_contain_text("the database", timeout=15_000)
    faces.nth(1).click()
    person.keyboard.press("n")
    expect(output).to_contain_text("the database", timeout=15_000)
    open_again(server, album_url)
    people.get_by_role("searchbox").fill("nobody at all")
    people.get_by_text("No people match “nobody at all”.").wait_for()
    expect(people.locator(".message.error")).to_have_count(0)
    # Looking again does not mean that it was done.
    person.get_by_label("Order").select_option("oldest")
    person.wait_for_load_state("networkidle")
    expect(output).to_have_count(1)
    person.keyboard.press("n")
    person.get_by_text("Removed 1 face from this person").wait_for()
    expect(output).to_have_count(0)
    expect(faces).to_have_count(8)
    context.close()


def test_logged_out_users_are_redirected_to_the_login_only(locked: Website) -> None:
    page = httpx.get(f"{locked.address}/login", headers={"accept": "text/html"}).text
    assert "<h1>Log in</h1>" in page
    assert "<nav" not in page
    visitor = httpx.Client(base_url=locked.address, headers={"accept": "text/html"}, follow_redirects=True)
    with visitor:
        assert "<nav" in visitor.post("/login", data={"password": TOKEN}).text


def test_a_command_in_a_sentence_is_code(onlooked: Website) -> None:
    page = onlooked.page("/search?words=snow").partition("results-title")[2]
    assert "Run <code>facesets index PHOTOS</code>" in page
    assert "`" not in page


def test_the_keys_are_explained_from_the_first_one_on(onlooked: Website, browser: Browser) -> None:
    with opened(browser, f"{onlooked.address}/people/{onlooked.people()[0]['id']}", (360, 480)) as page:
        page.keyboard.press("?")
        help_ = page.get_by_role("dialog")
        help_.get_by_text("Review").wait_for()
        assert help_.evaluate("(each) => each.scrollHeight > each.clientHeight && each.scrollTop === 0")
        expect(page.get_by_role("button", name="Close")).to_be_in_viewport()
        assert not accessibility_findings(page)


def test_what_scripts_put_into_a_page_is_a_page_of_its_own_without_them(onlooked: Website) -> None:
    person = onlooked.people()[0]
    photo = onlooked.get("/faces/1")["assetId"]
    for path, title, back in (
        (f"/people/{person['id']}/about", "About unnamed person", f"/people/{person['id']}"),
        (f"/photos/{photo}/why/1", "Why face 1 was matched", f"/photos/{photo}#face-1"),
    ):
        page = onlooked.page(path)
        assert f"<title>{title} · facesets</title>" in page
        assert f"<h1>{title}</h1>" in page
        assert f'href="{back}"' in page
        part = onlooked.page(f"{path}?part=true")
        assert "<title>" not in part
        assert '<dl class="pairs">' in part
        # A button that no script hears would do nothing.
        assert "Same person?" not in page
    why = onlooked.page(f"/photos/{photo}/why/1")
    assert "<code>" in why
    assert "`" not in why
    # A run is shown by its number, without an author.
    assert re.search(r'<dt>Change</dt><dd>cluster <span class="muted">\(\d+\)</span>', why)


@pytest.mark.slow
def test_an_empty_library_shows_the_first_step(library_url: str, tmp_path: Path, browser: Browser) -> None:
    with served(library_url, tmp_path / "crops") as empty:
        for path in ("/people", "/unknown", "/unknown/faces", "/search"):
            page = empty.page(path)
            assert "The library has no photos yet." in page, path
            assert "<code>facesets index PHOTOS</code>" in page, path
        with opened(browser, f"{empty.address}/review") as review:
            review.get_by_role("status").get_by_text("There are no faces in").wait_for()
            expect(review.get_by_role("button", name="Undo")).to_be_hidden()
            expect(review.locator(".message.error")).to_have_count(0)


def test_missing_photos_are_shown_on_a_page_of_their_own_alone(website: Website) -> None:
    assert "No missing photos." in website.page("/missing")
    assert "/missing" not in website.page("/people")
    first = website.get("/clusters")["items"][0]
    who = first["clusterId"].removeprefix("person_")
    missing = website.rows(
        f"""UPDATE images SET missing_since = now() WHERE id IN (SELECT image_id FROM face_detections
            WHERE person_id = '{who}') RETURNING sha256"""
    )
    assert '<a href="/missing">' in website.page("/people")
    page = website.page("/missing")
    assert f"{len(missing)} photo" in page
    assert all(f"/photos/{sha256}" in page for (sha256,) in missing)
    assert "/missing" in website.page(f"/photos/{missing[0][0]}")
    assert first["clusterId"] not in [each["clusterId"] for each in website.get("/clusters")["items"]]
    wait_for(lambda: who not in website.page("/people"))


@pytest.mark.slow
def test_words_beside_a_long_path_stay_whole_on_a_phone(website: Website, browser: Browser) -> None:
    website.change("UPDATE images SET missing_since = now()")
    with opened(browser, f"{website.address}/missing", PHONE) as page:
        page.locator("tbody td").first.wait_for()
        assert fits(page)
        assert page.evaluate(WORDS_ON_TWO_LINES) == []
        assert not accessibility_findings(page)
