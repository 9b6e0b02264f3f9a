"""`/faces/{id}`: a face, its crop and why it was matched; `/assets/{id}`: a photo and its faces."""

from concurrent.futures import Future
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from facesets.errors import NotFound
from facesets.face_attributes import Sex
from facesets.imaging.originals import Picture
from facesets.operations.people.lists.browsing import require_photo
from facesets.operations.people.review.explaining import explain
from facesets.operations.people.review.verdict import PersonSimilarity
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_details import (
    FaceFacts,
    count_faces_on_photo,
    faces_on_photo,
    facts_of_faces,
)
from facesets.store.postgres.photos.images import picture_of_image, pictures_of_faces
from facesets.web.api.shapes import Of, Page, PagingDep, Shape
from facesets.web.crops import picture_answer, stored_size
from facesets.web.site import Site, SiteDep

router = APIRouter()
pictures = APIRouter(tags=["assets"])

FaceId = Annotated[int, Path(ge=1, lt=2**63)]
AssetId = Annotated[
    str,
    Path(alias="assetId", pattern="^[0-9a-f]{64}$", description="SHA-256 of the photo's file, in hex."),
]
_PICTURE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"image/jpeg": {}, "image/svg+xml": {}}}},
}


class Box(Shape):
    """A box in a photo, in pixels of the upright photo."""

    x: float
    y: float
    width: float
    height: float


def _box(face: FaceFacts) -> Box:
    left, top, right, bottom = face.box
    return Box(x=left, y=top, width=right - left, height=bottom - top)


class FaceShape(Shape):
    """A face."""

    id: int
    asset_id: Annotated[str, Of("sha256")]
    bbox: Annotated[Box, Of(_box)]
    detection_confidence: Annotated[float, Of("det_score")]
    quality_score: Annotated[float, Of("quality")]
    cluster_id: Annotated[str | None, Of("cluster")]
    person_id: Annotated[UUID | None, Of("person")]
    person_name: Annotated[str | None, Of(lambda face: face.person_name or None)]
    age: Annotated[float | None, Field(description="Estimated age in years.")]
    sex: Annotated[Sex | None, Field(description="Estimated sex; U if uncertain.")]
    created_at: datetime


class NearFace(Shape):
    """A similar face."""

    face_id: int
    cosine_similarity: float


def _nearest(found: PersonSimilarity) -> list[NearFace]:
    return [NearFace(face_id=face, cosine_similarity=similarity) for face, similarity in found.nearest]


class LikenessShape(Shape):
    """The similarity of a face to a person."""

    person: str
    name: str
    cosine_similarity: float
    nearest: Annotated[list[NearFace], Of(_nearest)]


class WhyShape(Shape):
    """Why a face was matched to a person."""

    face_id: Annotated[int, Of("face")]
    person: str
    name: str
    assigned_by: str
    assigned_at: str
    step: Annotated[int | None, Of(lambda found: found.step and found.step.id)]
    about: Annotated[LikenessShape | None, Of(lambda found: found.about and LikenessShape.of(found.about))]
    runner_up: Annotated[
        LikenessShape | None, Of(lambda found: found.runner_up and LikenessShape.of(found.runner_up))
    ]
    thresholds: dict[str, float]
    statements: Annotated[list[str], Of("corrections")]
    turning_point: float | None
    verdict: str
    head: str


def require_facts(site: Site, face: int) -> FaceFacts:
    """Return a face of the library. Raises `NotFound`."""
    with site.library() as session:
        found = session.run(facts_of_faces, [face])
    if not found:
        raise NotFound(f"Face not found: {face}.")
    return found[0]


@router.get("/faces/{face}", tags=["faces"])
def one_face(face: FaceId, site: SiteDep) -> FaceShape:
    """Get a face, its photo and its person."""
    return FaceShape.of(require_facts(site, face))


@router.get("/faces/{face}/explain", tags=["faces"], summary="Explain")
def why(
    face: FaceId,
    site: SiteDep,
    who: Annotated[
        str | None,
        Query(
            max_length=200,
            description="The person to compare with, by name or ID; by default the face's person.",
        ),
    ] = None,
) -> WhyShape:
    """Explain why a face was matched to a person, and what would have changed that."""
    with site.library() as session:
        return WhyShape.of(explain(session, face, who))


@router.get("/faces/{face}/crop", tags=["faces"], **_PICTURE)
async def crop(
    face: FaceId,
    site: SiteDep,
    size: Annotated[int, Query(ge=32, le=640, description="Minimum edge length in pixels.")] = 160,
    v: Annotated[
        str,
        Query(
            max_length=64,
            description="The beginning of the photo's hash. With it the answer may be cached, and a "
            "placeholder replaces an unreadable photo.",
        ),
    ] = "",
) -> Response:
    """Get a square crop of a face as a JPEG."""
    # No thread waits while a photo is decoded: pages with many faces would take all of them.
    picture, making = await run_in_threadpool(_begun, site, face, stored_size(size))
    return await picture_answer(making, shows=v, sha256=picture.sha256)


def _begun(site: Site, face: int, size: int) -> "tuple[Picture, Future[bytes]]":
    with site.library() as session:
        picture = session.run(pictures_of_faces, [face]).get(face)
    if picture is None:
        raise NotFound(f"Face not found: {face}.")
    return picture, site.crops.face(picture, size)


@router.get("/assets/{assetId}", tags=["assets"])
def faces_of_asset(asset: AssetId, site: SiteDep, paging: PagingDep) -> Page[FaceShape]:
    """List the faces in a photo, from left to right."""

    def work(connection: Connection) -> Page[FaceShape]:
        photo = require_photo(connection, asset)
        faces = faces_on_photo(connection, photo.id, limit=paging.page_size, offset=paging.offset)
        return paging.page_of(FaceShape, map(FaceShape.of, faces), count_faces_on_photo(connection, photo.id))

    with site.library() as session:
        return session.run(work)


@pictures.get("/assets/{assetId}/picture", **_PICTURE)
async def picture(
    asset: AssetId,
    site: SiteDep,
    size: Annotated[
        int, Query(ge=32, le=1600, description="Maximum length of the longer edge in pixels.")
    ] = 320,
    v: Annotated[str, Query(max_length=64, description="As for a face's crop.")] = "",
) -> Response:
    """Get a whole photo as a JPEG, upright and without metadata."""
    making = await run_in_threadpool(_photo_begun, site, asset, stored_size(size))
    return await picture_answer(making, shows=v, sha256=asset, is_photo=True)


def _photo_begun(site: Site, asset: str, size: int) -> "Future[bytes]":
    with site.library() as session:
        found = session.run(picture_of_image, asset)
    if found is None:
        raise NotFound("This photo is not in the library.")
    return site.crops.photo(found, size)
