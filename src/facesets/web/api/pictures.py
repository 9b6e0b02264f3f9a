"""`/assets/{id}/picture`: a photo, smaller."""

from concurrent.futures import Future
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from facesets.errors import NotFound
from facesets.store.postgres.photos.images import picture_of_image
from facesets.web.api.assets import AssetId
from facesets.web.crops import kept_size
from facesets.web.pictures import picture_answer
from facesets.web.site import Site, SiteDep

router = APIRouter(tags=["assets"])


@router.get(
    "/assets/{assetId}/picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/svg+xml": {}}}},
)
async def picture(
    asset: AssetId,
    site: SiteDep,
    size: Annotated[int, Query(ge=32, le=1600, description="Most pixels of the longer edge.")] = 320,
    v: Annotated[str, Query(max_length=64, description="As for the crop of a face.")] = "",
) -> Response:
    """Show a whole photo as a JPEG, upright and without metadata."""
    making = await run_in_threadpool(_begun, site, asset, kept_size(size))
    return await picture_answer(making, shows=v, sha256=asset, is_photo=True)


def _begun(site: Site, asset: str, size: int) -> "Future[bytes]":
    with site.library() as session:
        found = session.run(picture_of_image, asset)
    if found is None:
        raise NotFound("There is no such photo in the library.")
    return site.crops.making_photo(found, size)
