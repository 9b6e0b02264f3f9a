"""`/faces/{id}`: one face."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from facesets.errors import NotFound
from facesets.store.postgres.people.photo_faces import FaceFacts
from facesets.store.postgres.pictures import pictures_of_faces
from facesets.web.api.shapes import Shape
from facesets.web.crops import kept_size
from facesets.web.site import SiteDep

router = APIRouter(tags=["faces"])

FaceId = Annotated[int, Path(ge=1, lt=2**63)]
LASTING = "private, max-age=31536000, immutable"
"""For pictures whose address holds what they show."""


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
    created_at: datetime


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
        created_at=face.created_at,
    )


@router.get("/faces/{face}/crop", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def crop(
    face: FaceId,
    site: SiteDep,
    size: Annotated[int, Query(ge=32, le=640, description="Least edge in pixels.")] = 160,
    v: Annotated[
        str, Query(max_length=64, description="What it shows; with it the answer may be kept.")
    ] = "",
) -> Response:
    """A square around a face, as a JPEG."""
    with site.library() as session:
        picture = session.run(lambda connection: pictures_of_faces(connection, [face])).get(face)
    if picture is None:
        raise NotFound(f"There is no face {face}.")
    kept = LASTING if v and picture.sha256.startswith(v) else "private, max-age=60"
    return Response(
        site.crops.face(picture, kept_size(size)), media_type="image/jpeg", headers={"cache-control": kept}
    )
