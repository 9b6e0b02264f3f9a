"""What `immich-push` changes on a server: each change can be done, found done, and put into a journal.

Whether a change took effect is asked of the server, never guessed: after an answer that did not come,
and after a run that was killed between asking and noting.
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
"""What a change brought about: the id of what it made, if it made anything."""


class _Change(msgspec.Struct, frozen=True, tag_field="kind"):
    """What all changes have: a name by which journals know them again."""

    @property
    def kind(self) -> str:
        """What it is called in journals and counts."""
        return str(self.__struct_config__.tag)


class CreatePerson(_Change, frozen=True, tag="create_person"):
    """Make a person. `namesakes` were there before."""

    person: ServerPerson
    namesakes: tuple[str, ...] = ()

    def do(self, server: ImmichPeople) -> Outcome:
        """Make the person."""
        return {"id": server.create_person(self.person, partial(self._there, server)).id}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Look for a person of that name who was not there before."""
        there = self._there(server)
        return None if there is None else {"id": there.id}

    def _there(self, server: ImmichPeople) -> ServerPerson | None:
        called = [p for p in people_called(server, [self.person.name]) if p.name == self.person.name]
        new = [person for person in called if person.id not in self.namesakes]
        return min(new, key=lambda person: person.id, default=None)


class NamePerson(_Change, frozen=True, tag="name_person"):
    """Give a person another name."""

    person: ServerPerson
    name: str

    def do(self, server: ImmichPeople) -> Outcome:
        """Name the person."""
        server.update_person(self.person, name=self.name)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """See what the person is called."""
        there = server.person(self.person.id)
        return {} if there is not None and there.name == self.name else None


class GiveFace(_Change, frozen=True, tag="give_face"):
    """Assign a face to a person. `before` is whose it was, None if it was unassigned."""

    asset: str
    face: str
    to: str
    before: ServerPerson | None

    def do(self, server: ImmichPeople) -> Outcome:
        """Give the face."""
        server.give_face(self.face, self.to, partial(self.found, server))
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """See whose the face is."""
        there = face_of(server.faces(self.asset), self.face)
        return {} if there is not None and there.person_id == self.to else None


class CreateFace(_Change, frozen=True, tag="create_face"):
    """Add a face that the server has not found. `others` were there before."""

    asset: str
    to: str
    box: FaceBox
    others: tuple[str, ...]

    def do(self, server: ImmichPeople) -> Outcome:
        """Add the face; the server does not say which it is."""
        server.create_face(self.asset, self.to, self.box, partial(self.found, server))
        made = self.found(server)
        if made is None:
            raise RequestFailed("the server does not show the face that it was given")
        return made

    def found(self, server: ImmichPeople) -> Outcome | None:
        """Look for a face of that person that was not there before."""
        new = [
            face.id
            for face in server.faces(self.asset)
            if face.person_id == self.to and face.id and face.id not in self.others
        ]
        return {"id": min(new)} if new else None


class MergePerson(_Change, frozen=True, tag="merge_person"):
    """Give all faces of a person to another and remove the person.

    Attributes
    ----------
    source, into : ServerPerson
        As they were before.
    faces : tuple of pairs of str
        Asset and face of all that was the source's.
    version : tuple of int
        The server's, which decides how it is asked.
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
        """See whether the source is gone."""
        return {} if server.person(self.source.id) is None else None


class DropBirthDate(_Change, frozen=True, tag="drop_birth_date"):
    """Remove a birth date that a person had got by a merge."""

    person: ServerPerson

    def do(self, server: ImmichPeople) -> Outcome:
        """Remove it."""
        server.update_person(self.person, birth_date=None)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """See whether there is one."""
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
        """See whether it is gone."""
        return {} if face_of(server.faces(self.asset), self.face) is None else None


class DeletePerson(_Change, frozen=True, tag="delete_person"):
    """Remove a person; its faces become unassigned."""

    person: ServerPerson

    def do(self, server: ImmichPeople) -> Outcome:
        """Remove the person."""
        server.delete_person(self.person.id)
        return {}

    def found(self, server: ImmichPeople) -> Outcome | None:
        """See whether the person is gone."""
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
"""One change. `do` asks for it and `found` whether it took effect; both return what it brought about, `found`
None if it did not. `do` raises `RequestFailed` and what ends a run.
"""


def face_of(faces: Sequence[ServerFace], identity: str) -> ServerFace | None:
    """The face of that id."""
    return next((face for face in faces if face.id == identity), None)


def from_json(record: object, where: str) -> PushChange:
    """A change that the journal holds. Raises `DamagedFile` if it is none."""
    try:
        change: PushChange = msgspec.convert(record, PushChange)
    except msgspec.ValidationError as error:
        raise DamagedFile(f"{where} is damaged: it holds no change that `immich-push` makes.") from error
    return change
