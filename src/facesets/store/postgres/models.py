"""The models of the embeddings."""

from dataclasses import dataclass

from facesets.library_records import ClipRow
from facesets.records import CacheSettings, ClipModel
from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class DetectorRow:
    """A detector as stored in the library."""

    id: int
    model_id: int
    settings: CacheSettings


def clip_models(connection: Connection) -> list[ClipRow]:
    """Return every CLIP model, the one with most images first."""
    rows = connection.execute(
        """SELECT id, name, sha256, dimension FROM models m
            WHERE kind = 'clip' AND EXISTS (SELECT FROM image_embeddings e WHERE e.model_id = m.id)"""
    ).fetchall()
    known = [ClipRow(number, ClipModel(name, sha256), size) for number, name, sha256, size in rows]
    if len(known) > 1:
        # Counting reads the whole table, which a search should avoid.
        counts: dict[int, int] = dict(
            connection.execute("SELECT model_id, count(*) FROM image_embeddings GROUP BY 1").fetchall()
        )
        known.sort(key=lambda row: (-counts.get(row.id, 0), row.id))
    return known


def find_clip_model(connection: Connection, model: ClipModel) -> int | None:
    """Return the number of a CLIP model, if it was ever used."""
    found: int | None = connection.scalar(
        "SELECT id FROM models WHERE kind = 'clip' AND sha256 = %s", (model.sha256,)
    )
    return found


def detectors(connection: Connection) -> list[DetectorRow]:
    """Return every detector ever used, the one with most images first."""
    rows = connection.execute(
        """SELECT d.id, d.model_id, d.pack, m.name, m.sha256, m.dimension, d.detector, d.detector_sha256,
                d.det_size, d.min_det_score
            FROM detectors d JOIN models m ON m.id = d.model_id ORDER BY d.id"""
    ).fetchall()
    if len(rows) > 1:
        # Counting reads the whole table, which a quick command should avoid.
        counts: dict[int, int] = dict(
            connection.execute("SELECT detector_id, count(*) FROM face_scans GROUP BY 1").fetchall()
        )
        rows.sort(key=lambda row: (-counts.get(row[0], 0), row[0]))
    return [DetectorRow(row[0], row[1], CacheSettings(*row[2:])) for row in rows]


def detector_of_face(connection: Connection, face: int) -> DetectorRow:
    """Return the detector that found a face."""
    number = connection.scalar("SELECT detector_id FROM face_detections WHERE id = %s", (face,))
    return next(each for each in detectors(connection) if each.id == number)


def usual_detector(connection: Connection) -> DetectorRow | None:
    """Return the detector that searched most images; None if there is none."""
    known = detectors(connection)
    return known[0] if known else None


def usual_settings(connection: Connection) -> CacheSettings | None:
    """Return the models that searched most images; None if there are none."""
    if connection.execute("SELECT FROM face_scans LIMIT 1").fetchone() is None:
        return None
    return detectors(connection)[0].settings


def find_detector(connection: Connection, settings: CacheSettings) -> DetectorRow | None:
    """Return the row of these settings, if they were ever used."""
    row = connection.execute(
        """SELECT d.id, m.id FROM detectors d JOIN models m ON m.id = d.model_id
            WHERE m.kind = 'face' AND m.sha256 = %(recognizer)s AND d.pack = %(pack)s
                AND d.detector = %(detector)s AND d.detector_sha256 = %(sha256)s
                AND d.det_size = %(size)s AND d.min_det_score = %(score)s""",
        _parameters(settings),
    ).fetchone()
    return None if row is None else DetectorRow(row[0], row[1], settings)


def ensure_detector(connection: Connection, settings: CacheSettings) -> DetectorRow:
    """Return the row of these settings, creating it if new."""
    found = find_detector(connection, settings)
    if found is None:
        name, sha256 = settings.recognizer, settings.recognizer_sha256
        model = ensure_model(connection, "face", name, sha256, settings.dimension)
        connection.execute(
            """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
                VALUES (%(model)s, %(pack)s, %(detector)s, %(sha256)s, %(size)s, %(score)s)
                ON CONFLICT DO NOTHING""",
            _parameters(settings) | {"model": model},
        )
        found = find_detector(connection, settings)
    if found is None:
        raise LookupError("the detector that was just stored is not there")
    return found


def _parameters(settings: CacheSettings) -> dict[str, object]:
    return {
        "recognizer": settings.recognizer_sha256,
        "pack": settings.pack,
        "detector": settings.detector,
        "sha256": settings.detector_sha256,
        "size": settings.det_size,
        "score": settings.min_det_score,
    }


def ensure_model(connection: Connection, kind: str, name: str, sha256: str, dimension: int) -> int:
    """Return the number of a model, creating it if new."""
    values = {"kind": kind, "name": name, "sha256": sha256, "dimension": dimension}
    find = "SELECT id FROM models WHERE kind = %(kind)s AND sha256 = %(sha256)s"
    number = connection.scalar(find, values)
    if number is None:
        connection.execute(
            """INSERT INTO models (kind, name, sha256, dimension)
                VALUES (%(kind)s, %(name)s, %(sha256)s, %(dimension)s) ON CONFLICT DO NOTHING""",
            values,
        )
        number = connection.scalar(find, values)
    return int(number)
