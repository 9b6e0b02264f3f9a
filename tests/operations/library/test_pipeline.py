"""`pipeline`: which steps are taken, and which are left out after a run that broke off."""

from pathlib import Path

import pytest
from tests.fixtures.library_people import add_person
from tests.fixtures.named_library import fill
from tests.fixtures.taught_people import blurred_people

from facesets.assembly.pipeline import PipelineRequest, people_steps
from facesets.operations.ingest.index import IndexSummary
from facesets.operations.library.pipeline import PipelineStep, PipelineSummary, StepDone, pipeline
from facesets.operations.options.pipeline import AFTER_TRAINING, PipelineOptions
from facesets.operations.options.training import TrainOptions
from facesets.progress import SilentProgress
from facesets.settings import Settings
from facesets.stop import Stop
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


def test_a_stopped_run_goes_on_at_the_step_that_it_was_stopped_in(database: Database) -> None:
    add_person(Library(database), "anna", 2)
    stop = Stop()
    taken: list[str] = []

    def step(name: str, *, stops: bool = False) -> PipelineStep:
        def do() -> None:
            taken.append(name)
            if stops:
                stop.request()

        return PipelineStep(name, do)

    def run(*further: PipelineStep, reported: str = "the same") -> PipelineSummary:
        taken.clear()
        options = {"told": reported}
        return pipeline(database, step("index"), further, options, on_step=lambda _: None, stop=stop)

    stopped = run(step("a"), step("b", stops=True), step("c"))
    assert (stopped.stopped, stopped.library, taken) == (True, None, ["index", "a", "b"])
    stop = Stop()
    again = run(step("a"), step("b"), step("c"))
    assert (again.stopped, again.went_on_at, taken) == (False, "b", ["index", "b", "c"])
    assert [each.name for each in again.steps if each.left_out] == ["a"]
    run(step("a"), step("b"), step("c"))
    assert taken == ["index", "a", "b", "c"]


@pytest.mark.slow
@pytest.mark.usefixtures("torch")
def test_the_library_is_taught_between_two_rounds(database: Database, tmp_path: Path) -> None:
    library = fill(database, *blurred_people(20, 8))
    settings = Settings(model_roots=(), state_dir=tmp_path)
    request = PipelineRequest(
        (tmp_path,),
        PipelineOptions(full=True),
        train=TrainOptions(epochs=10, learning_rate=1e-3),
    )
    steps = people_steps(library, request, settings, "me", SilentProgress(), Stop())
    heard: list[StepDone] = []
    summary = pipeline(
        database, PipelineStep("index", IndexSummary), steps, {}, on_step=heard.append, stop=Stop()
    )
    assert [step.name for step in summary.steps] == ["index", "dual", "train", "dual again", "stats"]
    assert heard == summary.steps
    first, taught, second = (step.summary for step in summary.steps[1:4])
    assert taught.people == 20
    assert first.known.threshold != AFTER_TRAINING
    assert second.known.threshold == AFTER_TRAINING
    assert summary.library is not None
    assert summary.library.named == 20
