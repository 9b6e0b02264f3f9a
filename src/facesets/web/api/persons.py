"""`/persons`: who there is, and what humans say about them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from facesets.operations.people.lists.listing import people
from facesets.store.postgres.people.people_list import PersonLine
from facesets.web.api.shapes import Shape
from facesets.web.paging import Page, PagingDep
from facesets.web.site import SiteDep

router = APIRouter(tags=["persons"])


class PersonShape(Shape):
    """A person."""

    id: str
    name: str | None
    names: list[str]
    status: str
    face_count: int
    photo_count: int
    prototype_count: int


def _person(line: PersonLine) -> PersonShape:
    return PersonShape(
        id=line.id,
        name=line.names[0] if line.names else None,
        names=line.names,
        status=line.status,
        face_count=line.faces,
        photo_count=line.photos,
        prototype_count=line.prototypes,
    )


@router.get("/persons")
def persons(
    site: SiteDep,
    paging: PagingDep,
    status: Annotated[Literal["active", "hidden", "merged", "all"], Query()] = "active",
    find: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
) -> Page[PersonShape]:
    """List people, those with most faces first."""
    with site.library() as session:
        found = people(session, status=status, unnamed=False, sort="faces")
    wanted = find.casefold().strip()
    found = [line for line in found if not wanted or any(wanted in each.casefold() for each in line.names)]
    some = found[paging.offset : paging.offset + paging.page_size]
    return Page[PersonShape](
        items=[_person(line) for line in some],
        total=len(found),
        page=paging.page,
        page_size=paging.page_size,
    )
