"""Memory and processors of this machine or container, and the chosen matrix kernel."""

import subprocess
import sys
from pathlib import Path

import pytest

from facesets.machine import cpu_flags, processors, recommended_blas_coretype
from tests.fixtures.program import environment


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("6400000 100000\n", 64)]
)
def test_a_container_has_the_processors_that_its_quota_allows(tmp_path: Path, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert processors(tmp_path) == min(most, processors(tmp_path / "none"))


def test_without_a_quota_it_has_those_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path) == processors(tmp_path / "none") >= 1


def test_the_kernel_follows_the_processor() -> None:
    avx512 = "fpu AVX2 fma avx512f avx512bw avx512cd avx512dq avx512vl"
    assert recommended_blas_coretype(avx512.split()) == "SkylakeX"
    assert recommended_blas_coretype(["AVX2", "FMA"]) == "Haswell"
    assert recommended_blas_coretype(["sse2"]) is None


@pytest.mark.parametrize("chosen", [None, "Prescott"])
def test_the_program_sets_it_in_time_and_never_overrides_the_user(chosen: str | None) -> None:
    script = (
        "import os, sys\n"
        "from facesets.settings import prepare_libraries\n"
        "assert 'numpy' not in sys.modules\n"
        "prepare_libraries()\n"
        "print(os.environ.get('OPENBLAS_CORETYPE'))\n"
    )
    env = environment({"OPENBLAS_CORETYPE": chosen} if chosen else None)
    if not chosen:
        env.pop("OPENBLAS_CORETYPE", None)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == str(chosen or recommended_blas_coretype(cpu_flags()))
