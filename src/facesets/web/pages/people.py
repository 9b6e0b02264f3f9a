"""`/people`: the grid of people, named ones first; `/people/{id}`: a person and their faces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from facesets.operations.people.lists.browsing import (
    PeoplePage,
    about_person,
    faces_page,
    people_page,
    seen_person,
)
from facesets.store.postgres.people.people_list import PeoplePlace, PeopleWanted
from facesets.store.postgres.people.person_faces import Era, Order, ShownFace
from facesets.store.postgres.photo_details import has_photos
from facesets.store.postgres.photos.missing import count_missing
from facesets.web.render import Part, render, render_part
from facesets.web.site import Site, SiteDep

router = APIRouter()

_PEOPLE = 100
_FACES = 100
_UNNAMED = "Unnamed person"

Status = Annotated[Literal["active", "hidden"], Query()]
Find = Annotated[str, Query(max_length=200)]
After = Annotated[str, Query(pattern=r"^(\d{1,5}_\d{1,9}_[0-9a-f]{32})?$")]


@router.get("/people")
def page(
    request: Request, site: SiteDep, status: Status = "active", find: Find = "", after: After = ""
) -> Response:
    """Return the grid of people."""
    return _people(request, site, "people.html", status, find, after)


@router.get("/people/list")
def some(
    request: Request, site: SiteDep, status: Status = "active", find: Find = "", after: After = ""
) -> Response:
    """Return more people for the grid."""
    return _people(request, site, "people_list.html", status, find, after)


def _people(request: Request, site: Site, template: str, status: Status, find: str, after: str) -> Response:
    with site.library() as session:
        found = people_page(
            session,
            PeopleWanted(status, empty=False),
            find,
            limit=_PEOPLE,
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
    """Return the query of the next page; empty on the last one."""
    if found.after is None:
        return ""
    place = f"{found.after.rank}_{found.after.faces}_{found.after.person.hex}"
    return urlencode({"status": status, "find": find, "after": place})


Sort = Annotated[Literal["newest", "oldest", "eras", "far"], Query()]
AfterFace = Annotated[int | None, Query(ge=1, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Group:
    """Faces under one heading."""

    title: str
    faces: list[ShownFace] = field(default_factory=list)


@router.get("/people/{person}")
def one(
    request: Request, site: SiteDep, person: UUID, sort: Sort = "newest", after: AfterFace = None
) -> Response:
    """Return a person's page."""
    with site.library() as session:
        seen = seen_person(session, person)
    if seen.card.id != str(person):
        return RedirectResponse(f"/people/{seen.card.id}", status_code=303)
    title = seen.card.name or _UNNAMED
    return _faces_of(request, site, "person.html", person, sort, after, title=title, seen=seen)


@router.get("/people/{person}/faces")
def some_faces(
    request: Request, site: SiteDep, person: UUID, sort: Sort = "newest", after: AfterFace = None
) -> Response:
    """Return more faces for a person's page."""
    return _faces_of(request, site, "person_faces.html", person, sort, after)


@router.get("/people/{person}/about")
def about(request: Request, site: SiteDep, person: UUID, part: Part = False) -> Response:
    """Return facts about a person, and similar people."""
    with site.library() as session:
        found = about_person(session, person)
    name = found.card.name or _UNNAMED
    return render_part(
        request,
        "person_about.html",
        is_part=part,
        title=f"About {found.card.name or _UNNAMED.lower()}",
        back=f"/people/{found.card.id}",
        back_to=name,
        about=found,
        person=found.card,
    )


def _faces_of(
    request: Request, site: Site, template: str, person: UUID, sort: Sort, after: int | None, **values: Any
) -> Response:
    order: Order = "oldest" if sort == "eras" else sort
    with site.library() as session:
        found = faces_page(session, person, order, limit=_FACES, after=after)
    return render(
        request,
        template,
        person=person,
        sort=sort,
        groups=_groups(found.faces, sort, found.eras),
        after=found.after,
        **values,
    )


def _groups(faces: Sequence[ShownFace], sort: Sort, eras: Sequence[Era]) -> list[Group]:
    """Group faces under headings: years, eras, or similarity."""

    def title(face: ShownFace) -> str:
        if sort == "far":
            return _far(face.distance)
        if sort == "eras":
            return _era(face.taken, eras)
        return f"{face.taken:%Y}" if face.taken else "Undated"

    return [Group(name, list(some)) for name, some in groupby(faces, title)]


def _era(taken: datetime | None, eras: Sequence[Era]) -> str:
    if taken is None:
        return "Undated"
    for era in eras:
        if era.first <= taken.year <= era.last:
            return f"{era.first}" if era.first == era.last else f"{era.first} to {era.last}"
    return f"{taken.year}"


def _far(distance: float | None) -> str:
    if distance is None:
        return "No similarity"
    tenths = 10 - int(distance * 10)
    return f"Similarity {(tenths - 1) / 10:.1f} to {tenths / 10:.1f}"
