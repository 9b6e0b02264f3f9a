"""Stages look at new photos as they are taken in, and by themselves at photos that lack them."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.photos import copy_photos

from facesets.errors import UnreadableImage
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.library_records import PhotosOfStage
from facesets.operations.ingest.index import index
from facesets.operations.ingest.stage_run import StageRunOptions, folders_without_photos, run_stage
from facesets.operations.ingest.stages import Photo, Stage
from facesets.operations.library.stats import stages
from facesets.operations.options.index import IndexOptions
from facesets.records import Finding, ImageRecord
from facesets.result import Result
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.statistics import StageCounts
from facesets.work import Work

SCENE = Stage("scene", "1", lambda _, image: image.with_finding("scene", Finding("1")))


def take_in(database: Database, photos: Path, embedder: LocalEmbedder, *stages: Stage) -> None:
    index(
        GallerySource([photos]),
        Library(database),
        LocalDescriber(embedder, None),
        IndexOptions(),
        stages=stages,
        work=Work(),
    )


def look(database: Database, stage: Stage, options: StageRunOptions | None = None) -> Result:
    return run_stage(Library(database), stage, options or StageRunOptions(), work=Work())


def counts(database: Database, stage: str = "scene") -> StageCounts:
    return next(each for each in stages(Library(database)).stages if each.stage == stage)


@pytest.fixture
def photos(lfw_photos: list[Path], tmp_path: Path) -> Path:
    return copy_photos(lfw_photos[:5], tmp_path / "photos")


def test_new_photos_pass_all_stages_in_the_run_that_takes_them_in(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    take_in(database, photos, embedder, SCENE)
    assert (counts(database).completed, counts(database).pending) == (5, 0)
    assert counts(database, "detection").completed == 5
    assert look(database, SCENE).completed == 0


def test_photos_of_an_older_library_are_pending_and_looked_at_once(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    take_in(database, photos, embedder)
    assert (counts(database).completed, counts(database).pending) == (0, 5)
    assert look(database, SCENE, StageRunOptions(dry_run=True)).to_do == 5
    first = look(database, SCENE, StageRunOptions(max_images=2))
    assert (first.completed, first.to_do) == (2, 3)
    assert look(database, SCENE).completed == 3
    assert look(database, SCENE).completed == 0
    assert look(database, SCENE, StageRunOptions(force=True)).completed == 5


def test_photos_that_no_file_leads_to_count_in_no_stage(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    refusing = Stage("scene", "1", lambda _, image: image.with_finding("scene", Finding("1", reason="odd")))
    take_in(database, photos, embedder, refusing)
    Library(database).forget_paths([str(path) for path in sorted(photos.iterdir())[:2]])
    found = counts(database)
    assert (found.pending, found.completed, found.failed, found.reasons) == (0, 0, 3, {"odd": 3})
    assert counts(database, "detection").completed == 3


def test_a_new_version_makes_its_stage_pending_and_nothing_else(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    bodies = Stage("bodies", "1", lambda _, image: image.with_finding("bodies", Finding("1")))
    take_in(database, photos, embedder, SCENE, bodies)
    newer = replace(SCENE, version="2")
    newer = replace(newer, look=lambda _, image: image.with_finding("scene", Finding("2")))
    library = Library(database)
    assert library.count_pending(PhotosOfStage("scene", "2")) == 5
    assert library.count_pending(PhotosOfStage("bodies", "1")) == 0
    assert look(database, newer).completed == 5
    assert counts(database).version == "2"


def test_what_failed_is_tried_again_when_that_is_asked_for(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    def refuse(photo: Photo, image: ImageRecord) -> ImageRecord:
        if photo.path.endswith(min(path.name for path in photos.iterdir())):
            raise UnreadableImage("too dark")
        return image.with_finding("scene", Finding("1"))

    take_in(database, photos, embedder, replace(SCENE, look=refuse))
    assert (counts(database).completed, counts(database).failed) == (4, 1)
    assert counts(database).reasons == {"too dark": 1}
    assert look(database, SCENE).completed == 0
    assert look(database, SCENE, StageRunOptions(retry_failed=True)).completed == 1
    assert counts(database).failed == 0


def test_only_photos_below_the_named_folders_are_looked_at(
    database: Database, lfw_photos: list[Path], tmp_path: Path, embedder: LocalEmbedder
) -> None:
    one, other = (
        copy_photos(lfw_photos[:2], tmp_path / "one"),
        copy_photos(lfw_photos[2:5], tmp_path / "other"),
    )
    for folder in (one, other):
        take_in(database, folder, embedder)
    assert look(database, SCENE, StageRunOptions(below=(str(other),))).completed == 3
    assert counts(database).pending == 2
    folders = [str(one), str(tmp_path / "typo"), str(other)]
    assert folders_without_photos(Library(database), folders) == [str(tmp_path / "typo")]


@pytest.mark.parametrize("needs_pixels", [True, False], ids=["pixels", "the file alone"])
@pytest.mark.parametrize("happens", ["changed", "gone"])
def test_a_photo_that_is_not_what_was_indexed_stays_pending(
    database: Database, photos: Path, embedder: LocalEmbedder, needs_pixels: bool, happens: str
) -> None:
    take_in(database, photos, embedder)
    first, second = sorted(photos.iterdir())[:2]
    if happens == "gone":
        first.unlink()
    else:
        first.write_bytes(second.read_bytes() + b"!")
    summary = look(database, replace(SCENE, needs_pixels=needs_pixels))
    assert (summary.completed, summary.unavailable, summary.to_do) == (4, 1, 0)
    assert [failure.path for failure in summary.failures] == [str(first)]
    assert counts(database).pending == 1


def test_a_stage_sees_the_faces_that_are_known(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    seen: dict[str, list[list[float]]] = {}

    def note(photo: Photo, image: ImageRecord) -> ImageRecord:
        seen.setdefault(Path(photo.path).name, []).append(image.faces.box.tolist())
        return image.with_finding("scene", Finding("1"))

    stage = replace(SCENE, look=note)
    take_in(database, photos, embedder, stage)
    look(database, stage, StageRunOptions(force=True))
    assert len(seen) == 5
    for inside, by_itself in seen.values():
        assert inside == by_itself


def test_photos_whose_files_are_gone_do_not_keep_others_from_their_turn(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    take_in(database, photos, embedder)
    in_order = rows(database, "SELECT path FROM image_paths ORDER BY image_id")
    for (path,) in in_order[:2]:
        Path(path).unlink()
    summary = look(database, SCENE, StageRunOptions(max_images=2))
    assert (summary.completed, summary.unavailable, summary.to_do) == (2, 2, 1)
