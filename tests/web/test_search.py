"""Searching: by people, dates and looks, as a page without scripts and as a call."""

import hashlib
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from facesets.descriptions.prices import Usage
from facesets.inference.catalog import DEFAULT_CLIP
from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import ClipPack, read_clip
from facesets.library_records import TagCategory, TagWord
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.descriptions import AnswerSource, store_answer
from facesets.store.postgres.photos.tagging import store_categories
from facesets.web.pages import search as search_page
from tests.fixtures.chromium import opened
from tests.fixtures.clip import make_clip
from tests.fixtures.library_people import rows
from tests.fixtures.llm_server import an_answer
from tests.fixtures.made_faces import made_file, made_image
from tests.fixtures.made_metadata import METADATA, with_metadata
from tests.fixtures.website import BASE, Website, named

PICTURE = "/api/v1/faces/assets/"


@pytest.fixture
def people(album: Library) -> dict[str, str]:
    """Anna, Ben and Carla have their names; their ids."""
    return {who: named(album, f"{who}-0", who.title()) for who in ("anna", "ben", "carla")}


def test_several_people_are_found_together(website: Website, people: dict[str, str]) -> None:
    assert website.get("/search", person="Anna")["total"] == 9
    found = website.get("/search", person=[people["anna"], "ben", "Carla"])
    assert found["total"] == 1
    picture = website.client.get(f"{PICTURE}{found['items'][0]['assetId']}/picture", params={"size": 320})
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


def test_dates_and_pages_limit_the_results(onlooked: Website) -> None:
    year = {"from": "2015-06-01", "until": "2015-12-31"}
    found = onlooked.get("/search", **year, pageSize=2)
    taken = [photo["taken"] for photo in found["items"]]
    assert taken == sorted(taken, reverse=True)
    assert all("2015-06" <= each <= "2016" for each in taken)
    rest = onlooked.get("/search", **year, pageSize=100)
    assert rest["total"] == len(rest["items"]) == found["total"] > 2
    assert onlooked.get("/search", **year, pageSize=2, page=2)["items"] == rest["items"][2:4]


def test_invalid_searches_are_reported(onlooked: Website) -> None:
    cases: list[tuple[dict[str, str], int, str]] = [
        ({"person": "Zoe"}, 404, "Person not found: Zoe"),
        ({"from": "soon"}, 422, "from"),
        ({"like": "../../etc/passwd"}, 422, "like"),
        ({"like": "00" * 32}, 404, "This photo is not in the library"),
        ({"words": "snow"}, 422, "No photo of"),
        ({"words": "snow", "like": "00" * 32}, 422, "not by both"),
        ({"pageSize": "101"}, 422, "pageSize"),
        ({"latitude": "91", "longitude": "0"}, 422, "latitude"),
        ({"latitude": "48"}, 422, "needs both"),
        ({"latitude": "nan", "longitude": "0"}, 422, "latitude"),
        ({"camera": "Leica"}, 404, "named Leica"),
        ({"age": "5-8"}, 422, "needs a person"),
        ({"from": "2020-01-01", "until": "2019-01-01"}, 422, "Give the earlier day first"),
        ({"described": "the"}, 422, "nearly every text contains it"),
    ]
    for asked, status, expected in cases:
        answer = onlooked.client.get(f"{BASE}/search", params=asked)
        assert answer.status_code == status, asked
        assert expected in answer.json()["detail"], asked


def test_the_page_answers_by_its_address_alone(website: Website, people: dict[str, str]) -> None:
    page = website.page(f"/search?person={people['anna']}&person=ben&from=2015-01-01&until=&words=")
    assert "1 photo<" in page
    assert page.count('class="photo-link"') == 1
    assert 'value="2015-01-01"' in page
    assert page.count("checked>") == 2
    # What is asked for stands above the button that asks.
    assert page.rindex('class="chip-choice"') < page.index(">Search</button>")
    assert 'href="/photos/' in page
    assert "Recently added" in website.page("/search")
    early = website.page("/search?until=1900-01-01")
    assert "No photos found for dates up to 1900-01-01<" in early
    assert "Widen the date range." not in early  # It shows the existing days instead.
    nothing = website.page(f"/search?person={people['anna']}&until=1900-01-01")
    assert "No photo matches the dates." in nothing


def test_a_page_counts_up_to_its_limit_and_still_has_a_next_page(
    website: Website, people: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_page, "_MAX_TOTAL", 5)
    monkeypatch.setattr(search_page, "_ON_PAGE", 4)
    pages = [website.page(f"/search?person={people['anna']}&page={number}") for number in (1, 2, 3)]
    assert [page.count('class="photo-link"') for page in pages] == [4, 4, 1]
    assert ["More than 5 photos" in page for page in pages] == [True, True, True]
    assert ['rel="next"' in page for page in pages] == [True, True, False]


def test_the_search_page_reports_errors_and_keeps_the_input(onlooked: Website) -> None:
    for address, expected in (
        ("person=Zoe&words=&from=", "Person not found: Zoe. The People page shows all people."),
        ("person=Zoe", "No photos found for “Zoe”<"),
        ("person=Zoe", 'name="person" maxlength="200" value="Zoe"'),
        ("from=yesterday", "Enter dates like 2024-05-31."),
        ("words=snow", "facesets models pull"),
        ("latitude=48", "Enter a place as latitude and longitude"),
        ("latitude=48&longitude=11&km=0", "more than 0"),
        ("person=%3Cscript%3Ealert(1)%3C/script%3E", "&lt;script&gt;alert(1)"),
    ):
        page = onlooked.page(f"/search?{address}")
        assert expected in page, address
        assert "<script>alert" not in page
        assert "Recently added" not in page


@pytest.fixture
def placed(album: Library) -> str:
    """A photo with location and camera in its file."""
    ((sha256,),) = rows(album.database, "SELECT sha256 FROM images ORDER BY id LIMIT 1")
    output = replace(
        METADATA, make="Canon Inc.", model="Canon EOS 80D", refused={"ISO": "<b>0</b> is no number"}
    )
    album.store_findings([with_metadata(replace(made_image("x", 0), sha256=sha256), output)])
    return str(sha256)


def test_photos_are_found_by_place_and_camera_which_their_pages_say(website: Website, placed: str) -> None:
    near = {"latitude": 48.2, "longitude": 11.575}
    (found,) = website.get("/search", **near)["items"]
    assert (found["assetId"], round(found["distanceKm"], 1)) == (placed, 7.0)
    assert website.get("/search", **near, km=6)["total"] == 0
    assert website.get("/search", camera="80d")["items"][0]["assetId"] == placed
    assert website.get("/search", camera="80d", until="2019-01-01")["total"] == 0
    page = website.page("/search?latitude=48.2&longitude=11.575&km=&camera=canon")
    assert (page.count('class="photo-link"'), "7.0 km" in page) == (1, True)
    assert '<details class="across more" open>' in page
    photo = website.page(f"/photos/{placed}")
    for expected in (
        "4 July 2019, 15:30",
        "from DateTimeOriginal",
        'href="geo:48.13700,11.57500"',
        "520 m altitude",
        ">Canon EOS 80D</a>, EF-S 18-135mm",
        "1/250 s, f/5.6, ISO 400, 35 mm",
        "&lt;b&gt;0&lt;/b&gt; is no number",
    ):
        assert expected in photo
    assert "http" not in photo.split("<h2>File</h2>")[1]


def test_photos_are_found_by_a_persons_age(website: Website, album: Library, people: dict[str, str]) -> None:
    (taken,) = {year for (year,) in rows(album.database, _YEARS_OF.format(people["anna"]))}
    set_birth(album.database, "Anna", Birth(taken - 7), by="tester", today=date(2024, 1, 1))
    assert website.get("/search", person="Anna", age="7")["total"] == 9
    assert website.get("/search", person="Anna", age="5-6")["total"] == 0
    wrong = website.client.get(f"{BASE}/search", params={"person": "Anna", "age": "8-5"})
    assert (wrong.status_code, "the younger age first" in wrong.json()["detail"]) == (422, True)
    page = website.page(f"/search?person={people['anna']}&age=5-8")
    assert "9 photos<" in page
    assert 'name="age" maxlength="20" value="5-8"' in page
    assert '<details class="across more" open>' in page


_YEARS_OF = """SELECT DISTINCT extract(year FROM i.taken)::int FROM images i
    JOIN face_detections f ON f.image_id = i.id WHERE f.person_id = '{}'"""


def test_photos_are_found_by_their_descriptions(website: Website, album: Library) -> None:
    empty = website.page("/search?described=cake")
    assert "No photos found for “cake”<" in empty
    assert "Use fewer words." in empty
    assert "cannot be found by this yet: run <code>facesets describe</code>" in empty
    ((sha256,),) = rows(album.database, "SELECT sha256 FROM images ORDER BY id LIMIT 1")
    cake = an_answer(description="A birthday cake with five <b>candles</b>.")
    source = AnswerSource("anthropic", "claude", "", Usage(), None, None)
    album.database.run(lambda connection: store_answer(connection, sha256, cake, source))
    (found,) = website.get("/search", described='"birthday cakes" -beach')["items"]
    assert found["assetId"] == sha256
    assert website.get("/search", described="beach")["total"] == 0
    page = website.page("/search?described=candle")
    assert (page.count('class="photo-link"'), f"/photos/{sha256}" in page) == (1, True)
    assert "five &lt;b&gt;candles" in website.page(f"/photos/{sha256}")


@pytest.fixture
def clip_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClipPack:
    """A CLIP pack that is on this machine."""
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path / "models"))
    return read_clip(make_clip(tmp_path / "models" / "clip" / DEFAULT_CLIP))


@pytest.fixture
def coloured(clip_pack: ClipPack, album: Library, tmp_path: Path) -> list[str]:
    """Photos in one colour each, embedded by that pack: red, green, blue."""
    visual = ClipVisual(clip_pack)
    files, images = [], []
    for colour in ("red", "green", "blue"):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (64, 48), colour).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (clip,) = visual.embeddings([np.asarray(Image.open(path))])
        images.append(replace(made_image(colour, 0), sha256=digest, clip=clip, searched=False))
        files.append(made_file(str(path), images[-1]))
    album.looking_for(None, clip_pack.model).add(files, images)
    return [image.sha256 for image in images]


def test_words_find_photos_and_a_photo_finds_others_like_it(coloured: list[str], website: Website) -> None:
    red, _, blue = coloured
    for word, best in (("red", red), ("blue", blue)):
        found = website.get("/search", words=word)
        assert found["items"][0]["assetId"] == best
        assert (found["total"], found["items"][0]["similarity"] > 0.5) == (3, True)
    like = website.get("/search", like=red)
    assert {each["assetId"] for each in like["items"]} == set(coloured) - {red}
    for asked, whole in ({"words": "red"}, website.get("/search", words="red")), ({"like": red}, like):
        pages = [website.get("/search", **asked, page=page, pageSize=1) for page in (1, 2, 3)]
        assert [item for page in pages for item in page["items"]] == whole["items"]
        assert {page["total"] for page in pages} == {whole["total"]}
    assert website.get("/search", words="red", until="1900-01-01")["total"] == 0
    page = website.page("/search?words=red")
    assert page.index(f"/photos/{red}") < page.index(f"/photos/{blue}")
    assert "models pull" not in page
    assert f'href="/search?like={red}"' in page


@pytest.fixture
def tagged(album: Library) -> str:
    """A library with one photo that is tagged `a & b`, and a face on it that is happy; that photo."""
    words = (TagWord("a & b", ("a & b",)), TagWord("other", ("other",)))
    categories = [
        TagCategory("setting", "scene", "single", 0, ("{}",), words),
        TagCategory("emotion", "face", "single", 0, ("{}",), (TagWord("happy", ("happy",)),)),
    ]
    album.database.run(lambda connection: store_categories(connection, categories))
    ((sha256,),) = rows(
        album.database,
        """WITH f AS (SELECT min(id) AS face, min(image_id) AS image FROM face_detections
                WHERE image_id = (SELECT min(image_id) FROM face_detections)),
            of_image AS (INSERT INTO image_tags (image_id, tag_id, confidence)
                SELECT f.image, w.id, 0.91 FROM f, tags w WHERE w.name = 'a & b'),
            of_face AS (INSERT INTO face_tags (face_id, tag_id, confidence)
                SELECT f.face, w.id, 0.5 FROM f, tags w WHERE w.name = 'happy')
            SELECT i.sha256 FROM images i JOIN f ON f.image = i.id""",
    )
    return str(sha256)


def test_a_photo_shows_its_tags_which_lead_to_photos_with_them(website: Website, tagged: str) -> None:
    (found,) = website.get("/search", tag=["a & b", "emotion:happy"])["items"]
    assert found["assetId"] == tagged
    assert website.get("/search", tag=["a & b", "other"])["total"] == 0
    unknown = website.client.get(f"{BASE}/search", params={"tag": "hapy"})
    assert (unknown.status_code, "Did you mean happy?" in unknown.json()["detail"]) == (404, True)
    page = website.page(f"/photos/{tagged}")
    assert 'href="/search?tag=setting%3Aa+%26+b"' in page
    assert ">a &amp; b</a>" in page
    assert 'title="emotion, 50 %">happy</a>' in page
    led_to = website.page("/search?tag=setting%3Aa%20%26%20b&tag=happy&tag=")
    assert led_to.count('class="photo-link"') == 1
    assert f"/photos/{tagged}" in led_to
    assert led_to.count("checked>") == 2
    assert "No photos found for other<" in website.page("/search?tag=other")


@pytest.mark.slow
@pytest.mark.usefixtures("people")
def test_a_person_is_found_by_name_and_dates_with_the_keyboard(website: Website, browser: Browser) -> None:
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


@pytest.mark.usefixtures("people")
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
def test_both_dates_are_in_one_line_however_wide_the_window_is(onlooked: Website, browser: Browser) -> None:
    apart = []
    with opened(browser, f"{onlooked.address}/search") as page:
        for width in (360, 700, 1000, 1200, 1280, 1400, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            boxes = [page.get_by_label(label).bounding_box() for label in ("From", "Until")]
            apart += [width] if len({box["y"] for box in boxes if box}) > 1 else []
    assert apart == []
