"""`/people`: everybody as a grid, those with names first."""

from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from facesets.operations.people.lists.browsing import PeoplePage, people_page
from facesets.store.postgres.people.people_list import PeoplePlace, PeopleWanted
from facesets.store.postgres.photo_details import has_photos
from facesets.store.postgres.photos.missing import count_missing
from facesets.web.render import render
from facesets.web.site import Site, SiteDep

router = APIRouter()

_SHOWN = 100

Status = Annotated[Literal["active", "hidden"], Query()]
Find = Annotated[str, Query(max_length=200)]
After = Annotated[str, Query(pattern=r"^(\d{1,5}_\d{1,9}_[0-9a-f]{32})?$")]


@router.get("/people")
def page(
    request: Request, site: SiteDep, status: Status = "active", find: Find = "", after: After = ""
) -> Response:
    """Everybody as a grid."""
    return _rendered(request, site, "people.html", status, find, after)


@router.get("/people/list")
def some(
    request: Request, site: SiteDep, status: Status = "active", find: Find = "", after: After = ""
) -> Response:
    """Some people, for the grid that is there."""
    return _rendered(request, site, "people_list.html", status, find, after)


def _rendered(request: Request, site: Site, template: str, status: Status, find: str, after: str) -> Response:
    with site.library() as session:
        found = people_page(
            session,
            PeopleWanted(status, empty=False),
            find,
            limit=_SHOWN,
            after=_place(after) if after else None,
        )
        is_empty = not found.people and not session.run(has_photos)
        missing = 0 if after else session.run(count_missing)
    return render(
        request,
        template,
        title="People",
        found=found,
        is_empty=is_empty,
        missing=missing,
        shown=status,
        find=find,
        is_first=not after,
        more=_more(found, status, find),
    )


def _place(text: str) -> PeoplePlace:
    rank, faces, person = text.split("_")
    return PeoplePlace(int(rank), int(faces), UUID(person))


def _more(found: PeoplePage, status: str, find: str) -> str:
    """The query of the next page; empty on the last one."""
    if found.after is None:
        return ""
    place = f"{found.after.rank}_{found.after.faces}_{found.after.person.hex}"
    return urlencode({"status": status, "find": find, "after": place})
