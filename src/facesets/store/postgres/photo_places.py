"""Photos by where they were taken."""

from datetime import UTC, datetime

from psycopg import sql

from facesets.places import EARTH_KM, GeoBox, Near
from facesets.store.postgres.photo_conditions import NONE, Conditions
from facesets.store.postgres.photo_dates import Dates

# Haversines, which are right everywhere: across the date line, at the poles, and for a few metres.
_DISTANCE = sql.SQL(
    """(2 * %(earth_km)s * asin(least(1, sqrt(
    sind((m.latitude - %(near_latitude)s) / 2) ^ 2
    + cosd(m.latitude) * cosd(%(near_latitude)s) * sind((m.longitude - %(near_longitude)s) / 2) ^ 2))))"""
)
_INSIDE = sql.SQL("m.latitude IS NOT NULL AND point(m.longitude, m.latitude) <@ {}::box")
# Most of what is near is in the inner box, and a distance takes as long to reckon as a photo to read.
_NEAR = sql.SQL("(point(m.longitude, m.latitude) <@ %(near_inner)s::box OR {} <= %(near_km)s)")
TIME = sql.SQL("point(floor(extract(epoch FROM m.taken))::float8, 0)")
"""When a photo was taken, as the index over places has it: to the whole second."""
_COLUMN = "(SELECT {distance} FROM photo_metadata m WHERE m.image_id = {image} AND m.latitude IS NOT NULL)"


def taken_near(near: Near | None, dates: Dates) -> Conditions:
    """The conditions that metadata `m` are of a photo near a place, then; none where there is no place."""
    if near is None:
        return NONE
    box, *other = near.boxes()
    inside = sql.SQL("({})").format(sql.SQL(" OR ").join(in_boxes(near)))
    then = [] if dates.open else [sql.SQL("{} <@ %(near_times)s::box").format(TIME)]
    return (
        [inside, *then, _NEAR.format(_DISTANCE)],
        {
            "earth_km": EARTH_KM,
            "near_latitude": near.latitude,
            "near_longitude": near.longitude,
            "near_km": near.km,
            "near_inner": _text(near.inner_box()),
            "near_times": times_between(*dates.span),
            "near_box_0": _text(box),
            "near_box_1": _text(other[0]) if other else None,
        },
    )


def in_boxes(near: Near) -> list[sql.Composable]:
    """For each box around a place, that metadata `m` are of a photo in it; parameters of `taken_near`."""
    return [_INSIDE.format(sql.Placeholder(f"near_box_{number}")) for number in range(len(near.boxes()))]


def times_between(begin: datetime, end: datetime) -> str:
    """The box of times from one on and before another."""
    first, last = (each.replace(tzinfo=UTC).timestamp() for each in (begin, end))
    return f"(({first!r},-1),({last - 1!r},1))"


def _text(box: GeoBox) -> str:
    return f"(({box.west!r},{box.south!r}),({box.east!r},{box.north!r}))"


def distance_from(near: Near | None, image: sql.SQL) -> sql.Composable:
    """How many kilometres from a place an image was taken, with the parameters of `taken_near`."""
    return sql.SQL("NULL::float8" if near is None else _COLUMN).format(distance=_DISTANCE, image=image)
