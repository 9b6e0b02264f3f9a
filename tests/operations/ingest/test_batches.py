"""Files are dealt out in order, so many at a time, and fewer where they are large."""

from facesets.file_records import FoundFile
from facesets.operations.ingest.intake import batches


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
