"""Learnt projections, of which one a model may be in use."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A head as the library knows it, without its network."""

    id: int
    model_id: int
    name: str
    dimension: int
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    active: bool
    made_at: datetime


def list_heads(connection: Connection) -> list[HeadRow]:
    """Every head, in the order in which they were made."""
    rows = connection.execute(
        """SELECT id, model_id, name, dimension, metrics, calibration, active, made_at
            FROM projection_heads ORDER BY id"""
    )
    return [HeadRow(*row) for row in rows]


def active_row(connection: Connection, model_id: int) -> tuple[HeadRow, bytes] | None:
    """The head in use for the vectors of a model, with its network; None where there is none."""
    row = connection.execute(
        """SELECT id, model_id, name, dimension, metrics, calibration, active, made_at, onnx
            FROM projection_heads WHERE model_id = %s AND active""",
        (model_id,),
    ).fetchone()
    return None if row is None else (HeadRow(*row[:-1]), bytes(row[-1]))


def keep_head(
    connection: Connection,
    model_id: int,
    kind: str,
    onnx: bytes,
    dimension: int,
    metrics: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> HeadRow:
    """Store a head as KIND-1, KIND-2 and so on; the same network again is the same head, with new figures."""
    found = connection.execute(
        """UPDATE projection_heads SET metrics = %s, calibration = %s WHERE model_id = %s AND onnx = %s
            RETURNING id, model_id, name, dimension, metrics, calibration, active, made_at""",
        (Jsonb(metrics), Jsonb(calibration), model_id, onnx),
    ).fetchone()
    if found is not None:
        return HeadRow(*found)
    number = connection.scalar(
        """SELECT coalesce(max(substring(name FROM '[0-9]+$')::integer), 0) + 1
            FROM projection_heads WHERE name ~ %s""",
        (f"^{kind}-[0-9]+$",),
    )
    made = connection.one(
        """INSERT INTO projection_heads (model_id, name, onnx, dimension, metrics, calibration)
            VALUES (%s, %s, %s, %s, %s, %s)
            RETURNING id, model_id, name, dimension, metrics, calibration, active, made_at""",
        (model_id, f"{kind}-{number}", onnx, dimension, Jsonb(metrics), Jsonb(calibration)),
    )
    return HeadRow(*made)


def use_head(connection: Connection, model_id: int, head: int | None) -> None:
    """Let this head be the one in use for the vectors of a model; None for the vectors themselves.

    Questions that were found by another one are looked for again.
    """
    connection.execute(
        "UPDATE projection_heads SET active = false WHERE model_id = %s AND active", (model_id,)
    )
    if head is not None:
        connection.execute("UPDATE projection_heads SET active = true WHERE id = %s", (head,))
    connection.execute("DELETE FROM question_runs WHERE model_id = %s", (model_id,))
