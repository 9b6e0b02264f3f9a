"""Describe images with local face and CLIP models."""

from collections.abc import Sequence

from facesets.inference.clip_image import ClipVisual
from facesets.interfaces import Embedder
from facesets.records import CacheSettings, ClipModel, Description, Faces, Float32, Pixels, Wanted


class LocalDescriber:
    """A `Describer` of up to two parts. May be called from several threads at once."""

    def __init__(self, faces: Embedder | None, clip: ClipVisual | None) -> None:
        """Combine a face embedder and an image embedder; either is optional."""
        self._faces = faces
        self._clip = clip

    @property
    def faces_from(self) -> CacheSettings | None:
        """Return the models of the faces."""
        return self._faces.settings if self._faces is not None else None

    @property
    def clip_from(self) -> ClipModel | None:
        """Return the model that embeds whole images."""
        return self._clip.model if self._clip is not None else None

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Describe each image with the available parts.

        Raises
        ------
        CannotInfer
            A model failed.
        """
        for_faces = [i for i, each in enumerate(wanted) if each.faces and self._faces is not None]
        for_clip = [i for i, each in enumerate(wanted) if each.clip and self._clip is not None]
        faces_of: dict[int, Faces] = {}
        clip_of: dict[int, Float32] = {}
        if self._faces is not None and for_faces:
            faces_of.update(zip(for_faces, self._faces.embed([pictures[i] for i in for_faces]), strict=True))
        if self._clip is not None and for_clip:
            clip_of.update(zip(for_clip, self._clip.embeddings([pictures[i] for i in for_clip]), strict=True))
        return [Description(faces_of.get(i), clip_of.get(i)) for i in range(len(pictures))]
