"""The latest photos of a place, of cameras or of all, one after the other, as an index has them.

PostgreSQL expects places and cameras to be spread over all times. A walk through all photos from the latest
would pass by ten years of others where somebody moved house, and gathering all photos of a home takes long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from facesets.places import Near
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_cameras import last_use
from facesets.store.postgres.photo_conditions import ONE_BY_ONE, Conditions
from facesets.store.postgres.photo_dates import Dates
from facesets.store.postgres.photo_filter import (
    PhotoFilter,
    conditions,
    conditions_on_images,
    conditions_on_metadata,
    together,
)
from facesets.store.postgres.photo_places import TIME, in_boxes, times_between

_MOST_WALKED = 2000
"""Photos that are looked at: where so many hold too few that fit, all of those are better gathered."""
_MOST_CAMERAS = 40
_FOREVER_S = 1e12

# Those without a time come last.
_OF_BOX = sql.SQL(
    """(SELECT m.* FROM photo_metadata m WHERE {inside} {then}
        ORDER BY {time} <-> %(after_all)s::point, m.image_id DESC LIMIT %(walked)s)"""
)
_OF_BOXES = sql.SQL(
    """SELECT m.* FROM ({}) m ORDER BY {time} <-> %(after_all)s::point, m.image_id DESC LIMIT %(walked)s"""
)
_OF_CAMERA = sql.SQL(
    """(SELECT m.image_id, date_trunc('second', m.taken) AS second FROM photo_metadata m
        WHERE m.camera_id = {camera} {then}
        ORDER BY date_trunc('second', m.taken) DESC NULLS LAST, m.image_id DESC LIMIT %(walked)s)"""
)
_OF_CAMERAS = sql.SQL(
    "SELECT m.* FROM ({}) m ORDER BY m.second DESC NULLS LAST, m.image_id DESC LIMIT %(walked)s"
)
_THEN = sql.SQL("AND date_trunc('second', m.taken) >= %(begin)s AND date_trunc('second', m.taken) < %(end)s")
_THEN_IN_BOX = sql.SQL("AND {time} <@ %(times)s::box").format(time=TIME)
_WHENEVER = sql.SQL("")
_OF_ALL = sql.SQL(
    """SELECT i.id AS image_id FROM images i WHERE i.taken >= %(begin)s AND i.taken < %(end)s
        ORDER BY i.taken DESC, i.id DESC LIMIT %(walked)s"""
)
_COUNTED = sql.SQL("SELECT count(*) FROM ({}) m")
_FITTING = sql.SQL(
    """SELECT i.id FROM ({walk}) m
        CROSS JOIN LATERAL (SELECT * FROM images WHERE id = m.image_id OFFSET 0) i WHERE {conditions}"""
)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through the latest photos.

    Attributes
    ----------
    fitting : statement
        Gives the numbers of those that fit, latest first; more conditions on `i` may follow.
    all : statement
        Gives those that are looked at.
    parameters : dict
        Of both.
    may_be_whole : bool
        No photo that fits is left out but for there being many.
    """

    fitting: sql.Composed
    all: sql.Composed
    parameters: dict[str, object]
    may_be_whole: bool

    def is_whole(self, connection: Connection) -> bool:
        """Whether all photos that fit are among those that are looked at."""
        if not self.may_be_whole:
            return False
        counted = connection.execute(_COUNTED.format(self.all), self.parameters)
        return int(only_row(counted)[0]) < _MOST_WALKED


def walk_for(connection: Connection, asked: PhotoFilter) -> Walk:
    """The walk on which photos that fit are met soonest."""
    begin, end = asked.dates.span
    given: dict[str, object] = {"begin": begin, "end": end, "walked": _MOST_WALKED}
    if asked.near is not None:
        end = _last_use(connection, asked)
        given |= {"times": times_between(begin, end), "after_all": f"({_FOREVER_S!r},0)"}
        walk = _of_place(asked.near, _WHENEVER if (begin, end) == Dates().span else _THEN_IN_BOX)
        parts = conditions_on_metadata(asked), conditions_on_images(asked, ONE_BY_ONE)
        # A photo without a time may be by the camera all the same.
        return _walk(walk, together(*parts), given, may_be_whole=end == asked.dates.span[1])
    if asked.cameras is not None and len(asked.cameras) <= _MOST_CAMERAS:
        then = _WHENEVER if asked.dates.open else _THEN
        each = [_OF_CAMERA.format(camera=sql.Literal(number), then=then) for number in asked.cameras]
        walk = _OF_CAMERAS.format(sql.SQL(" UNION ALL ").join(each))
        return _walk(walk, conditions_on_images(asked, ONE_BY_ONE), given, may_be_whole=True)
    all_hold = conditions(asked, ONE_BY_ONE)
    return _walk(_OF_ALL.format(), all_hold, given, may_be_whole=not asked.dates.open)


def _walk(walk: sql.Composed, all_hold: Conditions, given: dict[str, object], *, may_be_whole: bool) -> Walk:
    statements, parameters = all_hold
    condition = sql.SQL(" AND ").join([*statements, sql.SQL("true")])
    fitting = _FITTING.format(walk=walk, conditions=condition)
    return Walk(fitting, walk, parameters | given, may_be_whole=may_be_whole)


def _last_use(connection: Connection, asked: PhotoFilter) -> datetime:
    """The end of the dates that are asked for, or of the time in which the cameras were in use."""
    begin, end = asked.dates.span
    if asked.cameras is None:
        return end
    used = last_use(connection, asked.cameras)
    return min(end, begin if used is None else used + timedelta(seconds=1))


def _of_place(near: Near, then: sql.Composable) -> sql.Composed:
    boxes = [_OF_BOX.format(inside=inside, then=then, time=TIME) for inside in in_boxes(near)]
    return boxes[0] if len(boxes) == 1 else _OF_BOXES.format(sql.SQL(" UNION ALL ").join(boxes), time=TIME)


def let_walk(connection: Connection, *, walk: bool) -> None:
    """Tell the planner, for this transaction, to take rows as an index has them, or to do as it likes."""
    connection.execute(_WALK if walk else _AS_IT_LIKES)


_WALK = "SET LOCAL enable_sort TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_seqscan TO off"
_AS_IT_LIKES = _WALK.replace("off", "DEFAULT")
