"""Age and sex of the faces of new photos, and of those that a library knows already."""

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from facesets.face_attributes import FaceAttributes
from facesets.operations.ingest.stages import Photo, Stage
from facesets.records import Finding, Float32, ImageRecord, Pixels

if TYPE_CHECKING:
    from facesets.imaging.bodies import PhotoBodies

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


def attributes_stage(model: AttributeModel) -> Stage:
    """The stage that says age and sex of each face; by its body, too, where the same run found that."""

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if not image.searched:
            return image
        found = model.of(photo.pixels, image.faces.box, _bodies(photo, image))
        faces = replace(image.faces, age=found.age, male=found.male)
        return replace(image, faces=faces).with_finding(STAGE, Finding(model.version, found))

    return Stage(STAGE, model.version, look, of_faces=True)


def _bodies(photo: Photo, image: ImageRecord) -> Float32 | None:
    """The body of each face, in pixels of the picture that stages see; None where none were looked for."""
    finding = image.findings.get("bodies")
    if finding is None or finding.value is None or photo.decoded is None:
        return None
    bodies: PhotoBodies = finding.value
    of_face = np.full((len(image.faces), 4), np.nan, np.float32)
    known = np.flatnonzero(bodies.face >= 0)
    of_face[bodies.face[known]] = bodies.box[known] / np.tile(np.array(photo.decoded.scale, np.float32), 2)
    return of_face
