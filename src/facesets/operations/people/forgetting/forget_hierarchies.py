"""A person erased from saved hierarchies, which hold face numbers and densities but no embeddings.

A hierarchy works without deleted faces. So it stays for the other faces, and no number leads to the erased
person.
"""

from collections.abc import Sequence

import numpy as np

from facesets.errors import DamagedFile
from facesets.formats.hierarchy import packed, unpacked
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.hierarchies import arrays_of, drop_run, replace_arrays, runs_with

NO_FACE = 0
"""Placeholder for a face number; no face has it."""


def forget_in_hierarchies(connection: Connection, faces: Sequence[int]) -> None:
    """Remove face numbers from saved hierarchies; delete one that cannot be read."""
    for run in runs_with(connection, faces):
        try:
            result, face_id = unpacked(arrays_of(connection, run))
        except DamagedFile:
            drop_run(connection, run)
            continue
        left = np.where(np.isin(face_id, np.array(faces, np.int64)), NO_FACE, face_id)
        replace_arrays(connection, run, packed(result, left))
