"""Cameras that photos were taken with."""

from collections.abc import Collection
from typing import NamedTuple

from facesets.store.postgres.connection import Connection


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
    # Not by the database: one of the locale C knows the case of ASCII letters only.
    words = text.casefold().split()
    rows = connection.execute("SELECT id, concat_ws(' ', make, model, lens) FROM cameras ORDER BY id")
    return tuple(number for number, name in rows if all(word in name.casefold() for word in words))


def camera_names(connection: Connection, most: int) -> list[str]:
    """The names of so many cameras, without those that say none."""
    rows = connection.execute(
        """SELECT DISTINCT concat_ws(' ', nullif(make, ''), nullif(model, '')) AS name FROM cameras
            WHERE make || model <> '' ORDER BY name LIMIT %s""",
        (most,),
    )
    return [name for (name,) in rows]
