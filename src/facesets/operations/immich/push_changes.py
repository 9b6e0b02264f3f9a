"""The changes that `immich-push` makes on a server: each can be made, checked, and journaled.

After a missing answer, or a run that was killed between a request and its record, the server is asked
whether the change took effect.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from facesets.errors import DamagedFile
from facesets.operations.immich.server import people_called
from facesets.remote.immich_answers import RequestFailed
from facesets.remote.immich_people import FaceBox, ImmichPeople
from facesets.remote.immich_records import ServerFace, ServerPerson, Version

Outcome = Mapping[str, str]
"""The outcome of a change: the id of what it created, if anything."""


class _Change(msgspec.Struct, frozen=True, tag_field="kind"):
    """The base of all changes, with the name that journals use."""

    @property
    def kind(self) -> str:
        """The name in journals and counts."""
        return str(self.__struct_config__.tag)


class CreatePerson(_Change, frozen=True, tag="create_person"):
    """Create a person; `namesakes` existed before."""

    person: ServerPerson
    namesakes: tuple[str, ...] = ()

    def do(self, server: ImmichPeople) -> Outcome:
        """Create the person."""
        return {"id": server.create_person(self.person, partial(self._there, server)).id}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Look for a new person of that name."""
        there = self._there(server)
        return None if there is None else {"id": there.id}

    def _there(self, server: ImmichPeople) -> ServerPerson | None:
        called = [p for p in people_called(server, [self.person.name]) if p.name == self.person.name]
        new = [person for person in called if person.id not in self.namesakes]
        return min(new, key=lambda person: person.id, default=None)


class NamePerson(_Change, frozen=True, tag="name_person"):
    """Rename a person."""

    person: ServerPerson
    name: str

    def do(self, server: ImmichPeople) -> Outcome:
        """Rename the person."""
        server.update_person(self.person, name=self.name)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check the person's name."""
        there = server.person(self.person.id)
        return {} if there is not None and there.name == self.name else None


class GiveFace(_Change, frozen=True, tag="give_face"):
    """Assign a face to a person. `before` is its former person, None if it was unassigned."""

    asset: str
    face: str
    to: str
    before: ServerPerson | None

    def do(self, server: ImmichPeople) -> Outcome:
        """Assign the face."""
        server.give_face(self.face, self.to, partial(self.found, server))
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check which person the face has."""
        there = face_of(server.faces(self.asset), self.face)
        return {} if there is not None and there.person_id == self.to else None


class CreateFace(_Change, frozen=True, tag="create_face"):
    """Add a face that the server has not found. `others` existed before."""

    asset: str
    to: str
    box: FaceBox
    others: tuple[str, ...]

    def do(self, server: ImmichPeople) -> Outcome:
        """Add the face; the server does not return its id."""
        server.create_face(self.asset, self.to, self.box, partial(self.found, server))
        made = self.found(server)
        if made is None:
            raise RequestFailed("the server does not list the added face")
        return made

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Look for a new face of that person."""
        new = [
            face.id
            for face in server.faces(self.asset)
            if face.person_id == self.to and face.id and face.id not in self.others
        ]
        return {"id": min(new)} if new else None


class MergePerson(_Change, frozen=True, tag="merge_person"):
    """Merge a person into another.

    Attributes
    ----------
    source, into : ServerPerson
        As they were before.
    faces : tuple of pairs of str
        Asset and face of everything that belonged to the source.
    version : tuple of int
        The server's version, which decides the form of the request.
    """

    source: ServerPerson
    into: ServerPerson
    faces: tuple[tuple[str, str], ...]
    version: tuple[int, int, int]

    def do(self, server: ImmichPeople) -> Outcome:
        """Merge them."""
        server.merge(self.source.id, self.into.id, Version(*self.version))
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check whether the merged person no longer exists."""
        return {} if server.person(self.source.id) is None else None


class DropBirthDate(_Change, frozen=True, tag="drop_birth_date"):
    """Remove a birth date that a merge gave a person."""

    person: ServerPerson

    def do(self, server: ImmichPeople) -> Outcome:
        """Remove it."""
        server.update_person(self.person, birth_date=None)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check whether it no longer exists."""
        there = server.person(self.person.id)
        return {} if there is not None and there.birth_date is None else None


class DeleteFace(_Change, frozen=True, tag="delete_face"):
    """Remove a face that was added."""

    asset: str
    face: str

    def do(self, server: ImmichPeople) -> Outcome:
        """Remove it."""
        server.delete_face(self.face, partial(self.found, server))
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check whether it no longer exists."""
        return {} if face_of(server.faces(self.asset), self.face) is None else None


class DeletePerson(_Change, frozen=True, tag="delete_person"):
    """Remove a person; its faces become unassigned."""

    person: ServerPerson

    def do(self, server: ImmichPeople) -> Outcome:
        """Remove the person."""
        server.delete_person(self.person.id)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Check whether the person no longer exists."""
        return {} if server.person(self.person.id) is None else None


PushChange: TypeAlias = (
    CreatePerson
    | NamePerson
    | GiveFace
    | CreateFace
    | MergePerson
    | DropBirthDate
    | DeleteFace
    | DeletePerson
)
"""One change: `do` requests it, and `found` checks whether it took effect. Both return its outcome; `found`
returns None if it had no effect. `do` raises `RequestFailed` and errors that end a run.
"""


def face_of(faces: Sequence[ServerFace], identity: str) -> ServerFace | None:
    """Return the face with this id."""
    return next((face for face in faces if face.id == identity), None)


def from_json(record: object, where: str) -> PushChange:
    """Read a change from a journal entry. Raises `DamagedFile` if it is invalid."""
    try:
        change: PushChange = msgspec.convert(record, PushChange)
    except msgspec.ValidationError as error:
        raise DamagedFile(
            f"{where} is damaged: it contains an unknown change. Move the file away to push again."
        ) from error
    return change
