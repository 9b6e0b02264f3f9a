"""Find faces of too low quality to be recognized.

Blurred specks in the background, heads cut in half by the edge of the photo, and patterns that a detector
takes for a face resemble each other more than any person: recognizers give such crops much the
same vector.
"""

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from facesets.imaging.align import ARCFACE_KPS
from facesets.records import Bool, Collection, Float32, Int64

_EDGE_PX = 112
_GRID = 12
_BLOCK_FACES = 16_384


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """A recognizer's minimum requirements on a face.

    Attributes
    ----------
    min_short_px : float
        Minimum short edge of the box.
    min_inside : float
        Minimum share of the aligned crop within the photo.
    max_misfit_px : float
        Maximum distance of keypoints from the template in an aligned crop of 112 pixels, as the root mean
        square.
    """

    min_short_px: float = 32.0
    min_inside: float = 0.0
    max_misfit_px: float = np.inf

    @property
    def is_of_size_only(self) -> bool:
        """Whether only the size of the box decides."""
        return self.min_inside <= 0 and self.max_misfit_px == np.inf


_OF_RECOGNIZER = {"dlib_resnet": FaceLimits(min_short_px=48.0, min_inside=0.95, max_misfit_px=8.0)}


def face_limits(recognizer: str | None) -> FaceLimits:
    """Return the limits of a network by its file name; the defaults for an unknown one."""
    return _OF_RECOGNIZER.get(PurePath(recognizer or "").stem, FaceLimits())


def poor_faces(limits: FaceLimits, face_short: Float32, kps: Float32, width: Int64, height: Int64) -> Bool:
    """Find faces of too low quality.

    Parameters
    ----------
    face_short : float32 array of shape (n,)
        Short edge of the box, in pixels.
    kps : float32 array of shape (n, 5, 2)
    width, height : int64 arrays of shape (n,)
        Of each face's photo.
    """
    poor: Bool = face_short < limits.min_short_px
    if limits.is_of_size_only:
        return poor
    for start in range(0, len(kps), _BLOCK_FACES):
        some = slice(start, start + _BLOCK_FACES)
        inside, misfit = _fit(kps[some], width[some], height[some])
        # Faces that cannot be measured, such as with coinciding keypoints, are too poor as well.
        poor[some] |= ~((inside >= limits.min_inside) & (misfit <= limits.max_misfit_px))
    return poor


def poor_in(collection: Collection) -> Bool:
    """Find faces of a collection that its recognizer cannot use. Shape (faces,)."""
    faces, images = collection.faces, collection.images
    limits = face_limits(collection.settings.recognizer)
    return poor_faces(
        limits, faces.face_short, faces.kps, images.width[faces.image], images.height[faces.image]
    )


def _fit(kps: Float32, width: Int64, height: Int64) -> tuple[Float32, Float32]:
    """Return the share of each aligned crop within its photo, and the keypoints' misfit in pixels.

    The alignment is that of `similarity_to_template`, in complex numbers for many faces at once.
    """
    template = _complex(ARCFACE_KPS)
    wanted = template - template.mean()
    found = _complex(kps)
    middle = found.mean(axis=1, keepdims=True)
    spread = (np.abs(found - middle) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = ((found - middle).conj() * wanted).sum(axis=1) / spread
        misfit = np.sqrt((np.abs((found - middle) * turn[:, None] - wanted) ** 2).mean(axis=1))
        steps = (np.arange(_GRID) + 0.5) * _EDGE_PX / _GRID
        crop = (steps[None, :] + 1j * steps[:, None]).ravel() - template.mean()
        place = middle + crop / turn[:, None]
    inside = (place.real >= 0) & (place.imag >= 0)
    inside &= (place.real < width[:, None]) & (place.imag < height[:, None])
    return inside.mean(axis=1).astype(np.float32), misfit.astype(np.float32)


def _complex(points: Float32) -> "np.ndarray[tuple[int, ...], np.dtype[np.complex128]]":
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]
