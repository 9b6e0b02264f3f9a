"""Data stored for this machine: the best division of work for a pack, and the places of packs."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from facesets.errors import CannotInfer
from facesets.inference.local import LocalEmbedder
from facesets.inference.model_files import DETECTION, RECOGNITION, ModelFile
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
from facesets.operations.models.known_packs import FILE_NAME, recall_pack, remember_pack
from facesets.operations.models.tuning import Tuning, is_long, recall, remember, usual
from facesets.operations.options.start import DetectionOptions
from facesets.records import CacheSettings
from facesets.work import Stop

SMALL = DetectionOptions(det_size=160)
MEASURED = Tuning(workers=3, threads=2, images_per_run=4, faces_per_run=16)


@pytest.fixture
def pack(pack_dir: Path) -> ModelPack:
    return read_pack(pack_dir)


def test_a_measurement_is_used_only_under_the_same_circumstances(pack: ModelPack, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "measured.json"
    assert recall(file, pack, CPU, 6) is None
    remember(file, MEASURED, pack, CPU, 6)
    assert recall(file, pack, CPU, 6) == MEASURED
    assert recall(file, pack, CPU, 4) is None
    assert recall(file, pack, "CUDAExecutionProvider", 6) is None
    other = {**pack.models, "recognition": pack.detector}
    assert recall(file, replace(pack, models=other), CPU, 6) is None


def test_a_measurement_that_is_damaged_or_makes_no_sense_costs_nothing_but_speed(
    pack: ModelPack, tmp_path: Path
) -> None:
    remember(tmp_path / "m.json", MEASURED, pack, CPU, 2)
    stored = json.loads((tmp_path / "m.json").read_text())
    for nonsense in ({"workers": 0}, {"workers": "many"}, {"sessions": 2}):
        changed = {**stored, "tuning": {**stored["tuning"], **nonsense}}
        (tmp_path / "m.json").write_text(json.dumps(changed))
        assert recall(tmp_path / "m.json", pack, CPU, 2) is None
    for damaged in ("", "[]", "{", '{"tuning": 3}', '{"tuning": {}, "measured_with": {}}'):
        (tmp_path / "m.json").write_text(damaged)
        assert recall(tmp_path / "m.json", pack, CPU, 2) is None


@pytest.mark.slow
def test_the_benchmark_tries_every_division_and_names_the_fastest(pack: ModelPack) -> None:
    assert divisions(6) == [(6, 1), (3, 2), (2, 3), (1, 6)]
    found = benchmark(pack, SMALL, CPU, 2, stop=Stop(), seconds_each=0.2)
    assert {trial.tuning for trial in found.trials} == set(ways(CPU, 2))
    assert {(way.workers, way.threads) for way in ways(CPU, 2)} == {(2, 1), (1, 2)}
    assert found.trials == sorted(found.trials, key=lambda trial: -trial.images_per_s)
    assert found.best == clearly_best(found.trials, usual(CPU, 2))
    assert {"decode", "decode at a half (--fast-decode)"} <= found.stage_ms.keys()
    assert min(found.stage_ms.values()) > 0


@pytest.mark.parametrize("cpus", [2, 4, 16, 64])
def test_with_a_gpu_all_processors_decode_for_any_batch_size(cpus: int) -> None:
    tried = ways(CUDA, cpus)
    assert usual(CUDA, cpus) in tried
    assert {(way.workers, way.threads) for way in tried} == {(min(cpus, 16), 1)}
    assert len({way.images_per_run for way in tried}) == len(tried)


def test_if_no_setting_works_the_reason_is_given(pack: ModelPack, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    broken = replace(pack.recognizer, path=tmp_path / "broken.onnx")
    no_pack = replace(pack, models={**pack.models, "recognition": broken})
    with pytest.raises(CannotInfer, match=r"broken\.onnx cannot be loaded"):
        benchmark(no_pack, DetectionOptions(), CPU, 2, stop=Stop(), seconds_each=0.05)


def test_a_quick_measurement_stays_with_the_usual_unless_another_is_clearly_faster() -> None:
    usually, other = usual(CPU, 2), Tuning(1, 2, 1, 1)
    for rate, expected in ((90.0, usually), (109.0, usually), (111.0, other)):
        trials = [TuningTrial(usually, 200.0, 200.0), TuningTrial(other, 2 * rate, 2 * rate)]
        assert clearly_best(trials, usually) == expected
    # A way that was not tried is no match for any that was.
    assert clearly_best([TuningTrial(other, 1.0, 1.0)], usually) == other


def test_a_quick_measurement_tries_real_models_unless_it_is_stopped(pack: ModelPack) -> None:
    stop = Stop()
    assert quick_choice(pack, SMALL, CPU, 1, stop=stop, seconds_each=0.2) == usual(CPU, 1)
    stop.request()
    assert quick_choice(pack, SMALL, CPU, 2, stop=stop, seconds_each=0.05) is None


@pytest.mark.parametrize(
    ("files", "known", "long"),
    [(2999, 0, False), (3000, 0, True), (3100, 101, False), (3100, 100, True), (900_000, 3000, False)],
)
def test_a_run_is_long_by_what_is_not_known_and_no_more_is_listed_than_must_be(
    files: int, known: int, long: bool
) -> None:
    def listed() -> Iterator[int]:
        yield from range(1, files + 1)
        assert not long, "listed too much"

    assert is_long(listed(), known) == long


def models_of(path: Path) -> CacheSettings:
    return LocalEmbedder(read_pack(path), det_size=64, min_det_score=0.5).settings


def test_a_replaced_or_missing_pack_is_not_found_again(
    small_pack: Path, open_pack: Path, tmp_path: Path
) -> None:
    here = tmp_path / "pack"
    shutil.copytree(small_pack, here)
    models, file = models_of(here), tmp_path / FILE_NAME
    remember_pack(file, read_pack(here))
    assert recall_pack(file, models) is not None
    shutil.rmtree(here)
    assert recall_pack(file, models) is None
    shutil.copytree(open_pack, here)
    assert recall_pack(file, models) is None
    for damaged in (b"\xff", b"[]", b'{"a": 1}', b"[" * 100_000):
        file.write_bytes(damaged)
        assert recall_pack(file, models) is None


def made_up_pack(folder: Path) -> ModelPack:
    """A pack with files that hold only its name."""
    folder.mkdir()
    models = {}
    for task in (DETECTION, RECOGNITION):
        path = folder / f"{task}.onnx"
        path.write_text(folder.name)
        models[task] = ModelFile(path, task, None, 0.0, 1.0)
    return ModelPack(folder.name, folder, models)


def test_commands_that_keep_packs_at_the_same_time_lose_none(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    packs = [made_up_pack(tmp_path / f"pack{number}") for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pack: remember_pack(file, pack), packs))
    assert sorted(json.loads(file.read_text()).values()) == sorted(str(pack.path) for pack in packs)
    assert not list(tmp_path.glob("*.lock"))
