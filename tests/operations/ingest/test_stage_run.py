"""Stages look at new photos as they are taken in, and by themselves at photos that lack them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.clip import make_clip
from tests.fixtures.library_people import rows
from tests.fixtures.photos import copy_photos
from tests.fixtures.taking_in import Intake

from facesets.errors import UnreadableImage
from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import read_clip
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.library_records import PhotosOfStage
from facesets.operations.ingest.stage_run import folders_without_photos
from facesets.operations.ingest.stages import Photo, Stage
from facesets.operations.library.findings import look_again
from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

SCENE = Stage("scene", "1", lambda _, image: image.with_finding("scene", Finding("1")))
OF_FACES = ("attributes", "bodies", "face-tags")
"""The results of these steps belong to the faces of a photo."""


def of_faces(name: str) -> Stage:
    return Stage(name, "1", lambda _, image: image.with_finding(name, Finding("1")), of_faces=True)


def test_new_photos_pass_all_stages_in_the_run_that_takes_them_in(intake: Intake, photos: Path) -> None:
    intake.take_in(photos, SCENE)
    assert (intake.counts().completed, intake.counts().pending) == (5, 0)
    assert intake.counts("detection").completed == 5
    assert intake.look(SCENE).completed == 0


def test_photos_of_an_older_library_are_pending_and_looked_at_once(intake: Intake, photos: Path) -> None:
    intake.take_in(photos)
    assert (intake.counts().completed, intake.counts().pending) == (0, 5)
    assert intake.look(SCENE, dry_run=True).to_do == 5
    first = intake.look(SCENE, max_images=2)
    assert (first.completed, first.to_do) == (2, 3)
    assert intake.look(SCENE).completed == 3
    assert intake.look(SCENE).completed == 0
    assert intake.look(SCENE, force=True).completed == 5


def test_photos_that_no_file_leads_to_count_in_no_stage(intake: Intake, photos: Path) -> None:
    refusing = Stage("scene", "1", lambda _, image: image.with_finding("scene", Finding("1", reason="odd")))
    intake.take_in(photos, refusing)
    intake.library.forget_paths([str(path) for path in sorted(photos.iterdir())[:2]])
    found = intake.counts()
    assert (found.pending, found.completed, found.failed, found.reasons) == (0, 0, 3, {"odd": 3})
    assert intake.counts("detection").completed == 3


def test_a_new_version_makes_its_stage_pending_and_nothing_else(intake: Intake, photos: Path) -> None:
    bodies = Stage("bodies", "1", lambda _, image: image.with_finding("bodies", Finding("1")))
    intake.take_in(photos, SCENE, bodies)
    newer = replace(SCENE, version="2")
    newer = replace(newer, look=lambda _, image: image.with_finding("scene", Finding("2")))
    library = intake.library
    assert library.count_pending(PhotosOfStage("scene", "2")) == 5
    assert library.count_pending(PhotosOfStage("bodies", "1")) == 0
    assert intake.look(newer).completed == 5
    assert intake.counts().version == "2"


def test_failed_photos_are_retried_on_request(intake: Intake, photos: Path) -> None:
    def refuse(photo: Photo, image: ImageRecord) -> ImageRecord:
        if photo.path.endswith(min(path.name for path in photos.iterdir())):
            raise UnreadableImage("too dark")
        return image.with_finding("scene", Finding("1"))

    intake.take_in(photos, replace(SCENE, look=refuse))
    assert (intake.counts().completed, intake.counts().failed) == (4, 1)
    assert intake.counts().reasons == {"too dark": 1}
    assert intake.look(SCENE).completed == 0
    assert intake.look(SCENE, retry_failed=True).completed == 1
    assert intake.counts().failed == 0


def test_a_step_below_some_folders_processes_no_others(
    intake: Intake, lfw_photos: list[Path], tmp_path: Path
) -> None:
    one = copy_photos(lfw_photos[:2], tmp_path / "one")
    other = copy_photos(lfw_photos[2:5], tmp_path / "other")
    for folder in (one, other):
        intake.take_in(folder)
    assert intake.look(SCENE, below=(str(other),)).completed == 3
    assert intake.counts().pending == 2
    folders = [str(one), str(tmp_path / "typo"), str(other)]
    assert folders_without_photos(intake.library, folders) == [str(tmp_path / "typo")]


@pytest.mark.parametrize("needs_pixels", [True, False], ids=["pixels", "the file alone"])
@pytest.mark.parametrize("happens", ["changed", "gone"])
def test_a_photo_that_is_not_what_was_indexed_stays_pending(
    intake: Intake, photos: Path, needs_pixels: bool, happens: str
) -> None:
    intake.take_in(photos)
    first, second = sorted(photos.iterdir())[:2]
    if happens == "gone":
        first.unlink()
    else:
        first.write_bytes(second.read_bytes() + b"!")
    summary = intake.look(replace(SCENE, needs_pixels=needs_pixels))
    assert (summary.completed, summary.unavailable, summary.to_do) == (4, 1, 0)
    assert [failure.path for failure in summary.failures] == [str(first)]
    assert intake.counts().pending == 1


def test_a_stage_sees_the_faces_that_are_known(intake: Intake, photos: Path) -> None:
    seen: dict[str, list[list[float]]] = {}

    def note(photo: Photo, image: ImageRecord) -> ImageRecord:
        seen.setdefault(Path(photo.path).name, []).append(image.faces.box.tolist())
        return image.with_finding("scene", Finding("1"))

    stage = replace(SCENE, look=note)
    intake.take_in(photos, stage)
    intake.look(stage, force=True)
    assert len(seen) == 5
    for inside, by_itself in seen.values():
        assert inside == by_itself


def test_photos_with_missing_files_do_not_block_others(intake: Intake, photos: Path) -> None:
    intake.take_in(photos)
    in_order = rows(intake.database, "SELECT path FROM image_paths ORDER BY image_id")
    for (path,) in in_order[:2]:
        Path(path).unlink()
    summary = intake.look(SCENE, max_images=2)
    assert (summary.completed, summary.unavailable, summary.to_do) == (2, 2, 1)


@pytest.fixture
def other(library_url: str) -> Iterator[Database]:
    """Another run on the same library."""
    session = Database(library_url)
    yield session
    session.close()


def test_a_photo_that_gets_other_faces_while_a_stage_looks_at_it_stays_pending(
    intake: Intake, other: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    intake.take_in(photos)
    ((changes,),) = rows(
        intake.database, "SELECT i.sha256 FROM images i JOIN face_detections f ON f.image_id = i.id LIMIT 1"
    )
    elsewhere = Library(other)

    def look_meanwhile(_: Photo, image: ImageRecord) -> ImageRecord:
        if image.sha256 == changes:
            moved = replace(
                image.faces,
                box=image.faces.box + np.float32(300),
                embedding=np.full((len(image.faces), embedder.settings.dimension), 1, np.float32)
                / np.float32(np.sqrt(embedder.settings.dimension)),
            )
            with elsewhere.writing(embedder.settings):
                elsewhere.commit([], [replace(image, faces=moved)])
        return image.with_finding("face-tags", Finding("1"))

    found = intake.look(replace(of_faces("face-tags"), look=look_meanwhile))
    assert (found.completed, found.to_do) == (4, 1)
    assert (intake.counts("face-tags").completed, intake.counts("face-tags").pending) == (4, 1)
    assert intake.look(of_faces("face-tags")).completed == 1


def test_photos_that_get_more_faces_are_pending_again(intake: Intake, photos: Path, pack_dir: Path) -> None:
    intake.take_in(photos, SCENE, *map(of_faces, OF_FACES))
    assert [intake.counts(name).completed for name in (*OF_FACES, "scene")] == [5, 5, 5, 5]
    another = LocalEmbedder(read_pack(pack_dir), det_size=320, min_det_score=0.5)
    Intake(intake.database, another).take_in(photos)
    assert [intake.counts(name).completed for name in (*OF_FACES, "scene")] == [0, 0, 0, 5]


def test_a_face_that_is_added_by_a_second_look_makes_its_photo_pending(
    intake: Intake, photos: Path, embedder: LocalEmbedder
) -> None:
    intake.take_in(photos, *map(of_faces, OF_FACES))
    ((sha256, face),) = rows(
        intake.database,
        "SELECT i.sha256, f.id FROM images i JOIN face_detections f ON f.image_id = i.id LIMIT 1",
    )
    intake.database.run(lambda each: each.execute("DELETE FROM face_detections WHERE id = %s", (face,)))
    assert look_again(intake.library, embedder, sha256, min_det_score=0.5, min_short=1).added == 1
    assert [intake.counts(name).pending for name in OF_FACES] == [1, 1, 1]


def test_a_known_photo_that_only_gets_its_embedding_keeps_results_of_its_faces(
    intake: Intake, photos: Path, embedder: LocalEmbedder, tmp_path: Path
) -> None:
    seen: list[int] = []

    def note(_: Photo, image: ImageRecord) -> ImageRecord:
        seen.append(len(image.faces))
        return image.with_finding("bodies", Finding("1"))

    bodies = replace(of_faces("bodies"), look=note)
    intake.take_in(photos, bodies)
    assert (len(seen), min(seen)) == (5, 1)
    clip = ClipVisual(read_clip(make_clip(tmp_path / "clip")))
    Intake(intake.database, LocalDescriber(embedder, clip)).take_in(photos, bodies)
    assert rows(intake.database, "SELECT count(*) FROM image_embeddings") == [(5,)]
    assert len(seen) == 5
    # Where no faces are looked for at all, bodies are seen all the same.
    new = copy_photos([sorted(photos.iterdir())[0]], tmp_path / "new")
    (only,) = new.iterdir()
    only.write_bytes(only.read_bytes() + b"\0")
    Intake(intake.database, LocalDescriber(None, clip)).take_in(new, bodies)
    assert seen[5:] == [0]


def test_a_step_of_faces_reports_if_no_photo_was_searched(
    intake: Intake, photos: Path, tmp_path: Path
) -> None:
    clip = ClipVisual(read_clip(make_clip(tmp_path / "clip")))
    Intake(intake.database, LocalDescriber(None, clip)).take_in(photos)
    summary = intake.look(replace(of_faces("face-tags"), look=lambda _, image: image))
    assert (summary.completed, summary.unavailable) == (0, 5)
    assert {failure.reason for failure in summary.failures} == {
        "face detection has not run on any photo of the library"
    }
