"""All photos of people, of a tag or with words, of which something else holds, too.

PostgreSQL knows how many photos show somebody, were taken with a camera or have a tag, and joins those by
their indexes as is best. How many are near a place it does not know: so the photos that are left are looked
up there all at once, in the order of their numbers, instead of one by one. What takes looking at their faces
or reading their descriptions comes last, and is asked of no more photos than are shown.
"""

from dataclasses import dataclass, replace

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_ages import shown_of_age
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, ONE_BY_ONE, Conditions, all_of, has_row
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_filter import PhotoFilter, together
from facesets.store.postgres.photo_people import showing
from facesets.store.postgres.photo_places import taken_near
from facesets.store.postgres.photo_tags import AskedTag, shares_of_tags, tagged
from facesets.store.postgres.photo_words import WORDS, about_with_words, described_with, with_words

_COMMON_TAG = 0.01
"""Of all tags of photos: one with so many is sooner asked of some photos than looked up."""
FEW_DESCRIBED = 2000
_MANY_DESCRIBED = 20_000
"""With words: so many are soon compared with the photos of somebody, more are sooner asked of some photos."""

# Some numbers are there twice, which an index that is asked for them does not mind.
_OF_PERSON = sql.SQL(
    """SELECT i.id FROM (SELECT f.image_id AS id FROM face_detections f
            WHERE f.person_id = %(person_0)s::uuid) i
        WHERE {conditions}"""
)
_IMAGES = sql.SQL("SELECT i.id, i.taken FROM images i WHERE i.id = ANY(ARRAY({numbers})) AND {conditions}")
_PLACED = sql.SQL(
    """SELECT m.image_id AS id, date_trunc('second', m.taken) AS taken
        FROM (SELECT * FROM photo_metadata WHERE image_id = ANY(ARRAY({numbers})) OFFSET 0) m
        WHERE {conditions}"""
)
_DESCRIBED = sql.SQL(
    """SELECT i.id FROM (SELECT d.image_id AS id FROM descriptions d WHERE d.words @@ {words}) i
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
    """All photos that may fit, where those with these words are few."""
    # Where many have them it would take long to find out that they are too many.
    if not asked.words or about_with_words(connection, asked.words) > FEW_DESCRIBED:
        return None
    numbers = with_words(connection, asked.words, FEW_DESCRIBED)
    return None if numbers is None else _with_numbers(connection, asked, numbers)


def gathered(connection: Connection, asked: PhotoFilter, tag: AskedTag | None = None) -> Gathered:
    """All photos that may fit, where people are asked for, or of a tag of photos where nobody is."""
    shown, of_people = showing(asked.persons, ALL_AT_ONCE)
    if tag is not None:
        asked = asked.without(tag)
    rare = _rare_tags(connection, asked)
    known = together((shown[1:], of_people), _by_camera(asked), tagged(rare, asked.persons, ALL_AT_ONCE))
    asked = replace(asked, tags=tuple(each for each in asked.tags if each not in rare))
    if asked.words and about_with_words(connection, asked.words) <= _MANY_DESCRIBED:
        known, asked = together(known, described_with(asked.words)), replace(asked, words="")
    base = _OF_PERSON if tag is None else _OF_TAG
    numbers = base.format(conditions=all_of(known), tag=sql.Literal(tag and tag.number))
    return _looked_up(connection, asked, numbers, known[1])


def gathered_described(connection: Connection, asked: PhotoFilter) -> Gathered:
    """All photos that may fit among those with the words asked for, however many these are."""
    known = _by_camera(asked)
    numbers = _DESCRIBED.format(words=WORDS, conditions=all_of(known))
    given = known[1] | {"words": asked.words}
    return _looked_up(connection, replace(asked, words=""), numbers, given)


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
    years, aged = shown_of_age(connection, asked.ages, asked.persons, taken)
    then = together(
        taken_on(asked.dates) if asked.near is None else taken_near(asked.near, asked.dates),
        years,
    )
    last = together(
        tagged(asked.tags, asked.persons, ONE_BY_ONE),
        described_with(asked.words, ONE_BY_ONE),
        aged,
    )
    table = _IMAGES if asked.near is None else _PLACED
    fits = table.format(numbers=numbers, conditions=all_of(then))
    return Gathered(fits, all_of(last), given | then[1] | last[1])
