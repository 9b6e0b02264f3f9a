"""How the work is divided: as measured on this machine, else as usual."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facesets.errors import CannotInfer
from facesets.inference.packs import ModelPack, read_pack
from facesets.inference.session import CPU, CUDA
from facesets.operations.models.benchmark import (
    TuningTrial,
    benchmark,
    clearly_best,
    divisions,
    quick_choice,
    ways,
)
from facesets.operations.models.tuning import Tuning, is_long, recall, remember, usual
from facesets.operations.options.start import DetectionOptions
from facesets.work import Stop

MEASURED = Tuning(workers=3, threads=2, images_per_run=4, faces_per_run=16)


@pytest.fixture
def pack(pack_dir: Path) -> ModelPack:
    return read_pack(pack_dir)


def test_what_was_measured_is_used_under_the_same_circumstances_only(pack: ModelPack, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "measured.json"
    assert recall(file, pack, CPU, 6) is None
    remember(file, MEASURED, pack, CPU, 6)
    assert recall(file, pack, CPU, 6) == MEASURED
    assert recall(file, pack, CPU, 4) is None
    assert recall(file, pack, "CUDAExecutionProvider", 6) is None
    other = {**pack.models, "recognition": pack.detector}
    assert recall(file, replace(pack, models=other), CPU, 6) is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"tuning": 3}', '{"tuning": {}, "measured_with": {}}'])
def test_a_damaged_measurement_costs_nothing_but_speed(pack: ModelPack, tmp_path: Path, content: str) -> None:
    (tmp_path / "m.json").write_text(content)
    assert recall(tmp_path / "m.json", pack, CPU, 2) is None


def test_a_measurement_that_makes_no_sense_is_not_used(pack: ModelPack, tmp_path: Path) -> None:
    remember(tmp_path / "m.json", MEASURED, pack, CPU, 2)
    kept = json.loads((tmp_path / "m.json").read_text())
    for nonsense in ({"workers": 0}, {"workers": "many"}, {"sessions": 2}):
        changed = {**kept, "tuning": {**kept["tuning"], **nonsense}}
        (tmp_path / "m.json").write_text(json.dumps(changed))
        assert recall(tmp_path / "m.json", pack, CPU, 2) is None


@pytest.mark.slow
def test_the_benchmark_tries_every_division_and_names_the_fastest(pack: ModelPack) -> None:
    assert divisions(6) == [(6, 1), (3, 2), (2, 3), (1, 6)]
    found = benchmark(pack, DetectionOptions(), CPU, 2, stop=Stop(), seconds_each=0.05)
    assert {trial.tuning for trial in found.trials} == set(ways(CPU, 2))
    assert {(way.workers, way.threads) for way in ways(CPU, 2)} == {(2, 1), (1, 2)}
    assert found.trials == sorted(found.trials, key=lambda trial: -trial.images_per_s)
    assert found.best == clearly_best(found.trials, usual(CPU, 2))
    assert {"decode", "decode at a half (--fast-decode)"} <= found.stage_ms.keys()
    assert min(found.stage_ms.values()) > 0


@pytest.mark.parametrize("cpus", [2, 4, 16, 64])
def test_beside_a_gpu_all_processors_decode_whatever_the_batch(cpus: int) -> None:
    tried = ways(CUDA, cpus)
    assert usual(CUDA, cpus) in tried
    assert {(way.workers, way.threads) for way in tried} == {(min(cpus, 16), 1)}
    assert len({way.images_per_run for way in tried}) == len(tried)


def test_where_no_way_works_the_reason_is_given(pack: ModelPack, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    broken = replace(pack.recogniser, path=tmp_path / "broken.onnx")
    no_pack = replace(pack, models={**pack.models, "recognition": broken})
    with pytest.raises(CannotInfer, match=r"broken\.onnx cannot be loaded"):
        benchmark(no_pack, DetectionOptions(), CPU, 2, stop=Stop(), seconds_each=0.05)


def test_a_measurement_that_is_stopped_chooses_nothing(pack: ModelPack) -> None:
    stop = Stop()
    stop.request()
    assert quick_choice(pack, DetectionOptions(), CPU, 2, stop=stop, seconds_each=0.05) is None


def test_a_quick_measurement_stays_with_the_usual_unless_another_is_clearly_faster() -> None:
    usually, other = usual(CPU, 2), Tuning(1, 2, 1, 1)
    for rate, expected in ((90.0, usually), (109.0, usually), (111.0, other)):
        trials = [TuningTrial(usually, 200.0, 200.0), TuningTrial(other, 2 * rate, 2 * rate)]
        assert clearly_best(trials, usually) == expected
    # A way that was not tried is no match for any that was.
    assert clearly_best([TuningTrial(other, 1.0, 1.0)], usually) == other


def test_a_quick_measurement_tries_real_models(pack: ModelPack) -> None:
    assert quick_choice(pack, DetectionOptions(), CPU, 1, stop=Stop(), seconds_each=0.05) == usual(CPU, 1)


@pytest.mark.parametrize(
    ("files", "known", "long"),
    [(2999, 0, False), (3000, 0, True), (3100, 101, False), (3100, 100, True), (900_000, 3000, False)],
)
def test_a_run_is_long_by_what_is_not_known(files: int, known: int, long: bool) -> None:
    assert is_long(range(1, files + 1), known) == long


def test_no_more_is_listed_than_must_be() -> None:
    def endless() -> Iterator[int]:
        yield from range(1, 3001)
        raise AssertionError("listed too much")

    assert is_long(endless(), 0)
