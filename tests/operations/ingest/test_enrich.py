"""Landmarks and poses for the faces of a cache, found again in its photos."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.photo_library import Library

from facesets.errors import SourceGone
from facesets.inference.landmarks import Landmarks
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.ingest.enrich import _record, enrich
from facesets.operations.options.results import EnrichOptions
from facesets.records import EnrichState, PoseSource
from facesets.result import Result
from facesets.work import Stop, Work

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def landmarks(landmark_pack: Path) -> Landmarks:
    return Landmarks(read_pack(landmark_pack))


Run = Callable[..., Result]


@pytest.fixture
def run(library: Library, embedder: LocalEmbedder, landmarks: Landmarks) -> Run:
    """Enriches the library with the models that it was made with, or with another one."""

    def work(
        models: LocalEmbedder = embedder, *, norms: bool = False, stop: Stop | None = None, **options: Any
    ) -> Result:
        with library.store.writing(embedder.settings):
            return enrich(
                library.store,
                models,
                landmarks,
                EnrichOptions(**options),
                norms=norms,
                work=Work(stop=stop or Stop()),
            )

    return work


def test_every_face_gets_a_pose_with_its_source(library: Library, run: Run) -> None:
    before = library.store.load()
    summary = run()
    after = library.store.load()
    assert summary.enriched == summary.faces == summary.pose_from_keypoints == len(before.faces)
    assert after.faces.pose is not None
    assert after.faces.pose_source is not None
    assert np.isfinite(after.faces.pose).all()
    assert set(after.faces.pose_source) == {PoseSource.KEYPOINTS}
    assert after.faces.landmark_2d_106 is not None
    inside = after.faces.landmark_2d_106.mean(axis=1)
    assert (inside > after.faces.box[:, :2]).all()
    assert (inside < after.faces.box[:, 2:]).all()
    assert after.face_ids() == before.face_ids()
    assert (after.faces.embedding == before.faces.embedding).all()
    assert after.images.paths == before.images.paths
    # A second run has nothing to do.
    again = run()
    assert (again.images, again.faces, again.already) == (0, 0, summary.faces)


@pytest.mark.slow
def test_a_face_that_is_not_found_again_keeps_its_row(library: Library, run: Run, pack_dir: Path) -> None:
    strict = LocalEmbedder(read_pack(pack_dir), det_size=640, min_det_score=0.7)
    before = library.store.load()
    summary = run(strict)
    after = library.store.load().faces
    assert after.enrich_state is not None
    assert len(after) == len(before.faces)
    lost = after.enrich_state == EnrichState.NOT_FOUND_AGAIN
    assert lost.sum() == summary.not_found_again > 0
    assert (after.det_score[lost] < 0.7).all()
    found_now = run(again=True)
    assert found_now.enriched == lost.sum()


def test_an_interrupted_run_is_continued(library: Library, run: Run) -> None:
    class StopAfterFive(Stop):
        asked = 0

        @property
        def requested(self) -> bool:
            self.asked += 1
            return self.asked > 5

    part = run(stop=StopAfterFive())
    assert part.stopped
    assert part.images == 5
    rest = run()
    assert rest.already == part.faces
    assert rest.faces + part.faces == len(library.store.load().faces)


def test_a_missing_photo_is_named_and_retried(library: Library, tmp_path: Path, run: Run) -> None:
    photo = library.photos / "two people.png"
    hidden = tmp_path / "hidden.png"
    shutil.move(photo, hidden)
    try:
        summary = run()
    finally:
        shutil.move(hidden, photo)
    assert [failure.path for failure in summary.failures] == [str(photo)]
    assert run().images == 1


def test_photos_that_are_all_unavailable_are_one_refusal(library: Library, run: Run, tmp_path: Path) -> None:
    unplugged = library.photos.rename(tmp_path / "unplugged")
    try:
        with pytest.raises(SourceGone, match="If the drive is not mounted"):
            run()
    finally:
        unplugged.rename(library.photos)
    assert run(dry_run=True).already == 0


def test_a_dry_run_changes_nothing(library: Library, run: Run) -> None:
    before = library.cache.read_bytes()
    summary = run(dry_run=True)
    assert summary.faces == len(library.store.load().faces)
    assert library.cache.read_bytes() == before


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_face_quality_is_stored_from_the_start_and_filled_in_where_missing(
    library: Library, embedder: LocalEmbedder, run: Run
) -> None:
    store = library.store
    first = store.load()
    run()
    found = first.faces.norm
    assert found is not None
    assert np.isfinite(found).all()
    enriched = store.load()
    records = [
        _record(enriched, image, enriched.faces.take(enriched.faces.image == image))
        for image in range(len(enriched.images))
    ]
    with store.writing(embedder.settings):
        store.commit([], [replace(each, faces=replace(each.faces, norm=None)) for each in records])
    lost = store.load().faces.norm
    assert lost is None or np.isnan(lost).all()
    summary = run(norms=True)
    assert (summary.norms, summary.faces) == (len(found), 0)
    measured = store.load().faces.norm
    assert measured is not None
    np.testing.assert_allclose(measured, found, rtol=1e-4)
