"""Which photos are meant, whatever asks: by people, time, place, camera, tags, words and age."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from psycopg import sql

from facesets.ages import AgeRange
from facesets.places import Near
from facesets.store.postgres.photo_ages import of_age
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, NONE, Conditions, has_row
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_people import showing
from facesets.store.postgres.photo_places import taken_near
from facesets.store.postgres.photo_tags import AskedTag, tagged
from facesets.store.postgres.photo_words import described_with


@dataclass(frozen=True, slots=True)
class PhotoFilter:
    """Photos for which all of this holds.

    Attributes
    ----------
    persons : tuple of UUID
        All of them are on the photo.
    cameras : tuple of int or None
        One of them took it, by their numbers; whichever did for None.
    tags : tuple of AskedTag
        The photo has all of them, or a face of one of the people; anybody's where none is named.
    words : str
        That its description has; see `described_with`.
    ages : AgeRange or None
        One of the people is so old on it, or anybody where none is named; see `of_age`.
    """

    persons: tuple[UUID, ...] = ()
    dates: Dates = field(default_factory=Dates)
    near: Near | None = None
    cameras: tuple[int, ...] | None = None
    tags: tuple[AskedTag, ...] = ()
    words: str = ""
    ages: AgeRange | None = None

    @property
    def open(self) -> bool:
        """Whether all photos are meant."""
        return self == PhotoFilter()

    def without(self, tag: AskedTag) -> "PhotoFilter":
        """The same but for one tag, where all photos that are looked at have it."""
        return replace(self, tags=tuple(each for each in self.tags if each != tag))

    @property
    def only_dates(self) -> bool:
        """Whether nothing but their time counts."""
        return self == PhotoFilter(dates=self.dates)


def conditions(asked: PhotoFilter, how: sql.SQL = ALL_AT_ONCE) -> Conditions:
    """The conditions that an image `i` is one of these, and their parameters."""
    said, given = conditions_on_metadata(asked)
    metadata = [has_row("photo_metadata", "m", sql.SQL(" AND ").join(said), how)] if said else []
    first, among = conditions_on_images(asked, how)
    return [*first, *metadata], given | among


def conditions_on_images(asked: PhotoFilter, how: sql.SQL) -> Conditions:
    """Those that do not look at the row `m` of an image in photo_metadata."""
    # Where a place or a camera is asked for the row says when, too, and its index knows.
    is_said = asked.near is not None or asked.cameras is not None
    return together(
        showing(asked.persons, how),
        NONE if is_said else taken_on(asked.dates),
        tagged(asked.tags, asked.persons, how),
        described_with(asked.words, how),
        of_age(asked.ages, asked.persons, how),
    )


def conditions_on_metadata(asked: PhotoFilter) -> Conditions:
    """Those that only look at that row."""
    return together(taken_near(asked.near, asked.dates), taken_with(asked.cameras, asked.dates))


def together(*parts: Conditions) -> Conditions:
    """All of some conditions."""
    return [each for some, _ in parts for each in some], {
        name: value for _, given in parts for name, value in given.items()
    }
