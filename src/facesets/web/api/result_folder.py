"""API calls for a result folder: its people, corrections, and crops."""

import hashlib
import pathlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from facesets.errors import FacesetsError, NotFound, WrongUsage
from facesets.files import printable
from facesets.imaging.originals import Picture
from facesets.operations.grouping.current_result import CurrentResult, ResultReader
from facesets.operations.grouping.folder_corrections import Seen, merge, move_faces, rename, undo_change
from facesets.results.manifest import FaceEntry
from facesets.web.api.shapes import Of, Page, PagingDep, Shape
from facesets.web.crops import CropStore, picture_answer, stored_size

router = APIRouter()
health = APIRouter()

PersonId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
FaceId = Annotated[str, Path(pattern="^[0-9a-f]{64}-[0-9]{1,6}$")]
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Version = Annotated[str | None, Field(default=None, pattern="^[0-9a-f]{16}$")]
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
_LONGEST_NAME = 200


@dataclass(slots=True)
class ResultSite:
    """A served result folder. Safe for several threads."""

    root: pathlib.Path
    crops: CropStore
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _reader: ResultReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = ResultReader(self.root)

    def now(self) -> CurrentResult:
        """Return the current state of the folder; errors as `read_result`."""
        with self._lock:
            return self._reader.read()

    @contextmanager
    def changing(self) -> Iterator[CurrentResult]:
        """Lend the current state of the folder for one change at a time."""
        with self._lock:
            try:
                yield self._reader.read()
            finally:
                self._reader.forget()


def _site(request: Request) -> ResultSite:
    site: ResultSite = request.app.state.site
    return site


ResultDep = Annotated[ResultSite, Depends(_site)]
"""The parameter with which an endpoint gets the folder."""


def id_of(folder: str) -> str:
    """Return a folder's ID for addresses: names may contain invalid characters."""
    return hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder_called(now: CurrentResult, number: str) -> str:
    """Return the folder of an ID. Raises `NotFound`."""
    folders = (*now.groups, *([now.single_folder] if now.single else []))
    found = next((folder for folder in folders if id_of(folder) == number), None)
    if found is None:
        raise NotFound("This person no longer exists. The People page lists all people.")
    return found


def face_id(face: FaceEntry) -> str:
    """Return a face's ID for addresses."""
    return face.face.replace("#", "-")


def find_face(now: CurrentResult, number: str) -> tuple[str, FaceEntry]:
    """Return the folder and the face of an ID. Raises `NotFound`."""
    image = number.partition("-")[0]
    for folder, face in now.of_image.get(image, ()):
        if face_id(face) == number:
            return folder, face
    raise NotFound("This face is no longer in this folder.")


def picture_of(now: CurrentResult, folder: str, face: FaceEntry) -> Picture:
    """Return where to read a face's photo: its original paths, else its copies in the result."""
    copies = [str(now.root / place) for place in now.places(folder, face.image)]
    left, top, right, bottom = face.box
    return Picture(face.image, (*face.paths, *copies), 0, 0, (left, top, right, bottom))


class PersonShape(Shape):
    """A person's folder."""

    id: str
    name: str
    face_count: int
    photo_count: int
    version: str


class CorrectionRequest(Shape):
    """A correction of a person or of some faces in their folder."""

    action: Literal["rename", "move", "unassign"]
    name: str = Field(default="", max_length=_LONGEST_NAME)
    into: bool = Field(default=False, description="If the name is taken, merge the two people.")
    face_ids: list[Annotated[str, Field(pattern="^[0-9a-f]{64}-[0-9]{1,6}$")]] = Field(
        default_factory=list, max_length=10_000
    )
    version: Version


class MergeRequest(Shape):
    """The person to merge into."""

    into_person_id: str = Field(pattern="^[0-9a-f]{16}$")
    version: Version
    into_version: Version


class UndoRequest(Shape):
    """The change to undo; by default the latest."""

    step: int | None = Field(default=None, ge=1, lt=2**63)


class CorrectionShape(Shape):
    """A change; `version` is that of the folder where the faces are now."""

    person_id: Annotated[str | None, Of(lambda done: id_of(done.folder) if done.folder else None)]
    person_name: Annotated[str | None, Of(lambda done: printable(done.folder) or None)]
    did: Annotated[str, Of(lambda done: printable(done.what))]
    faces_moved: Annotated[int, Of("faces")]
    step: Annotated[int, Of("change")]
    version: Annotated[str | None, Of(lambda done: done.now.version(done.folder) if done.folder else None)]


class UndoneShape(Shape):
    """A change that was undone; `personId` is the folder that has the faces again."""

    step: Annotated[int, Of("change")]
    what: Annotated[str, Of(lambda done: printable(done.what))]
    person_id: Annotated[str, Of(lambda done: id_of(done.folder))]


@router.get("/persons", tags=["persons"])
def persons(
    site: ResultDep,
    paging: PagingDep,
    find: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
) -> Page[PersonShape]:
    """List people, those with most faces first."""
    now = site.now()
    found = people_of(now, find)
    shown = found[paging.offset : paging.offset + paging.page_size]
    return paging.page_of(PersonShape, [_person(now, name) for name in shown], len(found))


def people_of(now: CurrentResult, find: str = "") -> list[str]:
    """Return matching names, those with most faces first."""
    wanted = find.casefold().strip()
    found = [name for name in now.groups if wanted in printable(name).casefold()]
    return sorted(found, key=lambda name: (-len(now.groups[name]), name))


def _person(now: CurrentResult, name: str) -> PersonShape:
    faces = now.groups[name]
    return PersonShape(
        id=id_of(name),
        name=printable(name),
        face_count=len(faces),
        photo_count=len({face.image for face in faces}),
        version=now.version(name),
    )


@router.post("/persons/{person}", tags=["persons"])
def correct(site: ResultDep, person: PersonId, asked: CorrectionRequest) -> CorrectionShape:
    """Rename a person, or move or unassign faces."""
    with site.changing() as now:
        root, seen = now.root, Seen(folder_called(now, person), asked.version)
        if asked.action == "rename":
            return CorrectionShape.of(rename(root, seen, asked.name, into=asked.into))
        if asked.action == "move" and not asked.name.strip():
            raise WrongUsage("Missing name. Give the person to move the faces to.")
        faces = {number.replace("-", "#") for number in asked.face_ids}
        return CorrectionShape.of(move_faces(root, seen, faces, asked.name if asked.action == "move" else ""))


@router.post("/persons/{person}/merge", tags=["persons"])
def merge_into(site: ResultDep, person: PersonId, asked: MergeRequest) -> CorrectionShape:
    """Merge two people."""
    with site.changing() as now:
        seen = Seen(folder_called(now, person), asked.version)
        into = Seen(folder_called(now, asked.into_person_id), asked.into_version)
        return CorrectionShape.of(merge(now.root, seen, into))


@router.post("/undo", tags=["steps"])
def undo(site: ResultDep, asked: UndoRequest) -> UndoneShape:
    """Undo the latest change."""
    with site.changing() as now:
        return UndoneShape.of(undo_change(now.root, asked.step))


@router.get("/faces/{face}/crop", response_class=Response, responses=_JPEG, tags=["faces"])
async def crop(
    site: ResultDep,
    face: FaceId,
    size: Annotated[int, Query(ge=32, le=640, description="Minimum edge length in pixels.")] = 160,
    v: Annotated[
        str,
        Query(
            max_length=64, description="The beginning of the photo's hash. With it the answer may be cached."
        ),
    ] = "",
) -> Response:
    """Get a square crop of a face as a JPEG."""

    def begun() -> "tuple[str, Future[bytes]]":
        now = site.now()
        folder, entry = find_face(now, face)
        return entry.image, site.crops.face(picture_of(now, folder, entry), stored_size(size))

    image, making = await run_in_threadpool(begun)
    return await picture_answer(making, shows=v, sha256=image)


@router.get("/photos/{sha256}", response_class=Response, responses=_JPEG, tags=["photos"])
async def photo(
    site: ResultDep,
    sha256: Sha256,
    size: Annotated[int, Query(ge=32, le=1600, description="Length of the longer edge in pixels.")] = 1600,
) -> Response:
    """Get a photo as a JPEG."""

    def begun() -> "Future[bytes]":
        now = site.now()
        for folder, entry in now.of_image.get(sha256, ()):
            return site.crops.photo(picture_of(now, folder, entry), stored_size(size))
        raise NotFound("This photo is not in this folder.")

    return await picture_answer(await run_in_threadpool(begun), shows=sha256, sha256=sha256, is_photo=True)


class Health(Shape):
    """The state of the server and the folder."""

    status: Literal["ok", "unavailable"]
    faces: int | None


@health.get("/health", tags=["health"])
def healthy(site: ResultDep, response: Response) -> Health:
    """Check whether the folder is readable; status 503 if it isn't."""
    try:
        now = site.now()
    except FacesetsError:
        response.status_code = 503
        return Health(status="unavailable", faces=None)
    return Health(status="ok", faces=sum(map(len, now.groups.values())) + len(now.single))
