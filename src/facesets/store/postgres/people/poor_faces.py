"""How much the library's faces show of who somebody is."""

from typing import Any
from uuid import UUID

import numpy as np

from facesets.clustering.poor_faces import HowMuch, Shows, how_much_faces_show, norm_limits
from facesets.clustering.recognisers import NormLimits, recogniser_named
from facesets.imaging.poor_faces import face_limits, poor_faces
from facesets.records import Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT4, INT8, copy_out, float4_array, gathered
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.assignable import sample_vectors

_SAMPLE_FACES = 8000
_MORE = 1.1
"""Limits are measured again once so many times as many faces have a norm."""


def library_norm_limits(connection: Connection, detector: DetectorRow) -> NormLimits | None:
    """From which norms on faces of this detector show enough, as known or kept; see `norm_limits`."""
    known = recogniser_named(detector.settings.recogniser)
    if known.norm_limits is not None or not known.norm_tells:
        return known.norm_limits
    founding, joining, _ = _kept_limits(connection, detector)
    return None if founding is None else NormLimits(round(founding, 1), round(joining, 1))


def keep_norm_limits(connection: Connection, detector: DetectorRow) -> None:
    """Measure and keep the limits of a recogniser that nobody measured, unless what is kept is current."""
    name = detector.settings.recogniser
    known = recogniser_named(name)
    if known.norm_limits is not None or not known.norm_tells:
        return
    faces = connection.scalar(
        "SELECT count(*) FROM face_detections WHERE detector_id = %s AND norm <> 'NaN'", (detector.id,)
    )
    if faces <= _MORE * _kept_limits(connection, detector)[2]:
        return
    image, norm, vectors = sample_vectors(connection, detector, _SAMPLE_FACES)
    # Limits that were seen once stay, should a few faces hide them again.
    found = norm_limits(name, vectors, norm, image)
    connection.execute(
        """UPDATE models SET norm_faces = %s, norm_founding = coalesce(%s, norm_founding),
                norm_joining = coalesce(%s, norm_joining) WHERE id = %s""",
        (faces, *((None, None) if found is None else (found.founding, found.joining)), detector.model_id),
    )


def _kept_limits(connection: Connection, detector: DetectorRow) -> tuple[Any, ...]:
    return connection.one(
        "SELECT norm_founding, norm_joining, norm_faces FROM models WHERE id = %s", (detector.model_id,)
    )


def how_much_they_show(
    connection: Connection, detector: DetectorRow, face_ids: Int64, limits: NormLimits | None = None
) -> HowMuch:
    """How much each of these faces shows (`Shows`): nothing where it is gone by now. Shape (n,).

    `limits` are those of the library where they are known already.
    """
    limits = limits or library_norm_limits(connection, detector)
    only = int(face_ids[0]) if len(face_ids) == 1 else None
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.norm, f.face_short, f.kps, i.width, i.height
            FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.detector_id = %(detector)s AND (%(only)s::bigint IS NULL OR f.id = %(only)s::bigint)
            ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id, "only": only},
        {
            "id": INT8,
            "norm": FLOAT4,
            "short": FLOAT4,
            "kps": float4_array(10),
            "width": INT4,
            "height": INT4,
        },
    )
    columns = [(name, np.float32) for name in ("norm", "short", "kps")]
    found = gathered(blocks, [*columns, *((name, np.int64) for name in ("id", "width", "height"))])
    there = np.isin(face_ids, found["id"])
    place = np.searchsorted(found["id"], face_ids[there])
    found = {name: column[place] for name, column in found.items()}
    poor = poor_faces(
        face_limits(detector.settings.recogniser),
        found["short"],
        found["kps"].reshape(-1, 5, 2),
        found["width"],
        found["height"],
    )
    shows = np.full(len(face_ids), Shows.NOTHING, np.uint8)
    shows[there] = how_much_faces_show(found["norm"], limits, poor)
    return shows


def people_shown_by_nothing(connection: Connection, detector: DetectorRow) -> list[UUID]:
    """People all of whose faces show nothing of who they are: they draw no new faces."""
    limits = library_norm_limits(connection, detector)
    if limits is None:
        return []
    return connection.scalars(
        """SELECT person_id FROM face_detections WHERE detector_id = %s AND person_id IS NOT NULL
            GROUP BY 1 HAVING bool_and(norm < %s::real)""",
        (detector.id, limits.joining),
    )
