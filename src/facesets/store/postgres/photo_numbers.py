"""The numbers of all photos that a filter means, read from lists that indexes have.

Of most conditions an index has the list of the photos that fulfil it, some millions a second. The shortest is
read whole, and so are those that are not much longer. What else is asked for is looked up for each photo that
is left, which takes ten times as long.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_ages import shown_of_age
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import NONE, ONE_BY_ONE, Conditions, all_of, has_row
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_filter import PhotoFilter, conditions_on_metadata, together
from facesets.store.postgres.photo_fitting import Share, share_fitting, shares_fitting
from facesets.store.postgres.photo_latest import about_photos
from facesets.store.postgres.photo_people import showing
from facesets.store.postgres.photo_tags import AskedTag, of_tag, tagged
from facesets.store.postgres.photo_words import WORDS, described_with

# Microseconds of a processor that takes its data from memory, as measured among a million photos.
_READS_US, _READS_WORDS_US, _READS_PLACE_US, _READS_FACES_US = 0.3, 0.7, 1.2, 2.0
_ASKS_US, _ASKS_PLACE_US, _ASKS_FACES_US, _ASKS_AGE_US = 2.0, 3.0, 4.0, 3.0
_COMPARES_US, _MEETS_US, _MEETS_AND_ASKS_US = 4.0, 13.0, 18.0
_LEAST_KNOWN = 0.001
"""Of all photos: of as many some hundreds that are looked at show nothing."""
_LEAST_SHARED = 0.1
"""Of the photos of one list that are in another, too: whom somebody is seen with, and where, is no chance."""
_GUESSED_WRONG = 4
"""So many times as many may fit as were expected."""

_OF_PERSON = sql.SQL("SELECT f.image_id AS id FROM face_detections f WHERE f.person_id = {}::uuid")
_OF_METADATA = sql.SQL("SELECT m.image_id AS id FROM photo_metadata m WHERE {}")
_OF_DATES = sql.SQL("SELECT i.id FROM {photos} i WHERE {dates}")
_IS_OF_DATES = sql.SQL("EXISTS (SELECT FROM (SELECT * FROM images d WHERE d.id = i.id OFFSET 0) i WHERE {})")
_OF_FACE_TAG = sql.SQL(
    "SELECT f.image_id AS id FROM face_tags t JOIN face_detections f ON f.id = t.face_id WHERE t.tag_id = {}"
)
_OF_WORDS = sql.SQL(
    "SELECT d.image_id AS id FROM descriptions d WHERE d.words @@ {} AND d.image_id IS NOT NULL"
)
_EXPLAINED = sql.SQL("EXPLAIN (FORMAT JSON) {}")
_IN_ALL = sql.SQL(" INTERSECT ")
_LISTED = sql.SQL("SELECT i.id FROM ({lists}) i WHERE {conditions}")
# How old somebody is on a photo depends on when it was taken.
_OF_AGE = sql.SQL("SELECT i.id FROM images i WHERE i.id = ANY(ARRAY({numbers})) AND {years} AND {ages}")
_NUMBERS = sql.SQL(
    """SELECT count(*), coalesce(array_agg(id), '{{}}')::text
        FROM (SELECT id FROM ({numbers}) i LIMIT %(most)s + 1) i"""
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of photos, some of them twice, as PostgreSQL writes an array of them."""

    count: int
    text: str


@dataclass(frozen=True, slots=True)
class _List:
    """The photos for which something holds.

    Attributes
    ----------
    numbers : statement
        Reads them.
    holds : condition
        The same, asked of an image `i`.
    reads_us, asks_us : float
        How long either takes for a photo.
    dates : str
        Whether it has only photos of the dates asked for, and whether that is all it says.
    is_place : bool
        Whether it is that of a place, of which PostgreSQL does not know how long it is.
    is_part : bool
        Whether the list of a place says the same, and more, so that it is never asked.
    known : statements
        The shortest of these, of which PostgreSQL knows how long they are, is not shorter; else itself.
    length : float
        About how many they are.
    """

    numbers: sql.Composed
    holds: sql.Composable
    reads_us: float = _READS_US
    asks_us: float = _ASKS_US
    dates: Literal["", "too", "only"] = ""
    is_place: bool = False
    is_part: bool = False
    known: tuple[sql.Composed, ...] = ()
    length: float = 0.0


@dataclass(frozen=True, slots=True)
class _Known:
    """How the photos that a filter means can be listed.

    Attributes
    ----------
    read : sequence of _List
        Whose photos are read, the shortest list first.
    others : sequence of _List
        Of which the photos that are in all of those are sooner asked.
    left : float
        About how many photos are asked.
    is_all : bool
        Whether all that fit are in the shortest list, of which it is known how long it is.
    given : dict
        Parameters of all.
    of : float
        How many photos there are, about.
    share : Share
        How many fit, about; None where that was not looked at.
    """

    read: Sequence[_List]
    others: Sequence[_List]
    left: float
    is_all: bool
    given: dict[str, object]
    of: float
    share: Share | None


def numbers_of(connection: Connection, asked: PhotoFilter, most: int) -> Numbers | None:
    """The numbers of all photos that a filter means, also of those without a file.

    None where they are more than so many, and where nothing is asked for of which there is a list.
    """
    known = _known(connection, asked)
    return _numbers(connection, asked, known, most) if known.read else None


def numbers_if_sooner(
    connection: Connection, asked: PhotoFilter, *, wanted: int, few: int
) -> tuple[Numbers | None, float]:
    """The same where they are few, or something is sooner found among them than by a walk of an index.

    Parameters
    ----------
    wanted : int
        So many that fit the walk is to meet, which asks the more others the fewer of all fit.

    Returns
    -------
    numbers : Numbers or None
    met : float
        About how many photos the walk meets.
    """
    known = _known(connection, asked)
    if not known.read:
        return None, inf
    fitting = known.read[0].length
    if fitting > few:
        least = fitting
        if not known.is_all or asked.ages is not None:
            share = known.share or share_fitting(connection, asked)
            fitting, least = (max(each, _LEAST_KNOWN * known.of) for each in (share.fitting, share.least))
        met = wanted * known.of / max(least, 1)
        sooner_us = _reads_us(known, asked) + min(_COMPARES_US * fitting, _MEETS_US * met)
        if fitting > few and sooner_us > _MEETS_AND_ASKS_US * met:
            return None, met
    numbers = _numbers(connection, asked, known, _GUESSED_WRONG * max(int(fitting), few))
    return numbers, wanted * known.of / max(numbers.count if numbers else fitting, 1)


def are_sooner_compared(fitting: Numbers, *, met: float) -> bool:
    """Whether these photos are sooner compared one by one than met on a walk that passes by others."""
    return _COMPARES_US * fitting.count <= _MEETS_US * met


def _reads_us(known: _Known, asked: PhotoFilter) -> float:
    """How long it takes to read the numbers of those that fit."""
    reading = sum(each.reads_us * each.length for each in known.read)
    asking = sum(each.asks_us for each in known.others) + (_ASKS_AGE_US if asked.ages is not None else 0.0)
    return reading + asking * known.left


def _numbers(connection: Connection, asked: PhotoFilter, known: _Known, most: int) -> Numbers | None:
    all_hold = all_of(([each.holds for each in known.others], {}))
    numbers = _LISTED.format(lists=_IN_ALL.join(each.numbers for each in known.read), conditions=all_hold)
    years, ages = shown_of_age(connection, asked.ages, asked.persons, sql.SQL("i.taken"))
    if asked.ages is not None:
        numbers = _OF_AGE.format(numbers=numbers, years=all_of(years), ages=all_of(ages))
    parameters = {**known.given, **years[1], **ages[1], "most": most}
    statement = _NUMBERS.format(numbers=numbers)
    count, text = only_row(connection.execute(statement, parameters, prepare=False))
    return None if count > most else Numbers(count, text)


def _known(connection: Connection, asked: PhotoFilter) -> _Known:
    """What there are lists of, and which of them are read."""
    lists, given = _lists(asked)
    of, share, there = float(about_photos(connection)), None, 0.0
    if asked.near is not None:
        place = PhotoFilter(near=asked.near, dates=asked.dates)
        of_place, share = shares_fitting(connection, place, asked)
        there = of_place.fitting
    lengths = [there if each.is_place else _length(connection, each, given) for each in lists]
    known = [replace(each, length=length) for each, length in zip(lists, lengths, strict=True)]
    known.sort(key=lambda each: each.length)
    read, left = _read(known, of)
    is_dated = any(each.dates for each in read)
    said = [each for each in known if each.is_part or (is_dated and each.dates == "only")]
    others = [each for each in known if each not in read and each not in said]
    is_one = len(known) == 1 or [each.dates for each in known] == ["too", "only"]
    return _Known(read, others, left, bool(known) and is_one and not known[0].known, given, of, share)


def _read(lists: Sequence[_List], of: float) -> tuple[list[_List], float]:
    """Which lists are read, the shortest first, and how many photos may be left that are in all of them."""
    read, left = list(lists[:1]), lists[0].length if lists else 0.0
    for each in lists[1:]:
        if not (each.is_part and any(other.is_place for other in read)) and _is_sooner_read(each, left):
            read.append(each)
            # Where PostgreSQL does not know how many photos there are, lists are longer than that.
            left *= min(max(each.length / max(of, 1), _LEAST_SHARED), 1.0)
    return read, left


def _is_sooner_read(each: _List, left: float) -> bool:
    return each.reads_us * each.length <= each.asks_us * left


def _lists(asked: PhotoFilter) -> tuple[list[_List], dict[str, object]]:
    """What there are lists of, and the parameters of all."""
    shown = showing(asked.persons, ONE_BY_ONE)
    metadata = conditions_on_metadata(asked)
    # Where a place or a camera is asked for its row says when, too.
    dates = NONE if metadata[0] else taken_on(asked.dates)
    words = described_with(asked.words, ONE_BY_ONE)
    given = together(shown, metadata, taken_on(asked.dates), words)[1]
    lists = [
        *(
            _List(_OF_PERSON.format(sql.Placeholder(name)), holds)
            for name, holds in zip(shown[1], shown[0], strict=True)
        ),
        *_of_metadata(asked),
        *(_of_tag(tag, dates) for tag in asked.tags),
        *(_List(_OF_WORDS.format(WORDS), holds, _READS_WORDS_US, _ASKS_FACES_US) for holds in words[0]),
        *_of_dates(dates),
    ]
    return lists, given


def _of_metadata(asked: PhotoFilter) -> Iterator[_List]:
    metadata = conditions_on_metadata(asked)
    if not metadata[0]:
        return
    numbers = _OF_METADATA.format(all_of(metadata))
    holds = has_row("photo_metadata", "m", all_of(metadata), ONE_BY_ONE)
    near = asked.near is not None
    if near:
        # How far away a photo was taken is reckoned last.
        reads_us = _READS_PLACE_US if asked.cameras is None else _READS_US
        yield _List(numbers, holds, reads_us, _ASKS_PLACE_US, is_place=True)
    if asked.cameras is not None:
        numbers = _OF_METADATA.format(all_of(taken_with(asked.cameras, asked.dates)))
        whenever = _OF_METADATA.format(all_of(taken_with(asked.cameras, Dates())))
        known = () if asked.dates.open else (whenever, _taken(taken_on(asked.dates)))
        yield _List(numbers, holds, asks_us=_ASKS_PLACE_US if near else _ASKS_US, is_part=near, known=known)


def _taken(dates: Conditions) -> sql.Composed:
    return _OF_DATES.format(photos=sql.Identifier("images"), dates=all_of(dates))


def _of_tag(tag: AskedTag, dates: Conditions) -> _List:
    (holds,), _ = tagged([tag], ONE_BY_ONE)
    if tag.target == "scene":
        # Its index has the times of the photos, too.
        numbers = _OF_DATES.format(photos=of_tag(tag), dates=all_of(dates))
        return _List(numbers, holds, dates="too" if dates[0] else "")
    return _List(_OF_FACE_TAG.format(sql.Literal(tag.number)), holds, _READS_FACES_US, _ASKS_FACES_US)


def _of_dates(dates: Conditions) -> Iterator[_List]:
    if dates[0]:
        yield _List(_taken(dates), _IS_OF_DATES.format(all_of(dates)), dates="only")


def _length(connection: Connection, each: _List, given: Mapping[str, object]) -> float:
    """About how many photos it has, as PostgreSQL knows."""
    lengths = []
    for statement in each.known or (each.numbers,):
        explained = connection.execute(_EXPLAINED.format(statement), given, prepare=False)
        lengths.append(float(only_row(explained)[0][0]["Plan"]["Plan Rows"]))
    return min(lengths)
