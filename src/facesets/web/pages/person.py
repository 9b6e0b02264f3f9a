"""`/people/{id}`: the faces of one person, and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from facesets.operations.people.lists.browsing import about_person, faces_page, seen_person
from facesets.store.postgres.people.person_faces import Era, Order, ShownFace
from facesets.web.render import Part, render, render_part
from facesets.web.site import Site, SiteDep

router = APIRouter()

_SHOWN = 100
_UNNAMED = "Somebody without a name"

Sort = Annotated[Literal["newest", "oldest", "eras", "far"], Query()]
AfterFace = Annotated[int | None, Query(ge=1, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Group:
    """Faces under one heading."""

    title: str
    faces: list[ShownFace] = field(default_factory=list)


@router.get("/people/{person}")
def page(
    request: Request, site: SiteDep, person: UUID, sort: Sort = "newest", after: AfterFace = None
) -> Response:
    """One person's faces."""
    with site.library() as session:
        seen = seen_person(session, person)
    if seen.card.id != person:
        return RedirectResponse(f"/people/{seen.card.id}", status_code=303)
    title = seen.card.name or _UNNAMED
    return _rendered(request, site, "person.html", person, sort, after, title=title, seen=seen)


@router.get("/people/{person}/faces")
def some_faces(
    request: Request, site: SiteDep, person: UUID, sort: Sort = "newest", after: AfterFace = None
) -> Response:
    """Some faces, for the page that is there."""
    return _rendered(request, site, "person_faces.html", person, sort, after)


@router.get("/people/{person}/about")
def about(request: Request, site: SiteDep, person: UUID, part: Part = False) -> Response:
    """Facts about a person, and whom they resemble."""
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


def _rendered(
    request: Request, site: Site, template: str, person: UUID, sort: Sort, after: int | None, **values: Any
) -> Response:
    order: Order = "oldest" if sort == "eras" else sort
    with site.library() as session:
        found = faces_page(session, person, order, limit=_SHOWN, after=after)
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
    """Faces below headings: years, eras, or how far they are from the others."""

    def title(face: ShownFace) -> str:
        if sort == "far":
            return _far(face.distance)
        if sort == "eras":
            return _era(face.taken, eras)
        return f"{face.taken:%Y}" if face.taken else "Without a date"

    return [Group(name, list(some)) for name, some in groupby(faces, title)]


def _era(taken: datetime | None, eras: Sequence[Era]) -> str:
    if taken is None:
        return "Without a date"
    for era in eras:
        if era.first <= taken.year <= era.last:
            return f"{era.first}" if era.first == era.last else f"{era.first} to {era.last}"
    return f"{taken.year}"


def _far(distance: float | None) -> str:
    if distance is None:
        return "Cannot be compared"
    low = int(distance * 10) / 10
    return f"Distance {low:.1f} to {low + 0.1:.1f}"
