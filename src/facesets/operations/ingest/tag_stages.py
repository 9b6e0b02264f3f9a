"""Tags of photos and faces by CLIP: the steps `scene` and `face-tags`, and their versions."""

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
"""The step that tags each target."""

_MARGIN = 0.25
_DIGITS = 8

Embed: TypeAlias = Callable[[Sequence[Pixels]], Float32]
"""Returns the embeddings of images by a CLIP model, (n, d)."""


@dataclass(frozen=True, slots=True)
class Tagger:
    """Tags photos or faces: their categories as embeddings of one model."""

    target: TagTarget
    model: ClipModel
    dimension: int
    logit_scale: float
    categories: tuple[StoredCategory, ...]
    vectors: tuple[TagVectors, ...]

    @property
    def stage(self) -> str:
        """The step that it runs."""
        return STAGE_OF[self.target]

    @property
    def version(self) -> str:
        """The version of the step: everything that its tags depend on."""
        return tags_version(self.model, self.logit_scale, self.categories)

    def changed_since(self, version: str) -> list[int]:
        """Return the positions of categories whose tags another version lacks or makes differently."""
        made_by, then = _parts(version)
        now_by, now = _parts(self.version)
        return [
            place
            for place, each in enumerate(self.categories)
            if made_by != now_by or then.get(each.category.name) != now[each.category.name]
        ]

    def some(self, places: Sequence[int]) -> ZeroShot:
        """Return a tagger of only these categories."""
        return ZeroShot([self.vectors[place] for place in places], self.logit_scale)


def tags_version(model: ClipModel, logit_scale: float, categories: Sequence[StoredCategory]) -> str:
    """Return a version as text: the model, its logit scale, and each category's fingerprint."""
    digest = hashlib.sha256(model.sha256.encode()).hexdigest()[:_DIGITS]
    parts = sorted(f"{each.category.name} {each.fingerprint[:_DIGITS]}" for each in categories)
    return f"{model.name} {digest} x{logit_scale:g}; {', '.join(parts)}"


def _parts(version: str) -> tuple[str, dict[str, str]]:
    made_by, _, categories = version.rpartition("; ")
    pairs = (part.rpartition(" ") for part in categories.split(", "))
    return made_by, {name: fingerprint for name, _, fingerprint in pairs}


def scene_stage(tagger: Tagger) -> Stage:
    """Make the step that tags new photos by the embedding from the same run."""
    zero_shot = ZeroShot(tagger.vectors, tagger.logit_scale)

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:  # noqa: ARG001 - the embedding is enough
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
    """Make the step that tags faces by the CLIP embeddings of their crops."""
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
    """Crop an image around a face: its box, enlarged by a quarter on each side."""
    low, high = box[:2], box[2:]
    margin = (high - low) * _MARGIN
    size = np.array([pixels.shape[1], pixels.shape[0]])
    left, top = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), [left + 1, top + 1], size).astype(int)
    return np.ascontiguousarray(pixels[top:bottom, left:right])
