"""What one thread makes of a batch of files, whichever store it is for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.photos import with_orientation

from facesets.operations.ingest.image_reader import ContentClaim, ImageReader
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
