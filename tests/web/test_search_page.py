"""The search page in a real browser."""

import re

import pytest
from playwright.sync_api import Browser, expect

from facesets.operations.people.corrections.naming import name
from facesets.store.postgres.library import Library
from tests.fixtures.chromium import DESK, PHONE, accessibility_findings, opened
from tests.fixtures.library_people import rows
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def named(album: Library) -> Library:
    """Anna and Ben have their names."""
    for who in ("anna", "ben"):
        ((person,),) = rows(
            album.database,
            f"""SELECT f.person_id::text FROM face_detections f JOIN image_paths p USING (image_id)
                WHERE p.path LIKE '%/{who}-0.jpg'""",
        )
        name(album.database, person, who.title(), into=False, face=False, by="tester")
    return album


def test_somebody_is_found_by_name_and_dates_with_the_keyboard(website: Website, browser: Browser) -> None:
    with opened(browser, f"{website.address}/search") as page:
        person = page.get_by_label("Person")
        person.press_sequentially("an")
        expect(page.get_by_role("option", name=re.compile("Anna"))).to_be_visible()
        person.press("ArrowDown")
        person.press("Enter")
        expect(page.get_by_role("heading", name="9 photos")).to_be_visible()
        page.get_by_label("Until").fill("2015-02-15")
        page.get_by_role("button", name="Search").press("Enter")
        expect(page.get_by_role("heading", name="3 photos")).to_be_visible()
        assert "until=2015-02-15" in page.url
        page.get_by_label("Person").fill("Ben")
        page.get_by_label("Person").press("Enter")
        expect(page.get_by_role("heading", name="1 photo", exact=True)).to_be_visible()
        page.get_by_role("checkbox", name="Ben").click()
        expect(page.get_by_role("heading", name="3 photos")).to_be_visible()
        page.get_by_label("Until").fill("2014-12-31")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", name="No photos found for Anna")).to_be_visible()
        page.get_by_label("Until").fill("")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", name="9 photos")).to_be_visible()
        link = page.get_by_role("link", name=re.compile("^Photo of")).first
        expect(link).to_have_attribute("href", re.compile(r"^/photos/[0-9a-f]{64}$"))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESK, False)])
def test_the_page_is_usable_by_everybody(
    website: Website, browser: Browser, size: tuple[int, int], dark: bool
) -> None:
    with opened(browser, f"{website.address}/search?person=Anna", size, dark=dark) as page:
        expect(page.get_by_role("img").first).to_have_js_property("naturalWidth", 320)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not accessibility_findings(page)


@pytest.mark.slow
def test_it_works_without_scripts(website: Website, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{website.address}/search")
    page.get_by_label("Person").fill("Anna")
    page.get_by_label("From").fill("2015-03-01")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name=re.compile(r"^[1-8] photos?$"))).to_be_visible()
    context.close()


@pytest.mark.slow
def test_both_dates_are_in_one_line_however_wide_the_window_is(website: Website, browser: Browser) -> None:
    apart = []
    with opened(browser, f"{website.address}/search") as page:
        for width in (360, 700, 1000, 1200, 1280, 1400, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            boxes = [page.get_by_label(label).bounding_box() for label in ("From", "Until")]
            apart += [width] if len({box["y"] for box in boxes if box}) > 1 else []
    assert apart == []
