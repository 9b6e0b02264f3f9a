"""The server's face boxes, in pixels of the original."""

from collections.abc import Sequence
from dataclasses import dataclass

from facesets.remote.immich_records import Asset, ServerFace


@dataclass(frozen=True, slots=True)
class StagedFace:
    """A face of the server's, as the queue names it: the box in pixels of the upright original."""

    id: str
    person_id: str
    person: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ScaledFaces:
    """The faces of one asset.

    Attributes
    ----------
    faces : list of StagedFace
        Empty where the original's size is unknown: then boxes cannot be scaled.
    largest_short_px : float or None
        Short edge of the face whose short edge is longest, in pixels of the original; None when there
        are faces but their size is unknown.
    """

    faces: list[StagedFace]
    largest_short_px: float | None


def scaled(asset: Asset, found: Sequence[ServerFace]) -> ScaledFaces:
    """Scale the server's boxes from its preview to the original.

    The server's width and height of an original may be those before its orientation is applied; the
    preview is upright, so that the two differ in which of them is longer.
    """
    if not found:
        return ScaledFaces([], 0.0)
    faces = []
    for face in found:
        size = _upright_size(asset, face)
        if size is None:
            return ScaledFaces([], None)
        across, down = size[0] / face.width, size[1] / face.height
        x1, y1, x2, y2 = face.box
        box = (x1 * across, y1 * down, x2 * across, y2 * down)
        faces.append(StagedFace(face.id, face.person_id, face.person_name, tuple(round(c, 1) for c in box)))  # type: ignore[arg-type]
    return ScaledFaces(faces, max(_short_edge(face.box) for face in faces))


def _upright_size(asset: Asset, face: ServerFace) -> tuple[int, int] | None:
    if not (asset.width and asset.height and face.width and face.height):
        return None
    turned = (asset.width > asset.height) != (face.width > face.height) and asset.width != asset.height
    return (asset.height, asset.width) if turned else (asset.width, asset.height)


def _short_edge(box: tuple[float, float, float, float]) -> float:
    return max(min(box[2] - box[0], box[3] - box[1]), 0.0)
