"""Photos of one `index` in the queue are searched with one pack, whatever the workers have."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from facesets.assembly.commands import Needs
from facesets.cli.wording import worded
from facesets.inference import providers
from facesets.inference.model_files import ModelFile
from facesets.inference.providers import ProviderChoice
from facesets.jobs import running
from facesets.jobs.hosts import Host
from facesets.jobs.indexing import Models, index_targets
from facesets.jobs.work import JobWork
from facesets.jobs.worker import Rhythm
from facesets.stop import Stop
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.job_list import find_job
from tests.fixtures.notices import KeptNotices
from tests.fixtures.program import run
from tests.fixtures.queued import HEARTBEAT_S, host, make_pictures, stored, worked_off


def with_pack(root: Path, name: str, pack: Path, chosen: str = "") -> Host:
    """A host that has one pack."""
    (root / "models").mkdir(parents=True)
    (root / "models" / name).symlink_to(pack)
    here = host()
    conf = replace(here.conf, model_roots=(root,), state_dir=root / "state", pack=chosen)
    return replace(here, name=name, conf=conf)


def works(queue: Database, here: Host, stop: Stop) -> None:
    models = Models(here, queue, stop, concurrency=1, provider="cpu")
    worked_off(queue, here, models, Rhythm(HEARTBEAT_S, until_empty=True), stop)


@pytest.mark.parametrize("is_set", [False, True])
def test_photos_of_an_empty_library_are_left_to_workers_with_the_pack_of_the_one_who_listed_them(
    queue: Database,
    library_url: str,
    small_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_set: bool,
) -> None:
    lists = with_pack(tmp_path / "one", "open", small_pack, "open" if is_set else "")
    other = with_pack(tmp_path / "other", "buffalo_l", small_pack)
    photos = make_pictures(tmp_path / "photos", 2)
    index = ("index", "--target", photos, "--skip-clip", "--queue", "--database", library_url)
    number = int(run(*index).out)
    ended = Stop()

    def list_only(work: JobWork, models: Models) -> object:
        summary = index_targets(work, models)
        ended.request()
        return summary

    with monkeypatch.context() as patched:
        patched.setattr(running, "index_targets", list_only)
        works(queue, lists, ended)
    works(queue, other, Stop())
    assert stored(queue) == []
    works(queue, lists, Stop())
    known = Library(queue).settings
    assert known is not None
    assert (len(stored(queue)), known.pack) == (2, "open")
    done = queue.run(find_job, number)
    assert done is not None
    assert done.state == "done"


def test_a_worker_says_of_no_pack_that_a_job_names_that_nobody_did(
    queue: Database, small_pack: Path, tmp_path: Path
) -> None:
    for named, says in (("open", False), ("", True)):
        notices = KeptNotices()
        here = replace(with_pack(tmp_path / f"named{named}", "open", small_pack), notices=notices)
        assert here.lacks_models(Needs(models=True, pack=named), Library(queue)) == ""
        assert any("Using the model pack open" in worded(each) for each in notices.remarks) == says


@pytest.mark.usefixtures("queue")
def test_a_gpu_whose_driver_hangs_is_given_up_in_time(
    library_url: str, small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_pack(tmp_path, "open", small_pack)
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    answered = Event()

    def hangs(_wanted: str, _model: ModelFile) -> ProviderChoice:
        answered.wait(60)
        return ProviderChoice("cuda", ())

    monkeypatch.setattr(providers, "choose_provider", hangs)
    monkeypatch.setattr("facesets.cli.library.jobs._GPU_TRIED_S", 0.3)
    done = run("worker", "--gpu", "--pack", "open", "--until-empty", "--database", library_url)
    answered.set()
    assert done.status == 1
    assert "No GPU works here: trying it has not ended in 0 seconds. Leave out --gpu" in done.err


@pytest.mark.usefixtures("queue")
def test_a_gpu_is_tried_with_a_pack_that_is_said_to_be_chosen_only_where_none_is_named(
    library_url: str, small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_pack(tmp_path, "open", small_pack)
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for named, says in ((("--pack", "open"), False), ((), True)):
        done = run("worker", "--gpu", *named, "--until-empty", "--database", library_url)
        assert ("Using the model pack open" in done.err) == says
