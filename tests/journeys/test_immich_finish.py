"""From staged photos to new people, by one command that can be repeated."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.immich_server import KEY, Face, photo, serving
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.networks_once import unhurried
from tests.fixtures.program import Result, run
from tests.fixtures.staging import stage
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.files import FileLock
from facesets.store.npz.cache import Cache

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


@pytest.fixture
def staged(lfw_dir: Path, tmp_path: Path) -> Path:
    """Photos of one person, staged from a server."""
    person = max(sorted(lfw_dir.iterdir()), key=lambda folder: len(list(folder.glob("*.jpg"))))
    photos = [
        photo(
            number,
            f"/data/library/ana/{path.name}",
            content=path.read_bytes(),
            faces=[Face((60, 60, 190, 190), (250, 250))],
            width=250,
            height=250,
        )
        for number, path in enumerate(sorted(person.glob("*.jpg"))[:6], start=1)
    ]
    with serving(photos) as server:
        stage(server, tmp_path / "immich")
    (tmp_path / "facesets.toml").write_text(
        "[discover]\nmin-faces = 3\nmin-short = 40\nmin-blur = 0\nmin-face-short = 40\nsheet = false\n"
    )
    return tmp_path


def finish(staged: Path, pack: Path, *more: object) -> Result:
    env = {"IMMICH_API_KEY": KEY}
    return run(
        *("immich-finish", "ana", "--pack", pack, "--provider", "cpu", "--json", *more), cwd=staged, env=env
    )


def states(result: Result) -> list[Any]:
    return [step["state"] for step in json.loads(result.out)["steps"]]


def test_one_command_embeds_and_finds_new_people_and_does_nothing_twice(staged: Path, pack_dir: Path) -> None:
    planned = finish(staged, pack_dir, "--dry-run")
    assert (planned.status, states(planned)) == (0, ["to do", "to do"])
    assert sorted(path.name for path in (staged / "immich").iterdir()) == ["ana"]

    done = finish(staged, pack_dir)
    assert done.status == 0, done.err
    assert states(done) == ["done", "done"]
    assert "1 new face set is in" in json.loads(done.out)["next"]
    assert "a new one is started" in done.err
    assert (staged / "immich/ana.facesets/faceset_001").is_dir()

    again = finish(staged, pack_dir)
    assert (again.status, states(again)) == (0, ["up to date", "up to date"])
    log = (staged / "immich/ana.log").read_text()
    assert log.count("embed: 6 photos to embed: facesets embed --queue ") == 1
    assert " embed: listed 6, unchanged 0, embedded 6" in log
    assert log.count("discover: find new people: facesets discover ") == 1
    assert " discover: faces " in log
    assert log.count("done after") == 2
    assert KEY not in log + done.err + done.out


def test_a_failing_step_ends_the_command_with_its_status_and_a_message(staged: Path, pack_dir: Path) -> None:
    failed = finish(staged, pack_dir / "nowhere")
    assert failed.status == 2
    assert states(failed) == ["failed"]
    assert "No model pack" in failed.err or "model pack" in failed.err
    assert "embed failed. Run the same command again" in json.loads(failed.out)["next"]
    log = (staged / "immich/ana.log").read_text()
    assert "give --export, or set export under [immich] in facesets.toml" in log
    (reason,) = (line for line in log.splitlines() if " embed: facesets: " in line)
    assert reason.isprintable()
    assert states(finish(staged, pack_dir)) == ["done", "done"]


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_goes_on(staged: Path, pack_dir: Path) -> None:
    broken = next((staged / "immich/ana").rglob("*.jpg"))
    broken.write_bytes(b"no picture")
    done = finish(staged, pack_dir)
    assert (done.status, states(done)) == (3, ["done", "done"])
    assert [step["status"] for step in json.loads(done.out)["steps"]] == [3, 0]
    assert f"embed:   {broken}: " in done.err
    assert f"embed:   {broken}: " in (staged / "immich/ana.log").read_text()
    assert finish(staged, pack_dir).status == 0


def test_it_leaves_what_another_run_works_on_alone(staged: Path, pack_dir: Path) -> None:
    with FileLock(staged / "immich/ana.finish.lock", what="ana"):
        assert finish(staged, pack_dir).status == 75
    with Cache(staged / "immich/ana.npz").writing(SETTINGS):
        embedding = finish(staged, pack_dir)
    assert (embedding.status, states(embedding)) == (75, ["failed"])
    assert "embed: facesets: " in (staged / "immich/ana.log").read_text()


def test_steps_take_their_flags_from_the_settings(staged: Path, pack_dir: Path) -> None:
    settings = staged / "facesets.toml"
    settings.write_text(settings.read_text() + "top-n = 2\n\n[embed]\ndet-size = 320\n")
    env = {"FACESETS_DISCOVER_OUT_SIZE": "128"}
    models = ("--pack", pack_dir, "--provider", "cpu")
    assert run("immich-finish", "ana", *models, cwd=staged, env=env).status == 0
    assert (made := Cache(staged / "immich/ana.npz").settings) is not None
    assert made.det_size == 320
    written = (staged / "immich/ana.facesets/manifest.json").read_text()
    assert '"top_n": 2' in written
    assert '"out_size": 128' in written

    settings.write_text('[embed]\nexclude = ["*.png"]\n')
    (staged / "immich/ana.npz").unlink()
    refused = finish(staged, pack_dir)
    assert (refused.status, states(refused)) == (2, ["failed"])
    assert "names each photo" in refused.err


def test_without_a_queue_the_first_step_is_named(tmp_path: Path) -> None:
    result = run("immich-finish", "ana", cwd=tmp_path)
    assert result.status == 2
    assert "facesets immich-stage" in result.err


def test_it_knows_the_people_of_the_one_export(staged: Path, pack_dir: Path) -> None:
    settings = staged / "facesets.toml"
    settings.write_text(settings.read_text() + '[immich]\nexport = "mine.facesets"\n')
    first = finish(staged, pack_dir)
    assert states(first) == ["done", "done"]
    assert json.loads(first.out)["export"] == str(staged / "mine.facesets")

    # Another account's photos show the same person.
    (staged / "immich/ana").rename(staged / "immich/ben")
    second = run("immich-finish", "ben", "--pack", pack_dir, "--provider", "cpu", cwd=staged)
    assert second.status == 0
    assert "No new people found. The known face sets are in" in second.out
    assert "a new one is started" not in second.err


def test_it_finds_landmarks_by_default_and_reports_photos_without_faces(
    staged: Path, landmark_pack: Path
) -> None:
    cache, settings = staged / "immich/ana.npz", staged / "facesets.toml"
    assert finish(staged, landmark_pack).status == 0
    assert has_landmarks(cache)

    cache.unlink()
    shutil.rmtree(staged / "immich/ana.facesets")
    settings.write_text(settings.read_text().replace("min-faces = 3", "min-faces = 60"))
    done = finish(staged, landmark_pack, "--no-landmarks")
    assert states(done) == ["done", "done"]
    # No folder is named that is not there.
    assert "ana.facesets" not in json.loads(done.out)["next"]
    assert not has_landmarks(cache)


def has_landmarks(cache: Path) -> bool:
    with np.load(cache) as arrays:
        found = [arrays[name] for name in arrays.files if "landmark" in name]
    return any(np.isfinite(each.astype(np.float32)).any() for each in found if each.size)


def test_stopped_it_goes_on_where_it_was(staged: Path, pack_dir: Path) -> None:
    log = staged / "immich/ana.log"
    line = ("immich-finish", "ana", "--pack", pack_dir, "--provider", "cpu")
    with unhurried(), forked(*line, cwd=staged) as process:
        wait_for(lambda: log.exists() and "embed:" in log.read_text(), every_s=0.02)
        # All of it runs in this one process: whatever ends it leaves nothing behind.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        assert not children.exists() or children.read_text() == ""
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert states(finish(staged, pack_dir))[-1] == "done"
