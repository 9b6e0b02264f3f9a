"""Pictures as answers."""

import asyncio
from concurrent.futures import Future

from fastapi import Response

from facesets.errors import UnreadableImage

LASTING = "private, max-age=31536000, immutable"
"""For pictures whose address holds what they show."""
_FOR_NOW = "private, max-age=60"
_PLACEHOLDER = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#999" '
    b'fill-opacity=".25"/><path d="M32 14a11 11 0 1 0 0 22 11 11 0 0 0 0-22M12 56a20 18 0 0 1 40 0" '
    b'fill="#999" fill-opacity=".5"/></svg>'
)
"""What pages show where the photo cannot be read just now: no browser marks it as broken."""


async def picture_answer(making: "Future[bytes]", *, shows: str, sha256: str) -> Response:
    """Answer with a JPEG once it is made.

    Parameters
    ----------
    shows : str
        The beginning of the photo's hash, in the address that pages use: then the answer may be kept, and a
        placeholder stands in for a photo that is not there. Empty for programs.

    Raises
    ------
    UnreadableImage
        The photo cannot be read, and `shows` is empty.
    """
    try:
        content = await asyncio.wrap_future(making)
    except UnreadableImage:
        if not shows:
            raise
        return Response(_PLACEHOLDER, media_type="image/svg+xml", headers={"cache-control": "no-store"})
    kept = LASTING if shows and sha256.startswith(shows) else _FOR_NOW
    return Response(content, media_type="image/jpeg", headers={"cache-control": kept})
