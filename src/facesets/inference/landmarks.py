"""Add dense landmarks and pose, by insightface's post-processing on our sessions."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from insightface.app.common import Face
from insightface.model_zoo.landmark import Landmark

from facesets.inference.model_files import LANDMARK_2D_106, LANDMARK_3D_68
from facesets.inference.packs import ModelPack
from facesets.inference.session import CPU, Session, in_turn
from facesets.records import Faces, Float32, Pixels

# insightface uses the old name of a scikit-image function.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"insightface\.")


class Landmarks:
    """The landmark models of a pack; a pack may have none."""

    def __init__(self, pack: ModelPack, *, provider: str = CPU, threads: int = 1) -> None:
        """Load the available models. Raises `CannotInfer`."""
        self._models: dict[str, Any] = {}
        self._turn = in_turn(provider)
        for task in (LANDMARK_2D_106, LANDMARK_3D_68):
            model = pack.models.get(task)
            if model is not None:
                session = Session(model.path, provider, threads=threads).raw
                self._models[task] = Landmark(str(model.path), session)

    def add(self, pixels: Pixels, faces: Faces) -> Faces:
        """Add `landmark_2d_106`, `landmark_3d_68` and `pose` to faces, as far as the pack has models.

        Parameters
        ----------
        pixels : uint8 array of shape (h, w, 3)
        faces : Faces
            Of this picture.
        """
        if not self._models or not len(faces):
            return faces
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        found = [self._found(bgr, box) for box in faces.box]
        columns: dict[str, Any] = {
            name: np.stack([np.asarray(face[name], np.float32) for face in found])
            for name in (*self._models, "pose")
            if name in found[0]
        }
        return replace(faces, **columns)

    def _found(self, bgr: Pixels, box: Float32) -> Any:  # noqa: ANN401 - insightface's own type
        face = Face(bbox=box)
        with self._turn:
            for model in self._models.values():
                model.get(bgr, face)
        return face
