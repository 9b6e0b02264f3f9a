"""The numbers of all photos that a filter means, read from lists that indexes have.

The shortest list is read whole, and so are those that are not much longer. In the others the photos that are
left are looked for, one list after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_ages import shown_of_age
from facesets.store.postgres.photo_conditions import ONE_BY_ONE, Conditions, all_of
from facesets.store.postgres.photo_filter import PhotoFilter, conditions, together
from facesets.store.postgres.photo_fitting import (
    FEW_LOOKED_AT,
    LOOKED_AT,
    Share,
    share_fitting,
    share_of_list,
    shares_fitting,
)
from facesets.store.postgres.photo_latest import about_photos
from facesets.store.postgres.photo_lists import PhotoList, lists_of, measured, taken_then
from facesets.store.postgres.photo_words import about_described

# Microseconds of a processor that takes its data from memory, as measured among a million photos.
_ASKS_AGE_US, _COMPARES_US, _MEETS_US, _MEETS_AND_ASKS_US = 1.5, 3.2, 18.0, 22.0
_LEAST_SEEN = 0.3
"""So many photos fit at least, of those that were looked at, where none of them does."""
_LEAST_SHARED = 0.1
"""Of the photos of one list that are in another, too: whom somebody is seen with, and where, is no chance."""
_SOON_US = 500.0
"""What takes no longer is read: of as few PostgreSQL may compare each with each photo that is looked for.

That takes long where it knows too little, as of tags that were given since it last looked.
"""
_GUESSED_WRONG = 4
"""So many times as many may fit as were expected."""

_IN_ALL = sql.SQL(" INTERSECT ")
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
class _Known:
    """How the photos that a filter means can be listed.

    Attributes
    ----------
    lists : sequence of PhotoList
        All there are, the shortest first.
    read : sequence of PhotoList
        Those of which all photos are read, the shortest first.
    others : sequence of PhotoList
        In which the photos that are in all of those are looked for, one after the other.
    left : sequence of float
        About how many photos are looked for in each of these, and are in all of them.
    is_all : bool
        Whether all photos of the shortest list fit, of which it is known how long it is.
    given : dict
        Parameters of all.
    aged : Conditions, Conditions
        How old somebody is on the photos: the years, and the rest; see `shown_of_age`.
    of : float
        How many photos there are, about.
    share : Share
        How many fit, about; None where that was not looked at.
    """

    lists: Sequence[PhotoList]
    read: Sequence[PhotoList]
    others: Sequence[PhotoList]
    left: Sequence[float]
    is_all: bool
    given: dict[str, object]
    aged: tuple[Conditions, Conditions]
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
    # No more fit; where reading these is soonest even if all do, how many do need not be looked at.
    most = known.read[0].length
    share = Share(most, most, 0.0)
    is_known = known.is_all and asked.ages is None
    if not is_known and _is_sooner_walked(known, share, wanted=wanted, few=few):
        share = _share(connection, asked, known)
    if _is_sooner_walked(known, share, wanted=wanted, few=few):
        return None, _met(known, share, wanted)
    numbers = _numbers(connection, asked, known, _GUESSED_WRONG * max(int(share.fitting), few))
    fitting = share.fitting if numbers is None else numbers.count
    return numbers, wanted * known.of / max(fitting, 1)


def _is_sooner_walked(known: _Known, share: Share, *, wanted: int, few: int) -> bool:
    """Whether an index that asks each photo it meets is sooner than reading the numbers of those that fit."""
    met = _met(known, share, wanted)
    sooner_us = _reads_us(known) + min(_COMPARES_US * share.fitting, _MEETS_US * met)
    return share.fitting > few and sooner_us > _MEETS_AND_ASKS_US * met


def _met(known: _Known, share: Share, wanted: int) -> float:
    return wanted * known.of / max(share.least, 1)


def are_sooner_compared(fitting: Numbers, *, met: float) -> bool:
    """Whether these photos are sooner compared one by one than met on a walk that passes by others."""
    return _COMPARES_US * fitting.count <= _MEETS_US * met


def _share(connection: Connection, asked: PhotoFilter, known: _Known) -> Share:
    """How many fit, by a look at photos of the shortest list of which a part can be read, else of all."""
    parted = next((each for each in known.lists if each.has_parts(known.of)), None)
    if parted is not None:
        all_hold = together(known.aged[0], conditions(replace(asked, ages=None), ONE_BY_ONE), known.aged[1])
        share = share_of_list(connection, all_hold, parted.part(), parted.length)
    else:
        share = None
    found = share or known.share or share_fitting(connection, asked)
    fitting, least = (max(each, _LEAST_SEEN * found.each) for each in (found.fitting, found.least))
    return replace(found, fitting=fitting, least=least)


def _reads_us(known: _Known) -> float:
    """How long it takes to read the numbers of those that fit."""
    reading = sum(each.reads_us * each.rows for each in known.read)
    asking = sum(each.asking_us(left, known.of) for each, left in zip(known.others, known.left, strict=False))
    return reading + asking + (_ASKS_AGE_US * known.left[-1] if known.aged[1][0] else 0.0)


def _numbers(connection: Connection, asked: PhotoFilter, known: _Known, most: int) -> Numbers | None:
    numbers = _IN_ALL.join(each.numbers() for each in known.read)
    for each in known.others:
        numbers = each.among(numbers)
    years, ages = known.aged
    if asked.ages is not None:
        numbers = _OF_AGE.format(numbers=numbers, years=all_of(years), ages=all_of(ages))
    parameters = {**known.given, **years[1], **ages[1], "most": most}
    statement = _NUMBERS.format(numbers=numbers)
    count, text = only_row(connection.execute(statement, parameters, prepare=False))
    return None if count > most else Numbers(count, text)


def _known(connection: Connection, asked: PhotoFilter) -> _Known:
    """What there are lists of, and which of them are read."""
    of = about_photos(connection)
    lists, given = lists_of(asked, about_described(connection) / max(of, 1.0) if asked.words else 0.0)
    aged = shown_of_age(connection, asked.ages, asked.persons, sql.SQL("i.taken"))
    there, share = _at_place(connection, asked)
    # Of the years when somebody was so old nothing is read: photos without a date may fit as well.
    years = [taken_then(aged[0])] if aged[0][0] else []
    listed = measured(connection, [*lists, *years], given, there)
    known, years = sorted(listed[: len(lists)], key=lambda each: each.length), listed[len(lists) :]
    read, left = _read(known, of)
    others = _others(known, read)
    # Without anything that takes longer to ask they are sooner asked with the age.
    others += [each for each in years if any(other.asks_us > each.asks_us for other in others)]
    others.sort(key=lambda each: each.asks_us)
    lefts = list(accumulate(others, lambda left, each: left * _shared(each, of), initial=left))
    return _Known(known, read, others, lefts, _says_all(known), given, aged, of, share)


def _at_place(connection: Connection, asked: PhotoFilter) -> tuple[float, Share | None]:
    """How many photos are at the place, then, about, and how many of all fit; nothing where none is named."""
    if asked.near is None:
        return 0.0, None
    has_parts = bool(asked.persons) or any(tag.target == "scene" for tag in asked.tags)
    looked_at = FEW_LOOKED_AT if has_parts else LOOKED_AT
    place = PhotoFilter(near=asked.near, dates=asked.dates)
    of_place, share = shares_fitting(connection, place, asked, looked_at)
    return of_place.fitting, share


def _says_all(lists: Sequence[PhotoList]) -> bool:
    """Whether all photos of the shortest list fit, of which it is known how long it is."""
    shortest = lists[:1]
    is_guessed = any(each.known or "place" in each.says for each in shortest)
    return not is_guessed and not _others(lists, shortest)


def _read(lists: Sequence[PhotoList], of: float) -> tuple[list[PhotoList], float]:
    """Which lists are read, the shortest first, and how many photos may be left that are in all of them."""
    read, left = list(lists[:1]), lists[0].length if lists else 0.0
    for each in lists[1:]:
        if not each.says <= _said(read) and _is_sooner_read(each, left, of):
            read.append(each)
            left *= _shared(each, of)
    return read, left


def _others(lists: Sequence[PhotoList], read: Sequence[PhotoList]) -> list[PhotoList]:
    """Those of the lists that say more than those that are read, and than each other."""
    said, others = _said(read), []
    for each in sorted(lists, key=lambda each: -len(each.says)):
        if not each.says <= said:
            others.append(each)
            said |= each.says
    return others


def _said(read: Sequence[PhotoList]) -> frozenset[str]:
    """What holds for the photos that are in all these lists."""
    return frozenset().union(*(each.says | each.says_read for each in read))


def _shared(each: PhotoList, of: float) -> float:
    """Which part of some photos is in a list, too, as far as its length says."""
    # Where PostgreSQL does not know how many photos there are, lists are longer than that.
    return min(max(each.length / max(of, 1), _LEAST_SHARED), 1.0)


def _is_sooner_read(each: PhotoList, left: float, of: float) -> bool:
    return each.reads_us * each.rows <= max(each.asking_us(left, of), _SOON_US)
