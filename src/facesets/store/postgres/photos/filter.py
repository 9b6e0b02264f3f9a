"""Filter photos by people, time, place, camera, tags, words and age."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from facesets.ages import AgeRange
from facesets.library_records import TagTarget
from facesets.places import EARTH_KM, GeoBox, Near


@dataclass(frozen=True, slots=True)
class Dates:
    """A range of days, both included; None is open."""

    first: date | None = None
    last: date | None = None

    @property
    def open(self) -> bool:
        """Whether the range includes everything, also undated photos."""
        return self.first is None and self.last is None


class AskedTag(NamedTuple):
    """A tag to search for."""

    number: int
    target: TagTarget


@dataclass(frozen=True, slots=True)
class PhotoFilter:
    """The conditions that photos must match.

    Attributes
    ----------
    persons : tuple of UUID
        All of them are on the photo.
    cameras : tuple of int or None
        One of them took it, by their numbers; whichever did for None.
    tags : tuple of AskedTag
        The photo has all of them, or a face of one of the people; of any person if none is named.
    words : str
        That its description has, in any form; `"two words"` in that order, `or` for either, `-word` for none.
    ages : AgeRange or None
        One of the people is so old on it, or any person if none is named. The age follows from the birth if
        that is known, by the day or year that a user gave, else by enough of their faces together
        (`births`); otherwise it is how old the face looks.
    births : tuple of (UUID, float)
        The years of birth that enough faces of a person suggest.
    """

    persons: tuple[UUID, ...] = ()
    dates: Dates = field(default_factory=Dates)
    near: Near | None = None
    cameras: tuple[int, ...] | None = None
    tags: tuple[AskedTag, ...] = ()
    words: str = ""
    ages: AgeRange | None = None
    births: tuple[tuple[UUID, float], ...] = ()

    @property
    def open(self) -> bool:
        """Whether there is no condition."""
        return self == PhotoFilter()

    @property
    def only_dates(self) -> bool:
        """Whether the dates are the only condition."""
        return not self.dates.open and self == PhotoFilter(dates=self.dates)


def conditions(asked: PhotoFilter) -> sql.Composed:
    """Return the SQL condition that a photo `i` matches and has a file.

    Values stand in the statement, not beside it: PostgreSQL plans by how many photos have that very tag.
    """
    exist = [sql.SQL("EXISTS ({})").format(statement) for statement in _looked_up(asked)]
    return sql.SQL(" AND ").join([sql.SQL("i.missing_since IS NULL"), *_on_dates(asked.dates), *exist])


def _looked_up(asked: PhotoFilter) -> Iterator[sql.Composed]:
    """Return a subquery for each condition on another table."""
    for person in asked.persons:
        yield _SHOWN.format(person=person)
    if asked.near is not None or asked.cameras is not None:
        yield _WITH_METADATA.format(sql.SQL(" AND ").join(_on_metadata(asked)))
    for tag in asked.tags:
        if tag.target == "scene":
            yield _TAGGED.format(tag=tag.number)
        else:
            yield _FACE_TAGGED.format(tag=tag.number, face_of_one=face_of_one(asked.persons))
    if asked.words:
        yield _DESCRIBED.format(query=word_query(asked.words))
    if asked.ages is not None:
        yield _AGED.format(
            birth_by_faces=_birth_by_faces(asked.births),
            face_of_one=face_of_one(asked.persons),
            youngest=asked.ages.youngest,
            oldest=asked.ages.oldest,
        )


def _birth_by_faces(births: Sequence[tuple[UUID, float]]) -> sql.Composable:
    years = [sql.SQL("WHEN {}::uuid THEN {}::real").format(person, year) for person, year in births]
    return sql.SQL("CASE f.person_id {} END").format(sql.SQL(" ").join(years)) if years else sql.NULL


def _on_dates(dates: Dates) -> Iterator[sql.Composed]:
    if dates.first is not None:
        yield sql.SQL("i.taken >= {}::date").format(dates.first)
    if dates.last is not None:
        yield sql.SQL("i.taken < {}::date + 1").format(dates.last)


def _on_metadata(asked: PhotoFilter) -> Iterator[sql.Composed]:
    if asked.cameras is not None:
        yield sql.SQL("m.camera_id = ANY({}::int[])").format(list(asked.cameras))
    if asked.near is not None:
        yield sql.SQL("({})").format(sql.SQL(" OR ").join(map(_in_box, asked.near.boxes())))
        # Most of what is near is in the inner box, and a distance takes as long to reckon as a photo to read.
        yield sql.SQL("({} OR {} <= {})").format(
            _in_box(asked.near.inner_box()), _distance_km(asked.near), asked.near.km
        )


def _in_box(box: GeoBox) -> sql.Composed:
    return sql.SQL("(m.latitude BETWEEN {} AND {} AND m.longitude BETWEEN {} AND {})").format(
        box.south, box.north, box.west, box.east
    )


def _distance_km(near: Near) -> sql.Composed:
    return _DISTANCE_KM.format(earth_km=EARTH_KM, latitude=near.latitude, longitude=near.longitude)


def distance_from(near: Near | None) -> sql.Composed:
    """Return SQL for the distance of a photo `i` from the place in km; NULL without a place."""
    if near is None:
        return sql.SQL("NULL::float8").format()
    return sql.SQL(
        "(SELECT {} FROM photo_metadata m WHERE m.image_id = i.id AND m.latitude IS NOT NULL)"
    ).format(_distance_km(near))


def face_of_one(persons: Sequence[UUID]) -> sql.Composable:
    """Return the SQL condition that a face `f` belongs to one of these people, if any are given."""
    return sql.SQL("f.person_id = ANY({}::uuid[])").format(list(persons)) if persons else sql.SQL("true")


def word_query(words: str) -> sql.Composed:
    """Return the text search query for descriptions."""
    return sql.SQL("websearch_to_tsquery('english', {})").format(words)


_SHOWN = sql.SQL("SELECT FROM face_detections f WHERE f.image_id = i.id AND f.person_id = {person}::uuid")
_WITH_METADATA = sql.SQL("SELECT FROM photo_metadata m WHERE m.image_id = i.id AND {}")
# Haversines, which are right everywhere: across the date line, at the poles, and for a few metres.
_DISTANCE_KM = sql.SQL(
    """(2 * {earth_km} * asin(least(1, sqrt(
    sind((m.latitude - {latitude}) / 2) ^ 2
    + cosd(m.latitude) * cosd({latitude}) * sind((m.longitude - {longitude}) / 2) ^ 2))))"""
)
_TAGGED = sql.SQL("SELECT FROM image_tags t WHERE t.image_id = i.id AND t.tag_id = {tag}")
_FACE_TAGGED = sql.SQL(
    """SELECT FROM face_detections f JOIN face_tags t ON t.face_id = f.id
        WHERE f.image_id = i.id AND t.tag_id = {tag} AND {face_of_one}"""
)
_DESCRIBED = sql.SQL("SELECT FROM descriptions d WHERE d.image_id = i.id AND d.words @@ {query}")
_AGED = sql.SQL(
    """SELECT FROM face_detections f
            LEFT JOIN birth_corrections birth ON birth.person_id = f.person_id
        WHERE f.image_id = i.id AND {face_of_one}
            AND coalesce(extract(year FROM age(i.taken, birth.born_on)) - (i.taken < birth.born_on)::integer,
                extract(year FROM i.taken) - coalesce(birth.year, {birth_by_faces}), f.age)
                BETWEEN {youngest} AND {oldest}::real + 0.999"""
)
