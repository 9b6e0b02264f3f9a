"""Locks of the embedded server that several can hold at once, also where the system knows none such."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
from tests.fixtures.no_posix import windows_locks

from facesets.store.postgres.server import keeper


@pytest.fixture(params=["flock", "bytes"])
def files(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[IO[bytes]]]:
    """One file, opened thrice; on the one system or the other."""
    if request.param == "bytes":
        monkeypatch.setattr(keeper, "_fcntl", None)
        monkeypatch.setattr(keeper, "_msvcrt", windows_locks())
    with ExitStack() as stack:
        yield [stack.enter_context((tmp_path / "lock").open("ab")) for _ in range(3)]


def test_an_exclusive_lock_waits_for_all_shared_ones(files: list[IO[bytes]]) -> None:
    first, second, alone = files
    assert keeper.take(first, shared=True)
    assert keeper.take(second, shared=True)
    assert not keeper.take(alone, wait=False)
    first.close()
    assert not keeper.take(alone, wait=False)
    second.close()
    assert keeper.take(alone)


def test_an_exclusive_lock_blocks_shared_ones_until_its_release(files: list[IO[bytes]]) -> None:
    alone, first, second = files
    assert keeper.take(alone)
    assert not keeper.take(first, shared=True, wait=False)
    assert not keeper.take(second, wait=False)
    keeper.let_go(alone)
    assert keeper.take(first, shared=True, wait=False)
    assert keeper.take(second, shared=True, wait=False)
