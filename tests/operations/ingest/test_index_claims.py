"""Several runs of `index` at one library, and what a run claimed comes into other hands."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fixtures.taking_in import Intake
from tests.fixtures.waiting import PATIENCE_S

from facesets.file_records import FileRecord
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Describer
from facesets.records import CacheSettings, ClipModel, Description, Pixels, Wanted
from facesets.result import Result
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.work import Stop, Work


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
def test_a_file_that_is_done_is_waited_for_no_longer_though_another_run_holds_it(
    database: Database, other: Database, photo: Path, embedder: LocalEmbedder
) -> None:
    Claims(other, "path").take([str(photo)])
    stop = Stop()
    with ThreadPoolExecutor(1) as pool:
        ours = Intake(database, embedder)
        waiting = pool.submit(ours.take_in, photo.parent, work=Work(stop=stop), concurrency=1)
        time.sleep(1)
        assert not waiting.done()
        # The same bytes at another place, so that what is claimed stays so.
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
def test_what_others_claimed_while_the_database_was_away_is_theirs(
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
