"""The corrections of `POST /persons/{id}`, by their `action`."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body
from pydantic import Field

from facesets.errors import WrongUsage
from facesets.interfaces import Progress
from facesets.operations.options.people import SplitOptions
from facesets.operations.people.corrections import naming
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.corrections.lookup import called, folded, require_person, short
from facesets.operations.people.corrections.moving import (
    Picked,
    choose_best,
    give_to,
    give_to_name,
    split_off,
    take_away,
)
from facesets.operations.people.corrections.splitting import apply_split
from facesets.operations.people.forgetting.forget import forget
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.persons import version_of_person
from facesets.store.postgres.people.undoing import faces_moved
from facesets.web.api.shapes import FaceNumber, FaceNumbers, Name, Shape
from facesets.web.site import Seen, Site
from facesets.work import Stop, Work


class _Versioned(Shape):
    version: Annotated[
        int | None,
        Field(description="The person's version that the client saw; without it, no check is made."),
    ] = None


class Rename(_Versioned):
    """Rename a person, replacing all names."""

    action: Literal["rename"]
    name: Name


class AddName(_Versioned):
    """Add a name to a person."""

    action: Literal["name"]
    name: Name
    into: Annotated[bool, Field(description="If the name is taken, merge the two people.")] = False


class Hide(_Versioned):
    """Hide or unhide a person."""

    action: Literal["hide", "unhide"]


class Split(_Versioned):
    """Make a new person from these faces; without faces, from each part of the person."""

    action: Literal["split"]
    face_ids: FaceNumbers | None = None
    parts: Annotated[int | None, Field(ge=2, le=100)] = None
    min_cluster_size: Annotated[int, Field(ge=1, le=100_000)] = 3


class Move(_Versioned):
    """Move faces to a person, by ID or name; with neither, the faces become unassigned."""

    action: Literal["move"]
    face_ids: FaceNumbers
    to_person_id: UUID | None = None
    name: Name | None = None
    into: Annotated[bool, Field(description="If the name is taken, use that person.")] = False


class BestFace(_Versioned):
    """Set the best face of a person."""

    action: Literal["bestFace"]
    face_id: FaceNumber


class SayBirth(_Versioned):
    """Set the year or date of birth; with neither, clear it."""

    action: Literal["birth"]
    year: int | None = None
    day: date | None = None


class Forget(_Versioned):
    """Permanently erase a person in the background."""

    action: Literal["forget"]
    name: Annotated[
        str,
        Field(
            max_length=200, description="The person's name, or the beginning of the ID for an unnamed person."
        ),
    ]


Change = Rename | AddName | Hide | Split | Move | BestFace | SayBirth
Action = Annotated[Change | Forget, Body(discriminator="action")]


class Done(Shape):
    """The result of a correction.

    The person is the one who has the faces now, else the corrected one; null if the faces are unassigned. The
    version is that of the person in the address, or of the person they were merged into.
    """

    person_id: UUID | None
    person_name: str | None
    did: str
    faces_moved: int
    step: int | None
    version: int | None
    job_id: str | None = None


def act(site: Site, person: UUID, asked: Action) -> Done:
    """Apply a correction; raises the errors of the operations, and `Changed`."""
    if isinstance(asked, Forget):
        return _forget(site, person, asked)
    with site.changing(Seen(person, asked.version)) as session:
        given = _given(session, person, asked, site.by)
    with site.library() as session:
        return done_about(session, given.person, given.did, given.step, seen=person)


def done_about(
    database: Database, person: UUID | None, did: str, step: int | None, *, seen: UUID | None = None
) -> Done:
    """Return the answer after a change; the version is by default that of the person with the faces."""

    def work(connection: Connection) -> Done:
        now = None if person is None else require_person(connection, person)
        about = seen or person
        # The step itself where there is one: what others did since then must still be noticed.
        version = step
        if version is None and about is not None:
            version = version_of_person(connection, require_person(connection, about).id)
        return Done(
            person_id=None if now is None else now.id,
            person_name=None if now is None or not now.names else now.names[0],
            did=did,
            faces_moved=faces_moved(connection, step),
            step=step,
            version=version,
        )

    return database.run(work)


def _given(session: Database, person: UUID, asked: Change, by: str) -> Result:
    who = f"{person}"
    if isinstance(asked, Move):
        return _move(session, Picked(asked.face_ids, person), asked, by)
    if isinstance(asked, BestFace):
        return choose_best(session, asked.face_id, person, by=by)
    if isinstance(asked, Split):
        if asked.face_ids is not None:
            return split_off(session, Picked(asked.face_ids, person), by=by)
        parts = apply_split(session, who, SplitOptions(asked.parts, asked.min_cluster_size), by=by)
        return Result(person=person, did=f"split into {max(1, len(parts.parts))}", step=parts.step)
    if isinstance(asked, SayBirth):
        birth = Birth(asked.year, asked.day, unknown=asked.year is None and asked.day is None)
        summary = set_birth(session, who, birth, by=by, today=date.today())  # noqa: DTZ011 - as the user has it
        return Result(person=person, did=f"{summary.name}: {summary.did}", step=summary.step)
    if isinstance(asked, Rename):
        summary = naming.rename(session, who, asked.name, by=by)
    elif isinstance(asked, AddName):
        summary = naming.name(session, who, asked.name, into=asked.into, face=False, by=by)
    else:
        summary = naming.set_hidden(session, who, hidden=asked.action == "hide", by=by)
    return Result(person=person, did=f"{summary.name} {summary.did}", step=summary.step)


def _move(session: Database, picked: Picked, asked: Move, by: str) -> Result:
    if asked.to_person_id is not None and asked.name is not None:
        raise WrongUsage("Give either toPersonId or name, not both.")
    if asked.to_person_id is not None:
        return give_to(session, picked, asked.to_person_id, by=by)
    if asked.name is not None:
        return give_to_name(session, picked, asked.name, into=asked.into, by=by)
    return take_away(session, picked, by=by)


def _forget(site: Site, person: UUID, asked: Forget) -> Done:
    """Start erasing a person and the crops of their faces."""

    def look(connection: Connection) -> tuple[UUID, str, int]:
        state = require_person(connection, person)
        if folded(asked.name) not in {folded(each) for each in (state.names or [short(state.id)])}:
            raise WrongUsage(f"To erase this person permanently, type {called(state)}.")
        return state.id, called(state), state.faces

    with site.changing(Seen(person, asked.version)) as session:
        who, name, faces = session.run(look)

    def work(progress: Progress, _stop: Stop) -> Result:
        with site.library() as session:
            return forget(
                session,
                f"{who}",
                exactly=True,
                work=Work(by=site.by, progress=progress),
                pictures=site.crops.directory,
            )

    job = site.jobs.start("people forget", work)
    return Done(
        person_id=who,
        person_name=name,
        did=f"Erasing {name}",
        faces_moved=faces,
        step=None,
        version=None,
        job_id=job.id,
    )
