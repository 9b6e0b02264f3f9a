"""`train`: a head is used where it helps with people it has not seen, and only there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.corrections import by_sql
from tests.fixtures.library_people import rows
from tests.fixtures.named_library import fill
from tests.fixtures.postgres import Server, filled, temporary
from tests.fixtures.program import environment, run
from tests.fixtures.taught_people import blurred_people, two_faced_people

from facesets.errors import MissingExtra, WrongUsage
from facesets.operations.options.upkeep import TrainOptions
from facesets.operations.people.training.heads import activate, active_head, deactivate, heads
from facesets.operations.people.training.training import train_heads
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.library import Library
from facesets.work import Stop, Work

pytestmark = pytest.mark.slow

QUICK = TrainOptions(epochs=10, learning_rate=1e-3)


def train(library: Library, directory: Path, options: TrainOptions = QUICK, **reported: Any) -> Result:
    known: dict[str, Any] = {"work": Work(), "on_epoch": lambda _: None} | reported
    return train_heads(library, options, directory, **known)


def head_in_use(library: Library) -> Any:
    def work(connection: Connection) -> Any:
        detector = library.detector(connection)
        assert detector is not None
        return active_head(connection, detector.model_id)

    return library.database.run(work)


def without_times(summary: Result) -> Result:
    epochs = [epoch | {"seconds": 0} for epoch in summary.epochs]
    return Result(summary, seconds=0, epochs=epochs, checkpoint="")


@pytest.fixture(scope="module")
def taught(
    server: Server,
    empty_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    torch: None,  # noqa: ARG001 - training needs it
) -> Iterator[str]:
    """The name of a database of people with trained heads that do not help."""

    def teach(database: Database) -> None:
        train(fill(database, *two_faced_people(10, 6)), tmp_path_factory.mktemp("heads"))

    yield from filled(server, empty_template, teach)


@pytest.fixture
def with_heads(server: Server, taught: str) -> Iterator[Library]:
    """A library with heads trained for its people."""
    for url in temporary(server, taught):
        with opened(Database(url)) as database:
            yield Library(database)


@pytest.mark.usefixtures("torch")
def test_a_head_that_helps_with_people_unseen_comes_into_use(database: Database, tmp_path: Path) -> None:
    library = fill(database, *blurred_people(40, 10))
    assert head_in_use(library) is None
    summary = train(library, tmp_path)
    assert (summary.people, summary.faces, summary.held_out_people) == (40, 400, 8)
    assert (summary.training_faces, summary.validation_faces, len(summary.epochs)) == (256, 64, 10)
    plain, triplet, whitening, _ = summary.comparison
    # A trained head and a linear one both see through the nuisance.
    for line in (triplet, whitening):
        assert line.wins
        assert line.on_people.score > plain.on_people.score + 0.2
    assert summary.activated == "whitening-1"
    assert "whitening-1 is now in use" in summary.verdict
    head = head_in_use(library)
    assert head.name == "whitening-1"
    # The head in use separates unseen people, at the threshold made for it.
    strangers, who = (each[160:] for each in blurred_people(60, 4))
    similarity = head.project(strangers) @ head.project(strangers).T
    same = who[:, None] == who[None, :]
    np.fill_diagonal(similarity, np.nan)
    assert np.nanmean(similarity[same]) > head.thresholds.review > np.nanquantile(similarity[~same], 0.99)
    assert {line.name for line in heads(database)} == {"triplet-1", "whitening-1", "lda-1"}
    assert [line.name for line in heads(database) if line.active] == ["whitening-1"]
    # Again: the same, from checkpoints, and no further heads.
    again = train(library, tmp_path)
    assert without_times(again) == without_times(summary)
    assert len(heads(database)) == 3


@pytest.mark.usefixtures("torch")
def test_an_overfitted_head_is_refused(database: Database, tmp_path: Path) -> None:
    library = fill(database, *two_faced_people(30, 10))
    summary = train(library, tmp_path, replace(QUICK, epochs=20))
    plain, triplet, *_ = summary.comparison
    # With other faces of the people that it knows it is far better, which proves nothing.
    assert triplet.on_faces.score > plain.on_faces.score + 0.1
    assert not any(line.wins for line in summary.comparison)
    assert summary.activated == ""
    assert summary.verdict.startswith("No head is put to use")
    assert head_in_use(library) is None
    assert [line.active for line in heads(database)] == [False] * 3


def test_a_head_in_use_stays_if_none_is_better(with_heads: Library, tmp_path: Path) -> None:
    database = with_heads.database
    activate(database, "lda-1")
    train(with_heads, tmp_path, replace(QUICK, margin=0.3))
    assert head_in_use(with_heads).name == "lda-1"
    assert len(heads(database)) == 4


@pytest.mark.usefixtures("torch")
def test_a_stopped_training_stores_nothing_and_resumes(database: Database, tmp_path: Path) -> None:
    library = fill(database, *blurred_people(10, 6))
    undisturbed = train(library, tmp_path / "undisturbed")
    by_sql(library, "DELETE FROM projection_heads")
    stop = Stop()
    summary = train(library, tmp_path / "stopped", work=Work(stop=stop), on_epoch=lambda _: stop.request())
    assert summary.stopped
    assert heads(database) == []
    assert rows(database, "SELECT status FROM runs ORDER BY id") == [("done",), ("stopped",)]
    assert without_times(train(library, tmp_path / "stopped")) == without_times(undisturbed)


def test_only_good_faces_of_people_with_a_name_are_learnt_from(database: Database, tmp_path: Path) -> None:
    library = fill(database, *blurred_people(8, 6))
    every = replace(QUICK, dry_run=True)
    eight = train(library, tmp_path, every)
    assert (eight.people, eight.faces, eight.heads, eight.dry_run) == (8, 48, {}, True)
    by_sql(
        library,
        """DELETE FROM person_names WHERE name = 'Person 0';
        UPDATE persons p SET status = 'hidden' FROM person_names n
            WHERE n.person_id = p.id AND n.name = 'Person 1';
        UPDATE face_detections f SET quality = 0.3 FROM person_names n
            WHERE n.person_id = f.person_id AND n.name = 'Person 2' AND f.id % 3 = 0""",
    )
    assert train(library, tmp_path, every) == Result(eight, people=5, faces=30)
    assert train(library, tmp_path, replace(every, min_quality=0.2)).people == 6
    by_sql(
        library,
        """DELETE FROM face_embeddings e USING face_detections f, person_names n WHERE f.id = e.face_id
            AND n.person_id = f.person_id AND n.name = 'Person 3' AND f.id % 6 = 0""",
    )
    assert train(library, tmp_path, every).faces == 29
    with pytest.raises(WrongUsage, match=r"with at least 7 faces of quality .* the library has 0\."):
        train(library, tmp_path, replace(every, min_faces=7))
    assert list(tmp_path.iterdir()) == []
    assert rows(database, "SELECT count(*) FROM projection_heads") == [(0,)]


def test_without_torch_the_extra_is_named(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="requires the extra train"):
        train(Library(database), tmp_path)


def test_a_head_is_used_without_torch(with_heads: Library) -> None:
    script = """if True:
        import sys, numpy
        from facesets.operations.people.training.heads import active_head
        from facesets.store.postgres.connection import Database
        from facesets.operations.people.training.heads import activate
        activate(Database(sys.argv[1]), "triplet-1")
        head = Database(sys.argv[1]).run(lambda connection: active_head(connection, 1))
        print(head.project(numpy.eye(64, dtype="f4")).shape)
        print({"torch", "sklearn", "safetensors"} & set(sys.modules))
    """
    done = subprocess.run(
        [sys.executable, "-c", script, with_heads.database.conninfo],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert done.stdout == "(64, 128)\nset()\n"


@pytest.mark.usefixtures("torch")
def test_the_command_trains_lists_and_switches(database: Database, library_url: str, tmp_path: Path) -> None:
    fill(database, *blurred_people(20, 8))
    variables = {"DATABASE_URL": library_url, "FACESETS_DATA": str(tmp_path / "data")}
    reported = run("train", "--epochs", "10", "--learning-rate", "0.001", env=variables)
    assert reported.status == 0, reported.err
    trained = "Trained on 112 of 160 faces of 20 people; held out 16 faces and 4 people.\n"
    assert reported.out.startswith(trained)
    assert "epoch 10: loss 0.0" in reported.err
    assert "TAR at FAR 0.001" in reported.out
    assert "whitening-1 is now in use" in reported.out
    stored = tmp_path / "data" / "models"
    assert (stored / "face_projection_epoch_10.safetensors").is_file()
    assert json.loads((stored / "face_projection_epoch_10.json").read_text())["epoch"] == 10
    quiet = run("train", "--epochs", "10", "--learning-rate", "0.001", "--json", "-q", env=variables)
    summary = json.loads(quiet.out)
    assert (summary["activated"], summary["people"], len(summary["epochs"])) == ("whitening-1", 20, 10)
    assert quiet.err == ""
    assert "whitening-1  in use" in run("train", "--list", env=variables).out
    assert "no longer" in run("train", "--deactivate", env=variables).out
    assert "No head was in use" in run("train", "--deactivate", env=variables).out
    assert "triplet-1 is now in use" in run("train", "--activate", "triplet-1", env=variables).out
    listed = json.loads(run("train", "--list", "--json", env=variables).out)["heads"]
    assert [head["name"] for head in listed if head["active"]] == ["triplet-1"]
    wrong = run("train", "--activate", "triplet-9", env=variables)
    assert (wrong.status, "To list heads, run `facesets train --list`" in wrong.err) == (2, True)
    assert run("train", "--list", "--deactivate", env=variables).status == 2


def test_a_head_that_is_not_better_can_be_used_and_is_reported_as_such(with_heads: Library) -> None:
    database = with_heads.database
    reported = run("train", "--activate", "lda-1", env={"DATABASE_URL": database.conninfo})
    assert (reported.status, "differs from that of plain embeddings by" in reported.err) == (0, True)
    assert head_in_use(with_heads).name == "lda-1"
    assert deactivate(database).heads == ["lda-1"]


def test_its_older_names_in_the_environment_are_understood(library_url: str) -> None:
    for variables, sentence in (
        ({"FACE_TRAINING_EPOCHS": "5"}, "--epochs must be between 10 and 100, not 5."),
        ({"FACE_TRAINING_EPOCHS": "5", "FACESETS_TRAIN_EPOCHS": "7"}, "not 7."),
        ({"FACE_TRIPLET_MARGIN": "0.9"}, "--margin must be between 0.1 and 0.5, not 0.9."),
    ):
        reported = run("train", "--dry-run", env={"DATABASE_URL": library_url, **variables})
        assert (reported.status, sentence in reported.err) == (2, True)
