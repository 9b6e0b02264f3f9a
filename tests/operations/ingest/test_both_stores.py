"""`embed` and `index` do the same with the same photos, each for its store."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.photos import copy_photos, wide_picture, with_orientation
from tests.fixtures.taking_in import Intake, into_cache

from facesets.file_records import FileRecord
from facesets.inference.landmarks import Landmarks
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.ingest.enrich import landmarks_stage
from facesets.records import EnrichState
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.work import SilentProgress, Work


@pytest.fixture(scope="module")
def photos(lfw_photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photos, and a large one that lies on its side: 1000 × 4000 pixels upright."""
    folder = tmp_path_factory.mktemp("both")
    photos = copy_photos(lfw_photos[:2], folder / "photos")
    wide_picture(lfw_photos[2:4], 4000, 1000).rotate(90, expand=True).save(folder / "upright.bmp")
    with_orientation(folder / "upright.bmp", photos / "large.jpg", 8)
    return photos


@pytest.mark.slow
@pytest.mark.parametrize(
    "fast", [pytest.param(False, marks=pytest.mark.slow), True], ids=["in full", "reduced"]
)
def test_both_keep_the_same_faces_landmarks_and_sizes(
    intake: Intake, photos: Path, tmp_path: Path, pack_dir: Path, embedder: LocalEmbedder, fast: bool
) -> None:
    stage = landmarks_stage(Landmarks(read_pack(pack_dir)))
    how: dict[str, Any] = {"fast_decode": fast, "enrich": True}
    cache = into_cache(tmp_path / "c.npz", photos, embedder, stage, **how)
    intake.take_in(photos, stage, concurrency=1, **how)
    library = intake.library.load()
    for images in (cache.images, library.images):
        sizes = zip(images.width.tolist(), images.height.tolist(), strict=True)
        assert sorted(sizes) == [(250, 250), (250, 250), (1000, 4000)]
    assert library.face_ids() == cache.face_ids()
    stored = library.faces.columns()
    for name, column in cache.faces.columns().items():
        if name in stored:
            np.testing.assert_array_equal(stored[name], column, err_msg=name)
        else:
            # Of landmarks that the pack has no model for a cache keeps a column of NaN, a library none.
            assert np.isnan(column).all()
    assert set(stored["enrich_state"]) == {EnrichState.DONE}
    assert np.isfinite(stored["pose"]).all()


class Watching(SilentProgress):
    """Four seconds pass with each file; how many files another process would see after each."""

    def __init__(self, files: Callable[[], Mapping[str, FileRecord]]) -> None:
        self._files = files
        self.now = 0.0
        self.seen: list[int] = []

    def advance(self, count: int = 1) -> None:
        self.now += 4 * count
        self.seen.append(len(self._files()))


@pytest.mark.parametrize("kind", ["cache", "library"])
def test_the_loss_by_a_kill_is_bounded_in_time_too(
    request: pytest.FixtureRequest,
    kind: str,
    lfw_photos: list[Path],
    tmp_path: Path,
    embedder: LocalEmbedder,
) -> None:
    photos = copy_photos(lfw_photos[:8], tmp_path / "photos")
    if kind == "cache":
        path = tmp_path / "c.npz"
        watching = Watching(lambda: Cache(path).files())
        into_cache(path, photos, embedder, work=Work(progress=watching), clock=lambda: watching.now)
    else:
        intake: Intake = request.getfixturevalue("intake")
        with opened(Database(request.getfixturevalue("library_url"))) as other:
            watching = Watching(lambda: Library(other).files())
            how: dict[str, Any] = {"work": Work(progress=watching), "clock": lambda: watching.now}
            intake.take_in(photos, concurrency=1, flush_every_s=10, **how)
    assert watching.seen == [0, 0, 0, 4, 4, 4, 7, 7]


@pytest.mark.slow
def test_both_refuse_pictures_larger_than_the_limit(
    intake: Intake, photos: Path, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    large = 250 * 250
    cache = into_cache(tmp_path / "c.npz", photos, embedder, max_pixels=large)
    intake.take_in(photos, concurrency=1, max_pixels=large)
    for known in (cache, intake.library.load()):
        assert known.images.width.tolist() == [250, 250]
    for files in (Cache(tmp_path / "c.npz").files(), intake.library.files()):
        reasons = [file.reason for file in files.values() if file.reason]
        assert reasons == ["4000×1000 pixels exceed the limit of 0.0625 million"]
