"""The pages of groups and faces without a name, in a real browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from tests.fixtures.chromium import PHONE, accessibility_findings, cut_off, opened
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow


@pytest.fixture
def page(website: Website, browser: Browser) -> Iterator[Page]:
    """The page, with four groups."""
    with opened(browser, f"{website.address}/unknown") as found:
        left(found, "4 unnamed people")
        yield found


@pytest.fixture
def anna_named(page: Page) -> Page:
    """The same, where the first group is Anna already."""
    enter(page, "Anna")
    left(page, "3 unnamed people")
    return page


def names(website: Website) -> dict[str, int]:
    """Who has a name, and how many faces."""
    found = website.get("/clusters", includeLabeled=True)["items"]
    return {each["personName"]: each["faceCount"] for each in found if each["personName"]}


def left(page: Page, text: str) -> None:
    expect(page.locator("#total")).to_have_text(text)


def enter(page: Page, *names: str) -> None:
    """Type names, each into the field that has the focus then."""
    for name in names:
        page.keyboard.type(name)
        page.keyboard.press("Enter")


def test_three_groups_are_named_by_keyboard_alone(website: Website, page: Page) -> None:
    assert not accessibility_findings(page)
    enter(page, "Anna", "Ben", "Carla")
    left(page, "1 unnamed person")
    # The field of the last one has the focus; an empty one takes commands, but for what only erased.
    page.keyboard.type("D")
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    expect(page.locator(".group").nth(3).get_by_role("combobox")).to_be_focused()
    page.wait_for_timeout(750)
    page.keyboard.press("Delete")
    left(page, "0 unnamed people")
    assert not accessibility_findings(page)
    page.keyboard.press("u")
    left(page, "1 unnamed person")
    page.keyboard.press("Control+z")
    left(page, "2 unnamed people")
    assert names(website) == {"Anna": 9, "Ben": 6}


def test_a_taken_name_is_confirmed_in_place(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/unknown", dark=True) as page:
        enter(page, "Anna", "anna")
        question = page.get_by_role("group", name=re.compile("the same person"))
        question.wait_for()
        page.keyboard.press("ArrowUp")
        expect(question.get_by_role("button", name="Use another name")).to_be_focused()
        expect(question.locator("figure")).to_have_count(2)
        assert not accessibility_findings(page)
        page.keyboard.press("n")
        enter(page, "Ben")
        left(page, "2 unnamed people")
        enter(page, "ben")
        question.wait_for()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("y")
        left(page, "1 unnamed person")
    assert names(website) == {"Anna": 9, "Ben": 11}


@contextmanager
def named_late(page: Page, name: str) -> Iterator[None]:
    """Name the group at hand; the server hears of it after the block."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/label", hold)
    with page.expect_request("**/label"):
        enter(page, name)
    yield
    # That it was asked for is known before it is held.
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    page.unroute("**/label")


def test_a_confirmation_takes_no_letters_of_a_typed_name(website: Website, anna_named: Page) -> None:
    page = anna_named
    with named_late(page, "Anna"):
        pass
    question = page.get_by_role("group", name=re.compile("the same person"))
    question.wait_for()
    page.keyboard.type("una")
    third = page.locator(".group").nth(2).get_by_role("combobox")
    expect(third).to_have_value("una")
    page.keyboard.press("Enter")
    # The confirmation waits while the user names people one after the other.
    expect(page.locator(".group").nth(3).get_by_role("combobox")).to_be_focused()
    left(page, "2 unnamed people")
    page.keyboard.press("ArrowUp")
    expect(question.get_by_role("button", name="Use another name")).to_be_focused()
    page.keyboard.type("Benny")
    expect(question).to_be_visible()
    left(page, "2 unnamed people")
    page.wait_for_timeout(1600)
    page.keyboard.press("y")
    left(page, "1 unnamed person")
    assert names(website) == {"Anna": 15, "una": 5}


def test_the_first_letter_of_the_next_name_answers_no_question(website: Website, anna_named: Page) -> None:
    page = anna_named
    enter(page, "Anna")
    question = page.get_by_role("group", name=re.compile("the same person"))
    question.wait_for()
    enter(page, "nora")
    left(page, "2 unnamed people")
    page.keyboard.type("yvonne")
    expect(page.locator(".group").nth(3).get_by_role("combobox")).to_have_value("yvonne")
    expect(question).to_be_visible()
    assert names(website) == {"Anna": 9, "nora": 5}


def test_a_question_that_just_came_is_answered_by_no_key_for_something_else(
    website: Website, anna_named: Page
) -> None:
    """Nobody is elsewhere in a field; the key was on its way before the question could be read."""
    page = anna_named
    with named_late(page, "Anna"):
        page.evaluate("document.activeElement.blur()")
        # In the same moment in which the question takes the focus, by keys that the page itself makes.
        page.evaluate(
            """addEventListener("focusin", (event) => {
                if (event.target.closest(".ask")) for (const key of ["n", "y", "Escape", "Enter"])
                    event.target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            }, { once: true })"""
        )
    question = page.get_by_role("group", name=re.compile("the same person"))
    question.wait_for()
    page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    left(page, "3 unnamed people")
    assert names(website) == {"Anna": 9}


def test_names_that_were_typed_while_nothing_answers_stay_in_their_fields(
    website: Website, page: Page
) -> None:
    first, second = (page.locator(".group").nth(place) for place in (0, 1))
    with cut_off(page):
        enter(page, "Anna", "Ben")
        for group, name in ((first, "Anna"), (second, "Ben")):
            expect(group.get_by_role("alert")).to_contain_text("The name is still in the field")
            expect(group.get_by_role("combobox")).to_have_value(name)
        assert first.get_by_role("alert").locator("code").text_content() == "facesets serve"
        assert not accessibility_findings(page)
    # Whoever loads the page again is asked whether the names may go.
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.evaluate("setTimeout(() => location.reload())")
    page.wait_for_timeout(300)
    for group in (first, second):
        group.get_by_role("combobox").press("Enter")
    left(page, "2 unnamed people")
    assert asked == ["beforeunload"]
    assert names(website) == {"Anna": 9, "Ben": 6}


def test_pending_changes_are_undone_first_and_typed_text_overrides_a_choice(
    website: Website, anna_named: Page
) -> None:
    page = anna_named
    with named_late(page, "Ben"):
        page.keyboard.press("Control+z")
    page.get_by_text("Undid").wait_for()
    left(page, "3 unnamed people")
    assert names(website) == {"Anna": 9}
    page.locator(".group").nth(1).get_by_role("combobox").fill("An")
    page.get_by_role("option", name="Anna").wait_for()
    page.keyboard.press("ArrowDown")
    # The names that fit what is typed then do not come in time.
    page.route("**/persons?*", lambda _: None)
    enter(page, "ton")
    left(page, "2 unnamed people")
    assert names(website) == {"Anna": 9, "Anton": 6}


def test_a_telephone_names_and_hides_by_touch(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/unknown", PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert not accessibility_findings(page)
        first, second = page.locator(".group").nth(0), page.locator(".group").nth(1)
        first.get_by_role("combobox").fill("Anna")
        first.get_by_role("combobox").press("Enter")
        first.get_by_role("button", name="Undo: Anna").wait_for()
        second.get_by_role("button", name="Hide").click()
        left(page, "2 unnamed people")
        second.get_by_role("button", name="Undo").click()
        left(page, "3 unnamed people")
        second.get_by_role("button", name="All faces").click()
        dialog = page.get_by_role("dialog", name="All 6 faces")
        expect(dialog.get_by_role("img")).to_have_count(6)
        dialog.get_by_role("button", name="Close").click()
    assert names(website) == {"Anna": 9}


def test_people_changed_elsewhere_are_shown_again(website: Website, page: Page) -> None:
    first = website.get("/clusters")["items"][0]
    website.post("/persons", {"name": "Eva", "faceIds": first["sampleFaceIds"][:1]})
    enter(page, "Anna")
    page.locator(".group").first.get_by_role("alert").get_by_text(
        "This was changed by another user"
    ).wait_for()
    page.locator(".group").first.get_by_role("combobox").press("Enter")
    left(page, "3 unnamed people")
    assert names(website) == {"Anna": 8, "Eva": 1}


def test_a_group_hidden_twice_is_counted_once(page: Page) -> None:
    page.get_by_role("button", name="Hide").first.dblclick()
    page.get_by_role("button", name="Undo").wait_for()
    page.evaluate("import('/static/app.js').then((app) => app.answered())")
    left(page, "3 unnamed people")
    expect(page.locator(".did")).to_have_count(1)
    page.get_by_role("button", name="Undo: Hidden").dblclick()
    left(page, "4 unnamed people")
    expect(page.get_by_text("There is no change to undo.")).to_have_count(0)


def test_faces_in_no_group_are_selected_and_named(website: Website, browser: Browser) -> None:
    faces = website.rows(
        """UPDATE face_detections SET person_id = NULL, cluster = NULL WHERE person_id = (
            SELECT person_id FROM face_detections WHERE person_id IS NOT NULL
            GROUP BY person_id HAVING count(*) = 3) RETURNING id"""
    )
    with opened(browser, f"{website.address}/unknown/faces") as page:
        boxes = page.get_by_role("checkbox")
        expect(boxes).to_have_count(4)
        assert not accessibility_findings(page)
        wanted = [page.locator(f"input[value='{face}']") for (face,) in faces]
        wanted[0].focus()
        page.keyboard.press("Space")
        wanted[1].check()
        expect(page.get_by_role("status").get_by_text("2 selected")).to_be_visible()
        page.keyboard.press("n")
        page.keyboard.type("Dora")
        # Enter bounces: the second one applies to faces that are already the person's.
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.get_by_text("Assigned 2 faces to Dora").wait_for()
        expect(page.get_by_role("group", name=re.compile("the same person"))).to_be_hidden()
        expect(boxes.filter(visible=True)).to_have_count(2)
    assert names(website)["Dora"] == 2


@pytest.mark.parametrize("pause_ms", [0, 400], ids=["at once", "once it is shown"])
def test_enter_takes_the_offered_person_never_merges_and_new_people_need_a_choice(
    website: Website, anna_named: Page, pause_ms: int
) -> None:
    page = anna_named
    page.keyboard.type("Ann")
    page.wait_for_timeout(pause_ms)
    page.keyboard.press("Enter")
    question = page.get_by_role("group", name=re.compile("Anna already exists|the same person"))
    question.wait_for()
    assert names(website) == {"Anna": 9}
    page.wait_for_timeout(400)
    page.keyboard.press("ArrowUp")
    expect(question.get_by_role("button", name="Use another name")).to_be_focused()
    page.wait_for_timeout(400)
    page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    left(page, "3 unnamed people")
    assert names(website) == {"Anna": 9}
    page.locator(".group").nth(1).get_by_role("combobox").fill("Ann")
    page.get_by_role("option", name="Anna").wait_for()
    page.get_by_role("option", name="Create “Ann”").wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    left(page, "2 unnamed people")
    assert names(website) == {"Anna": 9, "Ann": 6}
