"""Cut crops in which a detector finds only one face, the right one.

Consumers of face sets average every face that they find, so a bystander spoils the person's face. These are
tried in order: the requested square; tighter squares; bystanders painted over; and, if no face is found,
wider squares. If nothing helps, the face is refused with the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facesets.formats.crops import Square, cut, overlaps, paint_over, square_around, wide_square
from facesets.imaging.boxes import iou
from facesets.interfaces import Embedder
from facesets.records import Faces, Float32, Pixels
from facesets.results.gates import ANOTHER_FACE, NO_FACE_FOUND, SEVERAL_FACES, Gate

_TIGHTER = (0.7, 0.45, 0.25, 0.1)
_WIDER = (1.0, 1.6, 2.4)
# A face that is found again in a resized crop has moved by a few pixels, not by half its width.
_MIN_OVERLAP = 0.3


@dataclass(frozen=True, slots=True)
class Subject:
    """A face in its picture.

    Attributes
    ----------
    pixels : uint8 array of shape (h, w, 3)
    box : float32 array of shape (4,)
    embedding : float32 array of shape (d,)
        As cached.
    """

    pixels: Pixels
    box: Float32
    embedding: Float32


@dataclass(frozen=True, slots=True)
class CropRules:
    """How crops are made and judged.

    `max_cosine_distance` is from the cached embedding. The subject must reach `min_subject_score`;
    bystanders count from the embedder's own limit on, which should be lower, as a margin for consumers
    with another detector.
    """

    size: int
    pad_ratio: float
    max_cosine_distance: float
    min_subject_score: float


@dataclass(frozen=True, slots=True)
class SingleFace:
    """A crop that passed. `masked` counts bystanders painted over; `found` is the one face in it."""

    crop: Pixels
    square: Square
    masked: int
    cosine_similarity: float
    found: Faces


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no crop passed: the gate, the measured value, and the limit."""

    gate: Gate
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class _Look:
    """One crop and what a detector finds in it. `subject` is the row of the right face, or -1."""

    crop: Pixels
    square: Square
    masked: int
    faces: Faces
    subject: int
    cosine_similarity: float
    clear: bool

    @property
    def passes(self) -> bool:
        return len(self.faces) == 1 and self.subject == 0 and self.clear


def single_face_crops(
    subjects: Sequence[Subject], embedder: Embedder, rules: CropRules
) -> list[SingleFace | Refused]:
    """Cut out each face so that it is alone in its crop. First tries go to the embedder together.

    Parameters
    ----------
    embedder : Embedder
        With the consumer's detection settings, and the recognizer of the cached embeddings.
    """
    squares = [_square(subject, rules, 1.0) for subject in subjects]
    looks = _looks(subjects, squares, embedder, rules)
    return [
        _passed(look) if look.passes else _search(subject, look, embedder, rules)
        for subject, look in zip(subjects, looks, strict=True)
    ]


def _search(subject: Subject, first: _Look, embedder: Embedder, rules: CropRules) -> SingleFace | Refused:
    seen = [first]
    for look in _further_looks(subject, first, embedder, rules):
        if look.passes:
            return _passed(look)
        seen.append(look)
    for look in [look for look in seen if look.subject >= 0 and len(look.faces) > 1]:
        masked = _masked(subject, look, embedder, rules)
        if masked is not None and masked.passes:
            return _passed(masked)
    return _refused(seen, rules)


def _further_looks(subject: Subject, first: _Look, embedder: Embedder, rules: CropRules) -> Iterator[_Look]:
    tighter = [_square(subject, rules, share) for share in _TIGHTER]
    wider = [wide_square(subject.box, rules.pad_ratio * share) for share in _WIDER]
    bystanders = len(first.faces) > 1
    for square in [*tighter, *wider] if bystanders else [*wider, *tighter]:
        yield from _looks([subject], [square], embedder, rules)


def _square(subject: Subject, rules: CropRules, share: float) -> Square:
    height, width = subject.pixels.shape[:2]
    return square_around(subject.box, width, height, rules.pad_ratio * share)


def _looks(
    subjects: Sequence[Subject], squares: Sequence[Square], embedder: Embedder, rules: CropRules
) -> list[_Look]:
    crops = [cut(s.pixels, square, rules.size) for s, square in zip(subjects, squares, strict=True)]
    return [
        _judged(subject, crop, square, 0, faces, rules)
        for subject, crop, square, faces in zip(subjects, crops, squares, embedder.embed(crops), strict=True)
    ]


def _judged(
    subject: Subject, crop: Pixels, square: Square, masked: int, faces: Faces, rules: CropRules
) -> _Look:
    """Find the subject among the faces of a crop, by its place and its embedding."""
    if not len(faces):
        return _Look(crop, square, masked, faces, -1, float("nan"), clear=False)
    similarity = faces.embedding @ subject.embedding
    expected = square.box_to_crop(subject.box[None], rules.size)
    there = iou(expected, faces.box)[0] >= _MIN_OVERLAP
    best = int(np.argmax(np.where(there, similarity, -2)))
    right = bool(there[best]) and 1 - similarity[best] <= rules.max_cosine_distance
    clear = bool(faces.det_score[best] >= rules.min_subject_score)
    return _Look(crop, square, masked, faces, best if right else -1, float(similarity[best]), clear)


def _masked(subject: Subject, look: _Look, embedder: Embedder, rules: CropRules) -> _Look | None:
    """Paint over all faces except the subject; None if a bystander overlaps the subject."""
    own = look.faces.box[look.subject]
    others = np.delete(look.faces.box, look.subject, axis=0)
    if overlaps(own, others).any():
        return None
    crop = paint_over(look.crop, own, others)
    return _judged(subject, crop, look.square, len(others), embedder.embed([crop])[0], rules)


def _passed(look: _Look) -> SingleFace:
    return SingleFace(look.crop, look.square, look.masked, look.cosine_similarity, look.faces)


def _refused(seen: Sequence[_Look], rules: CropRules) -> Refused:
    """Return the reason of the crop that came closest."""
    with_subject = [look for look in seen if look.subject >= 0]
    alone = [look for look in with_subject if len(look.faces) == 1]
    if alone:
        best = max(float(look.faces.det_score[0]) for look in alone)
        return Refused(NO_FACE_FOUND, round(best, 4), rules.min_subject_score)
    if with_subject:
        return Refused(SEVERAL_FACES, min(len(look.faces) for look in with_subject), 1)
    with_faces = [look for look in seen if len(look.faces)]
    if with_faces:
        nearest = max(look.cosine_similarity for look in with_faces)
        return Refused(ANOTHER_FACE, round(1 - nearest, 4), rules.max_cosine_distance)
    return Refused(NO_FACE_FOUND, 0, rules.min_subject_score)
