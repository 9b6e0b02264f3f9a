"""When somebody was born, as their page and the API show it and take it."""

import re
from datetime import date

import pytest
from playwright.sync_api import Browser, expect

from facesets.operations.people.corrections.births import Birth, set_birth
from tests.fixtures.chromium import accessibility_findings, opened
from tests.fixtures.website import Website


def test_the_faces_say_when_somebody_was_born_until_a_human_does(website: Website) -> None:
    who = website.people()[0]["id"]
    assert "<dt>Born</dt><dd>unknown</dd>" in website.page(f"/people/{who}/about")
    with website.site.library() as session:
        session.run(lambda c: c.execute("UPDATE images SET taken = '2001-02-03'"))
        session.run(lambda c: c.execute("UPDATE face_detections SET age = 31, male = 0.1, sex = 'F'"))
    html = website.page(f"/people/{who}/about")
    assert "<dt>Born</dt><dd>about 1970 " in html
    # Of which sex somebody is taken to be is shown to whoever opens it.
    assert "<dt>Sex</dt><dd><details><summary>A model's guess</summary>female " in html
    with website.site.library() as session:
        set_birth(session, who, Birth(1971), by="anna@home", today=date(2024, 1, 1))
    assert "<dt>Born</dt><dd>1971</dd>" in website.page(f"/people/{who}/about")


def test_a_program_says_a_birth_and_takes_it_back(website: Website) -> None:
    who = website.people()[0]["id"]
    path = f"/persons/{who}"
    seen = website.get(path)
    assert (seen["birth"]["said"], seen["birth"]["byFaces"], seen["birth"]["sex"]) == (None, None, "U")
    done = website.post(path, {"action": "birth", "day": "1971-02-03", "version": seen["version"]})
    assert "born 1971-02-03" in done["did"]
    assert website.get(path)["birth"]["said"] == "1971-02-03"
    stale = website.post(path, {"action": "birth", "year": 1972, "version": seen["version"]}, status=409)
    assert stale["kind"] == "changed"
    website.post("/undo", {"step": done["step"]})
    assert website.get(path)["birth"]["said"] is None
    website.post(path, {"action": "birth", "year": 1972})
    assert website.get(path)["birth"]["said"] == "1972"
    website.post(path, {"action": "birth"})
    assert website.get(path)["birth"]["said"] is None


@pytest.mark.parametrize("body", [{"year": 3000}, {"year": 1985, "day": "1985-01-01"}, {"day": "1985-02-30"}])
def test_no_birth_is_kept_that_cannot_be(onlooked: Website, body: dict[str, object]) -> None:
    who = onlooked.people()[0]["id"]
    onlooked.post(f"/persons/{who}", {"action": "birth", **body}, status=422)
    assert onlooked.get(f"/persons/{who}")["birth"]["said"] is None


@pytest.mark.slow
def test_a_birth_is_said_on_the_page_of_the_person_and_undone(website: Website, browser: Browser) -> None:
    who = website.people()[0]["id"]
    with opened(browser, f"{website.address}/people/{who}") as page:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Born…").click()
        field = page.get_by_label("Year or day")
        field.fill("31.5.1985")
        field.press("Enter")
        expect(field).to_be_visible()
        assert not accessibility_findings(page)
        field.fill("1985-05-31")
        field.press("Enter")
        page.get_by_text("Facts").click()
        born = page.locator("dt:has-text('Born') + dd")
        expect(born).to_have_text("1985-05-31")
        page.get_by_role("button", name="Undo").click()
        expect(born).to_have_text("unknown")


def test_a_photo_says_how_old_people_were_by_all_their_faces_and_by_one_only_where_asked(
    website: Website,
) -> None:
    with website.site.library() as session:
        session.run(
            lambda c: c.execute(
                """UPDATE face_detections SET age = 30.6 + ordinal, male = 0.9 - 0.4 * ordinal,
                    sex = (ARRAY['M', 'U', 'F'])[1 + ordinal]
                    WHERE image_id = (SELECT image_id FROM image_paths WHERE path LIKE '%/together.jpg')"""
            )
        )
        ((photo, face),) = session.run(
            lambda c: c.execute(
                """SELECT i.sha256, f.id FROM images i JOIN face_detections f ON f.image_id = i.id
                    JOIN image_paths p ON p.image_id = i.id
                    WHERE p.path LIKE '%/together.jpg' AND f.ordinal = 0"""
            ).fetchall()
        )
        session.run(lambda c: c.execute("UPDATE images SET taken = '2001-02-03'"))
    page = website.page(f"/photos/{photo}")
    assert not re.search("looks|male|about 3", page)
    why = website.page(f"/photos/{photo}/why/{face}")
    assert "<dt>Guessed</dt><dd>about 30, male " in why
    found = website.get(f"/faces/{face}")
    assert (found["age"], found["sex"]) == (30.6, "M")
    unseen = next(each for each in website.people() if each["photoCount"] == 3)
    other = website.get(f"/faces/{unseen['faceId']}")
    assert (other["age"], other["sex"]) == (None, None)
    with website.site.library() as session:
        session.run(
            lambda c: c.execute(
                """UPDATE face_detections SET age = 31 WHERE person_id =
                    (SELECT person_id FROM face_detections WHERE id = %s)""",
                (face,),
            )
        )
    assert '<div class="hint">about 30 by the faces</div>' in website.page(f"/photos/{photo}")
    who = website.get(f"/faces/{face}")["personId"]
    website.post(f"/persons/{who}", {"action": "birth", "day": "1971-02-04"})
    assert '<div class="hint">29</div>' in website.page(f"/photos/{photo}")
