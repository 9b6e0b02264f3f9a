"""Which faces a run is about: by their quality, and by when their photos were taken."""

from dataclasses import dataclass

import numpy as np

from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT2, INT8, copy_out, gathered
from facesets.store.postgres.models import DetectorRow


@dataclass(frozen=True, slots=True)
class FaceScope:
    """Of n faces the quality, from 0 to 1, and whether each was taken in the month that is asked for."""

    quality: Float32
    in_month: Bool

    def of(self, min_quality: float) -> Bool:
        """The faces that are meant. Shape (n,)."""
        meant: Bool = self.in_month & (self.quality >= min_quality)
        return meant

    def take(self, which: Bool) -> "FaceScope":
        """The same of some of the faces."""
        return FaceScope(self.quality[which], self.in_month[which])


def face_scope(
    connection: Connection, detector: DetectorRow, face_ids: Int64, month: str | None
) -> FaceScope:
    """What is known of these faces (ascending numbers); `month` is YYYY-MM, or None for any time."""
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.quality,
                (%(month)s::text IS NULL OR coalesce(to_char(i.taken, 'YYYY-MM') = %(month)s, false))
                    ::int::smallint
            FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.detector_id = %(detector)s ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"month": month, "detector": detector.id},
        {"id": INT8, "quality": FLOAT4, "in_month": INT2},
    )
    found = gathered(blocks, [("id", np.int64), ("quality", np.float32), ("in_month", np.bool_)])
    place = np.searchsorted(found["id"], face_ids)
    return FaceScope(found["quality"][place], found["in_month"][place])
