"""Pages of people and photos: text that is safe and links that lead somewhere, at any size."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from playwright.sync_api import Browser
from tests.fixtures.chromium import PHONE, WORDS_ON_TWO_LINES, opened
from tests.fixtures.html import parsed

from facesets.results.pages.html_pages import (
    MADE_BY,
    STYLE,
    TILES_PER_PAGE,
    PagePicture,
    PageSite,
    PersonPage,
    render,
)

EMPTY = PageSite(("/photos",), ("0 people",), (), (), (), (), ())


def person(name: str, pictures: int = 1) -> PersonPage:
    tile = PagePicture(
        "pages/thumbnails/ab/cd.jpg", f"people/{name}/a.jpg", "a.jpg", f"Face of {name} in a.jpg"
    )
    return PersonPage(name, True, (f"{pictures} photos",), (f"people/{name}",), tile, (tile,) * pictures)


@pytest.mark.parametrize(
    "name",
    ['A&B "x" <script>alert(1)</script>', "50% #1? 'quoted'", "\udce9t\udce9", "a\x1b[31m\n", "王小明 ß"],
)
def test_names_are_escaped_as_text_and_as_links(name: str) -> None:
    pages = render(replace(EMPTY, people=(person(name),)))
    one = next(page for page in pages if "person/" in page)
    links = parsed(pages[one])
    assert "script" not in links.tags
    assert [unquote_to_bytes(link) for link in links.links if "people/" in link and "jpg" in link] == [
        b"../../people/" + name.encode("utf-8", "surrogateescape") + b"/a.jpg"
    ]
    start = parsed(pages["index.html"])
    assert unquote_to_bytes(next(link for link in start.links if "person/" in link)).decode() == one
    assert all(link.isascii() and not {"?", '"', "'", " "} & {*link} for link in links.links + start.links)


def test_without_people_a_page_has_no_advice_on_their_folders() -> None:
    start = render(EMPTY)["index.html"].decode()
    assert "Add photos" in start
    assert "rename a folder" not in start
    assert "rename a folder" in render(replace(EMPTY, people=(person("Ann"),)))["index.html"].decode()


def test_pages_use_no_network_and_no_scripts() -> None:
    for name, page in render(replace(EMPTY, people=(person("Ann"),))).items():
        assert b"http:" not in page
        assert b"https:" not in page
        if name != STYLE:
            assert page.startswith(MADE_BY.encode())
            assert b"default-src 'none'" in page
            assert not {"script", "iframe", "object"} & parsed(page).tags


def test_a_long_list_becomes_several_pages_that_lead_to_each_other() -> None:
    many = 2 * TILES_PER_PAGE + 1
    pages = render(replace(EMPTY, people=(person("Ann", many),), single=person("x", many).pictures))
    own = sorted(name for name in pages if "person/" in name)
    assert own == ["pages/person/Ann.html", "pages/person/Ann~2.html", "pages/person/Ann~3.html"]
    assert sum(len(parsed(pages[name]).pictures) for name in own) == many
    assert max(map(len, pages.values())) < 400_000
    for page in own:
        assert {f"../../{name}" for name in own} <= set(map(str, map(_plain, parsed(pages[page]).links)))
    assert sum("single" in name for name in pages) == 3


def _plain(link: str) -> str:
    return unquote_to_bytes(link).decode()


def test_every_picture_has_a_text_and_is_loaded_lazily() -> None:
    pictures = parsed(render(replace(EMPTY, people=(person("Ann", 3),)))["pages/person/Ann.html"]).pictures
    assert [each["alt"] for each in pictures] == ["Face of Ann in a.jpg"] * 3
    assert {each["loading"] for each in pictures} == {"lazy"}


def test_people_with_names_that_a_file_system_equates_have_separate_pages() -> None:
    pages = render(replace(EMPTY, people=(person("Ann"), person("ANN"))))
    own = [name for name in pages if "person/" in name]
    assert len({name.casefold() for name in own}) == 2


def test_files_that_cannot_be_read_are_listed_with_the_reason() -> None:
    pages = render(replace(EMPTY, failed=(("/photos/<b>.jpg", "the file is empty"),)))
    text = parsed(pages["pages/failed.html"]).text
    assert "/photos/<b>.jpg" in text
    assert "the file is empty" in text
    assert any("failed" in link for link in parsed(pages["index.html"]).links)
    assert "pages/single.html" not in pages


def test_lines_break_between_the_parts_of_a_name_not_inside_a_word() -> None:
    named = replace(person("Ann"), pictures=(replace(person("Ann").cover, caption="IMG_2020<1>.beach.jpg"),))
    page = render(replace(EMPTY, people=(named,)))["pages/person/Ann.html"]
    assert b"IMG_<wbr>2020&lt;1&gt;<wbr>.beach.jpg" in page
    assert parsed(page).text.count("IMG_2020<1>.beach.jpg") == 1


def test_names_are_broken_between_words_and_not_inside_one_that_a_line_holds(
    tmp_path: Path, browser: Browser
) -> None:
    names = ("Arnold Schwarzenegger", "Bernadette Vandenbroucke-Christophersen", "Megawati_Sukarnoputri")
    people = tuple(replace(each, cover=replace(each.cover, thumbnail="")) for each in map(person, names))
    for name, page in render(replace(EMPTY, people=people)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(page)
    with opened(browser, (tmp_path / "index.html").as_uri(), PHONE) as shown:
        for width in (320, 360, 390, 700, 1280):
            shown.set_viewport_size({"width": width, "height": 800})
            assert shown.evaluate(WORDS_ON_TWO_LINES) == [], width


def test_a_name_longer_than_a_line_scrolls_no_page_sideways(tmp_path: Path, browser: Browser) -> None:
    long = "Donaudampfschifffahrt" * 4
    who = person(long)
    cover = replace(who.cover, thumbnail="")
    who = replace(who, facts=(f"3 faces in {long}",), cover=cover, pictures=(cover,))
    pages = render(replace(EMPTY, people=(who,), photos=(f"/photos/{long}",)))
    for name, page in pages.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(page)
    for name in pages:
        if name != STYLE:
            with opened(browser, (tmp_path / name).as_uri(), PHONE) as shown:
                assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
