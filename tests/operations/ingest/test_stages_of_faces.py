"""Stages that look at faces follow them: what they found belongs to the faces that the photo has."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.clip import make_clip
from tests.fixtures.library_people import rows
from tests.fixtures.photos import copy_photos

from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import read_clip
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.ingest.index import index
from facesets.operations.ingest.stage_run import StageRunOptions, run_stage
from facesets.operations.ingest.stages import Photo, Stage
from facesets.operations.library.findings import look_again
from facesets.operations.library.stats import stages
from facesets.operations.options.index import IndexOptions
from facesets.records import Finding, ImageRecord
from facesets.result import Result
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.statistics import StageCounts
from facesets.work import Work

OF_FACES = ("attributes", "bodies", "face-tags")


def stage(name: str) -> Stage:
    return Stage(name, "1", lambda _, image: image.with_finding(name, Finding("1")), of_faces=True)


def take_in(database: Database, photos: Path, describer: LocalDescriber, *some: Stage) -> None:
    source = GallerySource([photos])
    index(source, Library(database), describer, IndexOptions(), stages=some, work=Work())


def look(database: Database, one: Stage) -> Result:
    return run_stage(Library(database), one, StageRunOptions(), work=Work())


def counts(database: Database, name: str) -> StageCounts:
    return next(each for each in stages(Library(database)).stages if each.stage == name)


@pytest.fixture
def photos(lfw_photos: list[Path], tmp_path: Path) -> Path:
    return copy_photos(lfw_photos[:3], tmp_path / "photos")


@pytest.fixture
def other(library_url: str) -> Iterator[Database]:
    """Another run on the same library."""
    session = Database(library_url)
    yield session
    session.close()


def test_a_photo_that_gets_other_faces_while_a_stage_looks_at_it_stays_pending(
    database: Database, other: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    take_in(database, photos, LocalDescriber(embedder, None))
    ((changes,),) = rows(
        database, "SELECT i.sha256 FROM images i JOIN face_detections f ON f.image_id = i.id LIMIT 1"
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

    found = look(database, replace(stage("face-tags"), look=look_meanwhile))
    assert (found.completed, found.to_do) == (2, 1)
    assert (counts(database, "face-tags").completed, counts(database, "face-tags").pending) == (2, 1)
    assert look(database, stage("face-tags")).completed == 1


def test_photos_that_get_further_faces_are_pending_again(
    database: Database, photos: Path, embedder: LocalEmbedder, pack_dir: Path
) -> None:
    kept = Stage("scene", "1", lambda _, image: image.with_finding("scene", Finding("1")))
    take_in(database, photos, LocalDescriber(embedder, None), kept, *map(stage, OF_FACES))
    assert [counts(database, name).completed for name in (*OF_FACES, "scene")] == [3, 3, 3, 3]
    another = LocalEmbedder(read_pack(pack_dir), det_size=320, min_det_score=0.5)
    take_in(database, photos, LocalDescriber(another, None))
    assert [counts(database, name).completed for name in (*OF_FACES, "scene")] == [0, 0, 0, 3]


def test_a_face_that_is_added_by_a_second_look_makes_its_photo_pending(
    database: Database, photos: Path, embedder: LocalEmbedder
) -> None:
    take_in(database, photos, LocalDescriber(embedder, None), *map(stage, OF_FACES))
    ((sha256, face),) = rows(
        database, "SELECT i.sha256, f.id FROM images i JOIN face_detections f ON f.image_id = i.id LIMIT 1"
    )
    database.run(lambda each: each.execute("DELETE FROM face_detections WHERE id = %s", (face,)))
    assert look_again(Library(database), embedder, sha256, min_det_score=0.5, min_short=1).added == 1
    assert [counts(database, name).pending for name in OF_FACES] == [1, 1, 1]


def test_a_known_photo_that_only_gets_its_embedding_keeps_what_was_found_of_its_faces(
    database: Database, photos: Path, embedder: LocalEmbedder, tmp_path: Path
) -> None:
    seen: list[int] = []

    def note(_: Photo, image: ImageRecord) -> ImageRecord:
        seen.append(len(image.faces))
        return image.with_finding("bodies", Finding("1"))

    bodies = replace(stage("bodies"), look=note)
    take_in(database, photos, LocalDescriber(embedder, None), bodies)
    assert (len(seen), min(seen)) == (3, 1)
    clip = ClipVisual(read_clip(make_clip(tmp_path / "clip")))
    take_in(database, photos, LocalDescriber(embedder, clip), bodies)
    assert rows(database, "SELECT count(*) FROM image_embeddings") == [(3,)]
    assert len(seen) == 3
    # Where no faces are looked for at all, bodies are seen all the same.
    new = copy_photos([sorted(photos.iterdir())[0]], tmp_path / "new")
    (only,) = new.iterdir()
    only.write_bytes(only.read_bytes() + b"\0")
    take_in(database, new, LocalDescriber(None, clip), bodies)
    assert seen[3:] == [0]


def test_a_stage_of_faces_says_so_where_no_photo_was_searched(
    database: Database, photos: Path, tmp_path: Path
) -> None:
    clip = ClipVisual(read_clip(make_clip(tmp_path / "clip")))
    take_in(database, photos, LocalDescriber(None, clip))
    summary = look(database, replace(stage("face-tags"), look=lambda _, image: image))
    assert (summary.completed, summary.unavailable) == (0, 3)
    assert {failure.reason for failure in summary.failures} == {
        "no photo of the library was searched for faces yet"
    }
