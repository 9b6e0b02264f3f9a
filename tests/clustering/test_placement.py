"""What automatic clustering tells of its result, in words."""

import numpy as np

from facesets.clustering.calibration import Calibration
from facesets.clustering.placement import Placement, describe


def test_one_is_spoken_of_as_one() -> None:
    measured = Calibration(0.6, 0.1, 0.1, 9, "measured here")
    once = np.array([Placement.CORE, Placement.INCOHERENT, Placement.POOR], np.uint8)
    said = " ".join(describe(measured, once, 1, 1))
    for words in (
        "1 face is certain",
        "1 face is noise",
        "1 face shows too little",
        "1 pair of faces was kept",
    ):
        assert words in said
    several = " ".join(describe(measured, np.tile(once, 2), 2, 2))
    for words in (
        "2 faces are certain",
        "2 faces are noise",
        "2 faces show too little",
        "2 pairs of faces were",
    ):
        assert words in several
