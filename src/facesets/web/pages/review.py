"""`/review`: one suggestion at a time; `/unknown`: unnamed people, and unassigned faces.

Scripts load the suggestions ahead, so that the next is shown at once.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from facesets.store.postgres.people.face_groups import groups_page, loose_faces
from facesets.store.postgres.photo_details import has_photos
from facesets.web.render import render
from facesets.web.site import SiteDep

router = APIRouter()

_GROUPS = 24
_FACES = 120


@router.get("/review")
def page(request: Request) -> Response:
    """Return the review page."""
    return render(request, "review.html", title="Review")


@router.get("/unknown")
def groups(
    request: Request,
    site: SiteDep,
    faces: Annotated[
        int | None,
        Query(ge=0, lt=2**31, description="Number of faces of the last group on the previous page."),
    ] = None,
    after: Annotated[str, Query(max_length=300, description="The ID of that group.")] = "",
) -> Response:
    """Return unnamed people, largest first."""
    with site.library() as session:
        since = None if faces is None else (faces, after)
        found = session.run(groups_page, limit=_GROUPS, after=since)
        is_empty = not found.total and not session.run(has_photos)
    return render(
        request,
        "unknown.html",
        title="Unnamed people",
        found=found,
        is_empty=is_empty,
        is_first=faces is None,
    )


@router.get("/unknown/faces")
def faces(
    request: Request,
    site: SiteDep,
    quality: Annotated[
        float | None, Query(ge=0, le=1, description="Quality of the last face on the previous page.")
    ] = None,
    after: Annotated[int, Query(ge=0, lt=2**63, description="The number of that face.")] = 0,
) -> Response:
    """Return unassigned faces, best first."""
    since = None if quality is None else (quality, after)
    with site.library() as session:
        found = session.run(loose_faces, limit=_FACES + 1, after=since)
        is_empty = not found and not session.run(has_photos)
    shown = found[:_FACES]
    return render(
        request,
        "unknown_faces.html",
        title="Unassigned faces",
        faces=shown,
        is_empty=is_empty,
        last=shown[-1] if len(found) > _FACES else None,
    )
