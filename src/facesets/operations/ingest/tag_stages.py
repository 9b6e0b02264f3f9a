"""Tags of photos and faces by CLIP: the stages `scene` and `face-tags`, and what their versions say."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from facesets.errors import ServiceFailed, UnreadableImage
from facesets.inference.zero_shot import Tagged, TagVectors, ZeroShot
from facesets.library_records import FoundTags, StoredCategory, TagTarget
from facesets.operations.ingest.stages import Photo, Stage
from facesets.records import ClipModel, Finding, Float32, ImageRecord, Pixels

STAGE_OF: dict[TagTarget, str] = {"scene": "scene", "face": "face-tags"}
"""The stage that tags each target."""

_MARGIN = 0.25
_DIGITS = 8

Embed: TypeAlias = Callable[[Sequence[Pixels]], Float32]
"""Pictures to their vectors by a CLIP model, (n, d)."""


@dataclass(frozen=True, slots=True)
class Tagger:
    """What tags photos, or faces: the categories about them as vectors of one model."""

    target: TagTarget
    model: ClipModel
    dimension: int
    logit_scale: float
    categories: tuple[StoredCategory, ...]
    vectors: tuple[TagVectors, ...]

    @property
    def stage(self) -> str:
        """The stage that it does."""
        return STAGE_OF[self.target]

    @property
    def version(self) -> str:
        """Of the stage: names all that its tags depend on."""
        return tags_version(self.model, self.logit_scale, self.categories)

    def changed_since(self, version: str) -> list[int]:
        """Places of the categories whose tags another version made differently, or not at all."""
        made_by, then = _parts(version)
        now_by, now = _parts(self.version)
        return [
            place
            for place, each in enumerate(self.categories)
            if made_by != now_by or then.get(each.category.name) != now[each.category.name]
        ]

    def some(self, places: Sequence[int]) -> ZeroShot:
        """Only these categories."""
        return ZeroShot([self.vectors[place] for place in places], self.logit_scale)


def tags_version(model: ClipModel, logit_scale: float, categories: Sequence[StoredCategory]) -> str:
    """A version as text: the model, its logit scale, and each category with the start of its fingerprint."""
    digest = hashlib.sha256(model.sha256.encode()).hexdigest()[:_DIGITS]
    parts = sorted(f"{each.category.name} {each.fingerprint[:_DIGITS]}" for each in categories)
    return f"{model.name} {digest} x{logit_scale:g}; {', '.join(parts)}"


def _parts(version: str) -> tuple[str, dict[str, str]]:
    made_by, _, categories = version.rpartition("; ")
    pairs = (part.rpartition(" ") for part in categories.split(", "))
    return made_by, {name: fingerprint for name, _, fingerprint in pairs}


def scene_stage(tagger: Tagger) -> Stage:
    """The stage that tags new photos by the embedding that the same run made of them."""
    zero_shot = ZeroShot(tagger.vectors, tagger.logit_scale)

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:  # noqa: ARG001 - the embedding will do
        if image.clip is None:
            return image
        return _with_tags(image, tagger, zero_shot.tags(image.clip[None]))

    return Stage(tagger.stage, tagger.version, look, needs_pixels=False)


def _with_tags(
    image: ImageRecord, tagger: Tagger, found: Tagged, vectors: Float32 | None = None
) -> ImageRecord:
    row, tag, confidence = (tuple(column.tolist()) for column in found)
    value = FoundTags(tagger.model, tagger.dimension, row, tag, confidence, vectors)
    return image.with_finding(tagger.stage, Finding(tagger.version, value))


def face_stage(tagger: Tagger, embed: Embed) -> Stage:
    """The stage that tags faces by CLIP of the crops around them."""
    zero_shot = ZeroShot(tagger.vectors, tagger.logit_scale)

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if not image.searched:
            return image
        vectors = np.empty((0, tagger.dimension), np.float32)
        if len(image.faces):
            try:
                vectors = embed([face_crop(photo.pixels, box) for box in image.faces.box])
            except ServiceFailed as error:
                raise UnreadableImage(str(error)) from error
        return _with_tags(image, tagger, zero_shot.tags(vectors), vectors)

    return Stage(tagger.stage, tagger.version, look, of_faces=True)


def face_crop(pixels: Pixels, box: Float32) -> Pixels:
    """The part of a picture around a face: its box with a quarter of its edges more on each side."""
    low, high = box[:2], box[2:]
    margin = (high - low) * _MARGIN
    size = np.array([pixels.shape[1], pixels.shape[0]])
    left, top = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), [left + 1, top + 1], size).astype(int)
    return np.ascontiguousarray(pixels[top:bottom, left:right])
