"""Many small pieces of work, several of them a thread: most are but a look at a file's time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
U = TypeVar("U")
InParallel: TypeAlias = Callable[..., Iterable[Any]]
"""The `map` of an executor."""

_PART = 25
"""Pieces that a thread takes at a time."""


def each_of(work: Callable[[T], U], items: Sequence[T], in_parallel: InParallel) -> list[U]:
    """What comes of some items."""
    parts = list(in_parts(items, _PART))
    return [each for part in in_parallel(lambda part: [work(item) for item in part], parts) for each in part]


def in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Some items at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
