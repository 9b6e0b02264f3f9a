"""Saved runs of HDBSCAN, densities of faces, and faces that no run could place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT8, copy_in, copy_out, gathered

_RETAINED_RUNS = 2
"""Hierarchies to keep: the current one, and the one before, which undo restores."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with a saved hierarchy.

    Attributes
    ----------
    parameters : mapping
        Options that decided which faces took part, and how.
    faces, clusters, noise : int
        Faces that took part, clusters, and faces in none.
    """

    id: int
    parameters: Mapping[str, Any]
    faces: int
    clusters: int
    noise: int
    made_at: datetime


def store_run(
    connection: Connection,
    model_id: int,
    run_id: int | None,
    parameters: Mapping[str, Any],
    counts: tuple[int, int, int],
    arrays: bytes,
) -> int:
    """Save a run, with the numbers of its faces, clusters and noise; return its number.

    It becomes current when clusters refer to it; only the last two runs are stored.
    """
    number: int = connection.scalar(
        """INSERT INTO hdbscan_runs (model_id, run_id, parameters, faces, clusters, noise, arrays)
            VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id""",
        (model_id, run_id, json.dumps(dict(parameters)), *counts, arrays),
    )
    connection.execute(
        """DELETE FROM hdbscan_runs WHERE model_id = %(model)s AND id NOT IN (
                SELECT id FROM hdbscan_runs WHERE model_id = %(model)s ORDER BY id DESC LIMIT %(retained)s)
            AND id NOT IN (SELECT hdbscan_run_id FROM clusters WHERE hdbscan_run_id IS NOT NULL)""",
        {"model": model_id, "retained": _RETAINED_RUNS},
    )
    return number


def store_densities(
    connection: Connection, run: int, face_ids: Int64, density: Float32, outlier_score: Float32
) -> None:
    """Save the densities of faces in a run."""
    connection.execute(
        """CREATE TEMPORARY TABLE IF NOT EXISTS lying
            (face_id bigint, lambda real, outlier_score real) ON COMMIT DROP"""
    )
    connection.execute("TRUNCATE lying")
    copy_in(
        connection,
        "COPY lying (face_id, lambda, outlier_score) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8, "lambda": FLOAT4, "outlier_score": FLOAT4},
        {"face_id": face_ids, "lambda": density, "outlier_score": outlier_score},
    )
    # Faces may have been deleted since they were read.
    connection.execute(
        """INSERT INTO hdbscan_faces (hdbscan_run_id, face_id, lambda, outlier_score)
            SELECT %s, l.face_id, l.lambda, l.outlier_score FROM lying l
            JOIN face_detections f ON f.id = l.face_id ON CONFLICT DO NOTHING""",
        (run,),
    )


def run_in_force(connection: Connection, model_id: int) -> StoredRun | None:
    """Return the saved run that a model's clusters come from; None if there is none."""
    row = connection.execute(
        """SELECT id, parameters, faces, clusters, noise, made_at FROM hdbscan_runs
            WHERE id = (SELECT max(hdbscan_run_id) FROM clusters WHERE model_id = %s)""",
        (model_id,),
    ).fetchone()
    return None if row is None else StoredRun(*row)


def latest_parameters(connection: Connection, names: Sequence[str]) -> dict[str, Any] | None:
    """Return the parameters of the latest HDBSCAN run on the library; None if there was none."""
    options = connection.scalar(
        """SELECT options FROM runs WHERE command = 'cluster' AND options ->> 'method' = 'hdbscan'
                AND status = 'done' ORDER BY id DESC LIMIT 1"""
    )
    return None if options is None else {name: options[name] for name in names if name in options}


def arrays_of(connection: Connection, run: int) -> bytes:
    """Return the hierarchy of a saved run, as stored."""
    return bytes(connection.scalar("SELECT arrays FROM hdbscan_runs WHERE id = %s", (run,)))


def runs_with(connection: Connection, faces: Sequence[int]) -> list[int]:
    """Return the saved runs that some of these faces took part in or were tried in."""
    return connection.scalars(
        "SELECT DISTINCT hdbscan_run_id FROM hdbscan_faces WHERE face_id = ANY(%s::bigint[]) ORDER BY 1",
        (list(faces),),
    )


def replace_arrays(connection: Connection, run: int, arrays: bytes) -> None:
    """Replace the hierarchy of a saved run."""
    connection.execute("UPDATE hdbscan_runs SET arrays = %s WHERE id = %s", (arrays, run))


def drop_run(connection: Connection, run: int) -> None:
    """Delete a saved run."""
    connection.execute("DELETE FROM hdbscan_runs WHERE id = %s", (run,))


def faces_met(connection: Connection, run: int) -> Int64:
    """Return the faces, ascending, that took part in a run or were tried and not placed."""
    blocks = copy_out(
        connection,
        """COPY (SELECT face_id FROM hdbscan_faces WHERE hdbscan_run_id = %(run)s ORDER BY face_id)
            TO STDOUT (FORMAT BINARY)""",
        {"run": run},
        {"id": INT8},
    )
    return gathered(blocks, [("id", np.int64)])["id"]


def faces_found_since(connection: Connection, detector_id: int, moment: datetime) -> Int64:
    """Return the faces, ascending, that were found later, by the server's clock."""
    blocks = copy_out(
        connection,
        """COPY (SELECT id FROM face_detections WHERE detector_id = %(detector)s AND created_at > %(moment)s
            ORDER BY id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector_id, "moment": moment},
        {"id": INT8},
    )
    return gathered(blocks, [("id", np.int64)])["id"]
