"""Photos by who is on them."""

from collections.abc import Sequence
from math import prod
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_conditions import Conditions, has_row

_KNOWN_SHARES = """SELECT unnest(most_common_vals::text::uuid[]), unnest(most_common_freqs) FROM pg_stats
    WHERE schemaname = current_schema() AND tablename = 'face_detections' AND attname = 'person_id'"""
_SHOWS = sql.SQL("f.person_id = {}::uuid")


def showing(persons: Sequence[UUID], how: sql.SQL) -> Conditions:
    """Photos that show all of these people."""
    names = [f"person_{place}" for place in range(len(persons))]
    shown = [has_row("face_detections", "f", _SHOWS.format(sql.Placeholder(name)), how) for name in names]
    return shown, dict(zip(names, persons, strict=True))


def share_showing(connection: Connection, persons: Sequence[UUID]) -> float:
    """About which part of all photos shows all of these people; 0 where one is on few, or nobody counted."""
    known: dict[UUID, float] = dict(connection.execute(_KNOWN_SHARES).fetchall())
    return prod(known.get(person, 0.0) for person in persons)
