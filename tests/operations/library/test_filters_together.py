"""Whatever photos are asked for, and in whichever way they are found, they are those a plain look finds."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import product
from math import asin, cos, radians, sin, sqrt
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from psycopg import sql
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import with_metadata
from tests.fixtures.soak import soaking

from facesets.ages import AgeRange
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.corrections.naming import name
from facesets.places import EARTH_KM, Near
from facesets.records import ClipModel
from facesets.store.postgres import described_photos as described
from facesets.store.postgres import (
    photo_fitting,
    photo_gathered,
    photo_latest,
    photo_numbers,
    photo_search,
    search,
    vector_index,
)
from facesets.store.postgres.connection import Connection, Database, only_row
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import clip_models
from facesets.store.postgres.photo_conditions import ONE_BY_ONE
from facesets.store.postgres.photo_dates import Dates
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_fitting import share_of_list
from facesets.store.postgres.photo_lists import PhotoList, lists_of, measured
from facesets.store.postgres.photo_search import count_photos, find_photos, photos_near
from facesets.store.postgres.photo_tags import AskedTag
from facesets.store.postgres.vector_index import build_index

PHOTOS = 90
CLIP = ClipModel("made", "cc" * 32)
ANNA_BORN = 2010
PLACES = [None, (48.0, 11.0), (48.05, 11.05), (0.0, 179.99), (0.0, -179.99), (-33.9, 151.2)]
CAMERAS = ["", "Canon", "Nikon", "Leica"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is plainly known of a photo."""

    path: str
    taken: datetime | None
    place: tuple[float, float] | None
    camera: str
    people: frozenset[str]
    ages: tuple[float, ...]
    scene: bool
    face_tag: bool
    words: bool
    vector: float


def plainly() -> list[Known]:
    """Photos of everything at random, some of the same second, some of no time and some of no place."""
    rng = np.random.default_rng(17)
    found = []
    for number in range(PHOTOS):
        day = datetime(2018, 3, 1, 12) + timedelta(days=20 * int(rng.integers(0, 60)))  # noqa: DTZ001
        found.append(
            Known(
                f"/{number}.jpg",
                None if rng.random() < 0.15 else day,
                PLACES[int(rng.integers(0, len(PLACES)))],
                CAMERAS[int(rng.integers(0, len(CAMERAS)))],
                frozenset(who for who in ("Anna", "Ben") if rng.random() < 0.5),
                tuple(float(age) for age in rng.integers(1, 60, 2)),
                bool(rng.random() < 0.5),
                bool(rng.random() < 0.5),
                bool(rng.random() < 0.6),
                float(rng.uniform(0, np.pi)),
            )
        )
    return found


def fill(database: Database) -> None:
    library = Library(database).looking_for(SETTINGS, CLIP)
    images = []
    for number, known in enumerate(plainly()):
        image = made_image(f"photo {number}", 2)
        aged = replace(image.faces, age=np.array(known.ages, np.float32), male=np.full(2, 0.9, np.float32))
        latitude, longitude = known.place or (None, None)
        said = PhotoMetadata(
            taken=np.datetime64("NaT", "us") if known.taken is None else np.datetime64(known.taken, "us"),
            latitude=latitude,
            longitude=longitude,
            make=known.camera,
        )
        vector = np.array([np.cos(known.vector), np.sin(known.vector)], np.float32)
        images.append(with_metadata(replace(image, faces=aged, clip=vector), said))
    library.add([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    for place, who in enumerate(("Anna", "Ben")):
        for number, known in enumerate(plainly()):
            if who in known.people:
                name(database, str(face_on(database, number, place)), who, into=True, face=True, by="tester")
    set_birth(database, "Anna", Birth(year=ANNA_BORN), by="tester", today=date(2026, 1, 1))
    database.run(tag_and_describe)
    gone = [known.path for known in plainly() if not has_file(known)]
    database.run(
        lambda connection: connection.execute(
            "UPDATE image_paths SET reason = 'gone' WHERE path = ANY(%s)", (gone,)
        )
    )


def has_file(known: Known) -> bool:
    """Those most similar to what is asked for are gone."""
    return known.vector > 0.9


def face_on(database: Database, number: int, place: int) -> int:
    ((face,),) = rows(
        database,
        f"""SELECT f.id FROM face_detections f JOIN image_paths p USING (image_id)
            WHERE p.path = '/{number}.jpg' AND f.ordinal = {place}""",
    )
    return int(face)


def tag_and_describe(connection: Connection) -> None:
    for target in ("scene", "face"):
        connection.execute(
            """WITH c AS (INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates,
                    none_prompts) VALUES (%(name)s, %(name)s, 'multi', 0, '{}', '{}') RETURNING id)
                INSERT INTO tags (category_id, place, name, phrases) SELECT id, 0, %(name)s, '{}' FROM c""",
            {"name": target},
        )
    for known in plainly():
        if known.scene:
            connection.execute(
                """INSERT INTO image_tags SELECT p.image_id, t.id, NULL, 0.9, i.taken
                    FROM image_paths p JOIN images i ON i.id = p.image_id, tags t
                    WHERE p.path = %s AND t.name = 'scene'""",
                (known.path,),
            )
        if known.face_tag:
            connection.execute(
                """INSERT INTO face_tags SELECT f.id, t.id, NULL, 0.9 FROM image_paths p
                    JOIN face_detections f USING (image_id), tags t
                    WHERE p.path = %s AND t.name = 'face' AND f.ordinal = 1""",
                (known.path,),
            )
        connection.execute(
            """INSERT INTO descriptions (image_id, sha256, description, quality, season, time_of_day,
                    environment, people, activities, objects, text_in_image, tags, emotional_tone, answer,
                    provider, model, prompt, input_tokens, output_tokens, cache_read_tokens,
                    cache_write_tokens)
                SELECT image_id, sha256, '', 1, '', '', '', 0, '{}', '{}', '', '{}', '',
                    jsonb_build_object('description', %s::text), '', '', '', 0, 0, 0, 0
                FROM image_paths WHERE path = %s""",
            ("A red bicycle." if known.words else "A dog.", known.path),
        )


template = template_by(fill)


def km(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = ((radians(x), radians(y)) for x, y in (one, other))
    return 2 * EARTH_KM * asin(sqrt(sin((c - a) / 2) ** 2 + cos(a) * cos(c) * sin((d - b) / 2) ** 2))


NEARS = [None, Near(48.0, 11.0, 1), Near(48.0, 11.0, 20), Near(0.0, 180.0, 5)]
DATES = [Dates(), Dates(date(2019, 1, 1)), Dates(date(2018, 6, 1), date(2020, 6, 1))]
PEOPLE = [(), ("Anna",), ("Anna", "Ben")]
AGES = [None, AgeRange(8, 9), AgeRange(20, 40)]


def is_old(known: Known, people: tuple[str, ...], ages: AgeRange) -> bool:
    """Whether one of these people, or anybody, is so old: Anna by her birth, all others by their faces."""
    for place, who in enumerate(("Anna", "Ben")):
        if people and who not in (people if who in known.people else ()):
            continue
        age: float = known.ages[place]
        if who == "Anna" and who in known.people and known.taken is not None:
            age = known.taken.year - ANNA_BORN
        if ages.youngest <= age < ages.oldest + 1:
            return True
    return False


def has_face_tag(known: Known, people: tuple[str, ...]) -> bool:
    """Whether a face of one of these people has the tag, or anybody's: the second face, which is Ben's."""
    return known.face_tag and (not people or ("Ben" in people and "Ben" in known.people))


def fits(known: Known, asked: "Asked") -> bool:
    first, last = asked.dates.first, asked.dates.last
    return (
        has_file(known)
        and set(asked.people) <= known.people
        and (first is None or (known.taken is not None and known.taken.date() >= first))
        and (last is None or (known.taken is not None and known.taken.date() <= last))
        and (
            asked.near is None
            or (
                known.place is not None
                and km((asked.near.latitude, asked.near.longitude), known.place) <= asked.near.km
            )
        )
        and (not asked.camera or known.camera == asked.camera)
        and (not asked.scene or known.scene)
        and (not asked.face_tag or has_face_tag(known, asked.people))
        and (not asked.words or known.words)
        and (asked.ages is None or is_old(known, asked.people, asked.ages))
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One combination."""

    people: tuple[str, ...]
    dates: Dates
    near: Near | None
    camera: str
    scene: bool
    face_tag: bool
    words: bool
    ages: AgeRange | None


def combinations() -> Iterator[Asked]:
    few = (False, True)
    for each in product(PEOPLE, DATES, NEARS, ("", "Canon"), few, few, few, AGES):
        asked = Asked(*each)
        # Some of them, of few conditions more than of many.
        one_of = soaking(8, else_=24)
        digest = hashlib.sha256(repr(asked).encode()).digest()[0]
        count = sum(
            map(bool, (asked.people, asked.near, asked.camera, asked.scene, asked.face_tag, asked.words))
        )
        if (count <= 2 and digest % one_of == 0) or digest % (4 * one_of) == 1:
            yield asked


_LAST = datetime(1, 1, 1)  # noqa: DTZ001 - by the camera's clock


def by_index(database: Database, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Let vectors have an index, and images be found by it in one way or another."""
    if not way:
        return
    row = database.run(clip_models)[0]
    database.run_alone(lambda connection: build_index(connection, search.image_vectors(row)))
    monkeypatch.setattr(photo_numbers, "_MEETS_US", 0.0)
    monkeypatch.setattr(photo_numbers, "_MEETS_AND_ASKS_US", 1e9 if way == "walked among them" else 0.0)
    monkeypatch.setattr(search, "FEWEST_IMAGES", 0 if way.startswith("walked") else PHOTOS)
    if way in ("all lists", "one list"):
        monkeypatch.setattr(photo_numbers, "_is_sooner_read", lambda *_: way == "all lists")
    if way == "walked":
        monkeypatch.setattr(search, "_MOST_COMPARED", 0)
    if way == "walked and given up":
        monkeypatch.setattr(search, "CANDIDATES", 1)
        monkeypatch.setitem(search._LOOKED_UP, "image_embeddings", 0)
        monkeypatch.setattr(vector_index, "_MOST_TUPLES_SCANNED", 1)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "walked", "few"),
    [
        ("", 4, 10),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                ("", 2000, 10),
                ("", 4, 1000),
                *soaking([("gathered", 2000, 10)], else_=[]),
                ("gathered", 4, 1000),
                ("all lists", 4, 1000),
                ("one list", 4, 1000),
                ("walked", 2000, 10),
                ("walked among them", 4, 1000),
                ("walked and given up", 4, 1000),
            )
        ),
    ],
)
def test_all_conditions_hold_together_however_photos_are_found(
    database: Database, monkeypatch: pytest.MonkeyPatch, walked: int, way: str, few: int
) -> None:
    monkeypatch.setattr(photo_latest, "MOST_WALKED", walked)
    monkeypatch.setattr(photo_search, "MOST_WALKED", walked)
    monkeypatch.setattr(described, "_RANKED", walked)
    monkeypatch.setattr(photo_gathered, "FEW_DESCRIBED", few)
    monkeypatch.setattr(photo_gathered, "_MANY_DESCRIBED", few)
    monkeypatch.setattr(photo_fitting, "_LISTED_TAKES", 0 if way == "gathered" else 2)
    # With statistics a walk may be expected to be short; these walks are then given up.
    monkeypatch.setattr(photo_latest, "_TIMES_AS_FAR", 0.01 if walked == 4 else 2)
    database.run_alone(lambda connection: connection.execute("ANALYZE" if few == 10 else "SELECT"))
    lengths: list[int] = []
    length = photo_latest.length_for_people

    def noted(connection: Connection, asked: PhotoFilter, wanted: int) -> int:
        lengths.append(length(connection, asked, wanted))
        return lengths[-1]

    monkeypatch.setattr(photo_search, "length_for_people", noted)
    by_index(database, monkeypatch, way)
    # Only what is near is asked of an index of vectors; all else would be asked as in the first three.
    ways_to_images = way not in ("", "gathered")
    known = {hashlib.sha256(f"photo {n}".encode()).hexdigest(): each for n, each in enumerate(plainly())}
    number = {sha256: place for place, sha256 in enumerate(known)}

    def work(connection: Connection) -> None:
        persons = {
            called: person
            for person, called in connection.execute("SELECT person_id, name FROM person_names")
        }
        tags: dict[str, int] = dict(connection.execute("SELECT name, id FROM tags").fetchall())
        cameras: dict[str, int] = dict(connection.execute("SELECT make, id FROM cameras").fetchall())
        (row,) = clip_models(connection)
        for asked in combinations():
            meant = filter_for(asked, persons, tags, cameras)
            right = [sha256 for sha256, each in known.items() if fits(each, asked)]
            nearest = sorted(right, key=lambda each: known[each].vector)
            for limit in (3, 100):
                near = photos_near(connection, row, np.array([1, 0], np.float32), meant, limit=limit)
                assert [each.sha256 for each in near] == nearest[:limit], asked
            if ways_to_images:
                continue
            latest = sorted(right, key=number.__getitem__, reverse=True)
            if not meant.open:
                latest.sort(key=lambda sha256: known[sha256].taken or _LAST, reverse=True)
            for offset, limit in ((0, 100), (1, 3)):
                found = find_photos(connection, meant, offset=offset, limit=limit)
                assert [each.sha256 for each in found] == latest[offset : offset + limit], asked
            assert count_photos(connection, meant) == len(right), asked
            if asked.words:
                reported = described.described_photos(connection, meant, limit=100)
                assert {each.path for each in reported} == {known[sha256].path for sha256 in right}, asked

    database.run(work)
    assert any(lengths) or few != 10 or ways_to_images


@pytest.mark.parametrize(("asked", "joins"), [({"words": "bicycle"}, 0), ({"ages": AgeRange(8, 9)}, 1)])
def test_a_walk_looks_up_images_only_to_ask_when_they_were_taken(
    database: Database, asked: dict[str, Any], joins: int
) -> None:
    def plan(connection: Connection) -> str:
        hold, given = conditions(PhotoFilter(**asked), ONE_BY_ONE)
        vectors = search.image_vectors(clip_models(connection)[0])
        walk = search._among_images(search._Search(vectors, sql.SQL("c.sha256"), search.IMAGES, hold))
        parameters = given | {"query": "[1, 0]", "model": vectors.model_id, "shortlist": 12, "limit": 10}
        # Of so few photos all may be read, if statistics were just taken.
        connection.execute("SET LOCAL enable_seqscan = off")
        return str(connection.execute(sql.SQL("EXPLAIN {}").format(walk), parameters).fetchall())

    # Those that are found are looked up, and which are missing is known from an index of these alone.
    assert database.run(plan).replace("images_missing on images", "").count(" on images ") == 1 + joins


def test_a_walk_begins_with_as_many_candidates_as_are_looked_up(database: Database) -> None:
    row = database.run(clip_models)[0]
    database.run_alone(lambda connection: build_index(connection, search.image_vectors(row)))

    def candidates(connection: Connection) -> int:
        photos_near(connection, row, np.array([1, 0], np.float32), PhotoFilter(), limit=760)
        return int(only_row(connection.execute("SELECT current_setting('hnsw.ef_search')"))[0])

    assert database.run(candidates) >= 950


@pytest.mark.parametrize("photos", [0.0, 5000.0])
def test_lists_that_are_longer_than_all_photos_leave_no_more_of_them(photos: float) -> None:
    nothing = sql.SQL("")
    short, other, long = (
        PhotoList(nothing, nothing, asks_us=2.0, says=frozenset({str(each)}), length=each, rows=each)
        for each in (1500.0, 6000.0, 1_000_000.0)
    )
    read, left = photo_numbers._read([short, other, long], photos)
    assert (read, left) == ([short, other], 1500.0)


def test_it_is_known_how_long_each_list_is_and_how_many_of_it_fit(database: Database) -> None:
    database.run_alone(lambda connection: connection.execute("ANALYZE"))
    asked = Asked(("Anna", "Ben"), DATES[2], None, "", scene=True, face_tag=True, words=True, ages=None)

    def work(connection: Connection) -> list[tuple[float, float]]:
        ids: dict[str, UUID] = dict(connection.execute("SELECT name, person_id FROM person_names").fetchall())
        tags: dict[str, int] = dict(connection.execute("SELECT name, id FROM tags").fetchall())
        lists, given = lists_of(filter_for(asked, ids, tags, {}), 1.0)
        found = []
        for each in measured(connection, lists, given, 0.0):
            truth = connection.execute(
                sql.SQL("SELECT count(DISTINCT id) FROM ({}) i").format(each.numbers()), given
            )
            found.append((each.length, float(only_row(truth)[0])))
        ben = filter_for(
            replace(asked, people=("Ben",), dates=Dates(), face_tag=False, words=False), ids, tags, {}
        )
        (of_ben, *_), given = lists_of(ben, 0.0)
        of_all = connection.execute(sql.SQL("SELECT DISTINCT id FROM ({}) i").format(of_ben.numbers()), given)
        share = share_of_list(connection, conditions(ben, ONE_BY_ONE), of_ben.part(), len(of_all.fetchall()))
        assert share is not None
        found.append((share.fitting, float(sum("Ben" in each.people and each.scene for each in plainly()))))
        return found

    lengths = database.run(work)
    assert len(lengths) == 7
    for about, exactly in lengths:
        assert about == pytest.approx(exactly, rel=0.03)


def test_lists_that_may_be_longer_than_is_known_are_read() -> None:
    nothing = sql.SQL("")
    few = [PhotoList(nothing, nothing, says=frozenset({each}), length=20.0, rows=20.0) for each in "abcd"]
    assert photo_numbers._read(few, 1e6)[0] == few


def filter_for(
    asked: Asked, persons: dict[str, UUID], tags: dict[str, int], cameras: dict[str, int]
) -> PhotoFilter:
    wanted = [("scene", asked.scene), ("face", asked.face_tag)]
    return PhotoFilter(
        tuple(persons[who] for who in asked.people),
        asked.dates,
        asked.near,
        (cameras[asked.camera],) if asked.camera else None,
        tuple(AskedTag(tags[target], target) for target, is_wanted in wanted if is_wanted),  # type: ignore[arg-type]
        "bicycle" if asked.words else "",
        asked.ages,
    )
