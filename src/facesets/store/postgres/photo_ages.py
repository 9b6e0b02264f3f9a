"""Photos by how old those on them are.

Of whom it is known when they were born, the date of the photo says it: by the day or the year that a human
said, else by what enough of their faces say together. Otherwise it is how old the face looks.
"""

from collections.abc import Sequence
from math import ceil, floor
from uuid import UUID

from psycopg import sql

from facesets.ages import AgeRange
from facesets.clustering.ages import LEAST_FACES
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_conditions import (
    ALL_AT_ONCE,
    NONE,
    ONE_BY_ONE,
    Conditions,
    all_of,
    any_of,
    per_image,
)

_AGED = sql.SQL(
    """EXISTS (SELECT FROM face_detections aged
            LEFT JOIN said_births said ON said.person_id = aged.person_id
            LEFT JOIN person_ages by_faces ON by_faces.person_id = aged.person_id
                AND by_faces.dated_faces >= {least_faces}
        WHERE aged.image_id = i.id {persons}
            AND coalesce(extract(year FROM age(i.taken, said.born_on)) - (i.taken < said.born_on)::integer,
                extract(year FROM i.taken) - coalesce(said.year, by_faces.birth_year), aged.age)
                BETWEEN %(youngest)s AND %(oldest)s::real + 0.999 {how})"""
)
_ANYBODY = sql.SQL("")
_OF_PERSONS = sql.SQL("AND aged.person_id = ANY(%(aged_persons)s::uuid[])")


def of_age(
    ages: AgeRange | None, persons: Sequence[UUID], how: sql.SQL = ALL_AT_ONCE
) -> tuple[Sequence[sql.Composable], dict[str, object]]:
    """Conditions that somebody on an image `i` is so old, and their parameters; none for no ages.

    Parameters
    ----------
    persons : sequence of UUID
        One of these; anybody for none. What their faces say has to be fresh (`refresh_ages`).
    how : sql.SQL
        Whether all that fit may be looked for first, see `photo_conditions`.
    """
    if ages is None:
        return [], {}
    condition = _AGED.format(
        least_faces=sql.Literal(LEAST_FACES), persons=_OF_PERSONS if persons else _ANYBODY, how=per_image(how)
    )
    given = {"youngest": ages.youngest, "oldest": ages.oldest, "aged_persons": list(persons)}
    return [condition], given


_ROUNDED = 0.0005
"""More than PostgreSQL's own numbers are off by, and less than matters."""
_BIRTHS = sql.SQL(
    """SELECT coalesce(said.year, by_faces.birth_year), said.born_on
        FROM unnest(%s::uuid[]) AS person (id)
        LEFT JOIN said_births said ON said.person_id = person.id
        LEFT JOIN person_ages by_faces ON by_faces.person_id = person.id
            AND by_faces.dated_faces >= {least_faces}"""
)
_IN_YEARS = sql.SQL("({taken} >= make_date({first}, 1, 1) AND {taken} < make_date({beyond}, 1, 1))")
# The same as in `_AGED`: whoever is asked for is on the photo.
_BY_YEAR = sql.SQL(
    """extract(year FROM i.taken) - {year}::real
        BETWEEN %(youngest)s AND %(oldest)s::real + 0.999"""
)
_BY_DAY = sql.SQL(
    """extract(year FROM age(i.taken, {day}::date)) - (i.taken < {day}::date)::integer
        BETWEEN %(youngest)s AND %(oldest)s::real + 0.999"""
)
_DATED = sql.SQL("CASE WHEN i.taken IS NULL THEN {by_faces} ELSE {by_births} END")


def shown_of_age(
    connection: Connection, ages: AgeRange | None, persons: Sequence[UUID], taken: sql.Composable
) -> tuple[Conditions, Conditions]:
    """Conditions that one of these people, all of whom an image shows, is so old on it.

    Returns
    -------
    years : Conditions
        That it was `taken` in years when that can be so, which costs next to nothing.
    fits : Conditions
        That an image `i` fits; no face is looked at where the births are known and the photo has a date.
    """
    by_faces = of_age(ages, persons, ONE_BY_ONE)
    if ages is None or not persons:
        return NONE, by_faces
    statement = _BIRTHS.format(least_faces=sql.Literal(LEAST_FACES))
    births = connection.execute(statement, (list(persons),)).fetchall()
    if any(year is None for year, _ in births):
        return NONE, by_faces
    years = [
        _IN_YEARS.format(
            taken=taken,
            first=sql.Literal(ceil(year + ages.youngest - _ROUNDED)),
            # Who was born on a day is as old until that day of the next year.
            beyond=sql.Literal(floor(year + ages.oldest + 0.999 + _ROUNDED) + 1 + (day is not None)),
        )
        for year, day in births
    ]
    by_births = [
        _BY_YEAR.format(year=sql.Literal(year)) if day is None else _BY_DAY.format(day=sql.Literal(day))
        for year, day in births
    ]
    fits = _DATED.format(by_faces=all_of(by_faces), by_births=any_of(by_births))
    return ([sql.SQL("({} IS NULL OR {})").format(taken, any_of(years))], {}), ([fits], by_faces[1])
