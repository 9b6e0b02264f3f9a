"""The results of one thread for a batch of files, for both stores."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.photos import with_orientation

from facesets.operations.ingest.image_reader import ContentClaim, ImageReader, PictureRoom
from facesets.records import CacheSettings, Description, Pixels, Wanted
from facesets.sources.folders import found_file
from facesets.stopwatch import Stopwatch


class Shapes:
    """A describer that finds nothing and keeps the shapes of the pictures it was given."""

    clip_from = None

    def __init__(self, faces_from: CacheSettings | None) -> None:
        self.faces_from = faces_from
        self.seen: list[tuple[int, ...]] = []

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        self.seen += [picture.shape for picture in pictures]
        return [Description() for _ in wanted]


class AtOnce(Shapes):
    """Counts how many pictures are looked at at a time."""

    def __init__(self) -> None:
        super().__init__(None)
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        with self._lock:
            self._now += len(pictures)
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        with self._lock:
            self._now -= len(pictures)
        return super().describe(pictures, wanted)


@pytest.mark.parametrize(
    ("faces_from", "edge"),
    [
        (SETTINGS, 2000),
        (replace(SETTINGS, det_size=320), 1000),
        (replace(SETTINGS, det_size=0), 2000),
        (None, 2000),
    ],
    ids=["a detector", "a small detector", "a service that does not tell", "no faces at all"],
)
def test_a_reduced_picture_keeps_its_real_upright_size_and_enough_pixels(
    tmp_path: Path, faces_from: CacheSettings | None, edge: int
) -> None:
    Image.new("RGB", (100, 8000)).save(tmp_path / "upright.png")
    with_orientation(tmp_path / "upright.png", tmp_path / "sideways.jpg", 6)
    describer = Shapes(faces_from)
    reader = ImageReader(describer, lambda *_: ContentClaim(Wanted()), [], Stopwatch(), fast_decode=True)
    (result,) = reader.read(0, [found_file(str(tmp_path / "sideways.jpg"))])
    assert result.image is not None
    assert (result.image.width, result.image.height) == (100, 8000)
    assert [shape[0] for shape in describer.seen] == [edge]


def test_no_more_pictures_are_in_memory_than_there_is_room_for(tmp_path: Path) -> None:
    files = []
    for number in range(12):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
        files.append(found_file(str(tmp_path / f"{number}.png")))
    one = 10 * max(file.size for file in files)
    describer = AtOnce()
    reader = ImageReader(
        describer,
        lambda *_: ContentClaim(Wanted()),
        [],
        Stopwatch(),
        fast_decode=False,
        room=PictureRoom(3 * one),
    )
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda file: reader.read(0, [file]), files))
    assert all(result.image is not None for (result,) in results)
    assert 1 < describer.most <= 3


def test_a_picture_that_is_larger_than_the_room_has_it_alone() -> None:
    room = PictureRoom(10)
    with room.taken(1000):
        pass
    with ThreadPoolExecutor(2) as pool:
        inside: list[int] = []

        def enter(size: int) -> None:
            with room.taken(size):
                inside.append(size)

        with room.taken(8):
            first = pool.submit(enter, 1000)
            second = pool.submit(enter, 2)
            second.result(timeout=60)
            assert not first.done()
        first.result(timeout=60)
        assert inside == [2, 1000]
