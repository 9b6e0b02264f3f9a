"""The latest photos of a place, of cameras or of all, one after the other, as an index has them.

PostgreSQL expects places and cameras to be spread over all times. A walk through all photos from the latest
would pass by ten years of others where somebody moved house, and gathering all photos of a home takes long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, inf, prod

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
from facesets.store.postgres.photo_people import share_showing
from facesets.store.postgres.photo_places import TIME, in_boxes, times_between
from facesets.store.postgres.photo_tags import shares_of_tags
from facesets.store.postgres.photo_words import about_with_words

MOST_WALKED = 3000
"""Photos that are looked at: where so many hold too few that fit, all of those are better gathered."""
_TIMES_AS_FAR = 2
"""A walk goes so much farther than where as many as are asked for are expected."""
_GUESSED_SHARE = 0.1
"""Of photos that an age leaves, or a tag of which PostgreSQL does not know."""
_PLACE_TAKES = 4
"""The next photo of a place, in times of the next of all."""
_DESCRIBED_TAKES = 4
"""A photo with words that is gathered, likewise."""
_MOST_CAMERAS = 40
_FOREVER_S = 1e12

# Those without a time come last.
_OF_BOX = sql.SQL(
    """(SELECT m.*, date_trunc('second', m.taken) AS second FROM photo_metadata m WHERE {inside} {then}
        ORDER BY {time} <-> %(after_all)s::point, m.image_id DESC LIMIT %(walked)s)"""
)
_OF_BOXES = sql.SQL(
    """SELECT m.* FROM ({}) m ORDER BY {time} <-> %(after_all)s::point, m.image_id DESC LIMIT %(walked)s"""
)
# In whichever order: the nearest to an end of time take four times as long to find.
_SOME_IN_BOX = sql.SQL("(SELECT FROM photo_metadata m WHERE {inside} {then} LIMIT %(walked)s)")
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
    """SELECT i.id AS image_id, i.taken AS second FROM images i
        WHERE i.taken >= %(begin)s AND i.taken < %(end)s
        ORDER BY i.taken DESC, i.id DESC LIMIT %(walked)s"""
)
_COUNTED = sql.SQL("SELECT count(*) FROM ({}) m")
_FITTING = sql.SQL(
    """SELECT i.id FROM ({walk}) m
        CROSS JOIN LATERAL (SELECT m.image_id AS id, m.second AS taken) i WHERE {conditions}"""
)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through the latest photos.

    Attributes
    ----------
    fitting : statement
        Gives the numbers of those that fit, latest first; more conditions on `i` may follow.
    all : statement
        Gives as many rows as are looked at.
    parameters : dict
        Of both.
    may_be_whole : bool
        No photo that fits is left out but for there being many.
    most : int
        So many are looked at.
    """

    fitting: sql.Composed
    all: sql.Composed
    parameters: dict[str, object]
    may_be_whole: bool
    most: int

    def is_whole(self, connection: Connection) -> bool:
        """Whether all photos that fit are among those that are looked at."""
        if not self.may_be_whole:
            return False
        counted = connection.execute(_COUNTED.format(self.all), self.parameters)
        return int(only_row(counted)[0]) < self.most


def length_for_people(connection: Connection, asked: PhotoFilter, wanted: int) -> int:
    """How far to walk for so many photos of people; 0 where gathering all of theirs takes less."""
    # Photos of a camera are joined with theirs from an index, however many these are.
    of_people = 0.0 if asked.cameras is not None else share_showing(connection, asked.persons)
    if not of_people:
        return 0
    known = shares_of_tags(connection) if asked.tags else {}
    share = of_people * prod(known.get(tag.number, _GUESSED_SHARE) for tag in asked.tags)
    photos = about_photos(connection)
    if asked.words and photos:
        share *= about_with_words(connection, asked.words) / photos
    if asked.ages is not None:
        # The latest photos may all be of another age.
        return _length(asked, wanted, share * _GUESSED_SHARE, MOST_WALKED)
    return _length(asked, wanted, share, max(MOST_WALKED, of_people * photos))


def length_for_words(connection: Connection, asked: PhotoFilter, wanted: int) -> int:
    """How far to walk for so many photos with words; 0 where gathering all with these takes less."""
    photos, described = about_photos(connection), about_with_words(connection, asked.words)
    if not photos:
        return MOST_WALKED
    # Descriptions and their photos lie apart, and the latest photos together.
    most = described * (_DESCRIBED_TAKES if asked.near is None else _DESCRIBED_TAKES / 2)
    length = _length(asked, wanted, described / photos, most)
    # The more have the words the shorter is the walk, and the longer gathering them all if it is in vain.
    return max(length, MOST_WALKED) if length else 0


def _length(asked: PhotoFilter, wanted: int, share: float, most: float) -> int:
    """How far to walk where such a share of photos fits; 0 where that takes as long as more photos of all."""
    length = ceil(_TIMES_AS_FAR * wanted / share) if share else inf
    return int(length) if length * (1 if asked.near is None else _PLACE_TAKES) <= most else 0


def walk_for(connection: Connection, asked: PhotoFilter, most: int) -> Walk:
    """The walk, of so many photos, on which those that fit are met soonest.

    With a camera and a place it is the camera's, of which the next photo takes less to find.
    """
    begin, end = asked.dates.span
    given: dict[str, object] = {"begin": begin, "end": end, "walked": most}
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
    if cameras is not None:
        of_cameras = _of_cameras(cameras, _WHENEVER if is_whenever else _THEN)
        return _walk(of_cameras, all_hold, given, may_be_whole, most)
    if near is not None:
        parts = together(conditions_on_metadata(asked), conditions_on_images(asked, ONE_BY_ONE))
        then = _WHENEVER if is_whenever else _THEN_IN_BOX
        walk = _walk(_of_place(near, then), parts, given, may_be_whole, most)
        return replace(walk, all=_some_of_place(near, then))
    return _walk(_OF_ALL.format(), all_hold, given, not asked.dates.open, most)


def _walk(
    walk: sql.Composed,
    all_hold: Conditions,
    given: dict[str, object],
    may_be_whole: bool,  # noqa: FBT001
    most: int,
) -> Walk:
    statements, parameters = all_hold
    condition = sql.SQL(" AND ").join([*statements, sql.SQL("true")])
    fitting = _FITTING.format(walk=walk, conditions=condition)
    return Walk(fitting, walk, parameters | given, may_be_whole=may_be_whole, most=most)


def about_photos(connection: Connection) -> float:
    """About how many photos there are, as far as PostgreSQL knows; 0 where it does not."""
    row = connection.execute("SELECT reltuples FROM pg_class WHERE oid = 'images'::regclass")
    return max(float(only_row(row)[0]), 0.0)


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


def _some_of_place(near: Near, then: sql.Composable) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(
        _SOME_IN_BOX.format(inside=inside, then=then) for inside in in_boxes(near)
    )


def let_walk(connection: Connection, *, walk: bool) -> None:
    """Tell the planner, for this transaction, to take rows as an index has them, or to do as it likes."""
    connection.execute(_WALK if walk else _AS_IT_LIKES)


_WALK = "SET LOCAL enable_sort TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_seqscan TO off"
_AS_IT_LIKES = _WALK.replace("off", "DEFAULT")
