"""Age and sex of the faces of new photos, and of those that a library knows already."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from facesets.operations.ingest.stages import Photo, Stage
from facesets.records import FaceAttributes, Finding, Float32, ImageRecord, Pixels

STAGE = "attributes"


class AttributeModel(Protocol):
    """Says how old faces look, and of which sex."""

    @property
    def version(self) -> str:
        """What names its weights."""
        ...

    def of(self, pixels: Pixels, box: Float32, body: Float32 | None = None) -> FaceAttributes:
        """Look at the faces of one picture, given by their boxes and those of their bodies, (n, 4)."""
        ...


def no_bodies(image: ImageRecord) -> Float32 | None:  # noqa: ARG001 - of no image
    """That no bodies are known."""
    return None


def attributes_stage(
    model: AttributeModel, bodies: Callable[[ImageRecord], Float32 | None] = no_bodies
) -> Stage:
    """The stage that says age and sex of each face.

    Parameters
    ----------
    bodies : function
        The box of the body of each face of an image, (n, 4), NaN where it has none; None for no bodies.
    """

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if not image.searched:
            return image
        found = model.of(photo.pixels, image.faces.box, bodies(image))
        return replace(image, faces=replace(image.faces, age=found.age, male=found.male)).with_finding(
            STAGE, Finding(model.version, found)
        )

    return Stage(STAGE, model.version, look)
