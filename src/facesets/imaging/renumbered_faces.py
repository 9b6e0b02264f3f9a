"""Faces that have other ids once some of their images are gone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from facesets.imaging.boxes import iou

_SAME_FACE = 0.5


@dataclass(frozen=True, slots=True)
class Renumbered:
    """Ids of faces that change, `<sha256 of the image>#<ordinal>`.

    Attributes
    ----------
    new : mapping
        Old id to new one, empty for faces that are gone.
    boxes : mapping
        Where the face of each old id is.
    """

    new: Mapping[str, str]
    boxes: Mapping[str, tuple[float, ...]]

    def outstanding(self, faces: Iterable[tuple[str, tuple[float, ...]]]) -> "Renumbered":
        """What is still to be done where faces are written down by id and box.

        Images of which another face has an id by now were done before, by a run that was cut off.
        """
        done = {
            image_of(face)
            for face, box in faces
            if face in self.boxes and _overlap(box, self.boxes[face]) < _SAME_FACE
        }
        if not done:
            return self
        new = {old: to for old, to in self.new.items() if image_of(old) not in done}
        return Renumbered(new, {old: self.boxes[old] for old in new})


NOT_RENUMBERED = Renumbered({}, {})


def image_of(face: str) -> str:
    """The image of a face's id."""
    return face.partition("#")[0]


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    return float(iou(np.array([box], np.float32), np.array([other], np.float32))[0, 0])
