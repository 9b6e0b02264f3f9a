"""`/assets/{id}`: a photo, and the faces on it."""

from typing import Annotated

from fastapi import APIRouter, Path

from facesets.operations.people.lists.browsing import require_photo
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_details import count_faces_on_photo, faces_on_photo
from facesets.web.api.faces import FaceShape, face_shape
from facesets.web.paging import Page, PagingDep
from facesets.web.site import SiteDep

router = APIRouter(tags=["assets"])

AssetId = Annotated[
    str,
    Path(alias="assetId", pattern="^[0-9a-f]{64}$", description="SHA-256 of the photo's file, in hex."),
]


@router.get("/assets/{assetId}")
def faces_of_asset(asset: AssetId, site: SiteDep, paging: PagingDep) -> Page[FaceShape]:
    """List the faces on a photo, from left to right."""

    def work(connection: Connection) -> Page[FaceShape]:
        photo = require_photo(connection, asset)
        faces = faces_on_photo(connection, photo.id, limit=paging.page_size, offset=paging.offset)
        return Page[FaceShape](
            items=[face_shape(face) for face in faces],
            total=count_faces_on_photo(connection, photo.id),
            page=paging.page,
            page_size=paging.page_size,
        )

    with site.library() as session:
        return session.run(work)
