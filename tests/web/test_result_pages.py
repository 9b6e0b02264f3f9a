"""The pages of a result folder in a real browser, by mouse and by keyboard."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.fixtures.chromium import DESK, PHONE, accessibility_findings, opened
from tests.fixtures.result_site import ServedResult
from tests.fixtures.soak import mostly_slow

pytestmark = pytest.mark.slow


def test_by_mouse_faces_are_moved_and_people_named_and_all_is_undone(
    result_site: ServedResult, browser: Browser
) -> None:
    before = {name: person["faceCount"] for name, person in result_site.people().items()}
    with opened(browser, f"{result_site.address}/people") as page:
        page.get_by_role("link", name="person_001").click()
        page.wait_for_url("**/people/*", wait_until="load")
        page.locator(".result-face label").nth(1).click()
        page.locator(".result-face label").nth(3).click(modifiers=["Shift"])
        expect(page.locator("#count")).to_contain_text("3 of")
        page.get_by_label("Move to").fill("person_002")
        page.get_by_role("option", name="person_002").click()
        page.locator(".message", has_text="3 faces show person_002, not person_001").wait_for()
        page.get_by_label("Name", exact=True).fill("Anna")
        page.get_by_role("button", name="Rename").click()
        page.get_by_role("heading", name="Anna").wait_for()
        assert result_site.people()["Anna"]["faceCount"] == before["person_001"] - 3
        page.get_by_role("button", name="Undo: person_001 is called Anna").click()
        page.get_by_role("heading", name="person_001").wait_for()
        # The script of the page says this, and only then listens to the button.
        page.locator(".message", has_text="Taken back: person_001 is called Anna").wait_for()
        page.get_by_role("button", name="Undo: 3 faces").click()
        page.locator(".message", has_text="Taken back: 3 faces").wait_for()
    assert {name: person["faceCount"] for name, person in result_site.people().items()} == before


@pytest.mark.slow
def test_by_keys_alone_a_face_is_refused_and_two_people_become_one(
    result_site: ServedResult, browser: Browser
) -> None:
    before = result_site.people()
    with opened(browser, f"{result_site.address}/people/{before['person_001']['id']}") as page:
        press = page.keyboard.press
        press("u")
        page.locator(".message", has_text="There is no change to undo.").wait_for()
        press("ArrowRight")
        press("ArrowRight")
        press("Space")
        expect(page.locator("#count")).to_contain_text("1 of")
        press("n")
        page.locator(".message", has_text="1 face does not show person_001").wait_for()
        press("g")
        page.keyboard.type("person_002")
        press("Enter")
        page.get_by_role("heading", name="person_002").wait_for()
        page.locator(".message", has_text="show person_002").wait_for()
        press("u")
        page.locator(".message", has_text="Taken back").wait_for()
        page.get_by_role("heading", name="person_001").wait_for()
        press("r")
        page.keyboard.type("person_003")
        press("Enter")
        question = page.get_by_role("dialog", name=re.compile("one person"))
        expect(question.locator("figure:last-child img").first).to_be_visible()
        expect(question.get_by_role("button", name="Use another name")).to_be_focused()
        page.keyboard.press("Shift+Tab")
        press("Enter")
        page.get_by_role("heading", name="person_003").wait_for()
    after = result_site.people()
    assert "person_001" not in after
    gained = before["person_001"]["faceCount"] - 1
    assert after["person_003"]["faceCount"] == before["person_003"]["faceCount"] + gained


@pytest.mark.slow
def test_a_change_that_somebody_was_faster_with_is_said(result_site: ServedResult, browser: Browser) -> None:
    person = result_site.people()["person_001"]["id"]
    with opened(browser, f"{result_site.address}/people/{person}") as page:
        result_site.say("person_001", action="unassign", faceIds=result_site.faces("person_001")[-1:])
        seen = page.locator(".result-face").count()
        with page.expect_response(lambda answer: answer.status == 409):
            page.locator(".result-face label").first.click()
            page.evaluate("document.querySelector('#not').click()")
        page.get_by_text("Somebody else changed this meanwhile").wait_for()
        assert len(result_site.faces("person_001")) == seen - 1


@pytest.mark.slow
@pytest.mark.parametrize(("size", "dark"), mostly_slow([(PHONE, True), (DESK, False)], quick=1))
def test_every_page_is_accessible_and_fits(
    result_site: ServedResult, browser: Browser, size: tuple[int, int], *, dark: bool
) -> None:
    person = result_site.people()["person_001"]["id"]
    wrong, *_ = result_site.faces("person_001")
    result_site.say("person_001", action="unassign", faceIds=[wrong])
    photo = wrong.partition("-")[0]
    with opened(browser, f"{result_site.address}/people", size, dark=dark) as page:
        for path in ("/people", f"/people/{person}", f"/photos/{photo}", "/unassigned"):
            page.goto(result_site.address + path)
            assert not accessibility_findings(page), path
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            assert not page.evaluate(
                """() => [...document.querySelectorAll("form button")].filter((each) =>
                    each.getBoundingClientRect().right > each.form.getBoundingClientRect().right + 1
                ).map((each) => each.textContent)"""
            ), path
