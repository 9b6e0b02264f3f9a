"""Listing for the queue: in little memory, however many files there are."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fixtures.made_listing import MadeUpListing, NoModels

from facesets.file_records import FoundFile
from facesets.operations.ingest.index_chunks import (
    FEWEST_IN_CHUNK,
    MOST_IN_CHUNK,
    hand_over_chunks,
    size_of_next,
)
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work


def listed(database: Database, folder: Path, count: int) -> tuple[Result, int, int]:
    """What came of it, how many files were handed over, and the most memory that was held, in bytes."""
    (folder / "something").mkdir(parents=True, exist_ok=True)
    handed = 0

    def hand_over(files: Sequence[FoundFile]) -> None:
        nonlocal handed
        assert len(files) <= MOST_IN_CHUNK
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
    few, _, small = listed(database, tmp_path, 10_000)
    many, handed, large = listed(database, tmp_path, 100_000)
    assert (few.listed, many.listed, many.queued, handed) == (10_000, 100_000, 100_000, 100_000)
    assert 100_000 / MOST_IN_CHUNK < many.chunks < 1.3 * 100_000 / MOST_IN_CHUNK
    assert large < 1.2 * small
    assert large < 20_000_000


def test_several_workers_have_work_to_the_end_however_few_the_photos_are() -> None:
    queued, sizes = 0, []
    while queued < 20_000:
        sizes.append(size_of_next(queued))
        queued += sizes[-1]
        # None is left waiting for the last chunk of another, but for a fraction of the time that all takes.
        assert sizes[-1] <= max(queued / 32, FEWEST_IN_CHUNK)
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST_IN_CHUNK
