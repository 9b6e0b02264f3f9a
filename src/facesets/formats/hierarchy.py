"""A stored run of HDBSCAN as bytes: a compressed npz archive of plain arrays, without any embedding.

Besides the arrays of `HdbscanResult.to_arrays` it holds `face_id` (int64): the faces in the order of the run.
"""

import io
import zipfile
import zlib

import numpy as np

from facesets.clustering import HdbscanResult
from facesets.errors import Command, DamagedFile, Field
from facesets.records import Int64


def packed(result: HdbscanResult, face_id: Int64) -> bytes:
    """Convert a run to bytes; equal runs give equal bytes."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, face_id=face_id, **result.to_arrays())
    return file.getvalue()


def unpacked(content: bytes) -> tuple[HdbscanResult, Int64]:
    """Return a packed run, and its faces.

    Raises
    ------
    DamagedFile
        The content is not a valid packed run.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        result = HdbscanResult.from_arrays(arrays)
        face_id: Int64 = arrays["face_id"].astype(np.int64).reshape(result.labels.shape)
    except (ValueError, KeyError, IndexError, TypeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        again = Command("cluster", Field("method", "hdbscan"), Field("full"))
        raise DamagedFile(f"The saved hierarchy cannot be read. Rebuild it: {again}.") from error
    return result, face_id
