"""What is found out about a picture beyond its faces and its embedding: each kind is one stage.

A stage that is added here is part of `embed` and `index` alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from facesets.imaging.decode import Decoded
from facesets.operations.ingest.enrich import Landmarker, enrich_rows
from facesets.records import ImageRecord
from facesets.stopwatch import Stopwatch

Stage = Callable[[Decoded, ImageRecord], ImageRecord]
"""Returns the record with more in it. Its faces are in pixels of `Decoded.pixels`, which may be reduced."""


def stages(landmarker: Landmarker | None, stopwatch: Stopwatch) -> Sequence[Stage]:
    """The stages of a run, in their order.

    Parameters
    ----------
    landmarker : Landmarker, optional
        Adds landmarks and pose to new faces, as `enrich` does later.
    """

    def landmarks(decoded: Decoded, image: ImageRecord) -> ImageRecord:
        if landmarker is None or not len(image.faces):
            return image
        with stopwatch.stage("landmarks"):
            rows = np.arange(len(image.faces))
            return replace(image, faces=enrich_rows(decoded.pixels, image.faces, rows, landmarker))

    return [landmarks]
