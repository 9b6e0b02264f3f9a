"""All photos of people, of a tag or with rare words, of which something else holds, too.

PostgreSQL knows how many photos show somebody, were taken with a camera or have a tag, and joins those by
their indexes as is best. How many are near a place it does not know: so the photos that are left are looked
up there all at once, in the order of their numbers, instead of one by one. What takes looking at their faces
or reading their descriptions comes last, and is asked of no more photos than are shown.
"""

from dataclasses import dataclass, replace

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_ages import in_years_of_age, of_age
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, ONE_BY_ONE, Conditions, has_row
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_filter import PhotoFilter, together
from facesets.store.postgres.photo_people import showing
from facesets.store.postgres.photo_places import taken_near
from facesets.store.postgres.photo_tags import AskedTag, shares_of_tags, tagged
from facesets.store.postgres.photo_words import described_with, with_words

FEW = 60_000
"""Photos of somebody that are gathered soon enough: a walk through the latest photos might be for nothing."""
_COMMON_TAG = 0.01
"""Of all tags of photos: one with so many is sooner asked of some photos than looked up."""
FEW_DESCRIBED = 2000

_IS_ON_FEW = sql.SQL(
    """SELECT bool_or(is_few) FROM unnest(%(persons)s::uuid[]) AS person (id),
        LATERAL (SELECT count(*) <= %(few)s AS is_few FROM (SELECT FROM face_detections f
            WHERE f.person_id = person.id LIMIT %(few)s + 1) AS counted) AS theirs"""
)
_OF_PERSON = sql.SQL(
    """SELECT i.id FROM (SELECT DISTINCT f.image_id AS id FROM face_detections f
            WHERE f.person_id = %(person_0)s::uuid) i
        WHERE {conditions}"""
)
_IMAGES = sql.SQL("SELECT i.id, i.taken FROM images i WHERE i.id = ANY(ARRAY({numbers})) AND {conditions}")
_PLACED = sql.SQL(
    """SELECT m.image_id AS id, date_trunc('second', m.taken) AS taken
        FROM (SELECT * FROM photo_metadata WHERE image_id = ANY(ARRAY({numbers})) OFFSET 0) m
        WHERE {conditions}"""
)
_OF_TAG = sql.SQL(
    """SELECT i.id FROM (SELECT t.image_id AS id FROM image_tags t WHERE t.tag_id = {tag}) i
        WHERE {conditions}"""
)
_NUMBERED = sql.SQL("SELECT i.id FROM unnest(%(numbers)s::bigint[]) i (id) WHERE {conditions}")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Photos that may fit.

    Attributes
    ----------
    fits : statement
        Gives their numbers and times.
    late : statement
        A condition that a photo `i` of these has to fulfil yet.
    parameters : dict
        Of both.
    """

    fits: sql.Composed
    late: sql.Composable
    parameters: dict[str, object]


def gathered_few(connection: Connection, asked: PhotoFilter) -> Gathered | None:
    """All photos that may fit, where those of these people or with these words are few."""
    if asked.words:
        numbers = with_words(connection, asked.words, FEW_DESCRIBED)
        if numbers is not None:
            return _with_numbers(connection, asked, numbers)
    # Photos of a camera are joined from an index, however many these are.
    if asked.persons and (asked.cameras is not None or _are_on_few(connection, asked)):
        return gathered(connection, asked)
    return None


def _are_on_few(connection: Connection, asked: PhotoFilter) -> bool:
    given = {"persons": list(asked.persons), "few": FEW}
    return bool(only_row(connection.execute(_IS_ON_FEW, given))[0])


def gathered(connection: Connection, asked: PhotoFilter, tag: AskedTag | None = None) -> Gathered:
    """All photos that may fit, where people are asked for, or of a tag of photos where nobody is."""
    shown, of_people = showing(asked.persons, ALL_AT_ONCE)
    if tag is not None:
        asked = asked.without(tag)
    rare = _rare_tags(connection, asked)
    known = together((shown[1:], of_people), _by_camera(asked), tagged(rare, ALL_AT_ONCE))
    asked = replace(asked, tags=tuple(each for each in asked.tags if each not in rare))
    base = _OF_PERSON if tag is None else _OF_TAG
    numbers = base.format(conditions=all_of(known), tag=sql.Literal(tag and tag.number))
    return _looked_up(connection, asked, numbers, known[1])


def _with_numbers(connection: Connection, asked: PhotoFilter, numbers: list[int]) -> Gathered:
    """Those that may fit among photos that have the words asked for."""
    known = together(showing(asked.persons, ONE_BY_ONE), _by_camera(asked, ONE_BY_ONE))
    given = known[1] | {"numbers": numbers}
    return _looked_up(connection, replace(asked, words=""), _NUMBERED.format(conditions=all_of(known)), given)


def _rare_tags(connection: Connection, asked: PhotoFilter) -> list[AskedTag]:
    of_photos = [tag for tag in asked.tags if tag.target == "scene"]
    known = shares_of_tags(connection) if of_photos else {}
    return [tag for tag in of_photos if known.get(tag.number, 0.0) < _COMMON_TAG]


def _by_camera(asked: PhotoFilter, how: sql.SQL = ALL_AT_ONCE) -> Conditions:
    # Whenever: an index has numbers and cameras together, and its times are no column to be read there.
    said, given = taken_with(asked.cameras, Dates())
    return [has_row("photo_metadata", "m", each, how) for each in said], given


def _looked_up(
    connection: Connection, asked: PhotoFilter, numbers: sql.Composed, given: dict[str, object]
) -> Gathered:
    """Those of these numbers that may fit; of people and cameras they are already."""
    taken = sql.SQL("i.taken" if asked.near is None else "m.taken")
    then = together(
        taken_on(asked.dates) if asked.near is None else taken_near(asked.near, asked.dates),
        in_years_of_age(connection, asked.ages, asked.persons, taken),
    )
    last = together(
        tagged(asked.tags, ONE_BY_ONE),
        described_with(asked.words, ONE_BY_ONE),
        of_age(asked.ages, asked.persons, ONE_BY_ONE),
    )
    table = _IMAGES if asked.near is None else _PLACED
    fits = table.format(numbers=numbers, conditions=all_of(then))
    return Gathered(fits, all_of(last), given | then[1] | last[1])


def all_of(some: Conditions) -> sql.Composable:
    """The condition that all of them hold."""
    return sql.SQL(" AND ").join([*some[0], sql.SQL("true")])
