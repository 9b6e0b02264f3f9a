"""The page that asks one question at a time, in a real browser."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.fixtures.chromium import PHONE, accessibility_findings, cut_off, opened
from tests.fixtures.questions import ask_about_ages
from tests.fixtures.waiting import wait_for
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow


@pytest.fixture
def page(asking: Website, browser: Browser) -> Iterator[Page]:
    """The page, which asks the first of 11 questions."""
    with opened(browser, f"{asking.address}/review") as found:
        is_asked(found, "Who is this?")
        yield found


def is_asked(page: Page, text: str) -> None:
    expect(page.locator("#asked")).to_have_text(text)


def progress(page: Page, answered: int) -> None:
    expect(page.locator("#progress")).to_have_text(re.compile(f"^{answered} answered · "))


def named(page: Page, name: str) -> None:
    """Type who it is."""
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def standing_changes(website: Website) -> list[tuple[Any, ...]]:
    """Return the kinds and targets of changes that were not undone, in order."""
    return website.rows("SELECT kind, what FROM steps WHERE NOT undone AND undoes IS NULL ORDER BY id")


def held_down(page: Page, key: str, begun: Callable[[], None]) -> None:
    """Press a key until something holds and longer: the browser calls what follows repeated."""
    page.keyboard.down(key)
    begun()
    for _ in range(5):
        page.keyboard.down(key)
    page.keyboard.up(key)


def corrections(website: Website) -> int:
    return sum(kind in {"name", "merge", "review", "hide"} for kind, _ in standing_changes(website))


def test_ten_answers_by_keyboard_and_three_undone(asking: Website, page: Page) -> None:
    for number, name in enumerate(("Anna", "Sjöberg", "Carla", "Dora")):
        is_asked(page, "Who is this?")
        progress(page, number)
        assert number or not accessibility_findings(page)
        named(page, name)
    progress(page, 4)
    for number in range(4, 10):
        expect(page.locator("#question")).to_be_visible()
        are_two = "the same person" in page.locator("#asked").inner_text()
        page.keyboard.press("n" if are_two else "y")
        progress(page, number + 1)
    page.get_by_text("No suggestions to review.").wait_for()
    expect(page.locator("#progress")).to_contain_text("0 left")
    assert not accessibility_findings(page)
    for number in (9, 8, 7):
        page.keyboard.press("u")
        progress(page, number)
    page.get_by_text("Undid").nth(2).wait_for()
    expect(page.locator("#question")).to_be_visible()
    assert not accessibility_findings(page)
    assert corrections(asking) == 7
    names = {each["name"] for each in asking.people()}
    assert {"Anna", "Sjöberg"} <= names


def test_a_telephone_answers_by_touch(asking: Website, browser: Browser) -> None:
    with opened(browser, f"{asking.address}/review", PHONE, dark=True) as page:
        is_asked(page, "Who is this?")
        assert not accessibility_findings(page)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        for _ in range(4):
            page.get_by_role("button", name="Skip").click()
        page.get_by_role("button", name=re.compile("^Yes, all")).wait_for()
        is_asked(page, "Are these 2 faces really the person above?")
        assert not accessibility_findings(page)
        page.locator(".choice").nth(1).click()
        page.get_by_role("button", name="Yes, but not 2").click()
        progress(page, 1)
        faces = page.locator("#left img, #right img")
        for place in (0, faces.count() - 1):
            expect(faces.nth(place)).to_be_visible()
        expect(page.locator("#left img").first).to_have_js_property("complete", value=True)
        box = page.locator("#left img").first.bounding_box()
        assert box is not None
        assert box["width"] >= 130
        page.get_by_role("button", name="Undo").click()
        progress(page, 0)
        page.get_by_text("Undid").wait_for()
    assert corrections(asking) == 0


def test_a_taken_name_is_confirmed_or_chosen(asking: Website, page: Page) -> None:
    named(page, "Anna")
    progress(page, 1)
    named(page, "anna")
    question = page.get_by_role("group", name=re.compile("the same person"))
    question.wait_for()
    is_asked(page, "Are both anna?")
    expect(page.locator("#right img").first).to_be_visible()
    assert not accessibility_findings(page)
    page.keyboard.press("n")
    expect(page.get_by_placeholder("Type a name")).to_have_value("anna")
    page.keyboard.press("Enter")
    question.wait_for()
    # A key before the suggestion can have been read is no answer.
    page.wait_for_timeout(400)
    with page.expect_response("**/name"):
        page.keyboard.press("y")
    progress(page, 2)
    is_asked(page, "Who is this?")
    assert asking.get("/persons", find="Anna")["items"][0]["faceCount"] == 15
    page.keyboard.type("An")
    page.get_by_role("option", name="Anna").wait_for()
    page.keyboard.press("ArrowDown")
    with page.expect_response("**/name"):
        page.keyboard.press("Enter")
    progress(page, 3)
    assert asking.get("/persons", find="Anna")["items"][0]["faceCount"] == 20


def test_a_held_key_or_a_key_that_continues_a_name_answers_nothing(asking: Website, page: Page) -> None:
    for _ in range(4):
        is_asked(page, "Who is this?")
        page.keyboard.press("Enter")
    expect(page.locator("#question")).not_to_have_attribute("data-kind", "name")
    with page.expect_response("**/accept"):
        held_down(page, "y", lambda: progress(page, 1))
    progress(page, 1)
    # Letters of a word that was begun in a field, which was taken away meanwhile.
    page.evaluate(
        """() => [["J", "#name"], ["o", "#name"], ["n", "body"], ["n", "body"], ["y", "body"]].forEach(
            ([key, where]) => document.querySelector(where).dispatchEvent(
                new KeyboardEvent("keydown", { key, bubbles: true })))"""
    )
    expect(page.locator("#question")).to_be_visible()
    progress(page, 1)
    assert corrections(asking) == 1


def test_a_double_click_or_a_held_key_answers_once(page: Page) -> None:
    page.get_by_role("button", name="Hide").dblclick()
    progress(page, 1)
    # By keyboard the focus stays where it is of use.
    for _ in range(3):
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Skip").press("Enter")
    expect(page.locator("#asked")).not_to_have_text("Who is this?")
    no = page.locator("#buttons [data-does=no]")
    no.focus()
    for _ in range(4):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    progress(page, 2)
    expect(no).to_be_focused()


def test_whoever_erases_a_name_undoes_nothing_by_one_key_too_many(page: Page) -> None:
    page.keyboard.type("Anna")
    # Held down, it keeps the name and skips nothing.
    held_down(page, "Enter", lambda: progress(page, 1))
    page.keyboard.type("Be")
    for _ in range(4):
        page.keyboard.press("Backspace")
    page.keyboard.type("Ca")
    held_down(page, "Backspace", lambda: None)
    progress(page, 1)
    page.wait_for_timeout(750)
    page.keyboard.press("Backspace")
    progress(page, 0)
    page.get_by_text("Undid").wait_for()


def test_skipped_suggestions_are_not_shown_at_the_next_visit(asking: Website, page: Page) -> None:
    (first, second, *_) = asking.get("/candidates")["items"]
    for what in ("skip", "skip", "ask-again"):
        with page.expect_response(f"**/{what}"):
            page.keyboard.press("Backspace" if what == "ask-again" else "Enter")
    page.reload()
    expect(page.locator("#progress")).to_contain_text("10 left · 1 skipped")
    assert asking.get("/candidates")["items"][0]["id"] == second["id"]
    for _ in range(10):
        expect(page.locator("#question")).to_be_visible()
        page.keyboard.press("Escape")
        with page.expect_response("**/skip"):
            page.keyboard.press("s")
    page.get_by_role("button", name="Review skipped suggestions").click()
    is_asked(page, "Who is this?")
    expect(page.locator("#progress")).to_contain_text("11 left")
    assert asking.get("/candidates")["items"][0]["id"] == first["id"]


def test_keys_work_beside_the_field_after_escape_and_take_back_one_answer_each(
    asking: Website, page: Page
) -> None:
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    progress(page, 1)
    page.keyboard.press("Enter")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    progress(page, 0)
    page.get_by_text("Undid").wait_for()
    for number, name in enumerate(("Anna", "Berta", "Carla")):
        progress(page, number)
        # A letter begins the name wherever one is.
        page.locator("h1").click()
        named(page, name)
    progress(page, 3)
    page.keyboard.press("Escape")
    for number in (2, 1, 0):
        page.keyboard.press("u")
        progress(page, number)
    page.get_by_text("Undid").nth(2).wait_for()
    page.keyboard.type("Emma")
    expect(page.get_by_placeholder("Type a name")).to_have_value("Emma")
    # The last of them may still be on its way.
    wait_for(lambda: corrections(asking) == 0)


def test_suggestions_answered_or_changed_elsewhere_are_skipped(asking: Website, page: Page) -> None:
    (first, *_) = asking.get("/candidates")["items"]
    asking.post(f"/candidates/{first['id']}/hide")
    named(page, "Anna")
    page.get_by_text("Skipped because it was answered elsewhere").wait_for()
    progress(page, 0)
    is_asked(page, "Who is this?")
    assert corrections(asking) == 1
    named(page, "Anna")
    progress(page, 1)
    page.keyboard.press("Escape")
    with page.expect_response(re.compile(r"/candidates/name-\w+$")) as renewed:
        page.keyboard.press("u")
    asked = renewed.value.json()
    # Another user changes the person, which the one who answers has not seen.
    asking.post(f"/persons/{asked['personId']}", {"action": "hide"})
    asking.post(f"/persons/{asked['personId']}", {"action": "unhide"})
    named(page, "Berta")
    page.get_by_text("Changed by another user").wait_for()
    assert asking.get("/persons", find="Berta")["total"] == 0


def test_a_refused_answer_returns_with_its_message(page: Page) -> None:
    for _ in range(4):
        is_asked(page, "Who is this?")
        page.keyboard.press("Enter")
    page.locator("[data-kind=many]").wait_for()
    asked = page.locator("#asked").text_content()
    sentence = "That contradicts what was said. Take that back first."
    page.route(
        "**/accept",
        lambda route: route.fulfill(
            status=422, content_type="application/problem+json", json={"detail": sentence}
        ),
    )
    page.keyboard.press("y")
    page.get_by_role("status").get_by_text(sentence).wait_for()
    progress(page, 0)
    page.unroute("**/accept")
    page.keyboard.press("s")
    expect(page.get_by_role("alert")).to_have_text(sentence)
    assert page.locator("#asked").text_content() == asked
    page.keyboard.press("y")
    progress(page, 1)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_last_answer_is_stored_and_suggestions_reload_once_the_server_answers(
    asking: Website, page: Page
) -> None:
    # One is left that is open: one with yes and no.
    for _ in range(10):
        expect(page.locator("#question")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("s")
    expect(page.locator("#question")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/accept", hold)
    page.keyboard.press("y")
    resting = page.locator("#resting-text")
    expect(resting).to_have_text("Saving 1 answer…")
    text = resting.bounding_box()
    assert text is not None
    assert abs(text["x"] + text["width"] / 2 - page.evaluate("document.body.clientWidth") / 2) < 2
    # Earlier skips are stored first.
    while not held:
        page.wait_for_timeout(10)
    with cut_off(page):
        held[0].abort("internetdisconnected")
        expect(page.get_by_role("alert")).to_contain_text("doesn't answer")
        expect(page.locator("#question")).to_be_visible()
    progress(page, 0)
    page.unroute("**/accept")
    with cut_off(page, "**/candidates?*"):
        page.keyboard.press("y")
        page.get_by_text("Suggestions can't be loaded.").wait_for()
        assert not accessibility_findings(page)
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("No more suggestions to review.").wait_for()
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    progress(page, 1)
    assert corrections(asking) == 1


def test_input_and_undo_while_the_server_is_down_are_not_lost(asking: Website, page: Page) -> None:
    with cut_off(page):
        named(page, "Anna")
        expect(page.get_by_role("alert")).to_contain_text("The name Anna is still in the field.")
        expect(page.get_by_placeholder("Type a name")).to_have_value("Anna")
        assert not accessibility_findings(page)
    page.keyboard.press("Enter")
    progress(page, 1)
    assert asking.get("/persons", find="Anna")["total"] == 1
    page.keyboard.press("Escape")
    with cut_off(page):
        page.keyboard.press("u")
        page.get_by_role("status").get_by_text("doesn't answer").wait_for()
        progress(page, 1)
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    page.get_by_text("Undid").wait_for()
    progress(page, 0)
    assert corrections(asking) == 0


def test_a_face_of_another_age_is_suggested_with_both_ages(website: Website, browser: Browser) -> None:
    with website.site.library() as session:
        (face,) = ask_about_ages(session, 1)
    with opened(browser, f"{website.address}/review") as page:
        is_asked(page, "Is this really Anna? The face looks about 6, expected about 40.")
        expect(page.locator("#right .who")).to_have_text("similarity 0.55")
        assert not accessibility_findings(page)
        page.get_by_role("button", name="No").click()
        progress(page, 1)
        page.get_by_text("No suggestions to review.").wait_for()
        # While no question is open, nothing is asked for.
        page.wait_for_load_state("networkidle")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(1000)
        assert not asked
    assert [kind for kind, _ in standing_changes(website)][-1] == "review"
    assert website.rows(f"SELECT person_id FROM face_detections WHERE id = {face}") == [(None,)]


def test_several_faces_of_another_age_each_show_their_own(website: Website, browser: Browser) -> None:
    with website.site.library() as session:
        first, second = ask_about_ages(session, 2)
    with opened(browser, f"{website.address}/review") as page:
        is_asked(page, "Are these 2 faces really Anna? Their estimated ages do not fit.")
        texts = page.locator(".choice-text")
        expect(texts).to_have_text([f"{n} looks about {5 + n}, expected about 40" for n in (1, 2)])
        page.locator(".choice").nth(1).click()
        page.get_by_role("button", name="No, only 2").click()
        progress(page, 1)
        page.get_by_text("No suggestions to review.").wait_for()
    owned = website.rows("SELECT id FROM face_detections WHERE person_id IS NOT NULL")
    assert (second,) in owned
    assert (first,) not in owned
