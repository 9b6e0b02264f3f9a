"""A result folder over HTTP and in a browser: who is in it, corrections, and what commands make of them."""

import os
import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.undo import known_runs, undo
from facesets.results.folder_runs import locked
from facesets.results.names.file_names import flatten
from facesets.web.pages import result_folder as pages
from facesets.work import Work
from tests.fixtures.chromium import DESK, PHONE, accessibility_findings, fits, opened
from tests.fixtures.photo_library import Library
from tests.fixtures.result_site import ServedResult, served_result
from tests.fixtures.results import groups, result
from tests.fixtures.website import BASE

pytestmark = pytest.mark.slow


def test_people_are_shown_with_a_face_and_a_count(result_site: ServedResult) -> None:
    page = result_site.page("/people")
    for name, person in result_site.people().items():
        assert name in page
        assert person["faceCount"] == len(groups(result_site.root)[name]) == len(result_site.faces(name))
    # Whether any face is unassigned depends on the available photos.
    assert ("unassigned face" in page) == any((result_site.root / "_singletons").glob("*"))
    assert result_site.client.get("/health").json()["status"] == "ok"


def test_faces_and_photos_are_shown_wherever_they_lie_and_nothing_that_the_manifest_does_not_know(
    result_site: ServedResult, library: Library
) -> None:
    face, other, *_ = result_site.faces("person_001")
    for path in (f"/faces/{face}/crop?size=96", f"/photos/{face.partition('-')[0]}?size=320"):
        answer = result_site.client.get(BASE + path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    page = result_site.page(f"/photos/{face.partition('-')[0]}")
    assert "person_001" in page
    assert "<rect" in page
    # Where its original is gone, a photo is read in the result.
    library.photos.rename(library.photos.with_name("elsewhere"))
    try:
        assert result_site.client.get(f"{BASE}/faces/{other}/crop").status_code == 200
    finally:
        library.photos.with_name("elsewhere").rename(library.photos)
    for path in (
        "/people/..%2f..%2fetc",
        "/people/0123456789abcdef",
        f"/photos/{'0' * 64}",
        "/photos/..%2fmanifest.json",
        f"{BASE}/faces/{'0' * 64}-0/crop",
        f"{BASE}/photos/{flatten('/etc/passwd')}",
    ):
        assert result_site.client.get(path).status_code in {404, 422}, path


def test_unassigned_faces_are_shown_page_by_page(
    result_site: ServedResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_FACES", 2)
    out = result_site.faces("person_001")[:2] + result_site.faces("person_002")[:1]
    for person, faces in (("person_001", out[:2]), ("person_002", out[2:])):
        result_site.say(person, action="unassign", faceIds=faces)
    shown = [
        re.findall(r'href="/photos/([0-9a-f]{64})"', result_site.page(f"/unassigned?page={page}"))
        for page in (1, 2, 3)
    ]
    assert [len(each) for each in shown] == [2, 1, 0]
    assert sorted(shown[0] + shown[1]) == sorted(face.partition("-")[0] for face in out)
    assert "Page 2 of 2" in result_site.page("/unassigned?page=2")
    assert "<h1>Removed faces</h1>" in result_site.page("/unassigned")
    assert "3 removed faces" in result_site.page("/people")


def test_corrections_in_the_browser_hold_in_the_next_run(result_site: ServedResult, library: Library) -> None:
    root, before = result_site.root, groups(result_site.root)
    wrong, foreign, new = result_site.faces("person_001")[:3]
    result_site.say("person_001", action="unassign", faceIds=[wrong])
    result_site.say("person_001", action="move", name="PERSON_002", faceIds=[foreign])
    result_site.say("person_001", action="move", name="Zoë", faceIds=[new])
    renamed = result_site.say("person_001", action="rename", name="Anna")
    assert renamed["did"] == "person_001 renamed to Anna"
    page = result_site.page("/people")
    assert "1 face moved from Anna to Zoë." in page
    assert "1 face removed from Anna." in page
    wanted = {name: set(result_site.faces(name)) for name in result_site.people()}
    extend(library.store, root, ExtendOptions(sheet=False), work=Work())
    assert {name: {f.replace("#", "-") for f in faces} for name, faces in groups(root).items()} == wanted
    assert [face.face.replace("#", "-") for face in result(root).set_aside] == [wrong]
    undo(root, known_runs(root).runs[0].run)
    assert {*groups(root)} == {*before}
    assert {*result_site.people()} == {*wanted}


def test_two_people_become_one_and_two_again(result_site: ServedResult) -> None:
    people = result_site.people()
    first, second = people["person_001"], people["person_002"]
    asked = result_site.say("person_002", action="rename", name="person_001", status=409)
    assert (asked["kind"], "the same person?" in asked["question"]) == ("name-taken", True)
    merged = result_site.post(
        f"/persons/{second['id']}/merge",
        {"intoPersonId": first["id"], "version": second["version"], "intoVersion": first["version"]},
    )
    assert merged["facesMoved"] == second["faceCount"]
    assert result_site.people()["person_001"]["faceCount"] == first["faceCount"] + second["faceCount"]
    assert result_site.post("/undo", {"step": merged["step"]})["personId"] == second["id"]
    assert result_site.people() == people
    result_site.post("/undo", {}, status=404)


def test_while_a_run_works_or_where_no_photos_lie_nothing_is_changed(
    result_site: ServedResult, library: Library
) -> None:
    with locked(result_site.root):
        refused = result_site.say("person_001", action="rename", name="Anna", status=409)
    assert "Another run is working" in refused["detail"]
    cluster(library.store, result_site.root, ClusterOptions(sheet=False, materialize="none"), work=Work())
    assert "This folder can't be changed" in result_site.page("/people")
    refused = result_site.say("person_001", action="rename", name="Anna", status=422)
    assert "This folder holds no photos" in refused["detail"]


def test_a_person_and_a_face_set_name_each_other(result_site: ServedResult, library: Library) -> None:
    sets = result_site.root.with_name("sets")
    assert "Face set:" not in result_site.page(f"/people/{result_site.people()['person_001']['id']}")
    gates = RefineOptions(min_faces=3, min_short=60, min_blur=0, min_det_score=0.5, sheet=False)
    refine(library.store, sets, gates, work=Work())
    person_of = {face: name for name, faces in groups(result_site.root).items() for face in faces}
    name, faces = next(iter(groups(sets).items()))
    person = person_of[next(iter(faces))]
    assert f"Face set: {name}" in result_site.page(f"/people/{result_site.people()[person]['id']}")
    with served_result(sets, sets.with_name("crops of sets")) as site:
        assert f"Person: {person}" in site.page(f"/people/{site.people()[name]['id']}")


def test_joiners_are_valid_in_names_and_invisible_characters_make_no_difference(
    result_site: ServedResult,
) -> None:
    zoya, family = "\u0632\u0648\u200c\u06cc\u0627", "\U0001f469\u200d\U0001f467"
    result_site.say("person_001", action="rename", name=zoya)
    result_site.say("person_002", action="rename", name=family)
    assert {zoya, family} <= result_site.people().keys()
    for similar in (zoya.replace("\u200c", ""), f"{family}\u200d", f"\u2060{family}"):
        result_site.say("person_003", action="rename", name=similar, status=409)
    for harmful in ("An\u202ena", "Anna\u2066", "\u200d"):
        result_site.say("person_003", action="rename", name=harmful, status=422)


def test_names_with_markup_are_shown_as_text(result_site: ServedResult) -> None:
    result_site.say("person_001", action="rename", name="<b>Anna &amp; Co<", status=422)
    (result_site.root / "person_001").rename(result_site.root / "<b>Anna")
    # Manual changes in the meantime are seen at once.
    page = result_site.page("/people")
    assert "<b>" not in page
    assert "&lt;b&gt;Anna" in page


def test_a_change_needs_the_token_of_a_page(result_site: ServedResult) -> None:
    person = result_site.people()["person_001"]["id"]
    answer = httpx.post(
        f"{result_site.address}{BASE}/persons/{person}", json={"action": "rename", "name": "Anna"}
    )
    assert answer.status_code == 403
    assert "person_001" in result_site.people()


def test_a_folder_with_an_invalid_name_is_shown_renamed_and_undone(result_site: ServedResult) -> None:
    before = result_site.people()
    foreign = result_site.root / os.fsdecode(b"J\xf6rg")
    (result_site.root / "person_001").rename(foreign)
    shown = "J\\udcf6rg"
    assert set(result_site.people()) == {*before} - {"person_001"} | {shown}
    assert result_site.faces(shown)
    (face, *_) = result_site.faces("person_002")
    moved = result_site.say("person_002", action="move", name=shown, faceIds=[face])
    assert moved["personName"] == shown
    result_site.post("/undo", {"step": moved["step"]})
    named = result_site.say(shown, action="rename", name="Jörg")
    assert result_site.people()["Jörg"]["faceCount"] == before["person_001"]["faceCount"]
    result_site.post("/undo", {"step": named["step"]})
    assert foreign.is_dir()
    found = result_site.client.get(f"{BASE}/persons", params={"find": shown[:3]}).json()["items"]
    assert [each["name"] for each in found] == [shown]


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
        page.locator(".message", has_text="3 faces moved from person_001 to person_002").wait_for()
        page.get_by_label("Name", exact=True).fill("Anna")
        page.get_by_role("button", name="Rename").click()
        page.get_by_role("heading", name="Anna").wait_for()
        assert result_site.people()["Anna"]["faceCount"] == before["person_001"] - 3
        page.get_by_role("button", name="Undo: person_001 renamed to Anna").click()
        page.get_by_role("heading", name="person_001").wait_for()
        # The page's script sets this text, and only then listens to the button.
        page.locator(".message", has_text="Undid: person_001 renamed to Anna").wait_for()
        page.get_by_role("button", name="Undo: 3 faces").click()
        page.locator(".message", has_text="Undid: 3 faces").wait_for()
    assert {name: person["faceCount"] for name, person in result_site.people().items()} == before


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
        page.locator(".message", has_text="1 face removed from person_001").wait_for()
        press("g")
        page.keyboard.type("person_002")
        press("Enter")
        page.get_by_role("heading", name="person_002").wait_for()
        page.locator(".message", has_text="moved from person_001 to person_002").wait_for()
        press("u")
        page.locator(".message", has_text="Undid").wait_for()
        page.get_by_role("heading", name="person_001").wait_for()
        press("r")
        page.keyboard.type("person_003")
        press("Enter")
        question = page.get_by_role("dialog", name=re.compile("the same person"))
        expect(question.locator("figure:last-child img").first).to_be_visible()
        expect(question.get_by_role("button", name="Use another name")).to_be_focused()
        page.keyboard.press("Shift+Tab")
        press("Enter")
        page.get_by_role("heading", name="person_003").wait_for()
    after = result_site.people()
    assert "person_001" not in after
    gained = before["person_001"]["faceCount"] - 1
    assert after["person_003"]["faceCount"] == before["person_003"]["faceCount"] + gained


def test_a_conflicting_change_is_reported(result_site: ServedResult, browser: Browser) -> None:
    person = result_site.people()["person_001"]["id"]
    with opened(browser, f"{result_site.address}/people/{person}") as page:
        result_site.say("person_001", action="unassign", faceIds=result_site.faces("person_001")[-1:])
        seen = page.locator(".result-face").count()
        with page.expect_response(lambda answer: answer.status == 409):
            page.locator(".result-face label").first.click()
            page.evaluate("document.querySelector('#not').click()")
        page.get_by_text("This was changed in the meantime").wait_for()
        assert len(result_site.faces("person_001")) == seen - 1


@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESK, False)], ids=["phone", "desk"])
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
            assert fits(page), path
            assert not page.evaluate(
                """() => [...document.querySelectorAll("form button")].filter((each) =>
                    each.getBoundingClientRect().right > each.form.getBoundingClientRect().right + 1
                ).map((each) => each.textContent)"""
            ), path
