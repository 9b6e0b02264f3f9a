"""`/search`: find photos; the address holds the whole search."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from facesets.errors import FacesetsError, NotFound, WrongUsage
from facesets.inference.catalog import DEFAULT_CLIP
from facesets.operations.library.nothing_found import explain_nothing_found, not_looked_at
from facesets.operations.library.photo_search import PhotoPage, filter_of, requested_people
from facesets.operations.options.library import DEFAULT_KM, near
from facesets.places import Near
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.persons import PersonState
from facesets.store.postgres.photos.filter import Dates
from facesets.store.postgres.photos.search import MAX_COUNTED
from facesets.web.api.search import (
    Age,
    Camera,
    Described,
    Like,
    Tag,
    Who,
    Words,
    age_range_of,
    found_photos,
)
from facesets.web.render import render, worded
from facesets.web.site import Site, SiteDep

router = APIRouter()

_ON_PAGE = 60
_LAST_PAGE = 10_000
_MAX_TOTAL = 1000
"""Photos to count: counting more takes longer than finding a page."""

Day = Annotated[str, Query(max_length=20)]
Number = Annotated[str, Query(max_length=30)]


@dataclass(frozen=True, slots=True)
class Search:
    """A search, as it stands in the address."""

    words: str
    people: Sequence[PersonState]
    like: str
    first: str
    until: str
    latitude: str
    longitude: str
    km: str
    camera: str
    tags: Sequence[str] = ()
    described: str = ""
    age: str = ""
    unknown: Sequence[str] = ()

    @property
    def open(self) -> bool:
        """Whether the search has no conditions."""
        return not self.summary

    @property
    def summary(self) -> str:
        """The conditions in a few words."""
        first, until = self.first and f" from {self.first}", self.until and f" up to {self.until}"
        names = [each.names[0] if each.names else f"unnamed person {each.id.hex[:8]}" for each in self.people]
        parts = [f"“{each}”" for each in (self.words, *self.unknown) if each]
        parts += [
            *names,
            *self.tags,
            "photos similar to one" if self.like else "",
            self.age and f"aged {self.age}",
        ]
        parts += [f"dates{first}{until}" if first or until else ""]
        parts += [f"the place {self.latitude}, {self.longitude}" if self.latitude or self.longitude else ""]
        parts += [self.camera, f"“{self.described}”" if self.described else ""]
        return ", ".join(filter(None, parts))

    @property
    def advice(self) -> str:
        """Advice on what to change if nothing is found."""
        ways = [
            "remove a person" if len(self.people) > 1 else "",
            "remove a tag" if self.tags else "",
            "widen the date range" if self.first or self.until else "",
            "increase the radius" if self.latitude or self.longitude else "",
            "widen the age range" if self.age else "",
            "shorten the camera name" if self.camera else "",
            "use fewer words" if self.described else "",
        ]
        text = ", or ".join(filter(None, ways))
        return f"{text.capitalize()}." if text else ""

    @property
    def has_more_fields(self) -> bool:
        """Whether the search uses fields that the form hides by default."""
        return bool(self.latitude or self.longitude or self.camera or self.tags or self.described or self.age)

    def address(self, page: int) -> str:
        """Return the address of a page of its results."""
        parts = [("words", self.words), *(("person", str(each.id)) for each in self.people)]
        parts += [("person", each) for each in self.unknown]
        parts += [("like", self.like), ("from", self.first), ("until", self.until)]
        parts += [("latitude", self.latitude), ("longitude", self.longitude), ("km", self.km)]
        parts += [("camera", self.camera), *(("tag", each) for each in self.tags)]
        parts += [("described", self.described), ("age", self.age)]
        given = [(name, value) for name, value in parts if value]
        return f"/search?{urlencode([*given, *([('page', str(page))] if page > 1 else [])])}"


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a search, or why there are none.

    Attributes
    ----------
    sentence : str
        Why the search failed; else empty.
    why_nothing : list of str
        Conditions that no photo meets, if none was found.
    not_looked_at : list of str
        Photos that lack the data for the search.
    """

    found: PhotoPage = field(default_factory=lambda: PhotoPage([], 0))
    sentence: str = ""
    why_nothing: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)


@router.get("/search")
def page(
    request: Request,
    site: SiteDep,
    words: Words = "",
    person: Who = [],  # noqa: B006 - FastAPI copies it
    like: Like = "",
    first: Annotated[str, Query(alias="from", max_length=20)] = "",
    until: Day = "",
    latitude: Number = "",
    longitude: Number = "",
    km: Number = "",
    camera: Camera = "",
    tag: Tag = [],  # noqa: B006 - FastAPI copies it
    described: Described = "",
    age: Age = "",
    page: Annotated[int, Query(ge=1, le=_LAST_PAGE)] = 1,
) -> Response:
    """Return the search form and its results."""
    with site.library() as session:
        library = Library(session)
        knows_looks = bool(library.clip_models())
        people, unknown, sentence = _people(library, person)
        asked = Search(
            words=words.strip(),
            people=people,
            like=like,
            first=first.strip(),
            until=until.strip(),
            latitude=latitude.strip(),
            longitude=longitude.strip(),
            km=km.strip(),
            camera=camera.strip(),
            tags=[each.strip() for each in tag if each.strip()],
            described=described.strip(),
            age=age.strip(),
            unknown=unknown,
        )
        results = Results(sentence=sentence) if sentence else _results(site, library, asked, page)
    return render(
        request,
        "search.html",
        title="Search",
        asked=asked,
        photos=results.found.photos,
        total=results.found.total,
        max_total=_MAX_TOTAL,
        page=page,
        more=page * _ON_PAGE < results.found.total,
        sentence=results.sentence,
        why_nothing=results.why_nothing,
        not_looked_at=results.not_looked_at,
        knows_looks=knows_looks,
        clip=DEFAULT_CLIP,
        default_km=f"{DEFAULT_KM:g}",
    )


def _people(library: Library, names: Sequence[str]) -> tuple[list[PersonState], list[str], str]:
    """Return the people searched for, the unknown names, and a sentence about those."""
    known: list[PersonState] = []
    unknown: list[str] = []
    sentence = ""
    for each in names:
        if not each.strip():
            continue
        try:
            known += requested_people(library, [each])
        except (NotFound, WrongUsage) as error:
            unknown.append(each.strip())
            sentence = worded(f"{error}")
    return list({each.id: each for each in known}.values()), unknown, sentence


def _results(site: Site, library: Library, asked: Search, page: int) -> Results:
    try:
        dates = Dates(_day(asked.first), _day(asked.until))
        where = _place(asked.latitude, asked.longitude, asked.km)
        conditions = filter_of(
            library,
            asked.people,
            dates,
            where,
            asked.camera,
            tags=asked.tags,
            words=asked.described or None,
            ages=age_range_of(asked.age, asked.people),
        )
        offset = (page - 1) * _ON_PAGE
        found = found_photos(
            site,
            library,
            conditions,
            asked.words,
            asked.like,
            offset=offset,
            limit=_ON_PAGE,
            # Enough to know whether there is a next page.
            max_counted=min(max(_MAX_TOTAL, offset + _ON_PAGE) + 1, MAX_COUNTED),
        )
    except FacesetsError as error:
        return Results(sentence=worded(f"{error}"))
    if found.total:
        return Results(found)
    return Results(
        found,
        why_nothing=[worded(each) for each in explain_nothing_found(library, conditions)],
        not_looked_at=[worded(each.sentence) for each in not_looked_at(library, conditions)],
    )


def _day(text: str) -> date | None:
    """Parse a date field. Raises `WrongUsage`."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongUsage("Enter dates like 2024-05-31.") from None


def _place(latitude: str, longitude: str, km: str) -> Near | None:
    """Parse the place fields. Raises `WrongUsage`."""
    if not (latitude or longitude):
        return None
    try:
        return near("The place", float(latitude), float(longitude), float(km or DEFAULT_KM))
    except ValueError:
        raise WrongUsage(
            "Enter a place as latitude and longitude in degrees, such as 48.137 and 11.575."
        ) from None
