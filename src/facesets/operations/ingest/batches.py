"""Files dealt out to worker threads."""

from collections.abc import Iterable, Iterator

from facesets.file_records import FoundFile

_MOST_BYTES = 32_000_000
"""A batch ends where its files come to so much: decoded they are ten times as large, and all are held."""


def batches(files: Iterable[FoundFile], size: int) -> Iterator[list[FoundFile]]:
    """Deal out files in order, `size` at a time, and fewer where they are large."""
    batch: list[FoundFile] = []
    total = 0
    for file in files:
        batch.append(file)
        total += file.size
        if len(batch) >= size or total >= _MOST_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
