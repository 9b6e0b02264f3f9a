"""`pipeline`: which steps are taken, and which are left out after a run that broke off."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.library_people import add_person
from tests.fixtures.named_library import fill
from tests.fixtures.notices import KeptNotices
from tests.fixtures.taught_people import blurred_people

from facesets.assembly.describing import RequestedModels
from facesets.assembly.pipeline import _recorded, people_steps
from facesets.assembly.stores import LibraryWork
from facesets.operations.ingest.index import index_result
from facesets.operations.library.pipeline import pipeline
from facesets.operations.options.grouping import EngineOptions, Workers
from facesets.operations.options.index import IndexOptions
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions
from facesets.operations.options.upkeep import AFTER_TRAINING, PipelineOptions, TrainOptions
from facesets.result import Result
from facesets.settings import Settings
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Stop


def test_a_stopped_run_resumes_at_its_step(database: Database) -> None:
    add_person(Library(database), "anna", 2)
    stop = Stop()
    taken: list[str] = []

    def run(*, stopping_in: str = "") -> Result:
        taken.clear()

        def step(name: str) -> Result:
            taken.append(name)
            if name == stopping_in:
                stop.request()
            return index_result()

        further = {name: partial(step, name) for name in ("a", "b", "c")}
        index = partial(step, "index")
        done: Result = pipeline(
            database, index, further, {"told": "the same"}, on_step=lambda _: None, stop=stop
        )
        return done

    stopped = run(stopping_in="b")
    assert (stopped.stopped, stopped.library, taken) == (True, None, ["index", "a", "b"])
    stop = Stop()
    again = run()
    assert (again.stopped, again.went_on_at, taken) == (False, "b", ["index", "b", "c"])
    assert [each.name for each in again.steps if each.left_out] == ["a"]
    run()
    assert taken == ["index", "a", "b", "c"]


@pytest.mark.slow
@pytest.mark.usefixtures("torch")
def test_training_runs_between_two_rounds(database: Database, tmp_path: Path) -> None:
    fill(database, *blurred_people(20, 8))
    work = LibraryWork(
        library=Library(database),
        settings=Settings(model_roots=(), state_dir=tmp_path),
        notices=KeptNotices(),
        by="me",
    )
    given: dict[str, dict[str, Any]] = {
        "cluster --dual": {"options": ClusterLibraryOptions(), "dual": DualOptions(dual=True)},
        "train": {"options": TrainOptions(epochs=10, learning_rate=1e-3)},
    }
    steps = people_steps(work, PipelineOptions(full=True), given)
    heard: list[Result] = []
    summary = pipeline(database, index_result, steps, {}, on_step=heard.append, stop=Stop())
    assert [step.name for step in summary.steps] == ["index", "dual", "train", "dual again", "stats"]
    assert heard == summary.steps
    first, taught, second = (step.summary for step in summary.steps[1:4])
    assert taught.people == 20
    assert first.known.threshold != AFTER_TRAINING
    assert second.known.threshold == AFTER_TRAINING
    assert summary.library is not None
    assert summary.library.named == 20


def test_a_run_restarts_only_for_options_that_affect_its_steps(tmp_path: Path) -> None:
    def notices(workers: EngineOptions, assign: AssignOptions, *, det_size: int = 640) -> dict[str, Any]:
        given: dict[str, dict[str, Any]] = {
            "index": {
                "source": GallerySource([tmp_path], include=("*.jpg",)),
                "options": IndexOptions(),
                "asked": RequestedModels((None, det_size, None)),
                "body_model": None,
            },
            "cluster": {"options": ClusterLibraryOptions(), "workers": workers},
            "cluster --dual": {"options": ClusterLibraryOptions(), "dual": DualOptions()},
            "assign": {"options": assign},
            "train": {"options": TrainOptions()},
        }
        return _recorded(PipelineOptions(), given)

    usual = notices(EngineOptions(), AssignOptions())
    assert notices(EngineOptions(engine=Workers()), AssignOptions()) == usual
    assert notices(EngineOptions(), AssignOptions(threshold=0.6)) != usual
    assert notices(EngineOptions(), AssignOptions(), det_size=320) != usual
    # As earlier versions stored it; their runs are resumed.
    assert list(usual) == ["targets", "include", "exclude", "dual", "full", "dry_run", "models", "steps"]
    assert list(usual["steps"]) == ["index", "cluster", "dual", "assign", "train"]
    assert usual["models"] == [None, "640", None, None, None, None]
