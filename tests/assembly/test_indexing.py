"""Folders that are indexed again from the browser pass the same stages as in the terminal."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facesets import settings
from facesets.assembly.describing import RequestedModels
from facesets.assembly.indexing import index_again, index_photos
from facesets.assembly.stores import LibraryWork
from facesets.inference.catalog import DEFAULT_CLIP
from facesets.inference.packs import read_pack
from facesets.operations.models.known_packs import FILE_NAME, remember_pack
from facesets.operations.options.index import IndexOptions
from facesets.sources.galleries import GallerySource
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.runs import IndexedFolder
from tests.fixtures.clip import make_clip
from tests.fixtures.library_people import rows
from tests.fixtures.notices import KeptNotices
from tests.fixtures.photos import copy_photos


def test_new_photos_of_a_folder_get_their_tags(
    database: Database, lfw_dir: Path, pack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESETS_PACK", str(pack_dir))
    photos = copy_photos(sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[:1], tmp_path / "photos")
    make_clip(tmp_path / "models" / "clip" / DEFAULT_CLIP)
    conf = settings.load()
    conf = replace(conf, model_roots=(tmp_path / "models", *conf.model_roots))
    remember_pack(conf.state_dir / FILE_NAME, read_pack(pack_dir))
    work = LibraryWork(library=Library(database), settings=conf, notices=KeptNotices())
    index_again(work, [IndexedFolder(str(photos), {}, datetime.now(UTC))], and_assign=False)
    assert rows(database, "SELECT count(*) FROM image_embeddings") == [(1,)]
    assert rows(database, "SELECT status FROM image_stages WHERE stage = 'scene'") == [("completed",)]


@pytest.mark.slow
def test_more_readers_than_models_find_the_same_faces(
    database: Database, empty_database: Database, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:8], tmp_path / "photos")
    vectors = []
    for session, readers in ((empty_database, 1), (database, 40)):
        stopwatch = Stopwatch()
        done, seen = index_photos(
            LibraryWork(library=Library(session), settings=settings.load(), notices=KeptNotices()),
            GallerySource([photos]),
            IndexOptions(stages=("detection",)),
            RequestedModels((str(pack_dir), None, None), provider="cpu", skip_clip=True, workers=readers),
            stopwatch=stopwatch,
        )
        assert (done.indexed, stopwatch.workers) == (8, readers)
        found = seen.load()
        vectors.append(
            {
                face: vector.tobytes()
                for face, vector in zip(found.face_ids(), found.faces.embedding, strict=True)
            }
        )
    assert len(vectors[0]) >= 8
    assert vectors[0] == vectors[1]
