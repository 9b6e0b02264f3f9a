"""Cameras that photos were taken with, and photos by their camera."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_conditions import NONE, Conditions


class Camera(NamedTuple):
    """A camera with a lens; empty where the file does not say."""

    make: str = ""
    model: str = ""
    lens: str = ""


def ensure_cameras(connection: Connection, cameras: Collection[Camera]) -> dict[Camera, int]:
    """The numbers of cameras, which are made where they are new."""
    if not cameras:
        return {}
    known = _numbers(connection, cameras)
    # In one order, so that nobody waits for one who waits for them.
    new = sorted(set(cameras) - set(known))
    if new:
        connection.execute(
            """INSERT INTO cameras (make, model, lens)
                SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING""",
            [list(column) for column in zip(*new, strict=True)],
        )
        known |= _numbers(connection, new)
    return known


def _numbers(connection: Connection, cameras: Collection[Camera]) -> dict[Camera, int]:
    rows = connection.execute(
        """SELECT c.make, c.model, c.lens, c.id FROM cameras c
            JOIN unnest(%s::text[], %s::text[], %s::text[]) AS new (make, model, lens)
                ON (c.make, c.model, c.lens) = (new.make, new.model, new.lens)""",
        [list(column) for column in zip(*cameras, strict=True)],
    )
    return {Camera(make, model, lens): number for make, model, lens, number in rows}


def cameras_called(connection: Connection, text: str) -> tuple[int, ...]:
    """The numbers of the cameras of which make, model and lens together hold all these words, in any case."""
    rows = connection.execute(
        """SELECT c.id FROM cameras c
            WHERE NOT EXISTS (SELECT FROM unnest(%s::text[]) AS word
                WHERE strpos(lower(concat_ws(' ', c.make, c.model, c.lens)), lower(word)) = 0)
            ORDER BY c.id""",
        (text.split(),),
    )
    return tuple(number for (number,) in rows)


def taken_with(cameras: Sequence[int] | None, how: sql.SQL) -> Conditions:
    """Photos that were taken with one of these cameras, by their numbers; all for None."""
    if cameras is None:
        return NONE
    return (
        [
            sql.SQL(
                """EXISTS (SELECT FROM photo_metadata m
                    WHERE m.image_id = i.id AND m.camera_id = ANY(%(cameras)s::int[]) {how})"""
            ).format(how=how)
        ],
        {"cameras": list(cameras)},
    )
