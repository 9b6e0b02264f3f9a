"""Faces and their embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray

from facesets.errors import NotFound
from facesets.imaging.boxes import best_partners
from facesets.records import (
    Bool,
    Faces,
    Float32,
    ImageRecord,
    Int64,
    ordinals_in_image,
    unknown_column,
)
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import (
    FLOAT4,
    INT2,
    INT4,
    INT8,
    copy_in,
    copy_out,
    float4_array,
    gathered,
    values,
    vector,
)
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.photos.face_attributes import ATTRIBUTES, attribute_columns, insert_landmarks
from facesets.store.postgres.photos.images import new_ids

_FULL_AREA_PX2 = 40_000.0
_SAME_FACE_OVERLAP = 0.5
_BOX = ("x1", "y1", "x2", "y2")
_DETECTION = {
    "id": INT8,
    "image_id": INT8,
    "detector_id": INT2,
    "ordinal": INT4,
    **dict.fromkeys(_BOX, FLOAT4),
    "kps": float4_array(10),
    "det_score": FLOAT4,
    "quality": FLOAT4,
    "face_short": FLOAT4,
    "blur": FLOAT4,
    "pose": float4_array(3),
    "pose_source": INT2,
    "enrich_state": INT2,
    "norm": FLOAT4,
}
_COPY: LiteralString = """COPY face_detections (id, image_id, detector_id, ordinal, x1, y1, x2, y2, kps,
    det_score, quality, face_short, blur, pose, pose_source, enrich_state, norm"""


def library_quality(faces: Faces) -> Float32:
    """Return the rank of a face in [0, 1]: half its area, up to 40 000 px², half the detector's score."""
    edges = faces.box[:, 2:] - faces.box[:, :2]
    area = np.clip(edges.prod(axis=1) / _FULL_AREA_PX2, 0, 1)
    return np.asarray(area / 2 + np.clip(faces.det_score, 0, 1) / 2, np.float32)


def insert_faces(
    connection: Connection, detector: DetectorRow, images: Sequence[tuple[int, ImageRecord]]
) -> None:
    """Store the faces of images that this detector had not searched.

    If two transactions do so for one image, one fails with a unique violation and sees the other's faces when
    it is retried.
    """
    copy_in(
        connection,
        "COPY face_scans (image_id, detector_id) FROM STDIN (FORMAT BINARY)",
        {"image_id": INT8, "detector_id": INT2},
        {
            "image_id": np.array([image_id for image_id, _ in images], np.int64),
            "detector_id": np.full(len(images), detector.id),
        },
    )
    with_faces = [(image_id, record.faces) for image_id, record in images if len(record.faces)]
    if with_faces:
        owner = np.repeat(
            np.array([image_id for image_id, _ in with_faces], np.int64),
            [len(faces) for _, faces in with_faces],
        )
        faces = _without_twins(Faces.concatenate([faces for _, faces in with_faces]).with_image(owner))
        ordinals = ordinals_in_image(faces.image)
        ids = np.array(new_ids(connection, "face_detections", len(faces)), np.int64)
        _copy_faces(connection, detector, ids, faces, ordinals)


def _without_twins(faces: Faces) -> Faces:
    """Return the faces without duplicates in the same box of the same image."""
    place = np.concatenate(
        [faces.image[:, None], np.ascontiguousarray(faces.box).view(np.int32).astype(np.int64)], axis=1
    )
    _, first = np.unique(np.ascontiguousarray(place).view("V40")[:, 0], return_index=True)
    return faces if len(first) == len(faces) else faces.take(np.sort(first))


def _columns(detector: DetectorRow, ids: Int64, faces: Faces, ordinals: Int64) -> dict[str, NDArray[Any]]:
    count = len(faces)
    pose = faces.pose if faces.pose is not None else unknown_column("pose", count)
    zeros = np.zeros(count, np.int16)
    return {
        "id": ids,
        "image_id": faces.image,
        "detector_id": np.full(count, detector.id),
        "ordinal": ordinals,
        **{name: faces.box[:, i] for i, name in enumerate(_BOX)},
        "kps": faces.kps.reshape(-1, 10),
        "det_score": faces.det_score,
        "quality": library_quality(faces),
        "face_short": faces.face_short,
        "blur": faces.blur,
        "pose": pose,
        "pose_source": zeros if faces.pose_source is None else faces.pose_source,
        "enrich_state": zeros if faces.enrich_state is None else faces.enrich_state,
        "norm": unknown_column("norm", count) if faces.norm is None else faces.norm,
        **attribute_columns(faces),
    }


def _copy_faces(
    connection: Connection, detector: DetectorRow, ids: Int64, faces: Faces, ordinals: Int64
) -> None:
    columns = _columns(detector, ids, faces, ordinals)
    aged = np.isfinite(columns["age"])
    # No field may be null, so faces without age are copied separately.
    for rows, more, kinds in ((~aged, "", _DETECTION), (aged, ", age, sex, male", _DETECTION | ATTRIBUTES)):
        copy_in(
            connection,
            _COPY + more + ") FROM STDIN (FORMAT BINARY)",
            kinds,
            {name: columns[name][rows] for name in kinds},
        )
    copy_in(
        connection,
        "COPY face_embeddings (face_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8, "model_id": INT2, "embedding": vector(faces.dimension)},
        {"face_id": ids, "model_id": np.full(len(ids), detector.model_id), "embedding": faces.embedding},
    )
    insert_landmarks(connection, ids, faces)


def add_faces(
    connection: Connection, detector: DetectorRow, sha256: str, faces: Faces
) -> tuple[list[int], int]:
    """Store new faces of an image; known ones stay unchanged.

    Returns
    -------
    list of int, int
        The number of each face, known or new, without duplicates; and the number of new ones.

    Raises
    ------
    NotFound
        There is no such image.
    """
    # Other sessions that process the same image wait here.
    image_id = connection.scalar("SELECT id FROM images WHERE sha256 = %s FOR UPDATE", (sha256,))
    if image_id is None:
        raise NotFound("This photo is not in the library.")
    faces = _without_twins(faces.with_image(np.full(len(faces), image_id)))
    rows = connection.execute(
        """SELECT id, ordinal, x1, y1, x2, y2 FROM face_detections
            WHERE image_id = %s AND detector_id = %s ORDER BY id""",
        (image_id, detector.id),
    ).fetchall()
    known = np.array([face_id for face_id, *_ in rows], np.int64)
    there = np.array([box for _, _, *box in rows], np.float32).reshape(-1, 4)
    numbers = best_partners(faces.box, there, min_iou=_SAME_FACE_OVERLAP)
    fresh: Bool = numbers < 0
    numbers[~fresh] = known[numbers[~fresh]]
    connection.execute(
        "INSERT INTO face_scans (image_id, detector_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (image_id, detector.id),
    )
    if fresh.any():
        count = int(fresh.sum())
        numbers[fresh] = new_ids(connection, "face_detections", count)
        first = max((ordinal for _, ordinal, *_ in rows), default=-1) + 1
        ordinals = first + np.arange(count)
        _copy_faces(connection, detector, numbers[fresh], faces.take(fresh), ordinals)
    return numbers.tolist(), int(fresh.sum())


def replace_faces(connection: Connection, detector: DetectorRow, image_id: int, faces: Faces) -> None:
    """Store the faces of an image again. A face in the same place keeps its number and person."""
    faces = _without_twins(faces)
    rows = connection.execute(
        "SELECT id, x1, y1, x2, y2 FROM face_detections WHERE image_id = %s AND detector_id = %s",
        (image_id, detector.id),
    ).fetchall()
    known = np.array([face_id for face_id, *_ in rows], np.int64)
    there = np.array([box for _, *box in rows], np.float32).reshape(-1, 4)
    partner = best_partners(faces.box, there, min_iou=_SAME_FACE_OVERLAP)
    numbers = np.where(partner >= 0, known[partner] if len(known) else -1, -1)
    removed = np.setdiff1d(known, numbers).tolist()
    connection.execute("DELETE FROM face_detections WHERE id = ANY(%s::bigint[])", (removed,))
    connection.execute(
        """INSERT INTO face_scans (image_id, detector_id) VALUES (%s, %s)
            ON CONFLICT (image_id, detector_id) DO UPDATE SET scanned_at = now()""",
        (image_id, detector.id),
    )
    of_image = faces.with_image(np.full(len(faces), image_id))
    ordinals = np.arange(len(faces))
    fresh: Bool = numbers < 0
    new = of_image.take(fresh)
    if len(new):
        ids = np.array(new_ids(connection, "face_detections", len(new)), np.int64)
        _copy_faces(connection, detector, ids, new, ordinals[fresh])
    old = of_image.take(~fresh)
    if len(old):
        _update_faces(connection, detector, numbers[~fresh], old, ordinals[~fresh])


def _update_faces(
    connection: Connection, detector: DetectorRow, ids: Int64, faces: Faces, ordinals: Int64
) -> None:
    columns = _columns(detector, ids, faces, ordinals)
    rows: list[Mapping[str, object]] = [
        {name: column[i].tolist() for name, column in columns.items()}
        | {"model_id": detector.model_id, "embedding": faces.embedding[i]}
        for i in range(len(ids))
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            """UPDATE face_detections SET ordinal = %(ordinal)s, x1 = %(x1)s::real, y1 = %(y1)s::real,
                    x2 = %(x2)s::real, y2 = %(y2)s::real, kps = %(kps)s::real[],
                    det_score = %(det_score)s::real, quality = %(quality)s::real, blur = %(blur)s::real,
                    face_short = %(face_short)s::real, pose = %(pose)s::real[], pose_source = %(pose_source)s,
                    enrich_state = %(enrich_state)s, norm = coalesce(nullif(%(norm)s::real, 'NaN'), norm),
                    age = coalesce(nullif(%(age)s::real, 'NaN'), age),
                    male = coalesce(nullif(%(male)s::real, 'NaN'), male),
                    sex = coalesce(nullif(convert_from(%(sex)s, 'UTF8'), ''), sex)
                WHERE id = %(id)s""",
            rows,
        )
        cursor.executemany(
            """INSERT INTO face_embeddings (face_id, model_id, embedding)
                VALUES (%(id)s, %(model_id)s, %(embedding)s)
                ON CONFLICT (face_id) DO UPDATE SET model_id = excluded.model_id,
                    embedding = excluded.embedding""",
            rows,
        )
    insert_landmarks(connection, ids, faces)


def load_faces(connection: Connection, detector: DetectorRow, image_ids: Int64) -> Faces:
    """Load the faces of these images (ascending numbers), by image and ordinal; `image` is the row."""
    fields = {name: kind for name, kind in _DETECTION.items() if name not in ("detector_id", "quality")}
    fields |= {"age": FLOAT4, "male": FLOAT4}
    blocks = copy_out(
        connection,
        """COPY (SELECT id, image_id, ordinal, x1, y1, x2, y2, kps, det_score, face_short, blur, pose,
                pose_source, enrich_state, norm, coalesce(age, 'NaN'), coalesce(male, 'NaN')
            FROM face_detections WHERE detector_id = %(detector)s ORDER BY image_id, ordinal, id)
            TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id},
        fields,
    )
    wanted = [(name, np.int64 if kind in (INT2, INT4, INT8) else np.float32) for name, kind in fields.items()]
    columns = gathered(blocks, wanted)
    row = np.searchsorted(image_ids, columns["image_id"]) if len(image_ids) else np.zeros(0, np.int64)
    there = np.zeros(len(columns["id"]), bool)
    if len(image_ids):
        row = np.minimum(row, len(image_ids) - 1)
        there = image_ids[row] == columns["image_id"]
    embedding, found = load_embeddings(connection, detector, columns["id"][there])
    selected = np.flatnonzero(there)[found]
    return Faces(
        image=row[selected].astype(np.int64),
        box=np.stack([columns[name][selected] for name in _BOX], axis=1),
        kps=columns["kps"][selected].reshape(-1, 5, 2),
        det_score=columns["det_score"][selected],
        embedding=embedding if found.all() else embedding[found],
        face_short=columns["face_short"][selected],
        blur=columns["blur"][selected],
        **_optional(connection, columns, selected),
    )


def load_embeddings(connection: Connection, detector: DetectorRow, face_ids: Int64) -> tuple[Float32, Bool]:
    """Load the embeddings of these faces, in order, and which of them have one.

    The table is read once in physical order, which is several times faster than any other.
    """
    order = np.argsort(face_ids)
    ascending = face_ids[order]
    dimension = detector.settings.dimension
    embedding = np.zeros((len(face_ids), dimension), np.float32)
    found = np.zeros(len(face_ids), bool)
    blocks = copy_out(
        connection,
        """COPY (SELECT e.face_id, e.embedding FROM face_embeddings e
            WHERE e.model_id = %(model)s AND vector_dims(e.embedding) = %(dimension)s)
            TO STDOUT (FORMAT BINARY)""",
        {"model": detector.model_id, "dimension": dimension},
        {"face_id": INT8, "embedding": vector(dimension)},
    )
    for rows in blocks:
        ids = rows["face_id"].astype(np.int64)
        place = np.searchsorted(ascending, ids)
        mine = place < len(ascending)
        mine[mine] = ascending[place[mine]] == ids[mine]
        target = order[place[mine]]
        embedding[target] = values(rows, "embedding")[mine]
        found[target] = True
    return embedding, found


def _optional(connection: Connection, columns: dict[str, NDArray[Any]], selected: Int64) -> dict[str, Any]:
    """Return the columns that some face has."""
    optional: dict[str, Any] = {}
    pose = columns["pose"][selected]
    if np.isfinite(pose).any() or columns["pose_source"][selected].any():
        optional["pose"] = pose
        optional["pose_source"] = columns["pose_source"][selected].astype(np.uint8)
    if columns["enrich_state"][selected].any():
        optional["enrich_state"] = columns["enrich_state"][selected].astype(np.uint8)
    if np.isfinite(columns["norm"][selected]).any():
        optional["norm"] = columns["norm"][selected]
    if np.isfinite(columns["age"][selected]).any():
        optional |= {name: columns[name][selected] for name in ("age", "male")}
    place = {int(face_id): i for i, face_id in enumerate(columns["id"][selected])}
    for face_id, flat, solid in connection.execute(
        "SELECT face_id, landmark_2d_106, landmark_3d_68 FROM face_landmarks"
    ):
        if (i := place.get(face_id)) is None:
            continue
        for name, numbers in (("landmark_2d_106", flat), ("landmark_3d_68", solid)):
            if numbers is not None:
                column = optional.setdefault(name, unknown_column(name, len(selected)))
                column[i] = np.array(numbers, np.float32).reshape(column.shape[1:])
    return optional
