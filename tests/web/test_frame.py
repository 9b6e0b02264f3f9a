"""What all pages and calls have in common."""

from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.fixtures.chromium import accessibility_findings, opened
from tests.fixtures.postgres import Server, close_to_all, open_again
from tests.fixtures.website import TOKEN, Website, served


def test_the_people_are_the_first_page(onlooked: Website) -> None:
    assert "<h1>People</h1>" in onlooked.client.get("/", follow_redirects=True).text


def test_health_tells_that_the_library_answers(onlooked: Website) -> None:
    answer = httpx.get(f"{onlooked.address}/health").json()
    assert (answer["status"], answer["database"]) == ("ok", "ok")
    assert answer["schema"] >= 3
    # Nobody has estimated it yet.
    assert answer["faces"] == 24


def test_a_face_is_cut_out_of_its_photo(onlooked: Website) -> None:
    answer = onlooked.client.get("/api/v1/faces/faces/1/crop", params={"size": 96})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_a_problem_is_a_sentence_for_programs_and_a_page_for_people(onlooked: Website) -> None:
    answer = onlooked.client.get("/api/v1/faces/faces/999999/crop")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "There is no face 999999."
    page = onlooked.client.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is nothing at this address." in page.text


@pytest.mark.parametrize(
    ("path", "status", "heading", "sentence"),
    [
        ("/people/abc", 404, "Not found", "There is nothing at this address."),
        ("/people?after=x", 422, "That does not fit", "What the address gives as after does not fit."),
        ("/people?find=%00", 400, "That cannot be read", "A request holds no zero character."),
        ("/people/%00", 400, "That cannot be read", "A request holds no zero character."),
    ],
)
def test_an_address_that_is_wrong_is_said_in_words(
    onlooked: Website, path: str, status: int, heading: str, sentence: str
) -> None:
    answer = onlooked.client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in answer.text
    assert sentence in answer.text


def test_what_is_too_large_is_said_to_people_on_a_page(website: Website) -> None:
    answer = website.client.post("/people", content=b" " * 1_000_001, headers={"accept": "text/html"})
    assert answer.status_code == 413
    assert "A request has at most 1000000 bytes." in answer.text
    assert "<h1>" in answer.text


def test_where_the_library_is_gone_a_page_offers_to_try_again(
    website: Website, server: Server, album_url: str
) -> None:
    close_to_all(server, album_url)
    for path in ("/people?find=a%22b", "/search"):
        gone = website.client.get(path, headers={"accept": "text/html"})
        assert (gone.status_code, "<h1>The library does not answer</h1>" in gone.text) == (503, True)
        assert f'href="{path}">Try again</a>' in gone.text
        assert website.client.get(path).headers["content-type"] == "application/problem+json"
    open_again(server, album_url)
    assert "<h1>People</h1>" in website.page("/people")


@pytest.mark.slow
def test_a_page_says_that_the_library_is_gone_until_it_is_back(
    website: Website, server: Server, album_url: str, browser: Browser
) -> None:
    context = browser.new_context()
    people, person = context.new_page(), context.new_page()
    people.goto(f"{website.address}/people")
    person.goto(f"{website.address}/people/{website.people()[0]['id']}")
    faces, told = person.locator("#faces [role=option]"), person.locator(".message.error")
    person.get_by_text("Facts", exact=True).wait_for()
    close_to_all(server, album_url)
    people.get_by_role("searchbox").fill("nobody")
    expect(people.locator(".message.error")).to_contain_text("the database", timeout=15_000)
    faces.nth(1).click()
    person.keyboard.press("n")
    expect(told).to_contain_text("the database", timeout=15_000)
    open_again(server, album_url)
    people.get_by_role("searchbox").fill("nobody at all")
    people.get_by_text("Nobody is called “nobody at all”.").wait_for()
    expect(people.locator(".message.error")).to_have_count(0)
    # Looking again does not mean that it was done.
    person.get_by_label("Order").select_option("oldest")
    person.wait_for_load_state("networkidle")
    expect(told).to_have_count(1)
    person.keyboard.press("n")
    person.get_by_text("1 face said not to be this person").wait_for()
    expect(told).to_have_count(0)
    expect(faces).to_have_count(8)
    context.close()


def test_who_is_not_logged_in_is_led_nowhere_else(locked: Website) -> None:
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


def test_a_page_that_is_not_there_leads_to_another_page_not_to_a_terminal(onlooked: Website) -> None:
    page = onlooked.client.get(f"/people/{UUID(int=7)}", headers={"accept": "text/html"}).text
    assert "The page People shows who there is." in page
    assert "<code>" not in page


def test_the_keys_are_explained_on_every_page(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/people") as page:
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("Review").wait_for()
        assert not accessibility_findings(page)


@pytest.mark.slow
def test_messages_that_slide_in_while_they_are_looked_at_are_no_finding(
    website: Website, browser: Browser
) -> None:
    with opened(browser, f"{website.address}/people") as page:
        page.evaluate(
            """() => setInterval(() => {
                const message = document.createElement("div");
                message.className = "message error";
                message.textContent = "Nothing answers.";
                document.getElementById("messages").replaceChildren(message);
            }, 20)"""
        )
        page.locator(".message").wait_for()
        assert not accessibility_findings(page)
        # Everybody else sees them slide.
        assert page.evaluate("document.getAnimations().length") == 1


def test_many_keys_are_read_from_the_first_one_on(website: Website, browser: Browser) -> None:
    person = website.people()[0]["id"]
    with opened(browser, f"{website.address}/people/{person}", (360, 480)) as page:
        page.keyboard.press("?")
        help_ = page.get_by_role("dialog")
        assert help_.evaluate("(each) => each.scrollHeight > each.clientHeight && each.scrollTop === 0")
        expect(page.get_by_role("button", name="Close")).to_be_in_viewport()


def test_what_scripts_put_into_a_page_is_a_page_of_its_own_without_them(onlooked: Website) -> None:
    person = onlooked.people()[0]
    photo = onlooked.get("/faces/1")["assetId"]
    for path, title, back in (
        (f"/people/{person['id']}/about", "About somebody without a name", f"/people/{person['id']}"),
        (f"/photos/{photo}/why/1", "Why face 1 is whose it is", f"/photos/{photo}#face-1"),
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


def test_an_empty_library_says_what_to_do_first(library_url: str, tmp_path: Path) -> None:
    with served(library_url, tmp_path / "crops") as empty:
        for path in ("/people", "/unknown", "/unknown/faces", "/search"):
            page = empty.page(path)
            assert "There are no photos in the library yet." in page, path
            assert "<code>facesets index PHOTOS</code>" in page, path


@pytest.mark.slow
def test_nothing_to_ask_about_is_no_error(library_url: str, tmp_path: Path, browser: Browser) -> None:
    with (
        served(library_url, tmp_path / "crops") as empty,
        opened(browser, f"{empty.address}/review") as page,
    ):
        page.get_by_role("status").get_by_text("There are no faces in").wait_for()
        expect(page.get_by_role("button", name="Undo")).to_be_hidden()
        expect(page.locator(".message.error")).to_have_count(0)
