"""The calls that correct a result folder, and pictures of its faces."""

from concurrent.futures import Future
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from facesets.errors import FacesetsError, NotFound, WrongUsage
from facesets.files import printable
from facesets.operations.grouping.by_hand import Seen, merge, move_faces, rename, take_back
from facesets.operations.grouping.result_now import ResultNow
from facesets.result import Result
from facesets.web.api.shapes import Shape
from facesets.web.crops import kept_size
from facesets.web.paging import Page, PagingDep
from facesets.web.pictures import picture_answer
from facesets.web.results.site import ResultDep, find_face, folder_called, id_of, picture_of

router = APIRouter()
health = APIRouter()

PersonId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
FaceId = Annotated[str, Path(pattern="^[0-9a-f]{64}-[0-9]{1,6}$")]
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Version = Annotated[str | None, Field(default=None, pattern="^[0-9a-f]{16}$")]
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
_LONGEST_NAME = 200


class PersonShape(Shape):
    """A person's folder."""

    id: str
    name: str
    face_count: int
    photo_count: int
    version: str


class CorrectionRequest(Shape):
    """What is said about a person, or about some of the faces in the folder."""

    action: Literal["rename", "move", "unassign"]
    name: str = Field(default="", max_length=_LONGEST_NAME)
    into: bool = Field(default=False, description="Who has that name already is the same person.")
    face_ids: list[Annotated[str, Field(pattern="^[0-9a-f]{64}-[0-9]{1,6}$")]] = Field(
        default_factory=list, max_length=10_000
    )
    version: Version


class MergeRequest(Shape):
    """Whom a person is the same as."""

    into_person_id: str = Field(pattern="^[0-9a-f]{16}$")
    version: Version
    into_version: Version


class UndoRequest(Shape):
    """Which change to take back; by default the latest."""

    step: int | None = Field(default=None, ge=1, lt=2**63)


class CorrectionShape(Shape):
    """What was changed; `version` is that of the folder where the faces are now."""

    person_id: str | None
    person_name: str | None
    did: str
    faces_moved: int
    step: int
    version: str | None


class UndoneShape(Shape):
    """A change that was taken back; `person_id` is the folder where the faces are again."""

    step: int
    what: str
    person_id: str


@router.get("/persons", tags=["persons"])
def persons(
    site: ResultDep,
    paging: PagingDep,
    find: Annotated[str, Query(max_length=200, description="Part of a name.")] = "",
) -> Page[PersonShape]:
    """List people, those with most faces first."""
    now = site.now()
    found = people_of(now, find)
    return Page[PersonShape](
        items=[_person(now, name) for name in found[paging.offset : paging.offset + paging.page_size]],
        total=len(found),
        page=paging.page,
        page_size=paging.page_size,
    )


def people_of(now: ResultNow, find: str = "") -> list[str]:
    """Names of the people with this in their name, those with most faces first."""
    wanted = find.casefold().strip()
    found = [name for name in now.groups if wanted in printable(name).casefold()]
    return sorted(found, key=lambda name: (-len(now.groups[name]), name))


def _person(now: ResultNow, name: str) -> PersonShape:
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
    """Name a person, or say whom faces show."""
    with site.changing() as now:
        root, seen = now.root, Seen(folder_called(now, person), asked.version)
        if asked.action == "rename":
            return _corrected(rename(root, seen, asked.name, into=asked.into))
        if asked.action == "move" and not asked.name.strip():
            raise WrongUsage("Say whom they show: give a name.")
        faces = {number.replace("-", "#") for number in asked.face_ids}
        return _corrected(move_faces(root, seen, faces, asked.name if asked.action == "move" else ""))


@router.post("/persons/{person}/merge", tags=["persons"])
def merge_into(site: ResultDep, person: PersonId, asked: MergeRequest) -> CorrectionShape:
    """Say that two are one person."""
    with site.changing() as now:
        seen = Seen(folder_called(now, person), asked.version)
        into = Seen(folder_called(now, asked.into_person_id), asked.into_version)
        return _corrected(merge(now.root, seen, into))


@router.post("/undo", tags=["steps"])
def undo(site: ResultDep, asked: UndoRequest) -> UndoneShape:
    """Take the latest change back."""
    with site.changing() as now:
        done = take_back(now.root, asked.step)
    return UndoneShape(step=done.change, what=printable(done.what), person_id=id_of(done.folder))


def _corrected(done: Result) -> CorrectionShape:
    return CorrectionShape(
        person_id=id_of(done.folder) if done.folder else None,
        person_name=printable(done.folder) or None,
        did=printable(done.what),
        faces_moved=done.faces,
        step=done.change,
        version=done.now.version(done.folder) if done.folder else None,
    )


@router.get("/faces/{face}/crop", response_class=Response, responses=_JPEG, tags=["faces"])
async def crop(
    site: ResultDep,
    face: FaceId,
    size: Annotated[int, Query(ge=32, le=640, description="Least edge in pixels.")] = 160,
    v: Annotated[str, Query(max_length=64, description="With it the answer may be kept.")] = "",
) -> Response:
    """A square around a face, as a JPEG."""

    def begun() -> "tuple[str, Future[bytes]]":
        now = site.now()
        folder, entry = find_face(now, face)
        return entry.image, site.crops.making_face(picture_of(now, folder, entry), kept_size(size))

    image, making = await run_in_threadpool(begun)
    return await picture_answer(making, shows=v, sha256=image)


@router.get("/photos/{sha256}", response_class=Response, responses=_JPEG, tags=["photos"])
async def photo(
    site: ResultDep,
    sha256: Sha256,
    size: Annotated[int, Query(ge=32, le=1600, description="Longer edge in pixels.")] = 1600,
) -> Response:
    """A photo, as a JPEG."""

    def begun() -> "Future[bytes]":
        now = site.now()
        for folder, entry in now.of_image.get(sha256, ()):
            return site.crops.making_photo(picture_of(now, folder, entry), kept_size(size))
        raise NotFound("There is no such photo in this folder.")

    return await picture_answer(await run_in_threadpool(begun), shows=sha256, sha256=sha256, is_photo=True)


class Health(Shape):
    """How the program and the folder are."""

    status: Literal["ok", "unavailable"]
    faces: int | None


@health.get("/health", tags=["health"])
def healthy(site: ResultDep, response: Response) -> Health:
    """Tell whether the folder can be read; status 503 where it cannot."""
    try:
        now = site.now()
    except FacesetsError:
        response.status_code = 503
        return Health(status="unavailable", faces=None)
    return Health(status="ok", faces=sum(map(len, now.groups.values())) + len(now.single))
