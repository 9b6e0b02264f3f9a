"""The stage `bodies`: who is on a photo, whether their face is seen or not."""

from typing import Protocol

from facesets.imaging.bodies import SeenBodies, bodies_of_photo
from facesets.operations.ingest.stages import Photo, Stage
from facesets.records import Finding, ImageRecord, Pixels

_MATCHING = 1
"""Of how faces are given to bodies, and of how colours are described."""


class BodyFinder(Protocol):
    """Finds the people of a picture."""

    @property
    def identity(self) -> str:
        """Names the weights and settings."""
        ...

    def detect(self, pixels: Pixels) -> SeenBodies:
        """Find the people of one upright picture. Safe to call from several threads."""
        ...


def bodies_stage(finder: BodyFinder) -> Stage:
    """Bodies and their faces, for each photo that passes."""
    version = f"{finder.identity} {_MATCHING}"

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if photo.decoded is None:
            raise ValueError("bodies are found in pixels")
        found = bodies_of_photo(
            finder.detect(photo.pixels), image.faces.box, photo.pixels, photo.decoded.scale
        )
        return image.with_finding("bodies", Finding(version, found))

    return Stage("bodies", version, look, of_faces=True)
