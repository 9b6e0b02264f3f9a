"""Files are dealt out in order, so many at a time; and in little memory, however many there are."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fixtures.made_listing import MadeUpListing, NoModels

from facesets.file_records import FoundFile
from facesets.operations.ingest.index_chunks import (
    MAX_IN_CHUNK,
    MIN_IN_CHUNK,
    hand_over_chunks,
    size_of_next,
)
from facesets.operations.ingest.intake import batches
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work


def listed(database: Database, folder: Path, count: int) -> tuple[Result, int, int]:
    """Return the result, the number of files handed over, and the peak memory in bytes."""
    (folder / "something").mkdir(parents=True, exist_ok=True)
    handed = 0

    def hand_over(files: Sequence[FoundFile]) -> None:
        nonlocal handed
        assert len(files) <= MAX_IN_CHUNK
        handed += len(files)

    tracemalloc.start()
    try:
        summary = hand_over_chunks(
            MadeUpListing(folder, count),
            Library(database),
            NoModels(),  # type: ignore[arg-type]
            IndexOptions(),
            hand_over,
            work=Work(),
        )
        return summary, handed, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_ten_times_the_files_take_no_more_memory(database: Database, tmp_path: Path) -> None:
    few, _, small = listed(database, tmp_path, 4_000)
    many, handed, large = listed(database, tmp_path, 40_000)
    assert (few.listed, many.listed, many.queued, handed) == (4_000, 40_000, 40_000, 40_000)
    assert 40_000 / MAX_IN_CHUNK < many.chunks < 1.6 * 40_000 / MAX_IN_CHUNK
    assert large < 1.2 * small
    assert large < 20_000_000


def test_several_workers_have_work_to_the_end_however_few_the_photos_are() -> None:
    queued, sizes = 0, []
    while queued < 20_000:
        sizes.append(size_of_next(queued))
        queued += sizes[-1]
        # None is left waiting for the last chunk of another, but for a fraction of the time that all takes.
        assert sizes[-1] <= max(queued / 32, MIN_IN_CHUNK)
    assert sizes == sorted(sizes)
    assert sizes[-1] == MAX_IN_CHUNK


def found(*megabytes: float) -> list[FoundFile]:
    return [FoundFile(f"/{i}.jpg", int(size * 1e6), 0) for i, size in enumerate(megabytes)]


def test_small_files_come_by_number() -> None:
    files = found(*[0.1] * 10)
    assert [len(batch) for batch in batches(files, 4)] == [4, 4, 2]
    assert [file for batch in batches(files, 4) for file in batch] == files
    assert list(batches([], 4)) == []


def test_large_files_come_by_size() -> None:
    assert [len(batch) for batch in batches(found(*[10] * 9), 64)] == [4, 4, 1]
    assert [len(batch) for batch in batches(found(900, 1, 1, 40, 1), 64)] == [1, 3, 1]
