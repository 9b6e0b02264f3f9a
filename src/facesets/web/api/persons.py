"""`/persons`: people and their corrections; `/undo`: undoing changes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query
from pydantic import Field

from facesets.face_attributes import Sex
from facesets.operations.people.corrections.correcting import merge
from facesets.operations.people.corrections.history import undo
from facesets.operations.people.corrections.moving import Picked, give_to_name
from facesets.operations.people.lists.browsing import born_when, people_page, seen_person
from facesets.store.postgres.people.people_list import PeopleWanted
from facesets.store.postgres.people.undoing import faces_moved
from facesets.web.api.person_actions import Action, Done, act, done_about
from facesets.web.api.shapes import FaceNumbers, Name, Of, Page, PagingDep, Shape
from facesets.web.site import Seen, SiteDep

router = APIRouter(tags=["persons"])
steps = APIRouter(tags=["steps"])


class PersonShape(Shape):
    """A person."""

    id: UUID
    name: Annotated[str | None, Of(lambda card: card.name or None)]
    names: list[str]
    status: str
    face_count: Annotated[int, Of("faces")]
    photo_count: Annotated[int, Of("photos")]
    prototype_count: Annotated[int, Of("prototypes")]
    face_id: Annotated[int | None, Of("face"), Field(description="The best face.")]
    first_year: Annotated[
        int | None,
        Of(lambda card: card.first_year or None),
        Field(description="The year of the earliest dated photo."),
    ]
    last_year: Annotated[
        int | None,
        Of(lambda card: card.last_year or None),
        Field(description="The year of the latest dated photo."),
    ]
    created_at: datetime
    updated_at: datetime


class BirthShape(Shape):
    """A person's date of birth and sex."""

    said: Annotated[
        str | None,
        Of(lambda age: age.set_by_user or None),
        Field(description="The date or year that a user entered."),
    ]
    by_faces: Annotated[
        float | None, Of("birth_year"), Field(description="The year of birth estimated from the faces.")
    ]
    spread: Annotated[float | None, Field(description="The spread of the faces' estimates, in years.")]
    dated_faces: int
    sex: Annotated[Sex, Field(description="Estimated from the faces; U if uncertain.")]
    sex_probability: float | None


class SeenPersonShape(PersonShape):
    """A person with the version to send with changes."""

    birth: BirthShape
    version: int


class NewPerson(Shape):
    """Faces for a new or existing person."""

    name: Name
    face_ids: FaceNumbers
    into: Annotated[bool, Field(description="If the name is taken, use that person.")] = False
    unassigned: Annotated[bool, Field(description="Refuse if one of the faces has a person by now.")] = False


class MergeRequest(Shape):
    """The person to merge into."""

    into_person_id: UUID
    version: int | None = None
    into_version: int | None = None


class Merged(Shape):
    """Two merged people, with the version of the remaining one."""

    source_person_id: UUID
    target_person_id: UUID
    faces_moved: int
    step: int | None
    version: int


@router.get("/persons")
def persons(
    site: SiteDep,
    paging: PagingDep,
    status: Annotated[Literal["active", "hidden", "merged", "all"], Query()] = "active",
    find: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
    unnamed: Annotated[
        bool | None, Query(description="True for unnamed people only, false for named ones only.")
    ] = None,
) -> Page[PersonShape]:
    """List people, named ones first, by number of faces; with `find`, by the best matching name."""
    wanted = PeopleWanted(status, named=None if unnamed is None else not unnamed)
    with site.library() as session:
        found = people_page(session, wanted, find, limit=paging.page_size, offset=paging.offset)
    return paging.page_of(PersonShape, map(PersonShape.of, found.people), found.total)


@router.post("/persons")
def new_person(site: SiteDep, asked: NewPerson) -> Done:
    """Create a person from faces, or assign the faces to the person with that name."""
    picked = Picked(asked.face_ids, any_owner=not asked.unassigned)
    with site.library() as session:
        given = give_to_name(session, picked, asked.name, into=asked.into, by=site.by)
        return done_about(session, given.person, given.did, given.step)


@router.get("/persons/{person}")
def one_person(person: UUID, site: SiteDep) -> SeenPersonShape:
    """Get a person, or the person they were merged into."""
    with site.library() as session:
        seen = seen_person(session, person)
        birth = BirthShape.of(born_when(session, UUID(seen.card.id)))
    return SeenPersonShape.of(seen.card, birth=birth, version=seen.version)


@router.post("/persons/{person}")
def change_person(person: UUID, site: SiteDep, asked: Action) -> Done:
    """Correct a person; with a version, only if they are unchanged since then."""
    return act(site, person, asked)


@router.post("/persons/{person}/merge")
def merge_person(person: UUID, site: SiteDep, asked: MergeRequest) -> Merged:
    """Merge a person into another, who remains."""
    into = asked.into_person_id
    with site.library() as session:
        target = UUID(seen_person(session, into).card.id)
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


class UndoRequest(Shape):
    """The change to undo; by default the latest."""

    step: int | None = Field(default=None, ge=1, lt=2**63)


class StepShape(Shape):
    """A change that was undone."""

    step: Annotated[int, Of("id")]
    what: str
    faces: int


@steps.post("/undo", summary="Undo")
def take_back(site: SiteDep, asked: Annotated[UndoRequest, Body(default_factory=UndoRequest)]) -> StepShape:
    """Undo a change."""
    with site.library() as session:
        return StepShape.of(undo(session, asked.step, by=site.by))
