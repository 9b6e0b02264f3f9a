"""Lists of the photos for which something holds, as indexes have them: of a person, a tag, a place, a day.

A list is read whole, some millions of photos a second. Or some photos are looked for in it, which takes
longer for each of them; least where those of the list lie together in an index, as the photos of a tag do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from math import inf
from uuid import UUID

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.expected_rows import expected_rows
from facesets.store.postgres.photo_cameras import taken_with
from facesets.store.postgres.photo_conditions import NONE, Conditions, all_of
from facesets.store.postgres.photo_dates import Dates, taken_on
from facesets.store.postgres.photo_filter import PhotoFilter, conditions_on_metadata, together
from facesets.store.postgres.photo_tags import AskedTag, face_of, of_tag
from facesets.store.postgres.photo_words import WORDS, described_with

# Microseconds of a processor that takes its data from memory, as measured among a million photos.
_READS_US, _READS_WORDS_US, _READS_PLACE_US, _READS_FACES_US, _READS_OWN_FACES_US = 0.15, 0.35, 0.5, 2.0, 0.9
_ASKS_US, _ASKS_OWN_FACES_US, _ASKS_TIMES_US, _ASKS_ROWS_US, _ASKS_FACES_US = 0.6, 1.0, 1.0, 1.7, 3.0
_PASSES_US = 0.02

_OF_PERSON = sql.SQL(
    "SELECT f.image_id AS id FROM face_detections f WHERE f.person_id = {person}::uuid AND {which}"
)
_OF_METADATA = sql.SQL("SELECT m.image_id AS id FROM photo_metadata m WHERE {said}")
# PostgreSQL expects fewer photos at some place and time than there are of these.
_AMONG_METADATA = sql.SQL(
    """SELECT m.image_id AS id FROM (SELECT * FROM photo_metadata m WHERE {which} OFFSET 0) m WHERE {said}"""
)
_OF_DATES = sql.SQL("SELECT i.id FROM images i WHERE {dates} AND {which}")
_OF_TAG = sql.SQL("SELECT t.image_id AS id FROM image_tags t WHERE t.tag_id = {tag} AND {which}")
_OF_TAG_THEN = sql.SQL("SELECT i.id FROM {photos} i WHERE {dates}")
_OF_WORDS = sql.SQL(
    "SELECT d.image_id AS id FROM descriptions d WHERE d.words @@ {words} AND d.image_id IS NOT NULL"
)
# Else PostgreSQL may read the index of words whole, for each part again.
_AMONG_DESCRIBED = sql.SQL(
    """SELECT d.image_id AS id
        FROM (SELECT d.image_id, d.words FROM descriptions d WHERE {which} OFFSET 0) d
        WHERE d.words @@ {words}"""
)
_OF_FACE_TAG = sql.SQL(
    """SELECT f.image_id AS id FROM face_detections f WHERE f.id = ANY(ARRAY(
        SELECT t.face_id FROM face_tags t WHERE t.tag_id = {tag} AND t.face_id = ANY(ARRAY(
            SELECT f.id FROM face_detections f WHERE {shown} AND {which}))))"""
)
_OF_ALL_FACES = sql.SQL(
    """SELECT f.image_id AS id FROM face_tags t JOIN face_detections f ON f.id = t.face_id
        WHERE t.tag_id = {tag} AND {shown}"""
)
_DATES = frozenset({"dates"})
_LEAST_DESCRIBED = 0.02
"""All descriptions of a part are looked through."""
_ALL = sql.SQL("true")
_AMONG = sql.SQL("{image} = ANY(ARRAY({numbers}))")
_PART = sql.SQL("{image} >= part.first AND {image} < part.beyond")


@dataclass(frozen=True, slots=True)
class PhotoList:
    """The photos for which something holds.

    Attributes
    ----------
    statement, image, values
        What reads their numbers, with the column where these are, and what it says else; some numbers twice.
    whole : statement or None
        Reads all of them sooner.
    reads_us, asks_us : float
        How long it takes for each that is read, and for each photo that is looked for, where these lie apart.
    is_of_all : bool
        Whether they are looked for among all photos, and not only among those of the list.
    says : set of str
        What of all that is asked for holds for its photos: what others say already they need not be asked.
    says_read : set of str
        What holds beside that where all of them are read.
    parts_of : float
        A part of it, from a number on and before another, is soon read by itself where the list has a larger
        share of all photos.
    known : statements
        The shortest of these, of which PostgreSQL knows how long they are, is not shorter; else itself.
    through : statement or None
        What is looked through to read it; else itself.
    length, rows : float
        About how many they are, and how many rows are read for them.
    """

    statement: sql.SQL
    image: sql.SQL
    values: Mapping[str, sql.Composable] = field(default_factory=dict)
    whole: sql.Composed | None = None
    reads_us: float = _READS_US
    asks_us: float = _ASKS_US
    is_of_all: bool = False
    says: frozenset[str] = frozenset()
    says_read: frozenset[str] = frozenset()
    parts_of: float = inf
    known: tuple[sql.Composed, ...] = ()
    through: sql.Composed | None = None
    length: float = 0.0
    rows: float = 0.0

    def numbers(self) -> sql.Composed:
        """The statement that reads the numbers of all of them."""
        return self.whole or self._read(_ALL)

    def among(self, numbers: sql.Composed) -> sql.Composed:
        """The one that reads which of some numbers are theirs."""
        return self._read(_AMONG.format(image=self.image, numbers=numbers))

    def part(self) -> sql.Composed:
        """The one that reads those from `part.first` on and before `part.beyond`."""
        return self._read(_PART.format(image=self.image))

    def has_parts(self, of: float) -> bool:
        """Whether a part of it, where there are so many photos, is soon read by itself."""
        return self.length > self.parts_of * of

    def asking_us(self, left: float, of: float) -> float:
        """How long it takes to look for so many photos, of so many in all."""
        # The more they are the nearer together they lie, until all others are passed by one after the other.
        passed = of if self.is_of_all else self.length
        return min(self.asks_us * left, self.asks_us / 3 * left + _PASSES_US * passed)

    def _read(self, which: sql.Composable) -> sql.Composed:
        return self.statement.format(which=which, **self.values)


def lists_of(asked: PhotoFilter, described: float) -> tuple[list[PhotoList], dict[str, object]]:
    """What there are lists of, all of which have a photo that fits; and the parameters of all statements.

    Such a share of all photos is `described`.
    """
    metadata = conditions_on_metadata(asked)
    # Where a place or a camera is asked for its row says when, too.
    dates = NONE if metadata[0] else taken_on(asked.dates)
    shown = {f"person_{place}": person for place, person in enumerate(asked.persons)}
    given = together(metadata, taken_on(asked.dates), described_with(asked.words))[1]
    lists = [
        *_of_people(asked),
        *_of_metadata(asked),
        *(_of_tag(tag, dates) for tag in asked.tags if tag.target == "scene"),
        *(_of_face_tag(tag, asked.persons) for tag in asked.tags if tag.target == "face"),
        *_of_words(asked, described),
        *_of_dates(dates),
    ]
    return lists, {**shown, **given}


def _of_people(asked: PhotoFilter) -> Iterator[PhotoList]:
    for place in range(len(asked.persons)):
        name = f"person_{place}"
        person = {"person": sql.Placeholder(name)}
        yield PhotoList(_OF_PERSON, sql.SQL("f.image_id"), person, says=frozenset({name}), parts_of=0.0)


def _of_metadata(asked: PhotoFilter) -> Iterator[PhotoList]:
    def of(conditions: Conditions, *says: str) -> PhotoList:
        said = {"said": all_of(conditions)}
        whole = _OF_METADATA.format(**said)
        listed = PhotoList(_AMONG_METADATA, sql.SQL("m.image_id"), said, whole=whole)
        return replace(listed, asks_us=_ASKS_ROWS_US, is_of_all=True, says=frozenset({*says, "dates"}))

    cameras = [] if asked.cameras is None else ["camera"]
    if asked.near is not None:
        # How far away a photo was taken is reckoned last.
        reads_us = _READS_PLACE_US if asked.cameras is None else _READS_US
        yield replace(of(conditions_on_metadata(asked), "place", *cameras), reads_us=reads_us)
    if asked.cameras is not None:
        whenever = of(taken_with(asked.cameras, Dates())).numbers()
        known = () if asked.dates.open else (whenever, taken_then(taken_on(asked.dates)).numbers())
        yield replace(of(taken_with(asked.cameras, asked.dates), *cameras), known=known)


def _of_tag(tag: AskedTag, dates: Conditions) -> PhotoList:
    says = frozenset({_name(tag)})
    number = {"tag": sql.Literal(tag.number)}
    listed = PhotoList(_OF_TAG, sql.SQL("t.image_id"), number, says=says, parts_of=0.0)
    if not dates[0]:
        return listed
    # Another index has them in the order of time.
    then = _OF_TAG_THEN.format(photos=of_tag(tag), dates=all_of(dates))
    return replace(listed, whole=then, says_read=_DATES, parts_of=inf)


def _of_face_tag(tag: AskedTag, persons: Sequence[UUID]) -> PhotoList:
    """Of the faces of these people, or of all."""
    values = {"tag": sql.Literal(tag.number), "shown": face_of(persons)}
    whole = _OF_ALL_FACES.format(**values)
    # With several people it may be the face of any of them.
    says = frozenset({_name(tag), "person_0"} if len(persons) == 1 else {_name(tag)})
    listed = PhotoList(_OF_FACE_TAG, sql.SQL("f.image_id"), values, asks_us=_ASKS_FACES_US, says=says)
    if not persons:
        return replace(listed, whole=whole, reads_us=_READS_FACES_US)
    faces = sql.SQL("SELECT f.id FROM face_detections f WHERE {}").format(face_of(persons))
    return replace(
        listed, reads_us=_READS_OWN_FACES_US, asks_us=_ASKS_OWN_FACES_US, known=(whole,), through=faces
    )


def _name(tag: AskedTag) -> str:
    return f"tag_{tag.number}"


def _of_words(asked: PhotoFilter, described: float) -> Iterator[PhotoList]:
    if asked.words:
        # That a photo has no description its index says.
        asks_us = _ASKS_US / 2 + described * _ASKS_ROWS_US
        words = {"words": WORDS}
        yield PhotoList(
            _AMONG_DESCRIBED,
            sql.SQL("d.image_id"),
            words,
            whole=_OF_WORDS.format(**words),
            reads_us=_READS_WORDS_US,
            asks_us=asks_us,
            says=frozenset({"words"}),
            parts_of=_LEAST_DESCRIBED,
        )


def _of_dates(dates: Conditions) -> Iterator[PhotoList]:
    if dates[0]:
        yield taken_then(dates)


def taken_then(dates: Conditions) -> PhotoList:
    """The list of the images `i` that were taken at some times."""
    values = {"dates": all_of(dates)}
    listed = PhotoList(_OF_DATES, sql.SQL("i.id"), values, asks_us=_ASKS_TIMES_US, is_of_all=True)
    return replace(listed, says=_DATES)


def measured(
    connection: Connection, lists: Sequence[PhotoList], given: Mapping[str, object], there: float
) -> list[PhotoList]:
    """The same with how long they are, about, as PostgreSQL knows; but of a place, so many are `there`."""
    asked = [each for each in lists if "place" not in each.says]
    statements = [each.known or (each.numbers(),) for each in asked]
    through = [each.through for each in asked if each.through is not None]
    rows = iter(expected_rows(connection, [*chain(*statements), *through], given))
    lengths = [min(islice(rows, len(each))) for each in statements]
    found = []
    for each in lists:
        length = there if "place" in each.says else lengths.pop(0)
        found.append(replace(each, length=length, rows=length))
    return [each if each.through is None else replace(each, rows=next(rows)) for each in found]
