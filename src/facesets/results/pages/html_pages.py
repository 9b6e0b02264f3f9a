"""People and photos as pages that any browser opens from the disk: no server, no scripts, no network.

`render` gives the pages of a site as texts by name. Pictures and photos are linked by paths relative to the
page, so that a folder of results can be moved as a whole. Long lists are cut into several pages.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from importlib.resources import files
from typing import TypeAlias
from urllib.parse import quote

from facesets.files import PAGES, name_parts, printable
from facesets.results.names.file_names import folded, folder_name

START = "index.html"
STYLE = f"{PAGES}/style.css"
MADE_BY = "<!doctype html>\n<!-- made by facesets -->\n"
"""The beginning of each of our pages."""

TILES_PER_PAGE = 500
_WORD = re.compile(r"[^\s/_.\-]+")
_WIDE_WORD = 12
"""Maximum letters of a word that fits on a card."""
_Html: TypeAlias = Callable[[str], str]
_POLICY = "default-src 'none'; img-src 'self' file:; style-src 'self' file:"
_HELP = (
    '<p class="soft">To name a person, rename a folder in <code>people</code>. To correct a match, move the '
    "photo to another folder. The next run picks up both.</p>"
)


_NO_PEOPLE = (
    '<p class="soft">No person appears in two of these photos yet. Add photos, and run the same command '
    "again.</p>"
)


def _note(words: str, up: str) -> str:
    del up
    return f'<p class="soft">{words}</p>'


_UNASSIGNED = partial(_note, "Faces that match no other face.")
_FACELESS = partial(_note, "Photos without a face.")
_UNREAD = partial(_note, "Files that could not be read, with the reason.")


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A small picture that links to a photo.

    Attributes
    ----------
    thumbnail, photo : str
        Paths relative to the site; empty if there is none.
    """

    thumbnail: str
    photo: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class PersonPage:
    """A person's page.

    Attributes
    ----------
    name : str
        The name of the folder.
    is_named : bool
        Whether a user gave the name.
    folders : tuple of str
        Where the person's photos and face sets are, relative to the site.
    """

    name: str
    is_named: bool
    facts: tuple[str, ...]
    folders: tuple[str, ...]
    cover: PagePicture
    pictures: tuple[PagePicture, ...]


@dataclass(frozen=True, slots=True)
class PageSite:
    """The content of a site.

    Attributes
    ----------
    photos : tuple of str
        The folders that the photos come from.
    single, no_face : tuple of PagePicture
        Faces that match no other photo; photos without a face.
    failed : tuple of (path, reason)
    sheets : tuple of (title, path)
        Contact sheets, relative to the site.
    """

    photos: tuple[str, ...]
    facts: tuple[str, ...]
    people: tuple[PersonPage, ...]
    single: tuple[PagePicture, ...]
    no_face: tuple[PagePicture, ...]
    failed: tuple[tuple[str, str], ...]
    sheets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list on one or several pages.

    Attributes
    ----------
    names : tuple of str
        Names of its pages.
    area : str
        Its entry in the navigation; empty if it has none.
    lead, items : functions
        Make HTML, given the relative path from a page to the site's folder.
    """

    names: tuple[str, ...]
    area: str
    title: str
    lead: _Html
    items: Sequence[_Html]


def render(site: PageSite) -> dict[str, bytes]:
    """Return every page of a site by its name relative to the site; the first one is `index.html`."""
    of_people = _page_names([person.name for person in site.people])
    lists = [
        _listing(
            START,
            "People",
            lambda up: _facts(site.facts) + _sheets(site, up) + (_HELP if site.people else _NO_PEOPLE),
            [partial(_card, person, page) for person, page in zip(site.people, of_people, strict=True)],
        ),
        _listing(
            f"{PAGES}/single.html", "Unassigned faces", _UNASSIGNED, [partial(_tile, p) for p in site.single]
        ),
        _listing(f"{PAGES}/no-face.html", "No face", _FACELESS, [partial(_tile, p) for p in site.no_face]),
        _listing(f"{PAGES}/failed.html", "Unreadable", _UNREAD, [partial(_row, *f) for f in site.failed]),
    ]
    areas = [(each.area, each.names[0], len(each.items)) for each in lists if each.items or each is lists[0]]
    for person, page in zip(site.people, of_people, strict=True):
        tiles = [partial(_tile, picture) for picture in person.pictures]
        lists.append(replace(_listing(page, person.name, partial(_about, person), tiles), area=""))
    pages = {
        name: _page(site, each, number, areas).encode("utf-8", errors="backslashreplace")
        for each in lists
        if each.items or each is lists[0]
        for number, name in enumerate(each.names)
    }
    return {**pages, STYLE: (files("facesets.results.pages") / "html_pages.css").read_bytes()}


def _listing(first: str, title: str, lead: _Html, items: Sequence[_Html]) -> _Listing:
    count = max(1, -(-len(items) // TILES_PER_PAGE))
    stem = f"{PAGES}/people" if first == START else first.removesuffix(".html")
    names = (first, *(f"{stem}~{number}.html" for number in range(2, count + 1)))
    return _Listing(names, title, title, lead, items)


def _page_names(people: Sequence[str]) -> list[str]:
    """A page for each person, by names that are valid and different on every file system."""
    names = [folder_name(name) for name in people]
    uses = Counter(folded(name) for name in names)
    return [
        f"{PAGES}/person/{name if uses[folded(name)] == 1 else f'{name}~~{_digest(label)}'}.html"
        for name, label in zip(names, people, strict=True)
    ]


def _digest(label: str) -> str:
    return hashlib.sha256(os.fsencode(label)).hexdigest()[:8]


def _page(site: PageSite, each: _Listing, number: int, areas: Sequence[tuple[str, str, int]]) -> str:
    """One page of a list."""
    name = each.names[number]
    up = "../" * name.count("/")
    items = each.items[number * TILES_PER_PAGE : (number + 1) * TILES_PER_PAGE]
    links = "".join(
        f'<a href="{_url(up, first)}"{" aria-current=page" if area == each.area else ""}>{escape(area)} '
        f"<small>{count}</small></a>"
        for area, first, count in areas
    )
    title, turning = _text(each.title), _turning(each.names, number, up)
    rows = "ul" if each.area == "Unreadable" else "div"
    return f"""{MADE_BY}<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title} · {_text(", ".join(site.photos))}</title>
<link rel="stylesheet" href="{_url(up, STYLE)}">
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header><nav aria-label="Lists">{links}</nav></header>
<main id="main">
<h1 dir="auto">{_broken(each.title)}</h1>
{each.lead(up)}
{turning}
<{rows} class="grid">
{chr(10).join(item(up) for item in items)}
</{rows}>
{turning}
</main>
<footer>Photos in {_broken(", ".join(site.photos))}</footer>
</body>
</html>
"""


def _turning(names: Sequence[str], number: int, up: str) -> str:
    """Links to the other pages of a list."""
    if len(names) == 1:
        return ""
    links = [
        f'<a href="{_url(up, name)}"{" aria-current=page" if place == number else ""}>{place + 1}</a>'
        for place, name in enumerate(names)
    ]
    return f'<nav class="turn" aria-label="Pages">Page {" ".join(links)}</nav>'


def _card(person: PersonPage, page: str, up: str) -> str:
    name = _broken(person.name)
    kind = "card" if person.is_named else "card unnamed"
    # Small enough for the longest word to fit on one line of a card.
    long = ' class="long"' if max(map(len, _WORD.findall(person.name)), default=0) > _WIDE_WORD else ""
    return (
        f'<a class="{kind}" href="{_url(up, page)}">{_image(person.cover, up)}<b dir="auto"{long}>{name}</b>'
        f"<small>{_text(person.facts[0])}</small></a>"
    )


def _tile(picture: PagePicture, up: str) -> str:
    inside = f'{_image(picture, up)}<small dir="auto">{_broken(picture.caption)}</small>'
    if not picture.photo:
        return f'<div class="tile">{inside}</div>'
    return f'<a class="tile" href="{_url(up, picture.photo)}">{inside}</a>'


def _image(picture: PagePicture, up: str) -> str:
    if not picture.thumbnail:
        return f'<span class="none" role="img" aria-label="{_text(picture.alt)}">?</span>'
    source = _url(up, picture.thumbnail)
    return f'<img src="{source}" alt="{_text(picture.alt)}" loading="lazy" decoding="async">'


def _row(path: str, reason: str, up: str) -> str:
    del up
    return f'<li><code dir="auto">{_broken(path)}</code> {_text(reason)}</li>'


def _about(person: PersonPage, up: str) -> str:
    folders = " ".join(f'<a href="{_url(up, f"{each}/")}">{_broken(each)}</a>' for each in person.folders)
    return f'{_facts(person.facts)}<p class="soft">Folders: {folders}</p>'


def _facts(facts: Sequence[str]) -> str:
    return f'<p class="lead">{_text(" · ".join(facts))}</p>'


def _sheets(site: PageSite, up: str) -> str:
    links = " · ".join(f'<a href="{_url(up, path)}">{_text(title)}</a>' for title, path in site.sheets)
    return f'<p class="soft">Contact sheets: {links}</p>' if links else ""


def _url(up: str, path: str) -> str:
    """Return the address of a path relative to the site; `up` leads from the page to the site."""
    return escape(up + quote(os.fsencode(path)))


def _broken(name: str) -> str:
    """Return a file name as text that wraps between its parts rather than inside a word."""
    return "<wbr>".join(map(_text, name_parts(name)))


def _text(text: str) -> str:
    return escape(printable(text))
