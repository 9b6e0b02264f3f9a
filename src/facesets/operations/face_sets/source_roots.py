"""The part of a store whose photos lie below some folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.records import Collection, Int64
from facesets.sources.folders import FolderSource


def rows_under(collection: Collection, roots: Sequence[Path]) -> Int64:
    """Rows of the faces in images of which some path, canonical or alias, lies below one of the roots.

    Without roots that is every face.

    Raises
    ------
    WrongUsage
        A root is no folder, and the store has no photos from below it.
    """
    if not roots:
        return np.arange(len(collection.faces))
    below = np.zeros(len(collection.images), bool)
    for root in roots:
        folder = FolderSource(root)
        covered = [any(map(folder.covers, paths)) for paths in collection.images.paths]
        if not any(covered) and not root.is_dir():
            raise WrongUsage(
                f"There is no folder {printable(root)}, and no photos from there are known. Check the path."
            )
        below |= np.array(covered, bool)
    return np.flatnonzero(below[collection.faces.image])
