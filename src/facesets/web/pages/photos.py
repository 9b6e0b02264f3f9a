"""`/photos/{sha256}`: a photo, its people, and why they match; `/missing`: photos without a file."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from facesets.operations.people.lists.browsing import photo_page, seen_person
from facesets.operations.people.review.explaining import explain
from facesets.store.postgres.photo_details import facts_of_faces, parts_of_photo
from facesets.store.postgres.photos.missing import count_missing, missing_photos
from facesets.web.api.faces import FaceId
from facesets.web.render import Part, render, render_part, worded
from facesets.web.site import SiteDep

router = APIRouter()

_LISTED = 100

_LARGEST = 1600
PhotoId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.get("/photos/{photo}")
def page(
    request: Request,
    site: SiteDep,
    photo: PhotoId,
    person: UUID | None = None,
    face: Annotated[int | None, Query(ge=1, lt=2**63, description="The face to mark.")] = None,
) -> Response:
    """Return a photo with its faces."""
    with site.library() as session:
        found = photo_page(session, photo, person)
        came_from = None if person is None else seen_person(session, person).card
        parts = session.run(parts_of_photo, found.photo.id)
    return render(
        request,
        "photo.html",
        title="Photo",
        found=found,
        photo=found.photo,
        came_from=came_from,
        face=face,
        largest=_LARGEST,
        metadata=parts.get("metadata"),
        description=parts.get("describe"),
    )


@router.get("/missing")
def missing(
    request: Request,
    site: SiteDep,
    after: Annotated[
        int, Query(ge=0, lt=2**63, description="Number of the last photo on the previous page.")
    ] = 0,
) -> Response:
    """Return photos whose files are missing."""
    with site.library() as session:
        found = session.run(lambda connection: missing_photos(connection, after=after, limit=_LISTED + 1))
        total = session.run(count_missing)
    return render(
        request,
        "missing.html",
        title="Missing photos",
        photos=[photo for _, photo in found[:_LISTED]],
        total=total,
        is_first=not after,
        last=found[_LISTED - 1][0] if len(found) > _LISTED else None,
    )


@router.get("/photos/{photo}/why/{face}")
def why(request: Request, site: SiteDep, photo: PhotoId, face: FaceId, part: Part = False) -> Response:
    """Explain why a face was matched to a person."""
    with site.library() as session:
        found = explain(session, face)
        facts = session.run(facts_of_faces, [face])
    return render_part(
        request,
        "photo_why.html",
        is_part=part,
        title=f"Why face {face} was matched",
        back=f"/photos/{photo}#face-{face}",
        back_to="Photo",
        why=found,
        guessed=facts[0] if facts else None,
        face={"id": face, "sha256": photo},
        verdict=worded(found.verdict),
    )
