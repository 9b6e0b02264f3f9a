"""Whatever photos are asked for, and in whichever way they are found, they are those a plain look finds."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from itertools import product
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

import numpy as np
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import with_metadata
from tests.fixtures.soak import soaking

from facesets.ages import AgeRange
from facesets.errors import NotFound, WrongUsage
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.library_records import ClipRow
from facesets.operations.library.photo_search import (
    filter_of,
    photos_like,
    photos_of,
    photos_of_words,
    requested_people,
)
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.corrections.naming import name
from facesets.places import EARTH_KM, Near
from facesets.records import ClipModel, Float32
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import clip_models
from facesets.store.postgres.photos import descriptions, search
from facesets.store.postgres.photos.filter import AskedTag, Dates, PhotoFilter
from facesets.store.postgres.photos.metadata import Camera, ensure_cameras
from facesets.store.postgres.photos.search import FoundPhoto, count_photos, find_photos, photos_near
from facesets.store.postgres.photos.vector_index import build_index

PHOTOS = 90
CLIP = ClipModel("made", "cc" * 32)
ANNA_BORN = 2010
PLACES = [None, (48.0, 11.0), (48.05, 11.05), (0.0, 179.99), (0.0, -179.99), (-33.9, 151.2)]
CAMERAS = ["", "Canon", "Nikon", "Leica"]


@dataclass(frozen=True, slots=True)
class Known:
    """The data of a photo."""

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


KNOWN = plainly()


def fill(database: Database) -> None:
    library = Library(database).looking_for(SETTINGS, CLIP)
    images = []
    for number, known in enumerate(KNOWN):
        image = made_image(f"photo {number}", 2)
        aged = replace(image.faces, age=np.array(known.ages, np.float32), male=np.full(2, 0.9, np.float32))
        latitude, longitude = known.place or (None, None)
        reported = PhotoMetadata(
            taken=np.datetime64("NaT", "us") if known.taken is None else np.datetime64(known.taken, "us"),
            latitude=latitude,
            longitude=longitude,
            make=known.camera,
        )
        vector = np.array([np.cos(known.vector), np.sin(known.vector)], np.float32)
        images.append(with_metadata(replace(image, faces=aged, clip=vector), reported))
    library.add([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    for place, who in enumerate(("Anna", "Ben")):
        for number, known in enumerate(KNOWN):
            if who in known.people:
                name(database, str(face_on(database, number, place)), who, into=True, face=True, by="tester")
    set_birth(database, "Anna", Birth(year=ANNA_BORN), by="tester", today=date(2026, 1, 1))
    database.run(tag_and_describe)
    gone = [known.path for known in KNOWN if not has_file(known)]
    database.run(
        lambda connection: connection.execute(
            "UPDATE image_paths SET reason = 'gone' WHERE path = ANY(%s)", (gone,)
        )
    )


def has_file(known: Known) -> bool:
    """Whether a photo has a file: the most similar ones have none."""
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
    for known in KNOWN:
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
    """Whether one of these people, or any person, has the age: Anna by her birth, others by faces."""
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
    """Whether a face of one of these people, or of any, has the tag: the second face, which is Ben's."""
    return known.face_tag and (not people or ("Ben" in people and "Ben" in known.people))


def fits(known: Known, photo_filter: "Asked") -> bool:
    first, last = photo_filter.dates.first, photo_filter.dates.last
    return (
        has_file(known)
        and set(photo_filter.people) <= known.people
        and (first is None or (known.taken is not None and known.taken.date() >= first))
        and (last is None or (known.taken is not None and known.taken.date() <= last))
        and (
            photo_filter.near is None
            or (
                known.place is not None
                and km((photo_filter.near.latitude, photo_filter.near.longitude), known.place)
                <= photo_filter.near.km
            )
        )
        and (not photo_filter.camera or known.camera == photo_filter.camera)
        and (not photo_filter.scene or known.scene)
        and (not photo_filter.face_tag or has_face_tag(known, photo_filter.people))
        and (not photo_filter.words or known.words)
        and (photo_filter.ages is None or is_old(known, photo_filter.people, photo_filter.ages))
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


def combinations() -> list[Asked]:
    few = (False, True)
    of_all = [Asked(*each) for each in product(PEOPLE, DATES, NEARS, ("", "Canon"), few, few, few, AGES)]
    return random.Random(5).sample(of_all, soaking(len(of_all), else_=150))


_LAST = datetime(1, 1, 1)  # noqa: DTZ001 - by the camera's clock


def latest_first(found: Iterable[int]) -> list[int]:
    return sorted(found, key=lambda number: (KNOWN[number].taken or _LAST, number), reverse=True)


def of(who: set[str], dates: Dates | None = None) -> list[int]:
    """The photos of all of these people, of these dates."""
    photo_filter = Asked(tuple(who), dates or Dates(), None, "", False, False, False, None)
    return latest_first(number for number, known in enumerate(KNOWN) if fits(known, photo_filter))


@pytest.mark.soak
def test_all_conditions_hold_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "MAX_RANKED", PHOTOS // 8)

    def look(connection: Connection, meant: PhotoFilter, photo_filter: Asked, right: list[int]) -> None:
        latest = sorted(right, reverse=True) if meant.open else latest_first(right)
        for offset, limit in ((0, 100), (1, 3)):
            found = find_photos(connection, meant, offset=offset, limit=limit)
            assert numbers(found) == latest[offset : offset + limit], photo_filter
        assert count_photos(connection, meant) == len(right), photo_filter
        assert count_photos(connection, meant, 5) == min(len(right), 5), photo_filter
        if photo_filter.words:
            reported = descriptions.described_photos(connection, meant, limit=100)
            assert {each.path for each in reported} == {KNOWN[number].path for number in right}, photo_filter

    look_at_all(database, look)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("indexed", "compared", "gives_up"),
    [(False, 0, False), (True, PHOTOS, False), (True, 0, False), (True, 0, True)],
    ids=["no index", "few", "by the index", "the index is given up"],
)
def test_all_conditions_hold_for_what_is_similar(
    database: Database, monkeypatch: pytest.MonkeyPatch, indexed: bool, compared: int, gives_up: bool
) -> None:
    if indexed:
        row = database.run(clip_models)[0]
        database.run_alone(lambda connection: build_index(connection, search.image_vectors(row)))
    monkeypatch.setattr(search, "MAX_COMPARED", compared)
    if gives_up:
        monkeypatch.setitem(search._LOOKED_UP, "image_embeddings", 0.1)

    def look(connection: Connection, meant: PhotoFilter, photo_filter: Asked, right: list[int]) -> None:
        (row,) = clip_models(connection)
        nearest = sorted(right, key=lambda number: KNOWN[number].vector)
        for limit in (3, 100):
            near = photos_near(connection, row, np.array([1, 0], np.float32), meant, limit=limit)
            assert numbers(near) == nearest[:limit], photo_filter

    look_at_all(database, look)


def look_at_all(
    database: Database, look: Callable[[Connection, PhotoFilter, Asked, list[int]], None]
) -> None:
    """Look at each combination, with the numbers of the photos that a plain look finds."""

    def work(connection: Connection) -> None:
        people: dict[str, UUID] = dict(connection.execute("SELECT name, person_id FROM person_names"))
        tags: dict[str, int] = dict(connection.execute("SELECT name, id FROM tags"))
        cameras: dict[str, int] = dict(connection.execute("SELECT make, id FROM cameras"))
        for photo_filter in combinations():
            right = [number for number, known in enumerate(KNOWN) if fits(known, photo_filter)]
            look(connection, filter_for(photo_filter, people, tags, cameras), photo_filter, right)

    database.run(work)


def numbers(found: Sequence[FoundPhoto]) -> list[int]:
    return [int(photo.paths[0].strip("/").removesuffix(".jpg")) for photo in found]


def test_the_photo_whose_description_has_most_of_the_words_comes_first(database: Database) -> None:
    with_words = [number for number, known in enumerate(KNOWN) if known.words and has_file(known)]

    def work(connection: Connection) -> list[str]:
        for number, text in ((with_words[0], "bicycle bicycle bicycle"), (with_words[1], "bicycle bicycle")):
            connection.execute(
                """UPDATE descriptions SET answer = jsonb_build_object('description', %s::text)
                    FROM image_paths p WHERE p.image_id = descriptions.image_id AND p.path = %s""",
                (text, KNOWN[number].path),
            )
        found = descriptions.described_photos(connection, PhotoFilter(words="bicycle"), limit=3)
        return [photo.path for photo in found]

    best = database.run(work)
    assert best[:2] == [KNOWN[number].path for number in with_words[:2]]


def test_a_search_begins_with_as_many_candidates_as_are_looked_up(database: Database) -> None:
    row = database.run(clip_models)[0]
    database.run_alone(lambda connection: build_index(connection, search.image_vectors(row)))

    def candidates(connection: Connection) -> int:
        photos_near(connection, row, np.array([1, 0], np.float32), PhotoFilter(), limit=760)
        return int(connection.scalar("SELECT current_setting('hnsw.ef_search')"))

    assert database.run(candidates) >= 950


def filter_for(
    photo_filter: Asked, persons: dict[str, UUID], tags: dict[str, int], cameras: dict[str, int]
) -> PhotoFilter:
    wanted = [("scene", photo_filter.scene), ("face", photo_filter.face_tag)]
    return PhotoFilter(
        tuple(persons[who] for who in photo_filter.people),
        photo_filter.dates,
        photo_filter.near,
        (cameras[photo_filter.camera],) if photo_filter.camera else None,
        tuple(AskedTag(tags[target], target) for target, is_wanted in wanted if is_wanted),  # type: ignore[arg-type]
        "bicycle" if photo_filter.words else "",
        photo_filter.ages,
    )


def test_pages_of_people_continue_and_show_the_total(database: Database) -> None:
    library, right = Library(database), of({"Anna", "Ben"})
    people = requested_people(library, ["anna", "Anna", "Ben"])
    assert [each.names for each in people] == [["Anna"], ["Ben"]], "each is meant once"
    photo_filter = filter_of(library, people)
    pages = [photos_of(library, photo_filter, offset=offset, limit=5) for offset in range(0, len(right), 5)]
    assert [number for page in pages for number in numbers(page.photos)] == right
    assert {page.total for page in pages} == {len(right)}
    with pytest.raises(NotFound, match="Person not found: Zoe"):
        requested_people(library, ["Zoe"])


def test_cameras_are_called_by_some_of_their_words_in_any_case_of_any_alphabet(database: Database) -> None:
    nikon = Camera("NIKON CORPORATION", "NIKON D90", "18-105mm")
    canon, other = Camera("Canon", "Canon EOS 80D", "18-105mm"), Camera("Optik Süß")
    known = database.run(ensure_cameras, {nikon, canon, other})
    for text, camera in (("D90 nikon 18-105", nikon), ("canon 80d", canon), ("SÜSS optik", other)):
        assert filter_of(Library(database), camera=text).cameras == (known[camera],)
    for nobodys in ("Pentax", "Nikon Canon"):
        with pytest.raises(NotFound, match=f"camera or lens named {nobodys}"):
            filter_of(Library(database), camera=nobodys)


def test_photos_like_one_come_nearest_first_without_itself(database: Database) -> None:
    library, one = Library(database), next(number for number, known in enumerate(KNOWN) if has_file(known))
    digest = made_image(f"photo {one}").sha256
    others = [number for number in of(set()) if number != one]
    others.sort(key=lambda number: abs(KNOWN[number].vector - KNOWN[one].vector))
    found = photos_like(library, digest, PhotoFilter(), offset=0, limit=3)
    assert (numbers(found.photos), found.total) == (others[:3], len(others))
    near = Near(48.0, 11.0, 20)
    nearby = photos_like(library, digest, PhotoFilter(near=near), offset=0, limit=9).photos
    assert nearby
    for photo in nearby:
        place = KNOWN[numbers([photo])[0]].place
        assert place is not None
        assert photo.distance_km == pytest.approx(km((near.latitude, near.longitude), place), abs=0.1)
    with pytest.raises(NotFound, match="photo is not in the library"):
        photos_like(library, "00" * 32, PhotoFilter(), offset=0, limit=3)
    its_own = f"WHERE image_id = (SELECT id FROM images WHERE sha256 = '{digest}')"
    for some, reported in ((its_own, "has no embedding"), ("", "is embedded yet")):
        rows(database, f"DELETE FROM image_embeddings {some} RETURNING 1")
        with pytest.raises(WrongUsage, match=reported):
            photos_like(library, digest, PhotoFilter(), offset=0, limit=3)


def test_words_find_the_photos_nearest_to_their_vector(database: Database) -> None:
    photo_filter, until = [], Dates(None, date(2020, 1, 9))

    def encode(words: str) -> tuple[ClipRow, Float32]:
        photo_filter.append(words)
        return database.run(clip_models)[0], np.array([-1, 0], np.float32)

    found = photos_of_words(Library(database), encode, "snow", PhotoFilter(dates=until), offset=1, limit=2)
    right = sorted(of(set(), until), key=lambda number: -KNOWN[number].vector)
    assert (photo_filter, numbers(found.photos), found.total) == (["snow"], right[1:3], len(right))


def test_counts_by_date_are_right_with_missing_files(database: Database) -> None:
    # Three thousand photos of before, without files.
    rows(
        database,
        """INSERT INTO images (sha256, width, height, taken, fingerprint, missing_since)
            SELECT encode(sha256(n::text::bytea), 'hex'), 10, 10,
                timestamp '2000-01-01' + n * interval '1 day', '', now() FROM generate_series(1, 3000) n
            RETURNING id""",
    )
    until, since = Dates(None, date(2020, 1, 10)), Dates(date(2000, 1, 1), date(2020, 1, 10))
    there = len(of(set(), until))
    for most in (3, there, 100, 10_000):
        for dates in (since, until):
            counted = database.run(partial(count_photos, photo_filter=PhotoFilter(dates=dates), most=most))
            assert counted == min(most, there)
    rows(
        database,
        """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
            SELECT '/' || sha256, 1, 1, sha256, id FROM images WHERE fingerprint = '' RETURNING 1""",
    )
    assert database.run(partial(count_photos, photo_filter=PhotoFilter(dates=since), most=1000)) == 1000
    assert database.run(partial(count_photos, photo_filter=PhotoFilter(), most=9000)) == 3000 + len(of(set()))
