"""`/faces/{id}`: one face."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from facesets.errors import NotFound
from facesets.store.postgres.pictures import pictures_of_faces
from facesets.web.crops import kept_size
from facesets.web.site import SiteDep

router = APIRouter(tags=["faces"])

FaceId = Annotated[int, Path(ge=1, lt=2**63)]
LASTING = "private, max-age=31536000, immutable"
"""For pictures whose address holds what they show."""


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
