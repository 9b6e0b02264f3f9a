"""The cache file: committed data stays, once, in order, after any kill."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facesets.errors import AlreadyRunning, DamagedFile, NewerFormat, RecognizerMismatch, WrongUsage
from facesets.formats.plain_npz import read_columns
from facesets.records import Collection, ImageRecord
from facesets.store.npz import cache_journal
from facesets.store.npz.cache import Cache
from facesets.store.npz.cache_journal import CacheJournal
from facesets.store.npz.columns import Column, map_columns, write_columns
from facesets.store.npz.schema import read_part
from tests.fixtures.made_faces import SETTINGS, made_file, made_image


def image(number: int, faces: int, *, seed: int | None = None, enriched: bool = False) -> ImageRecord:
    made = made_image(str(number), faces, seed=seed)
    rows = made.faces
    if enriched:
        rows = replace(rows, pose=np.full((faces, 3), 7, np.float32), enrich_state=np.ones(faces, np.uint8))
    return replace(made, faces=rows)


def commit_all(cache: Cache, records: Sequence[ImageRecord], *, at_a_time: int = 2) -> None:
    with cache.writing(SETTINGS):
        for start in range(0, len(records), at_a_time):
            some = records[start : start + at_a_time]
            cache.commit([made_file(f"/photos/{r.sha256}.jpg", r) for r in some], some)


def assert_equal(a: Collection, b: Collection) -> None:
    assert a.images.paths == b.images.paths
    assert a.face_ids() == b.face_ids()
    for name, column in a.faces.columns().items():
        np.testing.assert_array_equal(column, getattr(b.faces, name))


def test_a_cache_keeps_its_id_as_it_grows_and_gives_it_to_copies(tmp_path: Path) -> None:
    first, other = Cache(tmp_path / "c.npz"), Cache(tmp_path / "o.npz")
    assert first.identity == ""
    commit_all(first, [image(0, 1)])
    commit_all(other, [image(9, 1)])
    own = Cache(first.path).identity
    commit_all(first, [image(1, 1)])
    copy = shutil.copy(first.path, tmp_path / "backup.npz")
    assert own == Cache(first.path).identity == Cache(Path(copy)).identity != other.identity


def test_a_cache_without_an_id_gets_a_permanent_one(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    commit_all(Cache(path), [image(0, 1)])
    arrays = dict(np.load(path))
    meta = json.loads(arrays["meta"].tobytes())
    del meta["id"]
    np.savez(path, **{**arrays, "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)})
    before = Cache(path).identity
    assert before
    commit_all(Cache(path), [image(1, 1)])
    assert Cache(path).identity == before
    assert json.loads(np.load(path)["meta"].tobytes())["id"] == before


def test_a_reader_sees_every_flush_of_a_running_run(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.npz")
    with cache.writing(SETTINGS):
        for i in range(5):
            cache.commit([made_file(f"/{i}.jpg", image(i, 2))], [image(i, 2)])
            assert len(Cache(tmp_path / "c.npz").load().images) == i + 1


def test_a_run_killed_between_folding_and_tidying_counts_nothing_twice(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.npz")
    records = [image(i, 2) for i in range(4)]
    with cache.writing(SETTINGS):
        cache.commit([made_file(f"/{r.sha256[-3:]}.jpg", r) for r in records], records)
        shutil.copytree(tmp_path / "c.npz.journal", tmp_path / "kept")
    once = (tmp_path / "c.npz").read_bytes()
    shutil.copytree(tmp_path / "kept", tmp_path / "c.npz.journal")
    assert len(Cache(tmp_path / "c.npz").load().faces) == 8
    with Cache(tmp_path / "c.npz").writing(SETTINGS):
        pass
    assert (tmp_path / "c.npz").read_bytes() == once
    assert not (tmp_path / "c.npz.journal").exists()


@pytest.mark.slow
@given(st.lists(st.integers(0, 11), min_size=1, max_size=20), st.integers(1, 9), st.integers(2, 6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_result_does_not_depend_on_flushes_folds_or_gathering(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    numbers: list[int],
    at_a_time: int,
    gather_at: int,
) -> None:
    records = [image(n, n % 3, seed=i, enriched=i % 2 == 1) for i, n in enumerate(numbers)]
    folder = tmp_path_factory.mktemp("caches")
    with monkeypatch.context() as patch:
        patch.setattr(cache_journal, "_GATHER_AT", 1_000)
        commit_all(Cache(folder / "whole.npz"), records, at_a_time=1)
        patch.setattr(cache_journal, "_GATHER_AT", gather_at)
        for start in range(0, len(records), at_a_time):
            commit_all(Cache(folder / "parts.npz"), records[start : start + at_a_time], at_a_time=1)
    assert (folder / "whole.npz").read_bytes() == (folder / "parts.npz").read_bytes()


def test_a_flush_touches_no_file_of_an_earlier_one(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.npz")
    commit_all(cache, [image(i, 3) for i in range(50)])
    with cache.writing(SETTINGS):
        for i in range(50, 60):
            before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
            record = image(i, 3)
            cache.commit([made_file(f"/{i}.jpg", record)], [record])
            after = {p: p.stat() for p in tmp_path.rglob("*.npz")}
            (new,) = after.keys() - before.keys()
            assert all(after[path].st_mtime_ns == time for path, time in before.items())
            assert after[new].st_size < 20_000


def test_the_journal_is_merged_into_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_journal, "_GATHER_AT", 4)
    cache = Cache(tmp_path / "c.npz")
    with cache.writing(SETTINGS):
        for i in range(80):
            cache.commit([made_file(f"/{i}.jpg", image(i, 1))], [image(i, 1)])
        assert len(CacheJournal(tmp_path / "c.npz").paths()) < 28
        assert len(Cache(tmp_path / "c.npz").load().images) == 80
    assert len(Cache(tmp_path / "c.npz").load().images) == 80


def test_a_missing_cache_is_reported_with_advice(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="embed PHOTOS"):
        Cache(tmp_path / "none.npz").load()


def test_other_vectors_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.npz")
    commit_all(cache, [image(1, 1)])
    before = (tmp_path / "c.npz").read_bytes()
    with (
        pytest.raises(RecognizerMismatch, match="cannot be added"),
        cache.writing(replace(SETTINGS, recognizer_sha256="ef" * 32)),
    ):
        pass
    assert (tmp_path / "c.npz").read_bytes() == before


def test_two_writers_exclude_each_other(tmp_path: Path) -> None:
    with (
        Cache(tmp_path / "c.npz").writing(SETTINGS),
        pytest.raises(AlreadyRunning),
        Cache(tmp_path / "c.npz").writing(SETTINGS),
    ):
        pass


def test_a_cache_of_a_later_version_is_refused(tmp_path: Path) -> None:
    commit_all(Cache(tmp_path / "c.npz"), [image(1, 1)])
    with np.load(tmp_path / "c.npz") as archive:
        arrays = dict(archive)
    meta = arrays["meta"].tobytes().replace(b'"version": 1', b'"version": 9')
    np.savez(tmp_path / "c.npz", **{**arrays, "meta": np.frombuffer(meta, np.uint8)})
    with pytest.raises(NewerFormat, match="Upgrade facesets"):
        Cache(tmp_path / "c.npz").load()


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_reported_as_damaged(tmp_path: Path, cut: float) -> None:
    commit_all(Cache(tmp_path / "c.npz"), [image(i, 2) for i in range(20)])
    whole = (tmp_path / "c.npz").read_bytes()
    (tmp_path / "c.npz").write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(DamagedFile, match="backup"):
        Cache(tmp_path / "c.npz").load()


def test_mapped_and_read_columns_are_equal_and_aligned(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "a": np.arange(7, dtype=np.float32),
        "bb": np.zeros((0, 4)),
        "ccc": np.array([b"x", b"yy"]),
    }
    with (tmp_path / "x.npz").open("wb") as file:
        write_columns(file, {name: Column.of(array) for name, array in arrays.items()})
    mapped, read = map_columns(tmp_path / "x.npz", verify=True), read_columns(tmp_path / "x.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(mapped[name], array)
        np.testing.assert_array_equal(read[name], array)
        assert mapped[name].flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        mapped["a"][0] = 1


def test_compressed_archives_are_not_mapped_by_mistake(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(9))
    with pytest.raises(ValueError, match="compressed"):
        map_columns(tmp_path / "x.npz", verify=True)


def test_a_large_cache_is_mapped_and_holds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_all(Cache(tmp_path / "c.npz"), [image(i, 3) for i in range(30)])
    read = Cache(tmp_path / "c.npz").load()
    monkeypatch.setattr("facesets.store.npz.schema._READ_AT_ONCE_BYTES", 0)
    mapped = Cache(tmp_path / "c.npz").load()
    assert_equal(read, mapped)
    assert not read_part(tmp_path / "c.npz").faces.embedding.flags.owndata


def test_damage_in_a_large_cache_is_noticed_before_it_is_used_or_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.store.npz.schema._READ_AT_ONCE_BYTES", 0)
    commit_all(Cache(tmp_path / "c.npz"), [image(i, 3) for i in range(30)])
    whole = (tmp_path / "c.npz").read_bytes()
    chance = np.random.default_rng(0)
    for place in chance.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "c.npz").write_bytes(bytes(damaged))
        try:
            found = Cache(tmp_path / "c.npz").load()
        except (DamagedFile, NewerFormat):
            continue
        # Data that a reader skips may differ; its results may not.
        assert len(found.faces) == 90
    # Somewhere in the embeddings, which are the largest part.
    (tmp_path / "c.npz").write_bytes(whole[: len(whole) // 2] + b"damage" + whole[len(whole) // 2 + 6 :])
    before = (tmp_path / "c.npz").read_bytes()
    record = image(99, 1)
    cache = Cache(tmp_path / "c.npz")
    with pytest.raises(DamagedFile), cache.writing(SETTINGS):
        cache.commit([made_file("/99.jpg", record)], [record])
    assert (tmp_path / "c.npz").read_bytes() == before


def test_a_kill_while_the_journal_is_merged_keeps_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_journal, "_GATHER_AT", 4)

    class KilledError(Exception):
        pass

    unlink, left = Path.unlink, [1]

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".npz" and not left:
            raise KilledError
        if path.suffix == ".npz":
            left.pop()
        unlink(path, missing_ok=missing_ok)

    records = [image(i, 1) for i in range(5)]
    cache = Cache(tmp_path / "c.npz")
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KilledError), cache.writing(SETTINGS):
        for record in records:
            cache.commit([made_file(f"/{record.sha256[-3:]}.jpg", record)], [record])
    found = Cache(tmp_path / "c.npz").load()
    assert [digest.decode() for digest in found.images.sha256] == [record.sha256 for record in records]


def test_a_path_below_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file.jpg").touch()
    with pytest.raises(WrongUsage, match="Choose another place"):
        Cache(tmp_path / "file.jpg" / "c.npz").load()
