"""The pages People, Person and Photo: what they show, and journeys through them by mouse and by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from facesets.jobs.queueing import Order, put
from facesets.store.postgres.queue.notes import note_end, note_start
from facesets.store.postgres.queue.schema import install
from tests.fixtures.chromium import DESK, PHONE, accessibility_findings, fits, opened
from tests.fixtures.website import Website

pytestmark = pytest.mark.slow

BAD_NAME = "<img src=x onerror=alert(1)>"
TOGETHER = """SELECT i.sha256 FROM images i JOIN image_paths p ON p.image_id = i.id
    WHERE p.path LIKE '%/together.jpg'"""


def first_person(website: Website) -> str:
    return f"{website.address}/people/{website.people()[0]['id']}"


@pytest.fixture
def page(website: Website, browser: Browser) -> Iterator[Page]:
    """The page of the person with most faces, nine, who has no name."""
    with opened(browser, first_person(website)) as found:
        expect(faces_on(found)).to_have_count(9)
        yield found


def faces_on(page: Page) -> Any:
    return page.locator("#faces [role=option]")


def message(page: Page, text: str) -> None:
    page.locator("#messages").get_by_text(text).first.wait_for()


def followed(website: Website, path: str, link: str) -> Iterator[str]:
    """The HTML of a page, of the one that its link leads to, and so on."""
    while path:
        html = website.page(path)
        yield html
        more = re.search(link, html)
        path = more.group(1).replace("&amp;", "&") if more else ""


def test_names_and_files_are_shown_as_text(website: Website) -> None:
    first = website.people()[0]
    website.call(first["id"], BAD_NAME)
    face = website.get(f"/faces/{first['faceId']}")
    website.change(f"UPDATE image_paths SET path = '/{BAD_NAME}/' || path")
    for path in (
        "/people",
        f"/people/list?find={BAD_NAME[:5]}",
        f"/people/{first['id']}",
        f"/people/{first['id']}/about",
        f"/photos/{face['assetId']}?person={first['id']}",
        f"/photos/{face['assetId']}/why/{face['id']}",
    ):
        html = website.page(path)
        assert BAD_NAME not in html, path
        assert "&lt;img src=x onerror" in html, path


def test_a_grid_goes_on_where_its_page_ends(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesets.web.pages.people._PEOPLE", 2)
    monkeypatch.setattr("facesets.web.pages.people._FACES", 3)
    website.call(website.people()[3]["id"], "Zoe")
    more = r'data-more="([^"]+)"'
    card = r'class="card" href="/people/([0-9a-f-]{36})"'
    seen = [who for html in followed(website, "/people", more) for who in re.findall(card, html)]
    assert seen == [each["id"] for each in website.people()]
    assert website.get(f"/persons/{seen[0]}")["name"] == "Zoe"
    for sort in ("newest", "oldest", "eras", "far"):
        pages = followed(website, f"/people/{seen[1]}/faces?sort={sort}", more)
        faces = [face for html in pages for face in re.findall(r'data-face="(\d+)"', html)]
        assert len(faces) == len(set(faces)) == website.get(f"/persons/{seen[1]}")["faceCount"], sort


def test_the_photos_of_a_person_follow_one_another(onlooked: Website) -> None:
    first = onlooked.people()[0]["id"]
    shown = re.findall(r'href="/photos/([0-9a-f]{64})\?', onlooked.page(f"/people/{first}/faces?sort=newest"))
    pages = list(followed(onlooked, f"/photos/{shown[0]}?person={first}", r'rel="next" href="([^"]+)"'))
    assert [re.findall(f"({'|'.join(shown)})/picture", html)[0] for html in pages] == shown
    assert 'rel="prev"' in pages[-1]


def test_people_are_found_while_one_types(website: Website, browser: Browser) -> None:
    for each, name in zip(website.people(), ("Anna", "Ben", "Hanna"), strict=False):
        website.call(each["id"], name)
    with opened(browser, f"{website.address}/people") as page:
        page.keyboard.press("/")
        page.keyboard.type("ann")
        expect(page.locator("#people a.card .name")).to_have_text(["Anna", "Hanna"])
        expect(page.locator("#people-count")).to_have_text("2 people")
        expect(page).to_have_url(re.compile("find=ann"))
        page.keyboard.press("Enter")
        expect(page.locator("#people a.card").first).to_be_focused()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Hanna").wait_for()
        page.go_back()
        page.locator("#find").fill("nobody at all")
        page.get_by_text("No people match “nobody at all”.").wait_for()


def test_two_faces_move_to_a_new_name_by_touch_and_back(website: Website, browser: Browser) -> None:
    with opened(browser, first_person(website), PHONE) as page:
        expect(faces_on(page)).to_have_count(9)
        faces_on(page).nth(1).click()
        faces_on(page).nth(2).click()
        page.get_by_text("2 selected").wait_for()
        page.get_by_role("button", name="Move to…").click()
        page.get_by_role("combobox", name="Name").fill("Newcomer")
        page.get_by_role("button", name="Move", exact=True).click()
        message(page, "Moved 2 faces to Newcomer")
        expect(faces_on(page)).to_have_count(7)
        page.get_by_text("7 faces on 7 photos, 2015").wait_for()
        page.get_by_role("button", name="Undo").click()
        expect(faces_on(page)).to_have_count(9)
        page.get_by_text("9 faces on 9 photos, 2015").wait_for()


def test_faces_are_corrected_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("r")
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Anna").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("3 selected").wait_for()
    assert page.locator("#faces [aria-selected=true]").count() == 3
    page.keyboard.press("t")
    message(page, "Split off 3 faces as a new person")
    expect(faces_on(page)).to_have_count(6)
    page.keyboard.press("u")
    expect(faces_on(page)).to_have_count(9)
    page.keyboard.press("a")
    page.get_by_text("9 selected").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("n")
    message(page, "Removed 1 face from Anna")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("b")
    message(page, "Changed the best face of Anna")


def test_pending_changes_are_undone_before_saved_ones(page: Page) -> None:
    faces_on(page).nth(0).click()
    page.keyboard.press("b")
    message(page, "Changed the best face of this person")
    held: list[Route] = []
    page.route(
        "**/persons/*",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    faces_on(page).nth(1).click()
    with page.expect_request(lambda request: request.method == "POST"):
        page.keyboard.press("n")
    page.keyboard.press("u")
    held[0].continue_()
    message(page, "Undid: 1 face removed from")
    expect(faces_on(page)).to_have_count(9)
    page.keyboard.press("u")
    message(page, "Undid: face")
    # What was taken back by its key is not offered again.
    expect(page.locator("#messages").get_by_role("button", name="Undo")).to_have_count(0)


def test_a_list_older_than_a_change_does_not_restore_moved_faces(page: Page) -> None:
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    page.route("**/people/*/faces?sort=oldest", hold, times=1)
    with page.expect_request("**/people/*/faces?sort=oldest"):
        page.get_by_label("Order").select_option("oldest")
    faces_on(page).nth(0).click()
    page.keyboard.press("n")
    message(page, "Removed 1 face from")
    expect(faces_on(page)).to_have_count(8)
    ((route, response),) = held
    with page.expect_event("requestfinished", lambda request: request == route.request):
        route.fulfill(response=response)
    page.wait_for_timeout(200)
    expect(faces_on(page)).to_have_count(8)


def test_hiding_and_erasing_a_person_need_confirmation(website: Website, browser: Browser) -> None:
    first = website.people()[0]
    website.call(first["id"], "Anna")
    with opened(browser, first_person(website)) as page:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Hide").click()
        message(page, "Hid Anna")
        page.goto(f"{website.address}/people")
        expect(page.locator("#people a.card")).to_have_count(3)
        page.get_by_label("Hidden people").check()
        expect(page.locator("#people a.card .name")).to_have_text(["Anna"])
        page.locator("#people a.card").click()
        page.wait_for_url("**/people/*", wait_until="networkidle")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        page.route("**/people/*/faces?sort=oldest", lambda _: None, times=1)
        with page.expect_request("**/people/*/faces?sort=oldest"):
            page.get_by_label("Order").select_option("oldest")
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Forget…").click()
        field = page.get_by_label("Type Anna")
        field.fill("Ana")
        page.get_by_role("button", name="Forget").click()
        # The dialog stays: what is typed on does not become keys of the page.
        page.keyboard.type(" r")
        expect(field).to_be_focused()
        expect(field).to_have_value("Ana r")
        assert field.evaluate("(each) => each.validationMessage") == "Type Anna"
        assert website.get(f"/persons/{first['id']}")["status"] == "hidden"
        field.fill("Anna")
        page.get_by_role("button", name="Forget").click()
        page.wait_for_url("**/runs")
    # The list that is still on its way asks no more for who is erased.
    address = next(each for each in asked if each.startswith("POST")).removeprefix("POST ")
    assert f"GET {address}" not in asked[asked.index(f"POST {address}") :]


def test_faces_are_selected_by_shift_and_by_dragging(onlooked: Website, browser: Browser) -> None:
    with opened(browser, first_person(onlooked)) as page:
        faces_on(page).nth(1).click()
        faces_on(page).nth(4).click(modifiers=["Shift"])
        page.get_by_text("4 selected").wait_for()
        page.keyboard.press("Escape")
        start, end = faces_on(page).nth(0).bounding_box(), faces_on(page).nth(2).bounding_box()
        assert start is not None
        assert end is not None
        page.mouse.move(start["x"] + 20, start["y"] + 20)
        page.mouse.down()
        page.mouse.move(end["x"] + 40, end["y"] + 60, steps=5)
        page.mouse.up()
        page.get_by_text("3 selected").wait_for()


def test_two_editors_of_one_person_lose_nothing(website: Website, page: Page) -> None:
    who = website.people()[0]["id"]
    faces_on(page).nth(3).click()
    faces_on(page).nth(4).click()
    missing = int(faces_on(page).nth(0).get_attribute("data-face") or 0)
    # The other editor takes a face away, and names her.
    website.post(f"/persons/{who}", {"action": "move", "faceIds": [missing]})
    website.call(who, "Anna")
    with page.expect_response(lambda answer: answer.status == 409):
        page.get_by_role("button", name="Split off").click()
    message(page, "This was changed by another user")
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("heading", name="Anna").wait_for()
    expect(faces_on(page)).to_have_count(8)
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("button", name="Split off").click()
    message(page, "Split off 2 faces")


def test_a_person_is_merged_into_another_by_name(website: Website, page: Page) -> None:
    website.call(website.people()[1]["id"], "Ben")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Merge into…").click()
    page.get_by_role("combobox", name="Name").fill("be")
    page.locator("#ask-name").get_by_role("option", name="Ben").click()
    page.get_by_role("heading", name="Ben").wait_for()
    message(page, "Merged into Ben")
    page.get_by_text("15 faces on 14 photos").or_(page.get_by_text("15 faces on 15 photos")).wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("6 faces on 6 photos").wait_for()


def test_merging_unnamed_people_is_confirmed_and_one_gets_a_name(website: Website, browser: Browser) -> None:
    website.let_all_be_alike()
    with opened(browser, first_person(website), PHONE) as page:
        same_person = page.get_by_role("button", name="Same person?").first
        same_person.click()
        page.get_by_role("dialog", name="Are these the same person?").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        dialog = page.get_by_role("dialog", name="Who is this?")
        expect(dialog.get_by_role("button", name="Rename")).to_have_count(0)
        page.keyboard.type("Anna")
        dialog.get_by_role("button", name="Name", exact=True).click()
        page.get_by_role("heading", name="Anna").wait_for()
        page.keyboard.press("r")
        page.get_by_role("dialog", name="Rename Anna").get_by_role("button", name="Rename").wait_for()
        page.keyboard.press("Escape")
        same_person.click()
        page.get_by_role("button", name="Merge", exact=True).click()
        message(page, "added")
        expect(faces_on(page)).not_to_have_count(9)
        page.locator("#about").get_by_text("Facts").click()
        page.locator("#about").get_by_text("Spread").wait_for()


def test_a_phone_shows_all_of_the_menu_and_the_photo_first_and_bars_leave_room_for_faces(
    onlooked: Website, browser: Browser
) -> None:
    with opened(browser, first_person(onlooked), PHONE) as page:
        page.get_by_text("More", exact=True).click()
        expect(page.get_by_role("button", name="Forget…")).to_be_in_viewport(ratio=1)
        assert fits(page)
        page.keyboard.press("Escape")
        faces_on(page).first.click()
        page.locator("#face-actions").wait_for()
        bars = (page.locator(each).bounding_box() for each in ("header.top", ".select-bar"))
        assert sum(box["height"] for box in bars if box) < PHONE[1] * 0.2
        page.locator("#face-actions").get_by_role("button", name="Photo").click()
        expect(page.locator(".face-row.current")).to_be_attached()
        assert page.evaluate("scrollY") == 0
        expect(page.locator(".photo-frame")).to_be_in_viewport(ratio=1)


_TYPE_AND_ENTER = """(field, text) => {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
}"""
"""At once: the answer to who is called so may come between any two keys."""


def test_a_taken_name_is_confirmed(website: Website, page: Page) -> None:
    second = website.people()[1]["id"]
    website.call(second, "Ben")
    page.keyboard.press("r")
    field = page.get_by_role("combobox", name="Name")
    field.evaluate(_TYPE_AND_ENTER, "Be")
    # Pressed before a person was offered: an unseen person is not chosen.
    page.locator("#ask-name").get_by_role("option", name="Ben").wait_for()
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name=re.compile(r"the same person\?"))
    question.wait_for()
    for side in ("first", "last"):
        expect(question.locator(f"figure:{side}-child img").first).to_be_visible()
    assert not accessibility_findings(page)
    # Enter alone merges no one: the page asks for another name.
    expect(question.get_by_role("button", name="Use another name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_have_value("Ben")
    field.fill("be")
    page.locator("#ask-name").get_by_role("option", name="Ben").wait_for()
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Merge").click()
    page.wait_for_url(f"**/people/{second}")


def test_a_repeated_error_is_shown_once(onlooked: Website, browser: Browser) -> None:
    with opened(browser, first_person(onlooked)) as page:
        page.route("**/api/v1/faces/persons/*", lambda route: route.fulfill(status=409, body="{}"))
        for _ in range(3):
            page.keyboard.press("r")
            page.keyboard.type("Hanna")
            with page.expect_response("**/persons/*"):
                page.keyboard.press("Enter")
            message(page, "The server sent an unexpected answer.")
            expect(page.locator("#ask-name")).to_be_hidden()
        expect(page.locator(".message.error")).to_have_count(1)


def test_the_longest_names_stay_in_the_window_and_leave_room_for_each_other(
    website: Website, browser: Browser
) -> None:
    first, second, third, _ = website.people()
    for who, name in ((first, "W" * 200), (second, "Wilhelmina " * 18), (third, "Wilhelmina 2 " * 8)):
        website.call(who["id"], name)
    ((photo,),) = website.rows(TOGETHER)
    pages = (
        *("people", f"people/{first['id']}", f"people/{second['id']}"),
        *(f"photos/{photo}?person={first['id']}", f"people?find={'W' * 200}", "review"),
        *("search", f"search?person={first['id']}", "runs", "unknown", "unknown/faces"),
    )
    wide = []
    with opened(browser, f"{website.address}/people", PHONE) as page:
        for place in pages:
            page.goto(f"{website.address}/{place}")
            wide += [] if fits(page) else [place]
        assert wide == []
        for width, height in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": height})
            page.goto(f"{website.address}/photos/{photo}")
            names = page.locator(".photo-frame text")
            expect(names.first).to_have_text(re.compile("^W.*…$"))
            boxes = [box for each in names.all() if (box := each.bounding_box())]
            assert len(boxes) == 3
            boxes.sort(key=lambda box: box["x"])
            ends = [box["x"] + box["width"] for box in boxes]
            # The outline of letters may touch that of the next ones.
            assert all(end < box["x"] + 4 for end, box in zip(ends, boxes[1:], strict=False))


TEXTS = "p, li, dd, h1, h2, label, summary"
LONG_LINES = """(kinds) => [...document.querySelectorAll(kinds)].flatMap((each) => {
    const range = document.createRange();
    const texts = [...each.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    return texts.map((node) => {
        range.selectNodeContents(node);
        const lines = new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size;
        const words = node.data.trim().replace(/\\s+/g, " ");
        return [words.length / Math.max(lines, 1), words];
    }).filter(([length]) => length > 95).map(([length, words]) => `${Math.round(length)}: ${words}`);
})"""


def test_lines_on_a_wide_screen_are_short_enough_to_be_read(website: Website, browser: Browser) -> None:
    first = website.people()[0]
    website.change("UPDATE image_paths SET path = '/a long way' || repeat('/to go', 40) || path")
    with website.site.library() as session:
        install(session)
        number = put(session, Order("cluster"))
        session.run(lambda c: note_start(c, number, "here"))
        session.run(lambda c: note_end(c, number, None, "The disk is full. " * 20))
    photo = website.get(f"/faces/{first['faceId']}")["assetId"]
    pages = ("people", f"people/{first['id']}", f"photos/{photo}", "search?tag=zebra", "runs", "unknown")
    long = {}
    with opened(browser, f"{website.address}/people", (2560, 1400)) as page:
        for place in (*pages, "unknown/faces", "review"):
            page.goto(f"{website.address}/{place}")
            long[place] = page.evaluate(LONG_LINES, TEXTS)
        page.goto(f"{website.address}/people")
        edges = [page.locator(each).first.bounding_box() for each in (".brand", "main h1")]
    # What is above a page begins where the page begins.
    assert [box["x"] for box in edges if box] == [pytest.approx(356.8, abs=10)] * 2
    assert {place: lines for place, lines in long.items() if lines} == {}


def test_an_unreadable_photo_shows_the_reason(website: Website, browser: Browser) -> None:
    photo = website.get(f"/faces/{website.people()[0]['faceId']}")["assetId"]
    ((place,),) = website.rows(f"SELECT path FROM image_paths WHERE sha256 = '{photo}'")
    away = Path(place).rename(f"{place}.away")
    with opened(browser, f"{website.address}/photos/{photo}") as page:
        expect(page.locator("figure").get_by_role("alert")).to_contain_text("Cannot show the photo")
        assert not accessibility_findings(page)
        away.rename(place)
        page.reload()
        page.wait_for_load_state("networkidle")
        expect(page.locator("figure").get_by_role("alert")).to_have_count(0)


def test_people_in_a_photo_are_corrected_by_keyboard(website: Website, browser: Browser) -> None:
    first = website.people()[0]
    website.call(first["id"], "Anna")
    photo = website.get(f"/faces/{first['faceId']}")["assetId"]
    with opened(browser, f"{website.address}/photos/{photo}?person={first['id']}") as page:
        page.locator("[data-box]").first.focus()
        page.keyboard.press("r")
        page.keyboard.type("Hanna")
        page.keyboard.press("Enter")
        message(page, "Renamed to Hanna")
        page.locator("svg").get_by_text("Hanna").wait_for()
        page.keyboard.press("m")
        page.keyboard.type("Somebody else")
        page.keyboard.press("Enter")
        message(page, "Assigned the face to Somebody else")
        page.keyboard.press("u")
        page.locator("svg").get_by_text("Hanna").wait_for()
        page.get_by_text("Why?").click()
        page.get_by_text("Thresholds").wait_for()
        before = page.url
        with page.expect_navigation():
            page.keyboard.press("ArrowRight" if page.locator("[rel=next]").count() else "ArrowLeft")
        assert page.url.partition("#")[0] != before.partition("#")[0]
        page.keyboard.press("p")
        page.get_by_role("heading", name="Hanna").wait_for()


def findings_of_both_colours(page: Page) -> list[str]:
    """Return the problems of the light and the dark theme."""
    found = []
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        found += accessibility_findings(page)
    return found


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_pages_are_accessible(website: Website, browser: Browser, size: tuple[int, int]) -> None:
    first = website.people()[0]
    website.call(first["id"], "Anna")
    website.let_all_be_alike()
    photo = website.get(f"/faces/{first['faceId']}")["assetId"]
    with opened(browser, f"{website.address}/people", size) as page:
        assert not findings_of_both_colours(page)
        page.goto(f"{website.address}/people/{first['id']}")
        page.get_by_role("button", name="Same person?").first.wait_for()
        faces_on(page).nth(1).click()
        assert not findings_of_both_colours(page)
        page.keyboard.press("m")
        page.get_by_role("dialog").wait_for()
        assert not findings_of_both_colours(page)
        page.goto(f"{website.address}/photos/{photo}?person={first['id']}")
        page.get_by_text("Why?").click()
        page.get_by_text("Thresholds").wait_for()
        assert not findings_of_both_colours(page)
        page.goto(f"{website.address}/search?person=Anna")
        expect(page.get_by_role("img").first).to_have_js_property("naturalWidth", 320)
        assert not findings_of_both_colours(page)
        assert fits(page)
        page.goto(f"{website.address}/photos/{photo}")
        assert fits(page)


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
            other = "Unnamed" if path == "/runs" else "Runs"
            page.get_by_role("link", name=other, exact=True).press("Enter")
            page.wait_for_load_state()
            stuck += [] if page.url.endswith("/unknown" if path == "/runs" else "/runs") else [path]
    assert (unseen, stuck) == ({}, [])


def test_the_menu_and_its_dialogs_lead_back_to_where_the_menu_opens(
    onlooked: Website, browser: Browser
) -> None:
    with opened(browser, first_person(onlooked)) as page:
        more = page.locator("summary", has_text="More")
        merge = page.get_by_role("button", name="Merge into…")
        more.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(merge).to_be_hidden()
        expect(more).to_be_focused()
        more.press("Enter")
        merge.press("Enter")
        page.get_by_role("dialog", name="Merge this person into…").wait_for()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(more).to_be_focused()
        more.press("Enter")
        page.locator("#sort").focus()
        expect(merge).to_be_hidden()


def test_the_keyboard_goes_on_among_the_faces_when_some_are_given_away(page: Page) -> None:
    faces = faces_on(page)
    faces.nth(2).click()
    page.get_by_role("button", name="Not this person").press("Enter")
    expect(faces).to_have_count(8)
    expect(faces.nth(2)).to_be_focused()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Clear").press("Enter")
    expect(faces.nth(2)).to_be_focused()
    page.keyboard.press("u")
    expect(faces).to_have_count(9)
    expect(faces.nth(3)).to_be_focused()


def test_a_double_correction_is_not_reported_as_a_conflict(page: Page) -> None:
    output = page.get_by_text("Changed the best face of this person")
    faces_on(page).nth(1).click()
    page.get_by_role("button", name="Best face").dblclick()
    output.wait_for()
    faces_on(page).nth(2).click()
    # Two keys, the second before the first is answered.
    page.keyboard.press("b")
    page.keyboard.press("b")
    expect(output).to_have_count(3)
    expect(page.locator(".message.error")).to_have_count(0)
