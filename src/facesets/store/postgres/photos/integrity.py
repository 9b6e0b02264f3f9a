"""Check and repair results of analysis steps that were edited by hand.

Doubtful results are deleted and become pending, so that the step computes them again. Paid results stay, and
are not paid again.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photos.description_ledger import (
    count_uncounted,
    recall_answers,
    recall_uncounted,
)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Invalid rows.

    Attributes
    ----------
    rows : str
        The SQL from `FROM` on; the table of these rows is `t`.
    repair : str
        The repair, in words.
    by : str
        The SQL that repairs them, with `{rows}` in it; without it they are deleted.
    """

    what: str
    rows: LiteralString
    table: LiteralString
    repair: str
    by: LiteralString = "DELETE FROM {table} x WHERE x.ctid IN (SELECT t.ctid {rows})"


_PENDING = "they become pending, and `index` with that step processes them again"
_NO_IMAGE: LiteralString = "FROM {table} t WHERE NOT EXISTS (SELECT FROM images i WHERE i.id = t.image_id)"
_NO_FACE: LiteralString = (
    "FROM {table} t WHERE NOT EXISTS (SELECT FROM face_detections f WHERE f.id = t.face_id)"
)
_NO_METADATA_STAGE: LiteralString = """FROM {table} t WHERE NOT EXISTS (SELECT FROM image_stages s
    WHERE s.image_id = t.image_id AND s.stage = 'metadata' AND s.status <> 'processing')"""
_COMPLETED: LiteralString = """FROM image_stages t WHERE t.status = 'completed' AND t.stage = """
_NO_FACE_WITH: LiteralString = """
    AND EXISTS (SELECT FROM face_detections f WHERE f.image_id = t.image_id)
    AND NOT EXISTS (SELECT FROM face_detections f WHERE f.image_id = t.image_id AND """

_WRONG = (
    _Wrong("analysis steps of photos that do not exist", _NO_IMAGE, "image_stages", "they are removed"),
    _Wrong(
        "photos with a step of an unknown version",
        """FROM image_stages t WHERE NOT EXISTS (SELECT FROM stage_versions v
            WHERE v.id = t.version_id AND v.stage = t.stage)""",
        "image_stages",
        _PENDING,
    ),
    *(
        _Wrong(f"results in {table} about photos that do not exist", _NO_IMAGE, table, "they are removed")
        for table in ("photo_metadata", "photo_extra", "bodies", "image_tags")
    ),
    *(
        _Wrong(f"results in {table} about faces that do not exist", _NO_FACE, table, "they are removed")
        for table in ("face_attributes", "face_tags", "face_clip_embeddings")
    ),
    _Wrong(
        "invalid coordinates",
        """FROM photo_metadata t WHERE (t.latitude IS NULL) <> (t.longitude IS NULL)
            OR t.latitude NOT BETWEEN -90 AND 90 OR t.longitude NOT BETWEEN -180 AND 180""",
        "photo_metadata",
        _PENDING,
    ),
    _Wrong(
        "photos without their row in photo_metadata",
        _COMPLETED
        + """'metadata' AND NOT EXISTS (SELECT FROM photo_metadata f WHERE f.image_id = t.image_id)""",
        "image_stages",
        _PENDING,
    ),
    *(
        _Wrong(f"results in {table} without a record of the step", _NO_METADATA_STAGE, table, _PENDING)
        for table in ("photo_metadata", "photo_extra")
    ),
    _Wrong(
        "photos with faces that lost their age",
        _COMPLETED + "'attributes'" + _NO_FACE_WITH + "f.age IS NOT NULL)",
        "image_stages",
        _PENDING,
    ),
    _Wrong(
        "photos with faces that lost the embedding of their crop",
        _COMPLETED
        + "'face-tags'"
        + _NO_FACE_WITH
        + "EXISTS (SELECT FROM face_clip_embeddings e WHERE e.face_id = f.id))",
        "image_stages",
        _PENDING,
    ),
    _Wrong(
        "bodies with a face of another photo",
        """FROM bodies t JOIN face_detections f ON f.id = t.face_id WHERE f.image_id <> t.image_id""",
        "bodies",
        "the bodies become bodies without a face",
        "UPDATE bodies x SET face_id = NULL WHERE x.ctid IN (SELECT t.ctid {rows})",
    ),
    _Wrong(
        "photos with a time that differs from their metadata",
        """FROM images t JOIN photo_metadata m ON m.image_id = t.id
            WHERE t.taken IS DISTINCT FROM date_trunc('second', m.taken)""",
        "images",
        "the time is set from the metadata",
        """UPDATE images i SET taken = date_trunc('second', m.taken) FROM photo_metadata m
            WHERE m.image_id = i.id AND i.id IN (SELECT t.id {rows})""",
    ),
    _Wrong(
        "descriptions of photos that do not exist",
        """FROM descriptions t WHERE t.image_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM images i WHERE i.id = t.image_id)""",
        "descriptions",
        "they are kept for when the photos come back",
        "UPDATE descriptions x SET image_id = NULL WHERE x.ctid IN (SELECT t.ctid {rows})",
    ),
    _Wrong(
        "photos marked as described without a description",
        _COMPLETED
        + """'describe' AND NOT EXISTS (SELECT FROM descriptions f WHERE f.image_id = t.image_id)""",
        "image_stages",
        "they are marked as failed and not sent again automatically",
        """UPDATE image_stages x SET status = 'failed', reason = 'the description was deleted by hand'
            WHERE x.ctid IN (SELECT t.ctid {rows})""",
    ),
)
_NOT_JOINED: LiteralString = """FROM descriptions t JOIN images i ON i.sha256 = t.sha256
    WHERE t.image_id IS DISTINCT FROM i.id"""


def _rows(each: _Wrong) -> sql.Composed:
    return sql.SQL(each.rows).format(table=sql.Identifier(each.table))


def wrong_findings(connection: Connection) -> list[tuple[str, int, str]]:
    """Return the problems, their counts, and the repairs of `repair_findings`."""
    found = [(each.what, _count(connection, _rows(each)), each.repair) for each in _WRONG]
    not_joined = _count(connection, sql.SQL(_NOT_JOINED))
    uncounted = count_uncounted(connection)
    return [
        *found,
        ("descriptions of the wrong photo", not_joined, "they are joined to the right photo"),
        ("photos sent to be described but not marked as sent", uncounted, "they are marked as sent"),
    ]


def _count(connection: Connection, rows: sql.Composable) -> int:
    return int(connection.scalar(sql.SQL("SELECT count(*) {}").format(rows)))


def repair_findings(connection: Connection) -> None:
    """Repair all of these problems."""
    for each in _WRONG:
        connection.execute(sql.SQL(each.by).format(table=sql.Identifier(each.table), rows=_rows(each)))
    recall_answers(connection, connection.scalars(sql.SQL("SELECT t.sha256 {}").format(sql.SQL(_NOT_JOINED))))
    recall_uncounted(connection)
