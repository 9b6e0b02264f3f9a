"""What face models are made with, and whether they can be made: settled before anything is written."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from facesets.errors import Field, RecogniserMismatch, WrongUsage
from facesets.files import printable
from facesets.formats.face_models.face_model import LEAD_COLUMNS
from facesets.formats.face_models.kinds import CONSUMERS, OF_ONE_RECOGNISER, Format
from facesets.operations.models.consumers import PACK, RECOGNISER, is_of_swappers
from facesets.records import CacheSettings, Faces, Float32, Int64, Pixels


class FaceModeller(Protocol):
    """The models of a pack, for what face models hold."""

    @property
    def lead_columns(self) -> frozenset[str]:
        """Those of `LEAD_COLUMNS` that it can tell."""
        ...

    def with_lead_columns(self, pixels: Pixels, faces: Faces) -> Faces:
        """The faces of a picture with those columns."""
        ...

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Embeddings (n, d) of faces by their keypoints (n, 5, 2), not scaled to unit length."""
        ...


def require_recogniser(formats: Sequence[Format], models: CacheSettings, store: str) -> None:
    """Refuse formats whose consumers take every embedding for one of `w600k_r50`, unless it is.

    Raises
    ------
    RecogniserMismatch
    """
    keyed = [each for each in formats if each in OF_ONE_RECOGNISER]
    if not keyed or is_of_swappers(models):
        return
    *first, last = (CONSUMERS[each] for each in keyed)
    consumers = f"{', '.join(first)} and {last}" if first else last
    verb = "works" if len(keyed) == 1 else "work"
    left = [each for each in formats if each not in OF_ONE_RECOGNISER]
    rest = f"choose {Field('formats', ','.join(left))}" if left else "choose fsz, images or npz"
    raise RecogniserMismatch(
        f"{consumers} {verb} with embeddings of {RECOGNISER} as {PACK} has it, and the faces of {store} come "
        f"from {printable(models.recogniser)} of {printable(models.pack)}, so nothing is exported. Embed the "
        f"photos with {Field('pack', PACK)}, or {rest}."
    )


def require_lead_columns(modeller: FaceModeller, faces: Faces, rows: Int64) -> None:
    """Refuse ReActor's models where neither the pack nor the store tells what they hold of a face.

    Parameters
    ----------
    rows : int64 array
        The faces of the sets that are to be written.

    Raises
    ------
    WrongUsage
    """
    lacking = [
        name
        for name in LEAD_COLUMNS
        if name not in modeller.lead_columns
        and ((column := getattr(faces, name)) is None or not np.isfinite(column[rows]).all())
    ]
    if lacking:
        raise WrongUsage(
            f"ReActor's face models hold {', '.join(lacking)} as well, for which the pack has no model "
            f"and which some faces lack, so nothing is exported. Use a pack that has one, such as {PACK}, or "
            "leave safetensors out of the formats."
        )
