"""`/faces/{id}`: one face."""

from concurrent.futures import Future
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from facesets.errors import NotFound
from facesets.store.postgres.pictures import Picture, pictures_of_faces
from facesets.web.crops import kept_size
from facesets.web.pictures import picture_answer
from facesets.web.site import Site, SiteDep

router = APIRouter(tags=["faces"])

FaceId = Annotated[int, Path(ge=1, lt=2**63)]


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
        picture = session.run(lambda connection: pictures_of_faces(connection, [face])).get(face)
    if picture is None:
        raise NotFound(f"There is no face {face}.")
    return picture, site.crops.making_face(picture, size)
