"""`/people`: everybody, those with names first."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from facesets.operations.people.lists.listing import people
from facesets.web.render import render
from facesets.web.site import SiteDep

router = APIRouter()


@router.get("/people")
def page(
    request: Request,
    site: SiteDep,
    status: Annotated[Literal["active", "hidden"], Query()] = "active",
) -> Response:
    """Everybody as a grid."""
    with site.library() as session:
        found = people(session, status=status, unnamed=False, sort="faces")
    return render(request, "people.html", title="People", people=found[:100])
