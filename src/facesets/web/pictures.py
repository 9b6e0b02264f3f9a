"""Pictures as answers."""

import asyncio
from concurrent.futures import Future

from fastapi import Response

from facesets.errors import UnreadableImage

LASTING = "private, max-age=31536000, immutable"
"""For pictures whose address holds what they show."""
_FOR_NOW = "private, max-age=60"
_NO_FACE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#999" '
    b'fill-opacity=".25"/><path d="M32 14a11 11 0 1 0 0 22 11 11 0 0 0 0-22M12 56a20 18 0 0 1 40 0" '
    b'fill="#999" fill-opacity=".5"/></svg>'
)
"""What pages show where the photo cannot be read just now: no browser marks it as broken."""
_NO_PHOTO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48" preserveAspectRatio="xMidYMid slice">'
    b'<rect x="-64" y="-64" width="192" height="176" fill="#999" fill-opacity=".25"/>'
    b'<g transform="translate(25 19)" fill="none" stroke="#999" stroke-opacity=".7" stroke-linejoin="round">'
    b'<rect x=".5" y=".5" width="13" height="9" rx="1.5"/><path d="m1 8 4-4 3 3 2-2 3.5 3.5"/></g></svg>'
)
"""The same of a whole photo: it fills the frame, and looks like nobody, as boxes of faces lie on it."""


async def picture_answer(
    making: "Future[bytes]", *, shows: str, sha256: str, is_photo: bool = False
) -> Response:
    """Answer with a JPEG once it is made.

    Parameters
    ----------
    shows : str
        The beginning of the photo's hash, in the address that pages use: then the answer may be kept, and a
        placeholder stands in for a photo that is not there. Empty for programs.
    is_photo : bool
        Whether it is a whole photo, not a face.

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
        stand_in = _NO_PHOTO if is_photo else _NO_FACE
        return Response(stand_in, media_type="image/svg+xml", headers={"cache-control": "no-store"})
    kept = LASTING if shows and sha256.startswith(shows) else _FOR_NOW
    return Response(content, media_type="image/jpeg", headers={"cache-control": kept})
