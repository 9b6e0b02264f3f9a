"""Photos by who is on them."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.photo_conditions import Conditions

_SHOWS = sql.SQL(
    """EXISTS (SELECT FROM face_detections f
        WHERE f.image_id = i.id AND f.person_id = {person}::uuid {how})"""
)


def showing(persons: Sequence[UUID], how: sql.SQL) -> Conditions:
    """Photos that show all of these people."""
    names = [f"person_{place}" for place in range(len(persons))]
    shown = [_SHOWS.format(person=sql.Placeholder(name), how=how) for name in names]
    return shown, dict(zip(names, persons, strict=True))
