"""`/review`: one question at a time; `/unknown`: groups of faces that wait for a name, and faces in none.

What is asked comes by calls, so that the next is there at once.
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
    """The frame that questions are shown in."""
    return render(request, "review.html", title="Review")


@router.get("/unknown")
def groups(
    request: Request,
    site: SiteDep,
    faces: Annotated[int | None, Query(ge=0, lt=2**31, description="Of the last group before these.")] = None,
    after: Annotated[str, Query(max_length=300, description="The id of that group.")] = "",
) -> Response:
    """Some groups, the largest first."""
    with site.library() as session:
        since = None if faces is None else (faces, after)
        found = session.run(groups_page, limit=_GROUPS, after=since)
        is_empty = not found.total and not session.run(has_photos)
    return render(
        request,
        "unknown.html",
        title="Unknown",
        found=found,
        is_empty=is_empty,
        is_first=faces is None,
    )


@router.get("/unknown/faces")
def faces(
    request: Request,
    site: SiteDep,
    quality: Annotated[float | None, Query(ge=0, le=1, description="Of the last face before these.")] = None,
    after: Annotated[int, Query(ge=0, lt=2**63, description="The number of that face.")] = 0,
) -> Response:
    """Some faces of nobody that are in no group, the best first."""
    since = None if quality is None else (quality, after)
    with site.library() as session:
        found = session.run(loose_faces, limit=_FACES + 1, after=since)
        is_empty = not found and not session.run(has_photos)
    shown = found[:_FACES]
    return render(
        request,
        "unknown_faces.html",
        title="Faces in no group",
        faces=shown,
        is_empty=is_empty,
        last=shown[-1] if len(found) > _FACES else None,
    )
