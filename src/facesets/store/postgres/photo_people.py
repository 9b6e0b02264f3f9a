"""Photos by who is on them."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.photo_conditions import Conditions, has_row

_SHOWS = sql.SQL("f.person_id = {}::uuid")


def showing(persons: Sequence[UUID], how: sql.SQL) -> Conditions:
    """Photos that show all of these people."""
    names = [f"person_{place}" for place in range(len(persons))]
    shown = [has_row("face_detections", "f", _SHOWS.format(sql.Placeholder(name)), how) for name in names]
    return shown, dict(zip(names, persons, strict=True))
