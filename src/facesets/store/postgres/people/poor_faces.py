"""Which faces of the library show too little to tell who somebody is."""

import numpy as np

from facesets.imaging.poor_faces import face_limits, poor_faces
from facesets.records import Bool, Int64
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.copying import FLOAT4, INT4, INT8, copy_out, float4_array, gathered
from facesets.store.postgres.models import DetectorRow


def poor_among(connection: Connection, detector: DetectorRow, face_ids: Int64) -> Bool:
    """Which of these faces (ascending numbers) show too little. Shape (n,)."""
    limits = face_limits(detector.settings.recogniser)
    if limits.is_of_size_only:
        small = connection.execute(
            "SELECT id FROM face_detections WHERE detector_id = %s AND face_short < %s",
            (detector.id, limits.least_short_px),
        )
        return np.isin(face_ids, np.array([face for (face,) in small], np.int64))
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.face_short, f.kps, i.width, i.height
            FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.detector_id = %(detector)s
            ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id},
        {"id": INT8, "short": FLOAT4, "kps": float4_array(10), "width": INT4, "height": INT4},
    )
    of_column = {
        "id": np.int64,
        "short": np.float32,
        "kps": np.float32,
        "width": np.int64,
        "height": np.int64,
    }
    found = gathered(blocks, list(of_column.items()))
    place = np.searchsorted(found["id"], face_ids)
    kps = found["kps"][place].reshape(-1, 5, 2)
    return poor_faces(limits, found["short"][place], kps, found["width"][place], found["height"][place])


def is_poor(connection: Connection, detector: DetectorRow, face: int) -> bool:
    """Whether one face shows too little."""
    short, kps, width, height = only_row(
        connection.execute(
            """SELECT f.face_short, f.kps, i.width, i.height
                FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.id = %s""",
            (face,),
        )
    )
    return bool(
        poor_faces(
            face_limits(detector.settings.recogniser),
            np.array([short], np.float32),
            np.array(kps, np.float32).reshape(1, 5, 2),
            np.array([width], np.int64),
            np.array([height], np.int64),
        )[0]
    )
