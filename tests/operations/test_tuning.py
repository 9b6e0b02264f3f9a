"""How the work is divided: as measured on this machine, else as usual."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from facesets.inference.packs import ModelPack, read_pack
from facesets.inference.session import CPU
from facesets.operations.benchmark import benchmark, divisions
from facesets.operations.options import DetectionOptions
from facesets.operations.tuning import Tuning, recall, remember, usual

MEASURED = Tuning(workers=3, threads=2, images_per_run=4, faces_per_run=16)


@pytest.fixture
def pack(pack_dir: Path) -> ModelPack:
    return read_pack(pack_dir)


def test_what_was_measured_is_used_under_the_same_circumstances_only(pack: ModelPack, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "measured.json"
    assert recall(file, pack, CPU, 6) == usual(CPU, 6) == Tuning(6, 1, 1, 1)
    remember(file, MEASURED, pack, CPU, 6)
    assert recall(file, pack, CPU, 6) == MEASURED
    assert recall(file, pack, CPU, 4) == usual(CPU, 4)
    assert recall(file, pack, "CUDAExecutionProvider", 6) == usual("CUDAExecutionProvider", 6)
    other = {**pack.models, "recognition": pack.detector}
    assert recall(file, replace(pack, models=other), CPU, 6) == usual(CPU, 6)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"tuning": 3}', '{"tuning": {}, "measured_with": {}}'])
def test_a_damaged_measurement_costs_nothing_but_speed(pack: ModelPack, tmp_path: Path, content: str) -> None:
    (tmp_path / "m.json").write_text(content)
    assert recall(tmp_path / "m.json", pack, CPU, 2) == usual(CPU, 2)


def test_a_measurement_that_makes_no_sense_is_not_used(pack: ModelPack, tmp_path: Path) -> None:
    remember(tmp_path / "m.json", MEASURED, pack, CPU, 2)
    kept = json.loads((tmp_path / "m.json").read_text())
    for nonsense in ({"workers": 0}, {"workers": "many"}, {"sessions": 2}):
        changed = {**kept, "tuning": {**kept["tuning"], **nonsense}}
        (tmp_path / "m.json").write_text(json.dumps(changed))
        assert recall(tmp_path / "m.json", pack, CPU, 2) == usual(CPU, 2)


def test_the_benchmark_tries_every_division_and_names_the_fastest(pack: ModelPack) -> None:
    assert divisions(6) == [(6, 1), (3, 2), (2, 3), (1, 6)]
    found = benchmark(pack, DetectionOptions(), CPU, 2, seconds_each=0.05)
    tried = {(trial.tuning.workers, trial.tuning.threads) for trial in found.trials}
    assert tried == {(2, 1), (1, 2)}
    assert {trial.tuning.images_per_run for trial in found.trials} == {1, 4, 16}
    assert found.best == max(found.trials, key=lambda trial: trial.images_per_s).tuning
    assert found.stage_ms["decode at a half (--fast-decode)"] < found.stage_ms["decode"]
    assert min(found.stage_ms.values()) > 0
