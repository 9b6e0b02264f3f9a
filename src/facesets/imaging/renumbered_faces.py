"""Renumber faces after some of their images were removed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from facesets.imaging.boxes import iou

_SAME_FACE = 0.5


@dataclass(frozen=True, slots=True)
class Renumbered:
    """Changed ids of faces, `<sha256 of the image>#<ordinal>`.

    Attributes
    ----------
    new : mapping
        Old id to new one, empty for removed faces.
    boxes : mapping
        Box of each old id's face.
    """

    new: Mapping[str, str]
    boxes: Mapping[str, tuple[float, ...]]

    def outstanding(self, faces: Iterable[tuple[str, tuple[float, ...]]]) -> "Renumbered":
        """Return the remaining changes for faces that are recorded by id and box.

        Images with another face under a new id were changed by an earlier, interrupted run.
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
    """Return the image of a face's id."""
    return face.partition("#")[0]


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    return float(iou(np.array([box], np.float32), np.array([other], np.float32))[0, 0])
