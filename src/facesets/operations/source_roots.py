"""The part of a store whose photos lie below some folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesets.records import Collection, Int64
from facesets.sources.folders import FolderSource


def rows_under(collection: Collection, roots: Sequence[Path]) -> Int64:
    """Rows of the faces in images of which some path, canonical or alias, lies below one of the roots.

    Without roots that is every face.
    """
    if not roots:
        return np.arange(len(collection.faces))
    folders = [FolderSource(root) for root in roots]
    below = np.array(
        [
            any(folder.covers(path) for path in paths for folder in folders)
            for paths in collection.images.paths
        ],
        bool,
    )
    return np.flatnonzero(below[collection.faces.image])
