"""The latest photos of a place, of cameras or of all, one after the other, as an index has them.

PostgreSQL expects places and cameras to be spread over all times. A walk through all photos from the latest
would pass by ten years of others where somebody moved house, and gathering all photos of a home takes long.
"""

from collections.abc import Sequence
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


def walks_for(connection: Connection, asked: PhotoFilter) -> list[Walk]:
    """The walks on which photos that fit are met soon, to be tried one after the other."""
    begin, end = asked.dates.span
    given: dict[str, object] = {"begin": begin, "end": end, "walked": _MOST_WALKED}
    near, cameras = asked.near, asked.cameras
    if cameras is not None and len(cameras) > _MOST_CAMERAS:
        cameras = None
    if near is not None and cameras is not None:
        # None is later than the last of either.
        used, seen = last_use(connection, cameras), _last_seen(connection, asked, given)
        end = min(end, *((begin if last is None else last + timedelta(seconds=1)) for last in (used, seen)))
    given |= {"end": end, **_times(begin, end)}
    is_whenever = (begin, end) == Dates().span
    # A photo without a time has no end.
    may_be_whole = (begin, end) == asked.dates.span
    all_hold = conditions(asked, ONE_BY_ONE)
    walks = []
    if near is not None:
        parts = together(conditions_on_metadata(asked), conditions_on_images(asked, ONE_BY_ONE))
        walk = _of_place(near, _WHENEVER if is_whenever else _THEN_IN_BOX)
        walks.append(_walk(walk, parts, given, may_be_whole=may_be_whole))
    if cameras is not None:
        then = _WHENEVER if is_whenever else _THEN
        walks.append(_walk(_of_cameras(cameras, then), all_hold, given, may_be_whole=may_be_whole))
    return walks or [_walk(_OF_ALL.format(), all_hold, given, may_be_whole=not asked.dates.open)]


def _walk(walk: sql.Composed, all_hold: Conditions, given: dict[str, object], *, may_be_whole: bool) -> Walk:
    statements, parameters = all_hold
    condition = sql.SQL(" AND ").join([*statements, sql.SQL("true")])
    fitting = _FITTING.format(walk=walk, conditions=condition)
    return Walk(fitting, walk, parameters | given, may_be_whole=may_be_whole)


def _last_seen(connection: Connection, asked: PhotoFilter, given: dict[str, object]) -> datetime | None:
    """When the latest photo was taken there, on these dates."""
    if asked.near is None:
        return None
    _, of_place = conditions_on_metadata(asked)
    parameters = of_place | given | _times(*asked.dates.span) | {"walked": 1}
    statement = sql.SQL("SELECT max(date_trunc('second', m.taken)) FROM ({}) m").format(
        _of_place(asked.near, _THEN_IN_BOX)
    )
    let_walk(connection, walk=True)
    taken: datetime | None = only_row(connection.execute(statement, parameters))[0]
    let_walk(connection, walk=False)
    return taken


def _times(begin: datetime, end: datetime) -> dict[str, object]:
    return {"times": times_between(begin, end), "after_all": f"({_FOREVER_S!r},0)"}


def _of_cameras(cameras: Sequence[int], then: sql.Composable) -> sql.Composed:
    each = [_OF_CAMERA.format(camera=sql.Literal(number), then=then) for number in cameras]
    return _OF_CAMERAS.format(sql.SQL(" UNION ALL ").join(each))


def _of_place(near: Near, then: sql.Composable) -> sql.Composed:
    boxes = [_OF_BOX.format(inside=inside, then=then, time=TIME) for inside in in_boxes(near)]
    return boxes[0] if len(boxes) == 1 else _OF_BOXES.format(sql.SQL(" UNION ALL ").join(boxes), time=TIME)


def let_walk(connection: Connection, *, walk: bool) -> None:
    """Tell the planner, for this transaction, to take rows as an index has them, or to do as it likes."""
    connection.execute(_WALK if walk else _AS_IT_LIKES)


_WALK = "SET LOCAL enable_sort TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_seqscan TO off"
_AS_IT_LIKES = _WALK.replace("off", "DEFAULT")
