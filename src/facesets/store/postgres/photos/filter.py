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
        One of these cameras took it, by number; any camera for None.
    tags : tuple of AskedTag
        The photo has all of them, or a face of one of the people; of any person if none is named.
    words : str
        Words of its description, in any form; `"two words"` in that order, `or` for either, `-word` for none.
    ages : AgeRange or None
        The age of one of the people on it, or of any person if none is named. It is computed from the birth
        if known: the day or year that a user set, else an estimate from enough of their faces (`births`);
        otherwise it is the apparent age of the face.
    births : tuple of (UUID, float)
        Years of birth of people, estimated from enough of their faces.
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


def conditions(photo_filter: PhotoFilter) -> sql.Composed:
    """Return the SQL condition that a photo `i` matches and has a file.

    Values are literals, not parameters: PostgreSQL plans by how many photos have that very tag.
    """
    exist = [sql.SQL("EXISTS ({})").format(statement) for statement in _looked_up(photo_filter)]
    return sql.SQL(" AND ").join([sql.SQL("i.missing_since IS NULL"), *_on_dates(photo_filter.dates), *exist])


def _looked_up(photo_filter: PhotoFilter) -> Iterator[sql.Composed]:
    """Return a subquery for each condition on another table."""
    for person in photo_filter.persons:
        yield _SHOWN.format(person=person)
    if photo_filter.near is not None or photo_filter.cameras is not None:
        yield _WITH_METADATA.format(sql.SQL(" AND ").join(_on_metadata(photo_filter)))
    for tag in photo_filter.tags:
        if tag.target == "scene":
            yield _TAGGED.format(tag=tag.number)
        else:
            yield _FACE_TAGGED.format(tag=tag.number, face_of_one=face_of_one(photo_filter.persons))
    if photo_filter.words:
        yield _DESCRIBED.format(query=word_query(photo_filter.words))
    if photo_filter.ages is not None:
        yield _AGED.format(
            birth_by_faces=_birth_by_faces(photo_filter.births),
            face_of_one=face_of_one(photo_filter.persons),
            youngest=photo_filter.ages.youngest,
            oldest=photo_filter.ages.oldest,
        )


def _birth_by_faces(births: Sequence[tuple[UUID, float]]) -> sql.Composable:
    years = [sql.SQL("WHEN {}::uuid THEN {}::real").format(person, year) for person, year in births]
    return sql.SQL("CASE f.person_id {} END").format(sql.SQL(" ").join(years)) if years else sql.NULL


def _on_dates(dates: Dates) -> Iterator[sql.Composed]:
    if dates.first is not None:
        yield sql.SQL("i.taken >= {}::date").format(dates.first)
    if dates.last is not None:
        yield sql.SQL("i.taken < {}::date + 1").format(dates.last)


def _on_metadata(photo_filter: PhotoFilter) -> Iterator[sql.Composed]:
    if photo_filter.cameras is not None:
        yield sql.SQL("m.camera_id = ANY({}::int[])").format(list(photo_filter.cameras))
    if photo_filter.near is not None:
        yield sql.SQL("({})").format(sql.SQL(" OR ").join(map(_in_box, photo_filter.near.boxes())))
        # Most matches are in the inner box, and computing a distance takes as long as reading a photo.
        yield sql.SQL("({} OR {} <= {})").format(
            _in_box(photo_filter.near.inner_box()), _distance_km(photo_filter.near), photo_filter.near.km
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
# Haversines are correct everywhere: across the date line, at the poles, and for a few metres.
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
