"""`/search`: photos by words, people and their age, another photo, dates, place, camera, tags."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from facesets.ages import AgeRange
from facesets.errors import WrongUsage
from facesets.operations.library.photo_search import (
    PhotoPage,
    filter_of,
    photos_like,
    photos_of,
    requested_people,
)
from facesets.operations.library.photo_search import photos_of_words as by_words
from facesets.operations.options.library import DEFAULT_KM, age_range
from facesets.places import FARTHEST_KM, Near
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.persons import PersonState
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.search import MAX_COUNTED
from facesets.web.api.shapes import Of, Page, PagingDep, Shape
from facesets.web.site import Site, SiteDep

router = APIRouter(tags=["search"])

MAX_PEOPLE = 10
LONGEST = 500
MAX_KM = math.ceil(FARTHEST_KM)

Words = Annotated[str, Query(max_length=LONGEST, description="A description of what the photos show.")]
Who = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Query(max_length=MAX_PEOPLE, description="A name or an ID; with several, photos that show all of them."),
]
Like = Annotated[
    str, Query(pattern="^([0-9a-f]{64})?$", description="The asset ID of a photo to find similar ones.")
]
From = Annotated[date | None, Query(alias="from", description="Taken on or after this date.")]
Until = Annotated[date | None, Query(description="Taken on or before this date.")]
Latitude = Annotated[
    float | None,
    Query(
        ge=-90,
        le=90,
        description="Latitude of a place near which the photos were taken, in degrees, north positive.",
    ),
]
Longitude = Annotated[
    float | None, Query(ge=-180, le=180, description="Longitude in degrees, east positive.")
]
Kilometers = Annotated[float, Query(gt=0, le=MAX_KM, description="Radius around that place in km.")]
Camera = Annotated[
    str, Query(max_length=LONGEST, description="Words of the camera's make, the model or the lens.")
]
Tag = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Query(
        max_length=MAX_PEOPLE,
        description="A tag, such as beach or emotion:happy; with several, photos that have all of them.",
    ),
]
Described = Annotated[
    str,
    Query(
        max_length=LONGEST,
        description='Words in the description; supports `"exact phrase"`, `or` and `-without`.',
    ),
]
Age = Annotated[
    str, Query(max_length=20, description="Age of one of the people in the photo, such as 5-8 or 30.")
]


class PhotoShape(Shape):
    """A photo found by a search."""

    asset_id: Annotated[str, Of("sha256")]
    width: int
    height: int
    taken: Annotated[
        str | None,
        Of(lambda photo: photo.taken and photo.taken.isoformat()),
        Field(description="Local time of the camera, such as 2024-05-31T18:30:00."),
    ]
    similarity: Annotated[
        float | None,
        Of("cosine_similarity"),
        Field(description="Cosine similarity to the words or the photo."),
    ]
    distance_km: Annotated[float | None, Field(description="Distance from the given place in km.")]


@router.get("/search")
def search(
    site: SiteDep,
    paging: PagingDep,
    words: Words = "",
    person: Who = [],  # noqa: B006 - FastAPI copies it
    like: Like = "",
    first: From = None,
    until: Until = None,
    latitude: Latitude = None,
    longitude: Longitude = None,
    km: Kilometers = DEFAULT_KM,
    camera: Camera = "",
    tag: Tag = [],  # noqa: B006 - FastAPI copies it
    described: Described = "",
    age: Age = "",
) -> Page[PhotoShape]:
    """Find photos that meet all given conditions.

    With `words` or `like`, the best matches come first (at most 200), else the latest (up to 10 000 counted).
    """
    with site.library() as session:
        library = Library(session)
        people = requested_people(library, [each for each in person if each.strip()])
        place, tags = _near(latitude, longitude, km), [each for each in tag if each.strip()]
        asked = filter_of(
            library,
            people,
            Dates(first, until),
            place,
            camera,
            tags=tags,
            words=described.strip() or None,
            ages=age_range_of(age, people),
        )
        found = found_photos(site, library, asked, words, like, offset=paging.offset, limit=paging.page_size)
    return paging.page_of(PhotoShape, map(PhotoShape.of, found.photos), found.total)


def _near(latitude: float | None, longitude: float | None, km: float) -> Near | None:
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise WrongUsage("A place needs both latitude and longitude.")
    return Near(latitude, longitude, km)


def age_range_of(text: str, people: Sequence[PersonState]) -> AgeRange | None:
    """Return the age range of one of these people; None for any age. Raises `WrongUsage`."""
    if not text.strip():
        return None
    if not people:
        raise WrongUsage("Searching by age needs a person. Give a name.")
    return age_range("The age", text)


def found_photos(
    site: Site,
    library: Library,
    asked: PhotoFilter,
    words: str,
    like: str,
    *,
    offset: int,
    limit: int,
    max_counted: int = MAX_COUNTED,
) -> PhotoPage:
    """Return the photos of a search, counting at most `max_counted`.

    Raises
    ------
    WrongUsage, NotFound
        The search is invalid, or something in it does not exist.
    """
    if words.strip() and like:
        raise WrongUsage("Search by text or by a photo, not by both.")
    if words.strip():
        encode = site.models.words(library, site.settings)
        return by_words(library, encode, words.strip(), asked, offset=offset, limit=limit)
    if like:
        return photos_like(library, like, asked, offset=offset, limit=limit)
    return photos_of(library, asked, offset=offset, limit=limit, most=max_counted)
