"""`index`: with an ML service, beside other runs, and on folders where not everything may be looked at."""

import codecs
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.photos import copy_photos
from tests.fixtures.postgres import open_directory
from tests.fixtures.taking_in import Intake
from tests.fixtures.waiting import PATIENCE_S

from facesets.errors import Unreachable, WrongUsage
from facesets.file_records import FileRecord
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Describer
from facesets.operations.ingest.unavailable_sources import require_a_target
from facesets.operations.library.stats import stats
from facesets.records import CacheSettings, ClipModel, Description, Pixels, Wanted
from facesets.remote.ml_service import MlService, ServiceModels
from facesets.remote.service_embedder import ServiceEmbedder
from facesets.result import Result
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.work import Stop, Work

ORDINARY_USER = 65534


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


def test_failed_files_are_not_stored_and_are_retried_next_time(database: Database, photos: Path) -> None:
    with ml_service() as service:
        service.status = 422
        failed = run(service, database, photos)
        assert (failed.indexed, failed.failed) == (0, 5)
        assert Library(database).files() == {}
        service.status = 200
        assert run(service, database, photos).indexed == 5


def test_an_unavailable_service_ends_the_run_and_the_next_resumes(
    database: Database, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:20], tmp_path / "photos")
    with ml_service() as service:
        remote = MlService(service.url, ServiceModels(min_det_score=0.5), pause=lambda _: None, waits_s=[0])
        embedder = ServiceEmbedder(remote)
    with pytest.raises(Unreachable, match="stopped responding"):
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


def test_a_service_with_another_vector_length_is_refused_until_all_are_deleted(
    database: Database, lfw_photos: list[Path], tmp_path: Path
) -> None:
    with ml_service() as service:
        run(service, database, copy_photos(lfw_photos[:2], tmp_path / "a"))
        service.clip_dimension = 32
        with pytest.raises(WrongUsage, match="32 dimensions"):
            run(service, database, copy_photos(lfw_photos[2:4], tmp_path / "b"))
        assert len(embeddings(database)) == 2
        database.run(lambda connection: connection.execute("DELETE FROM image_embeddings"))
        assert run(service, database, tmp_path).embeddings == 4


class Watched:
    """A describer, and something that happens before it begins for the first time."""

    def __init__(self, describer: Describer, before: Callable[[], None]) -> None:
        self._describer = describer
        self._before: Callable[[], None] | None = before

    @property
    def faces_from(self) -> CacheSettings | None:
        return self._describer.faces_from

    @property
    def clip_from(self) -> ClipModel | None:
        return self._describer.clip_from

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        before, self._before = self._before, None
        if before is not None:
            before()
        return self._describer.describe(pictures, wanted)


@pytest.fixture
def photo(lfw_photos: list[Path], tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return Path(shutil.copy2(lfw_photos[0], tmp_path / "photos"))


@pytest.fixture
def other(library_url: str) -> Iterator[Database]:
    """The session of another run."""
    with opened(Database(library_url)) as session:
        yield session


@pytest.mark.slow
def test_a_finished_file_is_no_longer_waited_for_even_if_another_run_holds_it(
    database: Database, other: Database, photo: Path, embedder: LocalEmbedder
) -> None:
    Claims(other, "path").take([str(photo)])
    stop = Stop()
    with ThreadPoolExecutor(1) as pool:
        ours = Intake(database, embedder)
        waiting = pool.submit(ours.take_in, photo.parent, work=Work(stop=stop), concurrency=1)
        time.sleep(1)
        assert not waiting.done()
        # The same bytes at another place, so that the claim stays.
        copy = Path(shutil.copytree(photo.parent, photo.parent.parent / "copies")) / photo.name
        assert Intake(other, embedder).take_in(copy.parent).indexed == 1
        status, sha256 = photo.stat(), Library(other).files()[str(copy)].sha256
        seen = FileRecord(str(photo), status.st_size, status.st_mtime_ns, sha256)
        Library(other, embedder.settings).add([seen], [])
        try:
            summary = waiting.result(timeout=PATIENCE_S)
        finally:
            stop.request()
    assert (summary.unchanged, summary.indexed, summary.to_do) == (1, 0, 0)


@pytest.mark.slow
def test_files_claimed_by_others_during_an_outage_are_theirs(
    database: Database, other: Database, photo: Path, embedder: LocalEmbedder
) -> None:
    done: list[Result] = []

    def steal() -> None:
        pid = database.run(lambda connection: connection.info.backend_pid)
        other.run(lambda connection: connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,)))
        done.append(Intake(other, embedder).take_in(photo.parent))
        claims = Claims(other, "path")
        claims.take([str(photo)])
        # Some other thread of the run finds out that the session is new.
        database.run(lambda connection: connection.execute("SELECT 1"))
        claims.release([str(photo)])

    watched = Watched(LocalDescriber(embedder, None), steal)
    ours = Intake(database, watched).take_in(photo.parent, concurrency=1)
    assert [summary.indexed for summary in done] == [1]
    assert (ours.indexed, ours.unchanged, ours.to_do) == (0, 1, 0)


@pytest.fixture
def root() -> Iterator[Path]:
    base = open_directory()
    yield base
    shutil.rmtree(base)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Run the block as an ordinary user, because no folder is closed to root."""
    if os.geteuid() != 0:
        yield
        return
    # Python reads a codec when it is first asked for, which may lie where only the superuser may read.
    for codec in ("ascii", "latin-1"):
        codecs.lookup(codec)
    os.seteuid(ORDINARY_USER)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("is_target", [False, True])
def test_an_unlistable_folder_counts_as_failed_only_while_it_is(
    intake: Intake, root: Path, lfw_photos: list[Path], *, is_target: bool
) -> None:
    photos = copy_photos(lfw_photos[:1], root / "photos")
    closed = copy_photos(lfw_photos[1:3], photos / "closed")
    library = intake.library
    for mode, reason in ((0o755, ""), (0, "Permission denied"), (0, "Permission denied"), (0o755, "")):
        closed.chmod(mode)
        target = closed if is_target else photos
        with as_ordinary_user():
            require_a_target(GallerySource([target]), library)
            done = intake.take_in(target, prune=True)
        assert [failure.reason for failure in done.failures] == [f"cannot be read: {reason}"] * bool(reason)
        assert done.failed == bool(reason)
        assert (stats(library).unreadable, len(library.files())) == (0, 2 if is_target else 3)
