"""From the engine that a user names to one that computes."""

import sys
from pathlib import Path

import pytest

from facesets.assembly.commands import open_engine
from facesets.clustering.engine import IN_PROCESS
from facesets.errors import MissingExtra
from facesets.operations.options.grouping import EngineOptions, workers_named
from facesets.settings import Settings

SETTINGS = Settings(model_roots=())


def test_without_an_engine_faces_are_compared_in_this_process() -> None:
    with open_engine(EngineOptions(shards=Path("anywhere")), SETTINGS) as engine:
        assert engine is IN_PROCESS


def test_a_method_that_works_on_no_graph_of_pairs_takes_no_engine() -> None:
    options = EngineOptions(engine=workers_named("--engine", "local"))
    assert options.for_method("hdbscan").engine is None
    assert options.for_method("auto") == options


@pytest.mark.parametrize("missing", ["distributed", "dask"])
@pytest.mark.parametrize("engine", ["dask://scheduler:8786", "local"])
def test_where_dask_or_half_of_it_is_missing_its_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, engine: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    options = EngineOptions(engine=workers_named("--engine", engine))
    with pytest.raises(MissingExtra, match="optional part scale"), open_engine(options, SETTINGS):
        pass


@pytest.mark.parametrize(
    ("text", "scheduler"),
    [("local", None), ("dask://a.b:1/", "a.b:1"), ("dask://[fd00::1]:8786", "[fd00::1]:8786")],
)
def test_an_engine_is_this_machine_or_an_address(text: str, scheduler: str | None) -> None:
    assert workers_named("--engine", text).scheduler == scheduler
