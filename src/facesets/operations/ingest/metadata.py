"""The stage that reads what a photo's file says beside its pixels."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from facesets.imaging.metadata.reader import READER_VERSION, read_metadata
from facesets.imaging.metadata.record import UNKNOWN_TIME
from facesets.operations.ingest.stages import Photo, Stage
from facesets.records import Finding, ImageRecord


def metadata_stage(clock: Callable[[], np.datetime64], *, trust_mtime: bool = False) -> Stage:
    """Make the stage `metadata`, which also says when the image was taken.

    Parameters
    ----------
    clock : callable
        Gives the time of now, of UTC: photos of later ones come from wrong clocks.
    trust_mtime : bool
        Where nothing else says it, a photo was taken when its file was last changed.
    """

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        changed = _changed(photo.path) if trust_mtime else UNKNOWN_TIME
        with photo.open() as file:
            found = read_metadata(file, photo.path, now=clock(), changed=changed, others=photo.others)
        return replace(image, taken=found.taken.astype("M8[s]")).with_finding(
            "metadata", Finding(READER_VERSION, found)
        )

    return Stage("metadata", READER_VERSION, look, needs_pixels=False)


def _changed(path: str) -> np.datetime64:
    """When a file was last changed, by this machine's clock; NaT where it is gone by now."""
    try:
        changed = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
        return np.datetime64(changed.astimezone().replace(tzinfo=None), "us")
    except (OSError, ValueError, OverflowError):
        return UNKNOWN_TIME
