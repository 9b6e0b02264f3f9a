"""Which photos are meant, whatever asks: by people, time, place and camera."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from psycopg import sql

from facesets.places import Near
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, Conditions
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_people import showing
from facesets.store.postgres.photo_places import taken_near
from facesets.store.postgres.photo_tags import AskedTag, tagged


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
        The photo, or a face on it, has all of them.
    """

    persons: tuple[UUID, ...] = ()
    dates: Dates = field(default_factory=Dates)
    near: Near | None = None
    cameras: tuple[int, ...] | None = None
    tags: tuple[AskedTag, ...] = ()

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
    parts = [
        showing(asked.persons, how),
        taken_on(asked.dates),
        taken_near(asked.near, how),
        taken_with(asked.cameras, how),
        tagged(asked.tags, how),
    ]
    return [each for some, _ in parts for each in some], {
        name: value for _, given in parts for name, value in given.items()
    }
