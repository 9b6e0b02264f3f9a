"""Photos are added with their capture time, and with all metadata of their files."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.photos import copy_photos
from tests.fixtures.tagged_photos import CHANGED, OFFSET_CHANGED, exif
from tests.fixtures.taking_in import Intake, into_cache

from facesets.imaging.metadata.reader import READER_VERSION
from facesets.inference.local import LocalEmbedder
from facesets.operations.ingest.stages import Photo, Stage, metadata_stage
from facesets.records import Faces, ImageRecord, Images

NOW = np.datetime64("2026-11-22T12:00:00")


def stage(*, trust_mtime: bool = False) -> Stage:
    return metadata_stage(lambda: NOW, trust_mtime=trust_mtime)


@pytest.fixture
def photos(lfw_photos: list[Path], tmp_path: Path) -> Path:
    """One with EXIF, one with a date in its name, and one without a date."""
    folder = copy_photos(lfw_photos[:3], tmp_path / "photos")
    tagged, named, silent = (folder / photo.name for photo in lfw_photos[:3])
    block = b"Exif\0\0" + exif({CHANGED: "2019:07:04 15:30:00"}, {OFFSET_CHANGED: "+02:00"})
    content = tagged.read_bytes()
    tagged.write_bytes(content[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + content[2:])
    tagged.rename(folder / "tagged.jpg")
    named.rename(folder / "IMG_20200102_030405.jpg")
    silent.rename(folder / "silent.jpg")
    changed = datetime(2011, 12, 13, 14, 15, 16, tzinfo=UTC).timestamp()
    os.utime(folder / "silent.jpg", (changed, changed))
    return folder


def taken(images: Images) -> dict[str, str]:
    return {Path(images.paths[row][0]).name: str(images.taken[row]) for row in range(len(images))}


@pytest.mark.parametrize("trust_mtime", [False, True])
def test_both_stores_keep_when_photos_were_taken(
    photos: Path, intake: Intake, embedder: LocalEmbedder, tmp_path: Path, trust_mtime: bool
) -> None:
    metadata = stage(trust_mtime=trust_mtime)
    cached = into_cache(tmp_path / "c.npz", photos, embedder, metadata)
    intake.take_in(photos, metadata)
    local = datetime(2011, 12, 13, 14, 15, 16, tzinfo=UTC).astimezone().replace(tzinfo=None)
    expected = {
        "tagged.jpg": "2019-07-04T15:30:00",
        "IMG_20200102_030405.jpg": "2020-01-02T03:04:05",
        "silent.jpg": local.isoformat() if trust_mtime else "NaT",
    }
    assert taken(cached.images) == taken(intake.library.load().images) == expected


def test_metadata_is_the_same_from_memory_or_from_the_file(photos: Path) -> None:
    image = ImageRecord("0" * 64, 1, 1, np.datetime64("1999-01-01", "s"), b"", Faces.empty(1))
    path = photos / "tagged.jpg"
    looked = stage().look(Photo(str(path)), image)
    assert stage().look(Photo(str(path), path.read_bytes()), image).findings == looked.findings
    finding = looked.findings["metadata"]
    assert (finding.version, finding.reason) == (READER_VERSION, "")
    assert (finding.value.taken_from, finding.value.utc_offset_min) == ("DateTime", 120)
    assert looked.taken == np.datetime64("2019-07-04T15:30:00")
    assert np.isnat(stage().look(Photo(str(photos / "silent.jpg")), image).taken)
    with pytest.raises(FileNotFoundError):
        stage().look(Photo(str(photos / "gone.jpg")), image)


def test_a_time_that_is_known_outlives_a_run_without_the_stage(photos: Path, intake: Intake) -> None:
    library = intake.library
    intake.take_in(photos, stage())
    before = taken(library.load().images)
    intake.database.run(lambda connection: connection.execute("DELETE FROM face_scans"))
    intake.take_in(photos)
    assert taken(library.load().images) == before


def test_moved_photos_are_dated_only_by_names_with_a_date(photos: Path, intake: Intake) -> None:
    def index_again() -> dict[str, str]:
        intake.take_in(photos, stage())
        return taken(intake.library.load().images)

    def notices(content: bytes) -> tuple[str, str]:
        query = "SELECT sha256, taken_from, taken_text FROM photo_metadata JOIN images ON id = image_id"
        found = {digest: (source, text) for digest, source, text in rows(intake.database, query)}
        return found[hashlib.sha256(content).hexdigest()]

    assert index_again()["silent.jpg"] == "NaT"
    silent = (photos / "silent.jpg").read_bytes()
    day = photos / "2018-05-05 Beach"
    day.mkdir()
    for name in ("silent.jpg", "tagged.jpg"):
        (photos / name).rename(day / name)
    (photos / "IMG_20200102_030405.jpg").rename(photos / "anna.jpg")
    expected = {
        "silent.jpg": "2018-05-05T00:00:00",
        "tagged.jpg": "2019-07-04T15:30:00",
        "anna.jpg": "2020-01-02T03:04:05",
    }
    assert index_again() == expected
    assert notices(silent) == ("folder name", "2018-05-05 Beach")
    (day / "silent.jpg").rename(photos / "2017-01-01 silent.jpg")
    assert index_again()["2017-01-01 silent.jpg"] == "2017-01-01T00:00:00"
    assert notices(silent) == ("file name", "2017-01-01 silent.jpg")
    # Of several names that say when the one that counted counts on.
    (photos / "2016-01-01 again.jpg").write_bytes(silent)
    assert "2017-01-01T00:00:00" in index_again().values()
    assert notices(silent) == ("file name", "2017-01-01 silent.jpg")


def test_a_photo_that_is_searched_again_as_it_is_moved_follows_its_name(photos: Path, intake: Intake) -> None:
    intake.take_in(photos, stage())
    (photos / "2018-05-05 Beach").mkdir()
    (photos / "silent.jpg").rename(photos / "2018-05-05 Beach" / "silent.jpg")
    # As other models would have it, or a kill after the first search.
    intake.database.run(lambda connection: connection.execute("DELETE FROM face_scans"))
    intake.take_in(photos, stage())
    assert taken(intake.library.load().images)["silent.jpg"] == "2018-05-05T00:00:00"


def test_any_name_of_a_photo_with_several_paths_may_date_it(photos: Path, intake: Intake) -> None:
    silent = (photos / "silent.jpg").read_bytes()
    for name in ("0.jpg", "1 2018-05-05.jpg", "2.jpg"):
        (photos / name).write_bytes(silent)
    library = intake.library
    intake.take_in(photos, stage())
    assert "2018-05-05T00:00:00" in taken(library.load().images).values()
    assert intake.look(stage(), force=True).completed == 3
    assert "2018-05-05T00:00:00" in taken(library.load().images).values()
