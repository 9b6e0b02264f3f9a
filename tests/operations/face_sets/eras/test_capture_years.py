import io
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

from facesets.file_records import FileRecord
from facesets.files import open_regular_file, sha256_of
from facesets.operations.face_sets.eras.capture_years import (
    FILE_NAME,
    FLUSH_EVERY,
    CaptureYears,
    Opener,
    capture_years,
)
from facesets.records import Images
from facesets.work import Stop, Work

LATEST = 2026


@dataclass
class Album:
    """Photos as a store knows them; `asked` are the files that were opened."""

    folder: Path
    paths: list[tuple[str, ...]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def add(self, *names: str, exif_year: int = 0, known: str = "NaT") -> Path:
        paths = [self.folder / name for name in names]
        exif = Image.Exif()
        exif[0x010F] = f"camera {len(self.paths)}"
        if exif_year:
            exif[0x0132] = f"{exif_year}:05:06 10:00:00"
        Image.new("RGB", (8, 8)).save(paths[0], exif=exif)
        for path in paths[1:]:
            shutil.copyfile(paths[0], path)
        self.paths.append(tuple(map(str, paths)))
        self.taken.append(known)
        return paths[0]

    def store(self) -> tuple[Images, dict[str, FileRecord]]:
        n = len(self.paths)
        digests = [sha256_of(Path(paths[0])) for paths in self.paths]
        files = {}
        for digest, paths in zip(digests, self.paths, strict=True):
            for path in paths:
                status = Path(path).stat()
                files[path] = FileRecord(path, status.st_size, status.st_mtime_ns, digest)
        size = np.full(n, 8, np.int64)
        taken = np.array(self.taken, "datetime64[s]")
        prints = np.zeros((n, 32), np.uint8)
        return Images(np.array(digests, "S64"), size, size, taken, prints, tuple(self.paths)), files

    def years(
        self,
        cache: Path,
        known: tuple[Images, dict[str, FileRecord]] | None = None,
        *,
        readers: int = 4,
        opener: Opener | None = None,
        stop: Stop | None = None,
    ) -> CaptureYears:
        images, files = known or self.store()
        self.asked.clear()

        def open_file(path: str) -> IO[bytes]:
            self.asked.append(path)
            return (opener or open_regular_file)(path)

        rows, work = np.arange(len(images)), Work(stop=stop or Stop())
        how: dict[str, Any] = {"latest": LATEST, "readers": readers, "open_file": open_file}
        return capture_years(images, rows, files, cache, work=work, **how)


@pytest.fixture
def album(tmp_path: Path) -> Album:
    folder = tmp_path / "photos"
    folder.mkdir()
    return Album(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "years" / FILE_NAME


def test_the_store_comes_first_then_the_header_then_the_name_then_nothing(album: Album, cache: Path) -> None:
    album.add("20190101_101010.jpg", exif_year=2005, known="1999-03-04T05:06:07")
    album.add("20190102_101010.jpg", exif_year=2005)
    album.add("scan.jpg", "20190103_101010.jpg")
    album.add("scan 2.jpg")
    found = album.years(cache)
    assert found.year.tolist() == [1999, 2005, 2019, 0]
    by = found.sources
    assert (by.by_exif, by.by_name, by.unknown, by.read) == (2, 1, 1, 3)


def test_no_photo_is_opened_twice_in_its_life(album: Album, cache: Path) -> None:
    for number in range(30):
        album.add(f"{number}.jpg", exif_year=1990 + number % 20 if number % 3 else 0)
    first = album.years(cache)
    assert len(album.asked) == first.sources.read == 30
    again = album.years(cache)
    assert album.asked == []
    assert again.year.tolist() == first.year.tolist()


def test_a_moved_photo_is_known_and_an_edited_one_is_read_again(album: Album, cache: Path) -> None:
    album.add("a.jpg", exif_year=2001)
    album.add("b.jpg", exif_year=2002)
    album.years(cache)
    moved = Path(album.paths[0][0]).rename(album.folder / "moved.jpg")
    album.paths[0] = (str(moved),)
    with Image.open(album.paths[1][0]) as photo:
        exif = photo.getexif()
        exif[0x0132] = "2012:05:06 10:00:00"
        photo.save(album.paths[1][0], exif=exif)
    assert album.years(cache).year.tolist() == [2001, 2012]
    assert album.asked == [album.paths[1][0]]


def test_a_file_changed_since_embedding_gives_no_year(album: Album, cache: Path) -> None:
    album.add("a.jpg", "copy.jpg", exif_year=2001)
    album.add("IMG_20150101_101010.jpg", exif_year=2002)
    known = album.store()
    for path in (album.paths[0][0], album.paths[1][0]):
        os.utime(path, ns=(0, 10**18))
    found = album.years(cache, known)
    assert found.year.tolist() == [2001, 2015]
    assert found.sources.unreadable == 1
    os.utime(album.paths[1][0], ns=(0, known[1][album.paths[1][0]].mtime_ns))
    assert album.years(cache, known).year.tolist() == [2001, 2002]


def test_a_photo_that_cannot_be_read_is_tried_again_by_the_next_run(album: Album, cache: Path) -> None:
    path = album.add("a.jpg", exif_year=2001)
    known = album.store()
    away = path.rename(album.folder / "away")
    found = album.years(cache, known)
    assert (found.year.tolist(), found.sources.unreadable, found.sources.unknown) == ([0], 1, 1)
    away.rename(path)
    assert album.years(cache, known).year.tolist() == [2001]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other arrays", "text", "pickle"])
def test_a_damaged_file_of_years_is_made_again(album: Album, cache: Path, damage: str) -> None:
    for number in range(40):
        album.add(f"{number}.jpg", exif_year=1990 + number % 20)
    expected = album.years(cache).year.tolist()
    content = cache.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    contents = {"empty": b"", "cut": content[:-30], "flipped": bytes(flipped), "text": b"years"}
    cache.write_bytes(contents.get(damage, b""))
    if damage == "other arrays":
        np.savez(cache, sha256=np.zeros(3, "S64"), year=np.zeros(4, np.int16))
    if damage == "pickle":
        np.savez(cache, sha256=np.array([{}], object), year=np.zeros(1, np.int16))
    found = album.years(cache)
    assert found.sources.damaged_cache
    assert found.year.tolist() == expected
    assert len(album.asked) == 40
    assert not album.years(cache).sources.damaged_cache


def test_years_of_two_runs_are_both_stored(album: Album, cache: Path) -> None:
    album.add("a.jpg", exif_year=2001)
    album.add("b.jpg", exif_year=2002)
    images, files = album.store()

    def open_after_another_run(path: str) -> IO[bytes]:
        if path.endswith("b.jpg"):
            alone = Album(album.folder, album.paths[:1], album.taken[:1])
            alone.years(cache)
        return open_regular_file(path)

    rows = np.array([1])
    capture_years(images, rows, files, cache, latest=LATEST, work=Work(), open_file=open_after_another_run)
    assert album.years(cache).year.tolist() == [2001, 2002]
    assert album.asked == []


class Counted(io.FileIO):
    """A file that counts how often it, or another such file, is asked for bytes."""

    asked = 0

    def readinto(self, buffer: "bytearray | memoryview", /) -> int | None:  # type: ignore[override]
        Counted.asked += 1
        return super().readinto(buffer)


def test_a_slow_share_is_read_by_many_threads_and_once_per_photo(album: Album, tmp_path: Path) -> None:
    for number in range(64):
        album.add(f"{number}.jpg", exif_year=1990 + number % 20)
    together = threading.Barrier(16, timeout=20)

    def opener(path: str) -> IO[bytes]:
        together.wait()
        return io.BufferedReader(Counted(path), 65536)

    found = album.years(tmp_path / "years.npz", readers=32, opener=opener)
    assert found.year.tolist() == [1990 + number % 20 for number in range(64)]
    assert Counted.asked <= 64 + 5


def test_years_read_before_a_stop_are_stored(album: Album, cache: Path) -> None:
    for number in range(60):
        album.add(f"{number}.jpg", exif_year=2001)
    stop = Stop()

    def opener(path: str) -> IO[bytes]:
        if len(album.asked) == 10:
            stop.request()
        return open_regular_file(path)

    first = album.years(cache, readers=1, opener=opener, stop=stop)
    assert first.stopped
    assert 10 <= first.sources.read < 20
    again = album.years(cache)
    assert again.sources.read == 60 - first.sources.read
    assert again.year.tolist() == [2001] * 60


def test_years_are_stored_while_many_are_read(
    album: Album, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.face_sets.eras.capture_years.FLUSH_EVERY", 10)
    assert FLUSH_EVERY > 10
    for number in range(40):
        album.add(f"{number}.jpg", exif_year=2001)
    seen = []

    def opener(path: str) -> IO[bytes]:
        seen.append(cache.exists())
        return open_regular_file(path)

    album.years(cache, readers=1, opener=opener)
    assert not seen[0]
    assert seen[-1]


def test_a_year_after_this_one_is_a_wrong_clock(album: Album, cache: Path) -> None:
    album.add("a.jpg", known="2031-03-04T05:06:07", exif_year=2031)
    album.add("b.jpg", exif_year=2031)
    assert album.years(cache).year.tolist() == [0, 0]
