"""`/assets/{id}/picture`: a photo, smaller."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from facesets.errors import NotFound
from facesets.store.postgres.pictures import picture_of_image
from facesets.web.api.faces import LASTING
from facesets.web.api.runs import AssetId
from facesets.web.crops import kept_size
from facesets.web.site import SiteDep

router = APIRouter(tags=["assets"])


@router.get(
    "/assets/{asset}/picture", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}
)
def picture(
    asset: AssetId,
    site: SiteDep,
    size: Annotated[int, Query(ge=32, le=1600, description="Most pixels of the longer edge.")] = 320,
) -> Response:
    """Show a whole photo as a JPEG, upright and without metadata."""
    with site.library() as session:
        found = session.run(lambda connection: picture_of_image(connection, asset))
    if found is None:
        raise NotFound("There is no such photo in the library.")
    content = site.crops.photo(found, kept_size(size))
    return Response(content, media_type="image/jpeg", headers={"cache-control": LASTING})
