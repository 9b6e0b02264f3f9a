"""Photos by how old those on them are.

Of whom it is known when they were born, the date of the photo says it: by the day or the year that a human
said, else by what enough of their faces say together. Otherwise it is how old the face looks.
"""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from facesets.ages import AgeRange
from facesets.clustering.ages import LEAST_FACES
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, per_image

_AGED = sql.SQL(
    """EXISTS (SELECT FROM face_detections aged
            LEFT JOIN said_births said ON said.person_id = aged.person_id
            LEFT JOIN person_ages by_faces ON by_faces.person_id = aged.person_id
                AND by_faces.dated_faces >= {least_faces}
        WHERE aged.image_id = i.id {persons}
            AND coalesce(extract(year FROM age(i.taken, said.born_on)),
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
