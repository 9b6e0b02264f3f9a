"""`/faces/{id}`: one face, how it looks and why it is whose it is."""

from concurrent.futures import Future
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from facesets.errors import NotFound
from facesets.face_attributes import Sex
from facesets.imaging.originals import Picture
from facesets.operations.people.review.explaining import Explanation, explain
from facesets.operations.people.review.verdict import Likeness
from facesets.store.postgres.photo_details import FaceFacts, facts_of_faces
from facesets.store.postgres.photos.images import pictures_of_faces
from facesets.web.api.shapes import Shape
from facesets.web.crops import kept_size
from facesets.web.pictures import picture_answer
from facesets.web.site import Site, SiteDep

router = APIRouter(tags=["faces"])

FaceId = Annotated[int, Path(ge=1, lt=2**63)]


class Box(Shape):
    """A part of a photo, in pixels of the upright picture."""

    x: float
    y: float
    width: float
    height: float


class FaceShape(Shape):
    """A face."""

    id: int
    asset_id: str
    bbox: Box
    detection_confidence: float
    quality_score: float
    cluster_id: str | None
    person_id: UUID | None
    person_name: str | None
    age: Annotated[float | None, Field(description="How old it looks, in years.")]
    sex: Annotated[Sex | None, Field(description="U where a model is not sure.")]
    created_at: datetime


class NearFace(Shape):
    """A face that is like another."""

    face_id: int
    cosine_similarity: float


class LikenessShape(Shape):
    """How like somebody a face is."""

    person: str
    name: str
    cosine_similarity: float
    nearest: list[NearFace]


class WhyShape(Shape):
    """Why a face is whose it is."""

    face_id: int
    person: str
    name: str
    assigned_by: str
    assigned_at: str
    step: int | None
    about: LikenessShape | None
    runner_up: LikenessShape | None
    thresholds: dict[str, float]
    statements: list[str]
    turning_point: float | None
    verdict: str
    head: str


def face_shape(face: FaceFacts) -> FaceShape:
    """A face as the API tells of it."""
    left, top, right, bottom = face.box
    return FaceShape(
        id=face.id,
        asset_id=face.sha256,
        bbox=Box(x=left, y=top, width=right - left, height=bottom - top),
        detection_confidence=face.det_score,
        quality_score=face.quality,
        cluster_id=face.cluster,
        person_id=face.person,
        person_name=face.person_name or None,
        age=face.age,
        sex=face.sex,
        created_at=face.created_at,
    )


def require_facts(site: Site, face: int) -> FaceFacts:
    """A face of the library. Raises `NotFound`."""
    with site.library() as session:
        found = session.run(facts_of_faces, [face])
    if not found:
        raise NotFound(f"There is no face {face}.")
    return found[0]


@router.get("/faces/{face}")
def one_face(face: FaceId, site: SiteDep) -> FaceShape:
    """Tell where a face is, and whose."""
    return face_shape(require_facts(site, face))


@router.get("/faces/{face}/explain")
def why(
    face: FaceId,
    site: SiteDep,
    who: Annotated[
        str | None,
        Query(max_length=200, description="About whom: a name or a number; by default whose it is."),
    ] = None,
) -> WhyShape:
    """Explain why a face is whose it is, and what would have changed that."""
    with site.library() as session:
        found = explain(session, face, who)
    return _why(found)


def _why(found: Explanation) -> WhyShape:
    return WhyShape(
        face_id=found.face,
        person=found.person,
        name=found.name,
        assigned_by=found.assigned_by,
        assigned_at=found.assigned_at,
        step=None if found.step is None else found.step.id,
        about=_likeness(found.about),
        runner_up=_likeness(found.runner_up),
        thresholds=found.thresholds,
        statements=found.statements,
        turning_point=found.turning_point,
        verdict=found.verdict,
        head=found.head,
    )


def _likeness(found: Likeness | None) -> LikenessShape | None:
    if found is None:
        return None
    nearest = [NearFace(face_id=face, cosine_similarity=similarity) for face, similarity in found.nearest]
    return LikenessShape(
        person=found.person, name=found.name, cosine_similarity=found.cosine_similarity, nearest=nearest
    )


@router.get(
    "/faces/{face}/crop",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/svg+xml": {}}}},
)
async def crop(
    face: FaceId,
    site: SiteDep,
    size: Annotated[int, Query(ge=32, le=640, description="Least edge in pixels.")] = 160,
    v: Annotated[
        str,
        Query(
            max_length=64,
            description="The beginning of the photo's hash. With it the answer may be kept, and a "
            "placeholder stands in for a photo that cannot be read.",
        ),
    ] = "",
) -> Response:
    """A square around a face, as a JPEG."""
    # No thread waits while a photo is decoded: pages with many faces would take all of them.
    picture, making = await run_in_threadpool(_begun, site, face, kept_size(size))
    return await picture_answer(making, shows=v, sha256=picture.sha256)


def _begun(site: Site, face: int, size: int) -> "tuple[Picture, Future[bytes]]":
    with site.library() as session:
        picture = session.run(pictures_of_faces, [face]).get(face)
    if picture is None:
        raise NotFound(f"There is no face {face}.")
    return picture, site.crops.making_face(picture, size)
