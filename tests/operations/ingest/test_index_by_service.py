"""`index` with an ML service: the same library in the end, however the service behaves."""

import time
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.photos import copy_photos
from tests.fixtures.taking_in import Intake

from facesets.errors import Unreachable, WrongUsage
from facesets.remote.ml_service import MlService, ServiceModels
from facesets.remote.service_embedder import ServiceEmbedder
from facesets.result import Result
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations


def run(service: Service, database: Database, photos: Path, *, clip: bool = True) -> Result:
    models = ServiceModels(min_det_score=0.5)
    remote = MlService(service.url, models, pause=time.sleep, waits_s=[0.01] * 3, timeout_s=0.5)
    try:
        return Intake(database, ServiceEmbedder(remote, clip=clip)).take_in(photos)
    finally:
        remote.close()


def vectors(database: Database) -> dict[str, bytes]:
    collection = Library(database).load()
    ids = collection.face_ids()
    of_faces = {face: v.tobytes() for face, v in zip(ids, collection.faces.embedding, strict=True)}
    return of_faces | embeddings(database)


def embeddings(database: Database) -> dict[str, bytes]:
    """The embedding of every image, by its hash."""
    query = "SELECT i.sha256, e.embedding::text FROM images i JOIN image_embeddings e ON i.id = e.image_id"
    return {sha256: text.encode() for sha256, text in rows(database, query)}


@pytest.mark.slow
def test_a_service_that_often_fails_gives_the_library_of_an_undisturbed_run(
    database: Database, empty_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:40], tmp_path / "photos")
    with ml_service() as service, opened(Database(empty_url)) as calm:
        migrate(calm, shipped_migrations())
        assert run(service, calm, photos).indexed == 40
        service.misbehaves = 0.3
        indexed = 0
        for _ in range(20):
            summary = run(service, database, photos)
            indexed += summary.indexed
            if not summary.failed:
                break
        assert indexed == 40
        assert vectors(database) == vectors(calm)


def test_what_failed_is_not_stored_and_is_tried_again_next_time(database: Database, photos: Path) -> None:
    with ml_service() as service:
        service.status = 422
        failed = run(service, database, photos)
        assert (failed.indexed, failed.failed) == (0, 5)
        assert Library(database).files() == {}
        service.status = 200
        assert run(service, database, photos).indexed == 5


def test_a_service_that_is_gone_ends_the_run_and_the_next_goes_on(
    database: Database, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:20], tmp_path / "photos")
    with ml_service() as service:
        remote = MlService(service.url, ServiceModels(min_det_score=0.5), pause=lambda _: None, waits_s=[0])
        embedder = ServiceEmbedder(remote)
    with pytest.raises(Unreachable, match="does not answer any more"):
        Intake(database, embedder).take_in(photos, concurrency=2)
    remote.close()
    assert Library(database).files() == {}
    with ml_service() as service:
        assert run(service, database, photos).indexed == 20


def test_faces_of_a_service_have_no_keypoints_and_a_model_of_their_own(
    database: Database, photos: Path
) -> None:
    with ml_service() as service:
        run(service, database, photos)
    collection = Library(database).load()
    assert np.isnan(collection.faces.kps).all()
    assert collection.settings.pack == "ml-service/buffalo_l"
    (row,) = Library(database).clip_models()
    assert (row.model.name, row.dimension) == ("ml-service/ViT-B-32__openai", 24)


def test_faces_and_embedding_come_in_one_request_and_only_what_is_lacking_is_asked_for(
    database: Database, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:4], tmp_path / "photos")
    with ml_service() as service:
        assert run(service, database, photos, clip=False).embeddings == 0
        assert all(set(asked) == {"facial-recognition"} for asked in service.asked)
        second = run(service, database, photos)
        assert (second.indexed, second.completed, second.embeddings, second.faces) == (0, 4, 4, 0)
        assert all(set(asked) == {"clip"} for asked in service.asked[4:])
        copy_photos(lfw_photos[4:6], tmp_path / "photos" / "more")
        third = run(service, database, photos)
        assert (third.indexed, third.completed, third.embeddings, third.faces) == (2, 0, 2, 2)
        assert all(set(asked) == {"facial-recognition", "clip"} for asked in service.asked[8:])
        assert len(service.asked) == 10


def test_a_service_whose_vectors_change_their_length_is_refused_until_all_are_deleted(
    database: Database, lfw_photos: list[Path], tmp_path: Path
) -> None:
    with ml_service() as service:
        run(service, database, copy_photos(lfw_photos[:2], tmp_path / "a"))
        service.clip_dimension = 32
        with pytest.raises(WrongUsage, match="32 numbers"):
            run(service, database, copy_photos(lfw_photos[2:4], tmp_path / "b"))
        assert len(embeddings(database)) == 2
        database.run(lambda connection: connection.execute("DELETE FROM image_embeddings"))
        assert run(service, database, tmp_path).embeddings == 4
