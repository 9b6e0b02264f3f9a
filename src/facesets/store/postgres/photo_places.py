"""Photos by where they were taken."""

from psycopg import sql

from facesets.places import EARTH_KM, Box, Near
from facesets.store.postgres.photo_conditions import NONE, Conditions

# Haversines, which are right everywhere: across the date line, at the poles, and for a few metres.
_DISTANCE = sql.SQL(
    """(2 * %(earth_km)s * asin(least(1, sqrt(
    sind((m.latitude - %(near_latitude)s) / 2) ^ 2
    + cosd(m.latitude) * cosd(%(near_latitude)s) * sind((m.longitude - %(near_longitude)s) / 2) ^ 2))))"""
)
_NEAR = """EXISTS (SELECT FROM photo_metadata m WHERE m.image_id = i.id AND m.latitude IS NOT NULL
    AND (point(m.longitude, m.latitude) <@ %(near_box)s::box
        OR point(m.longitude, m.latitude) <@ %(near_other_box)s::box)
    AND {distance} <= %(near_km)s {how})"""
_COLUMN = "(SELECT {distance} FROM photo_metadata m WHERE m.image_id = {image} AND m.latitude IS NOT NULL)"


def taken_near(near: Near | None, how: sql.SQL) -> Conditions:
    """Photos that were taken near a place; all for None."""
    if near is None:
        return NONE
    box, *other = near.boxes()
    return (
        [sql.SQL(_NEAR).format(distance=_DISTANCE, how=how)],
        {
            "earth_km": EARTH_KM,
            "near_latitude": near.latitude,
            "near_longitude": near.longitude,
            "near_km": near.km,
            "near_box": _text(box),
            # The server leaves out what is null before it plans.
            "near_other_box": _text(other[0]) if other else None,
        },
    )


def _text(box: Box) -> str:
    return f"(({box.west!r},{box.south!r}),({box.east!r},{box.north!r}))"


def distance_from(near: Near | None, image: sql.SQL) -> sql.Composable:
    """How many kilometres from a place an image was taken, with the parameters of `taken_near`."""
    return sql.SQL("NULL::float8" if near is None else _COLUMN).format(distance=_DISTANCE, image=image)
