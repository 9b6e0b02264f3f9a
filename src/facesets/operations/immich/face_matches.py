"""Match our faces with the server's faces in the same photo."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from facesets.imaging.boxes import best_partners
from facesets.operations.immich.local_people import LocalPhoto
from facesets.remote.immich_people import FaceBox
from facesets.remote.immich_records import ServerFace, ServerPerson

_MIN_IOU = 0.5
_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """One of our faces in an asset.

    Attributes
    ----------
    person : int
        Index into our people; -1 for an unassigned face.
    face : ServerFace or None
        The server's face at the same place.
    box : FaceBox
        Our face's box, in the server's form.
    """

    asset: str
    person: int
    face: ServerFace | None
    box: FaceBox


class MatchCounts:
    """Counts how often each of our people matches each of the server's."""

    def __init__(self, seen: Iterable[FaceMatch]) -> None:
        """Count the matches."""
        self.people: dict[str, ServerPerson] = {}
        self._assets: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._votes: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._identified: Counter[str] = Counter()
        for each in seen:
            if each.face is None or each.face.person is None or each.person < 0:
                continue
            theirs = each.face.person
            self.people[theirs.id] = theirs
            self._votes[each.person][theirs.id] += 1
            self._identified[theirs.id] += 1
            self._assets[each.person, theirs.id].add(each.asset)

    def votes(self, person: int) -> Counter[str]:
        """Return the server's people that match one of ours, with numbers of faces."""
        return self._votes[person]

    def purity(self, person: int, theirs: str) -> float:
        """Return the share of a server person's identified faces that match this person."""
        return self._votes[person][theirs] / max(self._identified[theirs], 1)

    def assets(self, person: int, theirs: str) -> set[str]:
        """Return the assets in which one of our people matches this server person."""
        return self._assets[person, theirs]


def match_faces(asset: str, photo: LocalPhoto, faces: Sequence[ServerFace]) -> list[FaceMatch] | None:
    """Match our faces of a photo with the server's, one to one, largest overlap first.

    None if the server's picture differs from ours, as for an edited photo.
    """
    usable = [face for face in faces if face.id and face.width and face.height]
    if any(not _same_picture(photo, face) for face in usable):
        return None
    partners = _best_overlaps(photo, usable)
    return [
        FaceMatch(asset, person, usable[j] if (j := partners.get(i)) is not None else None, box)
        for i, (person, box) in enumerate(
            zip(photo.person.tolist(), _server_boxes(photo, usable), strict=True)
        )
    ]


def _same_picture(photo: LocalPhoto, face: ServerFace) -> bool:
    ours, theirs = photo.width / max(photo.height, 1), face.width / face.height
    return abs(ours / theirs - 1) <= _ASPECT_TOLERANCE + 1 / min(face.width, face.height)


def _best_overlaps(photo: LocalPhoto, faces: Sequence[ServerFace]) -> dict[int, int]:
    """Return the matching server face for each of our faces, by row."""
    if not faces or not len(photo.box):
        return {}
    scale = np.array([photo.width, photo.height] * 2, np.float32)
    theirs = np.array(
        [np.array(face.box) / (face.width, face.height, face.width, face.height) for face in faces],
        np.float32,
    )
    partner = best_partners(photo.box, theirs * scale, min_iou=_MIN_IOU)
    return {i: j for i, j in enumerate(partner.tolist()) if j >= 0}


def _server_boxes(photo: LocalPhoto, faces: Sequence[ServerFace]) -> list[FaceBox]:
    """Return our boxes in pixels of the server's preview, or of our image."""
    width, height = (faces[0].width, faces[0].height) if faces else (photo.width, photo.height)
    across, down = width / max(photo.width, 1), height / max(photo.height, 1)
    boxes = []
    for x1, y1, x2, y2 in photo.box.tolist():
        left, right = (min(max(round(x * across), 0), width) for x in (x1, x2))
        top, bottom = (min(max(round(y * down), 0), height) for y in (y1, y2))
        boxes.append(FaceBox(left, top, max(right - left, 1), max(bottom - top, 1), width, height))
    return boxes
