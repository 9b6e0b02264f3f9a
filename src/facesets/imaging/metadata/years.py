"""The year in which a photo was taken: what its header says, else what its name says."""

from typing import IO

import numpy as np

from facesets.imaging.metadata.names import time_in_name
from facesets.imaging.metadata.reader import time_in_head
from facesets.imaging.metadata.times import FIRST_YEAR


def year_in_header(file: IO[bytes], *, latest: int) -> int:
    """Capture year by what is in an open file; 0 when it does not say. Reads the header only.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    return sane_year(time_in_head(file, now=_end_of(latest)), latest=latest)


def year_in_name(path: str, *, latest: int) -> int:
    """Capture year by a date in the file's name; 0 when there is none. Folders do not count."""
    return sane_year(time_in_name(path, latest=_end_of(latest)).time, latest=latest)


def sane_year(time: np.datetime64, *, latest: int) -> int:
    """The year of a time if a photo can be from it, else 0.

    Years before photography and after `latest` come from clocks that were never set.
    """
    if np.isnat(time):
        return 0
    year = int(time.astype("datetime64[Y]").astype(int)) + 1970
    return year if FIRST_YEAR <= year <= latest else 0


def _end_of(year: int) -> np.datetime64:
    return np.datetime64(f"{year}-12-31T00:00:00")
