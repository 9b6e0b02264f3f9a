"""`pipeline --full`: named people teach the library, and it looks at everybody again."""

from pathlib import Path

import pytest

from facesets.assembly.pipeline import PipelineRequest, people_steps
from facesets.operations.ingest.index import IndexSummary
from facesets.operations.options.pipeline import AFTER_TRAINING, PipelineOptions
from facesets.operations.options.training import TrainOptions
from facesets.operations.pipeline import Step, StepDone, pipeline
from facesets.progress import SilentProgress
from facesets.stop import Stop
from facesets.store.postgres.connection import Database
from tests.fixtures.named_library import fill
from tests.fixtures.taught_people import blurred_people

pytestmark = pytest.mark.slow


def test_the_library_is_taught_between_two_rounds(database: Database, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="`scripts/install --train` installs what training needs")
    library = fill(database, *blurred_people(20, 8))
    request = PipelineRequest(
        (tmp_path,),
        PipelineOptions(full=True),
        train=TrainOptions(epochs=10, learning_rate=1e-3),
    )
    steps = people_steps(library, request, tmp_path, "me", SilentProgress(), Stop())
    heard: list[StepDone] = []
    summary = pipeline(database, Step("index", IndexSummary), steps, {}, on_step=heard.append, stop=Stop())
    assert [step.name for step in summary.steps] == ["index", "dual", "train", "dual again", "stats"]
    assert heard == summary.steps
    first, taught, second = (step.summary for step in summary.steps[1:4])
    assert taught.people == 20
    assert first.known.threshold != AFTER_TRAINING
    assert second.known.threshold == AFTER_TRAINING
    assert summary.library is not None
    assert summary.library.named == 20
