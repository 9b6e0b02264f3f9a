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
    people_meant,
    photos_like,
    photos_of,
)
from facesets.operations.library.photo_search import photos_of_words as by_words
from facesets.operations.options.library import USUAL_KM, age_range
from facesets.places import FARTHEST_KM, Near
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.persons import PersonState
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.search import MOST_COUNTED
from facesets.web.api.shapes import Of, Page, PagingDep, Shape
from facesets.web.site import Site, SiteDep

router = APIRouter(tags=["search"])

MOST_PEOPLE = 10
LONGEST = 500
MOST_KM = math.ceil(FARTHEST_KM)

Words = Annotated[str, Query(max_length=LONGEST, description="What the photos show, in words.")]
Who = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Query(max_length=MOST_PEOPLE, description="A name or an id; with several, photos that show all of them."),
]
Like = Annotated[
    str, Query(pattern="^([0-9a-f]{64})?$", description="The asset id of a photo to which others are like.")
]
From = Annotated[date | None, Query(alias="from", description="Taken on this day or later.")]
Until = Annotated[date | None, Query(description="Taken on this day or earlier.")]
Latitude = Annotated[
    float | None, Query(ge=-90, le=90, description="Taken near this place: degrees, north positive.")
]
Longitude = Annotated[float | None, Query(ge=-180, le=180, description="Degrees, east positive.")]
Kilometres = Annotated[float, Query(gt=0, le=MOST_KM, description="How far around that place.")]
Camera = Annotated[
    str, Query(max_length=LONGEST, description="Words of the make, the model or the lens that took them.")
]
Tag = Annotated[
    list[Annotated[str, Field(max_length=200)]],
    Query(max_length=MOST_PEOPLE, description="A tag, also as emotion:happy; with several, all of them."),
]
Described = Annotated[
    str,
    Query(
        max_length=LONGEST,
        description='Words that the descriptions have: `"two words"` in that order, `or`, `-without`.',
    ),
]
Age = Annotated[
    str, Query(max_length=20, description="How old one of the people is on them, such as 5-8 or 30.")
]


class PhotoShape(Shape):
    """A photo."""

    asset_id: Annotated[str, Of("sha256")]
    width: int
    height: int
    taken: Annotated[
        str | None,
        Of(lambda photo: photo.taken and photo.taken.isoformat()),
        Field(description="By the camera's clock, such as 2024-05-31T18:30:00."),
    ]
    similarity: Annotated[
        float | None,
        Of("cosine_similarity"),
        Field(description="Cosine similarity to the words or the photo."),
    ]
    distance_km: Annotated[float | None, Field(description="From the place that was asked for.")]


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
    km: Kilometres = USUAL_KM,
    camera: Camera = "",
    tag: Tag = [],  # noqa: B006 - likewise
    described: Described = "",
    age: Age = "",
) -> Page[PhotoShape]:
    """Find photos; every condition that is given has to hold.

    The best come first with words or a photo (200 at most), else the latest (10 000 are counted).
    """
    with site.library() as session:
        library = Library(session)
        people = people_meant(library, [each for each in person if each.strip()])
        place, tags = _near(latitude, longitude, km), [each for each in tag if each.strip()]
        asked = filter_of(
            library,
            people,
            Dates(first, until),
            place,
            camera,
            tags=tags,
            words=described.strip() or None,
            ages=ages_meant(age, people),
        )
        found = found_photos(site, library, asked, words, like, offset=paging.offset, limit=paging.page_size)
    return paging.page_of(PhotoShape, map(PhotoShape.of, found.photos), found.total)


def _near(latitude: float | None, longitude: float | None, km: float) -> Near | None:
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        raise WrongUsage("A place is a latitude and a longitude: give both.")
    return Near(latitude, longitude, km)


def ages_meant(text: str, people: Sequence[PersonState]) -> AgeRange | None:
    """How old one of these people is to be; None for any age. Raises `WrongUsage`."""
    if not text.strip():
        return None
    if not people:
        raise WrongUsage("An age goes with a person: say who is so old.")
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
    most: int = MOST_COUNTED,
) -> PhotoPage:
    """The photos that a search asks for, of which so many are counted at most.

    Raises
    ------
    WrongUsage, NotFound
        It cannot be answered; the sentence says why.
    """
    if words.strip() and like:
        raise WrongUsage("Search by words or by a photo, not by both at once.")
    if words.strip():
        encode = site.models.words(library, site.settings)
        return by_words(library, encode, words.strip(), asked, offset=offset, limit=limit)
    if like:
        return photos_like(library, like, asked, offset=offset, limit=limit)
    return photos_of(library, asked, offset=offset, limit=limit, most=most)
