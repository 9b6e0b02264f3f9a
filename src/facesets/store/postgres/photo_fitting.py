"""All photos that a filter means: how they are gathered, and how many they are about.

How many fit is found out by looking at some photos from all over the library: PostgreSQL does not know how
many are near a place, nor how many conditions hold together.
"""

from dataclasses import dataclass, replace
from math import sqrt

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_conditions import ONE_BY_ONE, Conditions, all_of
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_gathered import Gathered, gathered, gathered_described, gathered_few
from facesets.store.postgres.photo_tags import AskedTag, about_tagged, of_tag, rarest_of_photos
from facesets.store.postgres.photo_words import about_with_words

LOOKED_AT = 300
"""Photos that are looked at: of a hundredth of them that fit there are three, give or take two."""
FEW_LOOKED_AT = 150
"""Where there is a list of those that may fit, or it is only to be known whether it is a long one."""
_FEWEST_MET = 75

_LISTED_TAKES = 2
"""A photo of a place that is asked, in times of one of a tag that is listed."""

HAS_FILE = sql.SQL(
    """NOT EXISTS (SELECT FROM images m WHERE m.id = i.id AND m.missing_since IS NOT NULL OFFSET 0)"""
)
ANY_FILE = sql.SQL("""NOT EXISTS (SELECT FROM images m WHERE m.id = i.id AND m.missing_since IS NOT NULL)""")
"""The same where PostgreSQL may read all that are missing at once."""

_OF_ALL = sql.SQL("SELECT i.id, i.taken FROM images i WHERE {conditions}")
_OF_TAG = sql.SQL("SELECT i.id, i.taken FROM {photos} i WHERE {conditions}")
# Steps of the golden ratio: they leave no large gap, and the same photos are looked at each time.
_SHARE = sql.SQL(
    """WITH ends AS MATERIALIZED (SELECT min(id) AS first, max(id) AS last FROM images)
        SELECT coalesce(max(last - first + 1), 0),
            count(*) FILTER (WHERE begins), count(*) FILTER (WHERE begins AND {rest})
        FROM ends, generate_series(1, %(looked_at)s) AS step,
            LATERAL (SELECT i.id, i.taken, {begin} AS begins FROM images i
                WHERE i.id = first + floor((step * 0.6180339887498949 %% 1) * (last - first + 1))::bigint
                OFFSET 0) i"""
)


# Of each part of all numbers, as long as has one photo of the list on average, all of the list are looked at.
_SHARE_OF_LIST = sql.SQL(
    """WITH ends AS MATERIALIZED (SELECT min(id) AS first, max(id) - min(id) + 1 AS span FROM images),
        parts AS (SELECT first + floor((step * 0.6180339887498949 %% 1) * span)::bigint AS first,
                greatest(ceil(span / %(length)s::float8)::bigint, 1) AS width
            FROM ends, generate_series(1, %(looked_at)s) AS step)
        SELECT count(*), count(*) FILTER (WHERE {conditions})
        FROM (SELECT first, first + width AS beyond FROM parts) part,
            LATERAL (SELECT DISTINCT id FROM ({list}) listed) listed,
            LATERAL (SELECT i.id, i.taken FROM images i WHERE i.id = listed.id OFFSET 0) i"""
)


@dataclass(frozen=True, slots=True)
class Share:
    """About how many photos fit.

    Attributes
    ----------
    fitting : float
    least : float
        Most likely they are no fewer.
    each : float
        So many photos each stands for that was looked at.
    """

    fitting: float
    least: float
    each: float


def share_fitting(connection: Connection, asked: PhotoFilter) -> Share:
    """Estimate how many photos a filter means, by looking at some of them."""
    return shares_fitting(connection, PhotoFilter(), asked, LOOKED_AT)[1]


def shares_fitting(
    connection: Connection, begin: PhotoFilter, asked: PhotoFilter, looked_at: int
) -> tuple[Share, Share]:
    """The same of a part of a filter, which is asked first, and of the whole of it, with one look."""
    begins, rest = (conditions(each, ONE_BY_ONE) for each in (begin, asked))
    statement = _SHARE.format(begin=all_of(begins), rest=all_of(rest))
    given = {**begins[1], **rest[1], "looked_at": looked_at}
    row = only_row(connection.execute(statement, given, prepare=False))
    span, *found = (float(each) for each in row)
    first, whole = (_share(fit, span / looked_at) for fit in found)
    return first, whole


def share_of_list(
    connection: Connection, all_hold: Conditions, part: sql.Composed, length: float
) -> Share | None:
    """Estimate for how many photos of a list of about such a length all holds, by looking at some of it.

    None where too few of the list were met to say. `part` reads the numbers of those from `part.first` on
    and before `part.beyond`.
    """
    statement = _SHARE_OF_LIST.format(conditions=all_of(all_hold), list=part)
    given = {**all_hold[1], "looked_at": FEW_LOOKED_AT, "length": length}
    met, fit = only_row(connection.execute(statement, given, prepare=False))
    return None if met < _FEWEST_MET else _share(fit, length / met)


def _share(fit: float, each: float) -> Share:
    # A number that is found by chance strays by its root.
    return Share(each * fit, each * max(fit - sqrt(fit), 0.0), each)


def all_fitting(connection: Connection, asked: PhotoFilter) -> Gathered:
    """All photos that fit, in the way in which they are gathered soonest."""
    found = gathered_few(connection, asked)
    if found is None and (tagged := of_rarest_tag(connection, asked)):
        found = Gathered(tagged[0], sql.SQL("true"), tagged[1])
    return found or all_that_fit(connection, asked)


def of_rarest_tag(
    connection: Connection, asked: PhotoFilter
) -> tuple[sql.Composed, dict[str, object]] | None:
    """The statement that looks through the photos of the rarest tag; None where another way is shorter."""
    rarest = rarest_of_photos(connection, asked.tags)
    if rarest is None or asked.persons or asked.near is not None or asked.cameras is not None:
        return None
    all_hold, given = conditions(asked.without(rarest), ONE_BY_ONE)
    condition = sql.SQL(" AND ").join([*all_hold, sql.SQL("true")])
    return _OF_TAG.format(photos=of_tag(rarest), conditions=condition), given


def all_that_fit(connection: Connection, asked: PhotoFilter) -> Gathered:
    """All of them, from the people or the rarest tag on, where there is one and a place is not sooner."""
    rarest = None if asked.persons else rarest_of_photos(connection, asked.tags)
    if asked.persons or (rarest is not None and not _place_is_sooner(connection, asked, rarest)):
        return gathered(connection, asked, rarest)
    if rarest is None and asked.near is not None and asked.words and _words_are_rarer(connection, asked):
        return gathered_described(connection, asked)
    all_hold = conditions(asked)
    return Gathered(_OF_ALL.format(conditions=all_of(all_hold)), sql.SQL("true"), all_hold[1])


def _place_is_sooner(connection: Connection, asked: PhotoFilter, tag: AskedTag) -> bool:
    """Whether to go through the photos of a place and not through all of a tag."""
    if asked.near is None or asked.words:
        return False
    # All photos of a tag are listed first; of those of a place one after the other is asked.
    return _there(connection, asked) < _LISTED_TAKES * about_tagged(connection, tag)


def _words_are_rarer(connection: Connection, asked: PhotoFilter) -> bool:
    """Whether fewer photos have the words than are near the place, then, and by these cameras."""
    return about_with_words(connection, asked.words) < _there(connection, asked)


def _there(connection: Connection, asked: PhotoFilter) -> float:
    there = replace(asked, words="", tags=(), ages=None)
    return share_fitting(connection, there).fitting
