"""Read and write the people of an Immich server and their faces.

A change may take effect even if its answer is lost. So before a request is sent again, the server is asked
whether the first one took effect.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from facesets.remote.immich import Immich
from facesets.remote.immich_answers import NotOnServer, RequestFailed
from facesets.remote.immich_records import ServerPerson, Version, is_success, parse_people, parse_person
from facesets.remote.retry import TransientError

_PEOPLE_PER_PAGE = 1000
_MERGES_BY_LIST_SINCE = Version(3, 2, 1)
_DELETES_WITH_BODY_SINCE = Version(3, 3, 0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A box for Immich: corner and size in pixels, and the size of the image."""

    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int


class ImmichPeople(Immich):
    """The calls that writing people back needs. Errors are those of `Immich`."""

    def people(self) -> Iterator[list[ServerPerson]]:
        """Return all people that the server lists, including hidden ones."""
        page = 1
        while True:
            query = {"page": page, "size": _PEOPLE_PER_PAGE, "withHidden": "true"}
            answer = self._required("GET", "people", params=query)
            listing = answer if isinstance(answer, dict) else {}
            found = parse_people(listing.get("people"))
            yield found
            if not found or listing.get("hasNextPage") is not True:
                return
            page += 1

    def person(self, person_id: str) -> ServerPerson | None:
        """Return a person; None if the id no longer exists."""
        try:
            return parse_person(self._json("GET", f"people/{person_id}"))
        except NotOnServer:
            return None

    def photos_of(self, person_id: str) -> set[str]:
        """Return the photos of a person, including archived, hidden and trashed ones."""
        found: set[str] = set()
        for visibility in ("timeline", "archive", "hidden"):
            query = {"personIds": [person_id], "visibility": visibility, "withDeleted": True}
            for page in self.assets(query):
                found.update(asset.id for asset in page)
        return found

    def create_person(self, person: ServerPerson, found: Callable[[], ServerPerson | None]) -> ServerPerson:
        """Create a person with an id of the server's; `found` checks whether it exists."""
        fields = {key: value for key, value in _fields_of(person).items() if value is not None}
        made = self._changed("POST", "people", fields, parse_person, found)
        if made is None:
            raise RequestFailed("the server did not return the created person")
        return made

    def update_person(self, person: ServerPerson, **fields: str | None) -> None:
        """Change a person's name or birth date."""
        names = {"name": "name", "birth_date": "birthDate"}
        body = {names[field]: value for field, value in fields.items()}
        wanted = replace(person, **fields)  # type: ignore[arg-type]
        self._changed(
            "PUT",
            f"people/{person.id}",
            body,
            lambda _: True,
            lambda: True if self.person(person.id) == wanted else None,
        )

    def delete_person(self, person_id: str) -> None:
        """Remove a person; its faces stay and are unassigned."""
        # From 3.3 a body is required, which may name an owner; before, none is allowed.
        body: dict[str, Any] | None = {} if self.version() >= _DELETES_WITH_BODY_SINCE else None
        self._changed(
            "DELETE", f"people/{person_id}", body, lambda _: True, lambda: self._is_deleted(person_id)
        )

    def merge(self, source_id: str, into_id: str, version: Version) -> None:
        """Merge a person into another."""
        if version >= _MERGES_BY_LIST_SINCE:
            path, ids = "people/merge", [into_id, source_id]
        else:
            path, ids = f"people/{into_id}/merge", [source_id]
        done = self._changed(
            "POST",
            path,
            {"ids": ids},
            lambda answer: is_success(answer, source_id),
            lambda: self._is_deleted(source_id),
        )
        if not done:
            raise RequestFailed("the server did not merge them")

    def give_face(self, face_id: str, person_id: str, done: Callable[[], object]) -> None:
        """Assign a face to a person; `done` returns None until that has happened."""
        self._changed("PUT", f"faces/{person_id}", {"id": face_id}, lambda _: True, done)

    def create_face(self, asset_id: str, person_id: str, box: FaceBox, done: Callable[[], object]) -> None:
        """Add a face that the server has not found; `done` returns None until it exists."""
        size = {"imageWidth": box.picture_width, "imageHeight": box.picture_height}
        corner = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
        body = {"assetId": asset_id, "personId": person_id, **size, **corner}
        self._changed("POST", "faces", body, lambda _: True, done)

    def delete_face(self, face_id: str, done: Callable[[], object]) -> None:
        """Remove a face permanently; `done` returns None until it is removed."""
        self._changed("DELETE", f"faces/{face_id}", {"force": True}, lambda _: True, done)

    def _is_deleted(self, person_id: str) -> bool | None:
        return True if self.person(person_id) is None else None

    def _changed(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[object], T],
        found: Callable[[], T | None],
    ) -> T:
        """Request a change, and repeat it only while `found` does not see it."""
        is_repeated = False

        def attempt() -> T:
            nonlocal is_repeated
            if is_repeated and (existing := found()) is not None:
                return existing
            is_repeated = True
            response = self._once(method, path, **({} if body is None else {"json": body}))
            self._circuit.succeeded()
            try:
                return read(response.json() if response.content else None)
            except (ValueError, RecursionError) as error:
                raise TransientError("the answer is not JSON") from error

        return self._with_retries(attempt)


def _fields_of(person: ServerPerson) -> dict[str, Any]:
    given = asdict(person)
    names = {"name": "name", "birth_date": "birthDate", "is_hidden": "isHidden", "is_favorite": "isFavorite"}
    return {names.get(key, key): value for key, value in given.items() if key != "id"}
