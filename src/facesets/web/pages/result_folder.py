"""The pages of a result folder: its people, one person, a photo."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from facesets.errors import NotFound
from facesets.files import printable
from facesets.imaging.originals import read_decoded
from facesets.operations.grouping.current_result import CurrentResult
from facesets.operations.grouping.folder_corrections import latest_change
from facesets.results.manifest import FaceEntry, RefineManifest
from facesets.results.pages.counterparts import sibling_names
from facesets.web.api.result_folder import (
    PersonId,
    ResultDep,
    ResultSite,
    Sha256,
    face_id,
    folder_called,
    id_of,
    people_of,
    picture_of,
)
from facesets.web.render import render, worded

router = APIRouter()

_PEOPLE = 100
_FACES = 300
_SMALL = 64
"""Edge in pixels to decode at, which is enough to learn the full size of a picture."""

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]


def _face(face: FaceEntry) -> dict[str, str]:
    return {"id": face_id(face), "sha256": face.image, "path": printable(face.paths[0])}


def _best(faces: Sequence[FaceEntry]) -> list[FaceEntry]:
    return sorted(faces, key=lambda face: -face.quality)


def _about(site: ResultSite, now: CurrentResult) -> dict[str, Any]:
    """Return the values about the folder that all pages show."""
    last = latest_change(site.root, now)
    return {
        "folder": printable(site.root),
        "sealed": worded(now.sealed),
        "undo": {"step": last.change, "what": printable(last.what)} if last else None,
    }


@router.get("/people")
def people(
    request: Request,
    site: ResultDep,
    find: Annotated[str, Query(max_length=200)] = "",
    page: PageNumber = 1,
) -> Response:
    """Return the people in the folder, those with most faces first."""
    now = site.now()
    found = people_of(now, find)
    cards = [
        {
            "id": id_of(name),
            "name": printable(name),
            "faces": len(now.groups[name]),
            "photos": len({face.image for face in now.groups[name]}),
            "best": _face(_best(now.groups[name])[0]),
        }
        for name in found[(page - 1) * _PEOPLE : page * _PEOPLE]
    ]
    return render(
        request,
        "results_people.html",
        title="People",
        people=cards,
        total=len(found),
        find=find,
        page=page,
        pages=-(-len(found) // _PEOPLE),
        single=len(now.single),
        single_id=id_of(now.single_folder),
        unassigned=len(now.unassigned),
        learned=[*map(worded, now.learned), *map(worded, now.warnings)],
        **_about(site, now),
    )


@router.get("/people/{person}")
def person(request: Request, site: ResultDep, person: PersonId, page: PageNumber = 1) -> Response:
    """Return a person's faces, best first."""
    now = site.now()
    folder = folder_called(now, person)
    faces = _best(now.faces_in(folder))
    return render(
        request,
        "results_person.html",
        title="Unassigned faces" if folder == now.single_folder else printable(folder),
        person=person,
        name=printable(folder),
        is_person=folder != now.single_folder,
        seen=now.version(folder),
        beside=printable(sibling_names(now.manifest, site.root, {folder: faces}).get(folder, "")),
        other="Person" if isinstance(now.manifest, RefineManifest) else "Face set",
        faces=[_face(face) for face in faces[(page - 1) * _FACES : page * _FACES]],
        total=len(faces),
        photos=len({face.image for face in faces}),
        page=page,
        pages=-(-len(faces) // _FACES),
        **_about(site, now),
    )


@router.get("/unassigned")
def unassigned(request: Request, site: ResultDep, page: PageNumber = 1) -> Response:
    """Return the faces removed from a person's folder, best first."""
    now = site.now()
    return render(
        request,
        "results_unassigned.html",
        title="Removed faces",
        faces=[_face(face) for face in _best(now.unassigned)[(page - 1) * _FACES : page * _FACES]],
        total=len(now.unassigned),
        page=page,
        pages=-(-len(now.unassigned) // _FACES),
        **_about(site, now),
    )


@router.get("/photos/{sha256}")
def photo(request: Request, site: ResultDep, sha256: Sha256) -> Response:
    """Return a photo with its faces."""
    now = site.now()
    found = now.of_image.get(sha256, ())
    if not found:
        raise NotFound("This photo is not in this folder.")
    picture = picture_of(now, *found[0])
    decoded = read_decoded(picture.paths, sha256, min_edge=_SMALL)
    faces = [
        {
            **_face(face),
            "box": [round(value, 1) for value in face.box],
            "text": round(max(decoded.width, decoded.height) / 30, 1),
            "name": printable(folder) if folder in now.groups else "Unassigned",
            "person": id_of(folder) if folder else "",
        }
        for folder, face in sorted(found, key=lambda each: each[1].box[0])
    ]
    return render(
        request,
        "results_photo.html",
        title=printable(PurePath(picture.paths[0]).name),
        sha256=sha256,
        place=printable(picture.paths[0]),
        width=decoded.width,
        height=decoded.height,
        faces=faces,
        **_about(site, now),
    )
