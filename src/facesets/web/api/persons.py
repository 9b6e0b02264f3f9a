"""`/persons`: who there is, and what humans say about them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from facesets.face_attributes import Sex
from facesets.operations.people.corrections.correcting import merge
from facesets.operations.people.corrections.giving import Picked, give_to_name
from facesets.operations.people.lists.browsing import born_when, people_page, seen_person
from facesets.store.postgres.people.people_list import PeopleWanted, PersonCard
from facesets.store.postgres.people.person_ages import PersonAge
from facesets.store.postgres.people.undoing import faces_moved
from facesets.web.api.person_actions import Action, Done, act, done_about
from facesets.web.api.shapes import Shape
from facesets.web.paging import Page, PagingDep
from facesets.web.site import Seen, SiteDep

router = APIRouter(tags=["persons"])

_MOST_FACES = 5000


class PersonShape(Shape):
    """A person."""

    id: UUID
    name: str | None
    names: list[str]
    status: str
    face_count: int
    photo_count: int
    prototype_count: int
    face_id: Annotated[int | None, Field(description="The face that shows them.")]
    first_year: Annotated[int | None, Field(description="Of their earliest dated photo.")]
    last_year: Annotated[int | None, Field(description="Of their latest dated photo.")]
    created_at: datetime
    updated_at: datetime


class BirthShape(Shape):
    """When a person was born, and of which sex."""

    said: Annotated[str | None, Field(description="The day or the year that somebody said.")]
    by_faces: Annotated[float | None, Field(description="The year by how old the faces look.")]
    spread: Annotated[float | None, Field(description="How far the faces' years lie apart, in years.")]
    dated_faces: int
    sex: Annotated[Sex, Field(description="By the faces; U where they are not sure.")]
    sex_probability: float | None


class SeenPersonShape(PersonShape):
    """A person, and the version to send with changes."""

    birth: BirthShape
    version: int


class NewPerson(Shape):
    """Faces of which a person is made."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    face_ids: Annotated[
        list[Annotated[int, Field(ge=1, lt=2**63)]], Field(min_length=1, max_length=_MOST_FACES)
    ]
    into: Annotated[bool, Field(description="Where somebody has that name, they are meant.")] = False
    unassigned: Annotated[bool, Field(description="Refuse where somebody has one of the faces by now.")] = (
        False
    )


class MergeRequest(Shape):
    """Into whom."""

    into_person_id: UUID
    version: int | None = None
    into_version: int | None = None


class Merged(Shape):
    """Two people who are one now; the version is that of the one who stays."""

    source_person_id: UUID
    target_person_id: UUID
    faces_moved: int
    step: int | None
    version: int


def _fields(card: PersonCard) -> dict[str, object]:
    return {
        "id": card.id,
        "name": card.name or None,
        "names": card.names,
        "status": card.status,
        "face_count": card.faces,
        "photo_count": card.photos,
        "prototype_count": card.prototypes,
        "face_id": card.face,
        "first_year": int(card.first) if card.first else None,
        "last_year": int(card.last) if card.last else None,
        "created_at": card.created_at,
        "updated_at": card.updated_at,
    }


@router.get("/persons")
def persons(
    site: SiteDep,
    paging: PagingDep,
    status: Annotated[Literal["active", "hidden", "merged", "all"], Query()] = "active",
    find: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
    unnamed: Annotated[
        bool | None, Query(description="Only people without a name, or only with one.")
    ] = None,
) -> Page[PersonShape]:
    """List people: those with a name first, each by number of faces; or those whose name fits best."""
    wanted = PeopleWanted(status, named=None if unnamed is None else not unnamed)
    with site.library() as session:
        found = people_page(session, wanted, find, limit=paging.page_size, offset=paging.offset)
    return Page[PersonShape](
        items=[PersonShape.model_validate(_fields(card)) for card in found.people],
        total=found.total,
        page=paging.page,
        page_size=paging.page_size,
    )


@router.post("/persons")
def new_person(site: SiteDep, asked: NewPerson) -> Done:
    """Make a person of faces, or give the faces to whoever has that name."""
    picked = Picked(asked.face_ids, anybody=not asked.unassigned)
    with site.library() as session:
        given = give_to_name(session, picked, asked.name, into=asked.into, by=site.by)
        return done_about(session, given.person, given.did, given.step)


@router.get("/persons/{person}")
def one_person(person: UUID, site: SiteDep) -> SeenPersonShape:
    """Tell of a person as they are now; of whom they were merged into, if they were."""
    with site.library() as session:
        seen = seen_person(session, person)
        birth = _birth(born_when(session, seen.card.id))
    return SeenPersonShape.model_validate({**_fields(seen.card), "birth": birth, "version": seen.version})


def _birth(age: PersonAge) -> BirthShape:
    return BirthShape(
        said=age.said or None,
        by_faces=age.birth_year,
        spread=age.spread,
        dated_faces=age.dated_faces,
        sex=age.sex,
        sex_probability=age.sex_probability,
    )


@router.post("/persons/{person}")
def change_person(person: UUID, site: SiteDep, asked: Action) -> Done:
    """Say something about a person; with a version, only if nobody changed them since."""
    return act(site, person, asked)


@router.post("/persons/{person}/merge")
def merge_person(person: UUID, site: SiteDep, asked: MergeRequest) -> Merged:
    """Make a person one with another, who stays."""
    into = asked.into_person_id
    with site.library() as session:
        target = seen_person(session, into).card.id
    with site.changing(Seen(person, asked.version), Seen(into, asked.into_version)) as session:
        summary = merge(session, [f"{person}"], f"{into}", drop_names=False, by=site.by)
    with site.library() as session:
        moved = session.run(faces_moved, summary.step)
        return Merged(
            source_person_id=person,
            target_person_id=target,
            faces_moved=moved,
            step=summary.step,
            version=summary.step or seen_person(session, target).version,
        )
