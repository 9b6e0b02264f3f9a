"""`/photos/{sha256}`: one photo, who is on it, and why."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from facesets.errors import NotFound
from facesets.operations.people.lists.browsing import photo_page, seen_person
from facesets.operations.people.review.explaining import explain
from facesets.store.postgres.pictures import picture_of_image
from facesets.web.api.assets import PhotoId
from facesets.web.api.faces import LASTING, FaceId
from facesets.web.crops import kept_size
from facesets.web.render import render
from facesets.web.site import SiteDep
from facesets.web.wording import worded

router = APIRouter()

_LARGEST = 1600


@router.get("/photos/{photo}")
def page(request: Request, site: SiteDep, photo: PhotoId, person: UUID | None = None) -> Response:
    """One photo with the faces on it."""
    with site.library() as session:
        found = photo_page(session, photo, person)
        came_from = None if person is None else seen_person(session, person).card
    return render(
        request,
        "photo.html",
        title="Photo",
        found=found,
        photo=found.photo,
        came_from=came_from,
        largest=_LARGEST,
    )


@router.get("/photos/{photo}/picture")
def picture(
    site: SiteDep, photo: PhotoId, size: Annotated[int, Query(ge=96, le=_LARGEST)] = _LARGEST
) -> Response:
    """The photo as a JPEG, its longer edge at most so many pixels."""
    with site.library() as session:
        found = session.run(lambda connection: picture_of_image(connection, photo))
    if found is None:
        raise NotFound("There is no such photo in the library, or not any more.")
    return Response(
        site.crops.photo(found, kept_size(size)),
        media_type="image/jpeg",
        headers={"cache-control": LASTING},
    )


@router.get("/photos/{photo}/why/{face}")
def why(request: Request, site: SiteDep, photo: PhotoId, face: FaceId) -> Response:
    """Why a face on a photo is whose it is."""
    with site.library() as session:
        found = explain(session, face)
    return render(request, "photo_why.html", why=found, photo=photo, verdict=worded(found.verdict))
