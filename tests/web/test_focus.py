"""Where the keyboard is after something was done, and what is pressed twice, in a real browser."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fixtures.chromium import opened
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow


def first_person(website: Website) -> str:
    return f"{website.address}/people/{website.people()[0]['id']}"


def focused(page: Page) -> str:
    text: str = page.evaluate(
        "document.activeElement.tagName + ' ' + document.activeElement.textContent.trim()"
    )
    return text


def test_the_menu_and_its_dialogs_lead_back_to_where_the_menu_opens(
    onlooked: Website, browser: Browser
) -> None:
    with opened(browser, first_person(onlooked)) as page:
        more = page.locator("summary", has_text="More")
        more.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Merge into…")).to_be_hidden()
        expect(more).to_be_focused()
        more.press("Enter")
        page.get_by_role("button", name="Merge into…").press("Enter")
        page.get_by_role("dialog", name="Who is this person really?").wait_for()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(more).to_be_focused()
        more.press("Enter")
        page.locator("#sort").focus()
        expect(page.get_by_role("button", name="Merge into…")).to_be_hidden()


def test_the_keyboard_goes_on_among_the_faces_when_some_are_given_away(
    website: Website, browser: Browser
) -> None:
    with opened(browser, first_person(website)) as page:
        faces = page.locator("#faces [role=option]")
        faces.nth(2).click()
        page.get_by_role("button", name="Not this person").press("Enter")
        expect(faces).to_have_count(8)
        expect(faces.nth(2)).to_be_focused()
        page.keyboard.press("Space")
        page.get_by_role("button", name="None").press("Enter")
        expect(faces.nth(2)).to_be_focused()
        page.keyboard.press("u")
        expect(faces).to_have_count(9)
        expect(faces.nth(3)).to_be_focused()


def test_a_double_click_says_it_once(asking: Website, browser: Browser) -> None:
    with opened(browser, f"{asking.address}/review") as page:
        asked = page.locator("#asked")
        expect(asked).to_have_text("Who is this?")
        page.get_by_role("button", name="Does not matter").dblclick()
        expect(page.locator("#progress")).to_have_text(re.compile("^1 answered · "))
        # By keyboard the focus stays where it is of use, and a key that is held down presses once.
        for _ in range(3):
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Skip").press("Enter")
        expect(asked).not_to_have_text("Who is this?")
        no = page.locator("#buttons [data-does=no]")
        no.focus()
        for _ in range(4):
            page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        expect(page.locator("#progress")).to_have_text(re.compile("^2 answered · "))
        expect(no).to_be_focused()


def test_a_group_that_is_hidden_twice_is_counted_once(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/unknown") as page:
        page.get_by_role("button", name="Does not matter").first.dblclick()
        page.get_by_role("button", name="Undo").wait_for()
        page.evaluate("import('/static/app.js').then((app) => app.answered())")
        expect(page.locator("#total")).to_have_text("3 groups without a name")
        expect(page.locator(".did")).to_have_count(1)
        page.get_by_role("button", name="Undo: Does not matter").dblclick()
        expect(page.locator("#total")).to_have_text("4 groups without a name")
        expect(page.get_by_text("Nothing was said yet.")).to_have_count(0)


def test_nobody_else_is_blamed_for_what_one_says_twice(website: Website, browser: Browser) -> None:
    with opened(browser, first_person(website)) as page:
        page.locator("#faces [role=option]").nth(1).click()
        page.get_by_role("button", name="Best face").dblclick()
        page.get_by_text("This face shows this person now").wait_for()
        page.locator("#faces [role=option]").nth(2).click()
        # Two keys, the second before the first is answered.
        page.keyboard.press("b")
        page.keyboard.press("b")
        expect(page.get_by_text("This face shows this person now")).to_have_count(3)
        expect(page.locator(".message.error")).to_have_count(0)


def test_what_was_taken_back_by_its_key_is_not_offered_again(website: Website, browser: Browser) -> None:
    with opened(browser, first_person(website)) as page:
        page.locator("#faces [role=option]").nth(1).click()
        page.keyboard.press("b")
        undo = page.locator("#messages").get_by_role("button", name="Undo")
        expect(undo).to_have_count(1)
        page.keyboard.press("u")
        page.get_by_text("Taken back: face").wait_for()
        expect(undo).to_have_count(0)


def test_who_has_no_name_gets_one_and_two_without_are_asked_about(website: Website, browser: Browser) -> None:
    website.let_all_be_alike()
    with opened(browser, first_person(website)) as page:
        page.get_by_role("button", name="Same person?").first.click()
        page.get_by_role("dialog", name="Are these two one person?").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        dialog = page.get_by_role("dialog", name="Who is this?")
        expect(dialog.get_by_role("button", name="Rename")).to_have_count(0)
        page.keyboard.type("Anna")
        dialog.get_by_role("button", name="Name", exact=True).click()
        page.get_by_role("heading", name="Anna").wait_for()
        page.keyboard.press("r")
        page.get_by_role("dialog", name="Rename Anna").get_by_role("button", name="Rename").wait_for()


UNSEEN = """() => {
    const active = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(active);
    const box = active.getBoundingClientRect();
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    // The box of a face on a photo is drawn with a thicker line.
    const isMarked = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 || active.matches("[data-box]");
    const isHit = active.contains(hit) || hit?.contains(active) || hit?.closest("label")?.contains(active);
    return active === document.body || (isMarked && isHit) ? null : active.outerHTML.slice(0, 100);
}"""


def test_by_tab_and_enter_alone_every_page_leads_on(onlooked: Website, browser: Browser) -> None:
    photo = onlooked.get("/faces/1")["assetId"]
    person = first_person(onlooked).removeprefix(onlooked.address)
    unseen, stuck = {}, []
    with opened(browser, f"{onlooked.address}/people") as page:
        for path in ("/people", person, "/review", "/unknown", "/search", f"/photos/{photo}", "/runs"):
            page.goto(onlooked.address + path)
            page.wait_for_load_state("networkidle")
            page.evaluate("document.activeElement.blur()")
            for stop in range(24):
                page.keyboard.press("Tab")
                if found := page.evaluate(UNSEEN):
                    unseen[f"{path} {stop}"] = found
            other = "Unknown" if path == "/runs" else "Runs"
            page.get_by_role("link", name=other, exact=True).press("Enter")
            page.wait_for_load_state()
            stuck += [] if page.url.endswith(f"/{other.lower()}") else [path]
    assert (unseen, stuck) == ({}, [])
