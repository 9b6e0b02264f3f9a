"""`facesets index` through the real command: features of a library alone."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import string
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.intake import Intake
from tests.fixtures.networks_once import unhurried
from tests.fixtures.program import run
from tests.fixtures.waiting import PATIENCE_S

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


@pytest.fixture
def kind() -> str:
    return "library"


def test_a_run_is_recorded_with_how_it_was_asked_for_and_poses_come_in_the_same_pass(intake: Intake) -> None:
    intake.put(2)
    assert intake.summary("--enrich", "--fast-decode")["faces"] >= 2
    assert intake.query(
        b"""SELECT command, status, options->'targets'->>0, summary->>'indexed', ended_at IS NOT NULL,
                options->>'enrich', options->>'fast_decode' FROM runs"""
    ) == [("index", "done", str(intake.photos), "2", True, "true", "true")]
    posed = b"SELECT count(*) > 1, bool_and(pose_source > 0 AND enrich_state = 1) FROM face_detections"
    assert intake.query(posed) == [(True, True)]


def test_moved_photos_become_paths_of_the_same_image_and_prune_forgets_the_old_ones(intake: Intake) -> None:
    intake.put(4, folder="a")
    intake.take()
    before, paths = intake.contents()
    (intake.photos / "a").rename(intake.photos / "b")
    planned = intake.summary("--prune", "--dry-run")
    assert (planned["to_do"], planned["pruned"]) == (4, 4)
    assert intake.files() == paths
    moved = intake.summary("--prune")
    assert (moved["new"], moved["aliases"], moved["pruned"]) == (0, 4, 4)
    after, paths = intake.contents()
    assert after == before
    assert {Path(path).parent.name for path in paths} == {"b"}


def test_photos_that_are_all_away_are_asked_about_and_forgotten_with_their_folder_alone(
    intake: Intake,
) -> None:
    photos, other = intake.photos, intake.photos.with_name("other")
    other.mkdir()
    never = intake.take(other)
    assert (never.status, "no photos below" in never.err) == (2, True)
    intake.put(2)
    shutil.copy2(intake.examples[2], other)
    assert intake.take(photos, other).status == 0
    shutil.rmtree(photos)
    for is_there in (False, True):
        if is_there:
            photos.mkdir()
        for words in ((photos,), (photos, other), (photos, "--prune")):
            result = intake.take(*words)
            assert result.status == 2
            assert "but the library has 2 there. Check that it is mounted. If it was moved" in result.err
            assert f"gone for good, run `facesets relocate {photos} --forget`." in result.err
    assert len(intake.files()) == 3
    (photos / "notes.txt").write_text("moved away")
    assert intake.take().status == 2
    assert "2 missing files to remove. Nothing was stored." in intake.take("--prune", "--dry-run").out
    assert intake.summary("--prune")["pruned"] == 2


def test_a_target_that_is_away_or_empty_hinders_no_other(intake: Intake) -> None:
    photos = intake.put(4)
    drive, empty = intake.photos.with_name("drive"), intake.photos.with_name("empty")
    for folder in (drive, empty):
        folder.mkdir()
    for photo in photos[:2]:
        photo.rename(drive / photo.name)
    intake.take(drive, intake.photos)
    shutil.rmtree(drive)
    drive.mkdir()
    photos[2].unlink()
    (intake.photos / "pipe.jpg").symlink_to("nowhere")
    done = intake.summary(intake.photos, empty, "--prune")
    assert (done["pruned"], done["failed"]) == (1, 1)
    photos[3].unlink()
    intake.put(2, begin=4)
    for away in (drive, drive / "never"):
        result = intake.take(intake.photos, away, "--prune", "--json")
        assert (result.status, str(away) in result.err) == (2, True)
        assert len(json.loads(result.out)["away"]) == 1
    known = {Path(path).name for path in intake.files()} - {"pipe.jpg"}
    assert known == {intake.examples[number].name for number in (0, 1, 4, 5)}


def test_a_mistyped_target_is_reported_before_models_are_searched(intake: Intake) -> None:
    never = intake.photos / "never"
    result = run("index", never, "--pack", "not_here", "--database", intake.place)
    assert result.status == 2
    assert f"Folder not found: {never}. " in result.err


def test_patterns_that_leave_out_everything_are_named_as_the_cause(intake: Intake) -> None:
    intake.put(1)
    for _ in range(2):
        for patterns in (["--exclude", "*"], ["--include", "*.xyz"]):
            result = intake.take(*patterns)
            assert result.status == 2
            assert f"No photo below {intake.photos} matches --include and --exclude." in result.err
        assert intake.take().status == 0
    shutil.rmtree(intake.photos)
    intake.photos.mkdir()
    assert "Check that it is mounted." in intake.take("--exclude", "*").err


def describe(folder: Path, title: str, **captions: str) -> Path:
    """Make a folder a gallery with this title and these captions of photos."""
    (folder / "tn").mkdir(exist_ok=True)
    images = [{"file": f"{name}.jpg", "caption": caption} for name, caption in captions.items()]
    (folder / "index.json").write_text(json.dumps({"title": title, "images": images}))
    return folder


def galleries(intake: Intake) -> dict[str, tuple[Any, ...]]:
    """Of every photo with a gallery, by its name: the gallery's folder, its title and its captions."""
    rows = intake.query(
        b"""SELECT p.path, g.path, g.title, g.entries FROM image_paths p
            JOIN galleries g ON g.id = p.gallery_id"""
    )
    return {
        Path(path).name: (Path(folder).name, title, [entry["caption"] for entry in entries])
        for path, folder, title, entries in rows
    }


def test_galleries_are_found_at_any_depth_and_thumbnails_are_not_photos(intake: Intake) -> None:
    names = [photo.stem for photo in intake.examples]
    for number, chunk in enumerate(("chunk1/g1", "chunk1/g2", "chunk2/g3")):
        intake.put(2, begin=number * 2, folder=chunk)
        intake.put(1, begin=20, folder=f"{chunk}/tn")
        describe(intake.photos / chunk, f"Trip {number}", **{names[0]: "Photo 0"})
    (intake.photos / "chunk2" / "g3" / "index.json").write_text("{broken")
    result = intake.take()
    assert result.status == 0
    assert "index.json is skipped" in result.err
    notices = [("g1", "Trip 0", ["Photo 0"]), ("g2", "Trip 1", ["Photo 0"]), ("g3", "", [])]
    assert galleries(intake) == {f"{name}.jpg": notices[n // 2] for n, name in enumerate(names[:6])}


def test_changed_gallery_texts_are_stored_even_without_new_photos(intake: Intake) -> None:
    (photo,) = intake.put(1)
    trip = describe(intake.photos, "Trip", **{photo.stem: "Sea"})
    intake.take()
    assert galleries(intake) == {photo.name: ("photos", "Trip", ["Sea"])}
    describe(trip, "Norway", **{photo.stem: "Fjord"})
    assert intake.counts("--dry-run") == (0, 0, 1)
    assert galleries(intake) == {photo.name: ("photos", "Trip", ["Sea"])}
    assert intake.counts(photo) == (0, 0, 1)
    assert galleries(intake) == {photo.name: ("photos", "Norway", ["Fjord"])}
    (trip / "index.json").write_text("{half writ")
    intake.take()
    assert galleries(intake) == {photo.name: ("photos", "Norway", ["Fjord"])}
    (trip / "index.json").unlink()
    intake.take()
    assert galleries(intake) == {photo.name: ("photos", "", [])}


def test_photos_belong_to_the_gallery_that_came_to_be_around_them(intake: Intake) -> None:
    (photo,) = intake.put(1, folder="day")
    intake.take()
    assert galleries(intake) == {photo.name: ("day", "", [])}
    trip = describe(intake.photos, "Trip")
    # A run on a part knows nothing of the whole.
    for target in (trip, photo.parent):
        intake.take(target)
        assert galleries(intake) == {photo.name: ("photos", "Trip", [])}
    (trip / "index.json").unlink()
    intake.take()
    assert galleries(intake) == {photo.name: ("day", "", [])}


def test_a_folder_in_the_place_of_a_photo_makes_it_missing(intake: Intake) -> None:
    (photo,) = intake.put(1)
    place = intake.photos / "x.jpg"
    place.symlink_to("nowhere")
    assert intake.take().status == 3
    place.unlink()
    (other,) = intake.put(1, begin=1, folder="x.jpg")
    assert intake.summary("--prune")["pruned"] == 1
    assert intake.files().keys() == {str(photo), str(other)}


def test_a_photo_with_a_too_long_path_is_skipped_alone(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.put(2)
    rng = random.Random(1)
    monkeypatch.chdir(intake.photos)
    for _ in range(14):
        # At random, because PostgreSQL compresses repetitions.
        name = "".join(rng.choices(string.ascii_letters, k=250))
        Path(name).mkdir()
        os.chdir(name)
    shutil.copy(intake.examples[2], "deep.jpg")
    done = intake.take()
    assert done.status == 3
    assert "its path is too long for the library" in done.err
    assert len(intake.files()) == 2


def test_bounds_end_a_run_and_the_next_goes_on(intake: Intake) -> None:
    intake.put(7)
    first = intake.summary("--max-images", "3")
    assert (first["new"], first["to_do"]) == (3, 4)
    assert intake.counts("--max-minutes", "0")[0] == 0
    assert intake.counts()[0] == 4


@pytest.mark.usefixtures("networks_each_time")
def test_faces_are_those_that_embed_finds_however_the_work_was_divided(
    intake: Intake, tmp_path: Path
) -> None:
    for number in range(3):
        intake.put(6, begin=number * 6, folder=f"g{number}")
    for part in sorted(intake.photos.iterdir(), reverse=True):
        assert intake.take(part, "--concurrency", "3").status == 0
    run("embed", intake.photos, tmp_path / "c.npz", *intake.models, "--workers", "1")
    with np.load(tmp_path / "c.npz") as cache:
        expected = sorted(vector.tobytes() for vector in cache["face_embedding"])
    assert sorted(intake.contents()[0].values()) == expected


def test_four_at_once_do_each_image_exactly_once(intake: Intake) -> None:
    intake.put(30)
    intake.put(10, folder="copies")
    with unhurried(), ExitStack() as stack:
        running = [stack.enter_context(forked(*intake.line("--json"))) for _ in range(4)]
        ended = [(process.communicate(timeout=2 * PATIENCE_S), process.returncode) for process in running]
    assert [status for _, status in ended] == [0] * 4, ended
    totals = [json.loads(out) for (out, _), _ in ended]
    assert sum(total["indexed"] for total in totals) == 30
    assert sum(total["aliases"] for total in totals) == 10
    vectors, paths = intake.contents()
    assert (len(paths), len(set(paths.values()))) == (40, 30)
    assert sum(total["faces"] for total in totals) == len(vectors) > 0
    scans = b"SELECT (SELECT count(*) FROM images), count(*), count(DISTINCT image_id) FROM face_scans"
    assert intake.query(scans) == [(30, 30, 30)]


def test_a_database_that_restarts_under_a_run_does_not_disturb_it(
    intake: Intake, data_home: dict[str, str]
) -> None:
    intake.put(40)
    line = ("index", "--target", intake.photos, *intake.models, "--json")
    killed: set[str] = set()
    with unhurried(), forked(*line, env=data_home) as process:
        pid_file = Path(data_home["FACESETS_DATA"]) / "postgres" / "data" / "postmaster.pid"
        while len(killed) < 3 and process.poll() is None:
            with suppress(FileNotFoundError, IndexError, ProcessLookupError):
                lines = pid_file.read_text().splitlines()
                if lines[7].strip() == "ready" and lines[0] not in killed:
                    time.sleep(0.15)
                    os.kill(int(lines[0]), signal.SIGKILL)
                    killed.add(lines[0])
            time.sleep(0.02)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert killed
    assert process.returncode == 0, err
    assert json.loads(out)["indexed"] == 40
    again = json.loads(run(*line, env=data_home).out)
    assert (again["indexed"], again["unchanged"]) == (0, 40)


@pytest.mark.parametrize("without_models", [["--ml-uri", "http://127.0.0.1:1"], ["--skip-faces"]])
def test_enriching_needs_the_models_here(intake: Intake, without_models: list[str]) -> None:
    result = intake.take("--enrich", *without_models)
    assert result.status == 2
    assert "facesets enrich" in result.err


@pytest.mark.parametrize("command", ["index", "pipeline"])
def test_a_library_with_the_open_pack_explains_first_and_last_how_to_change_that(
    intake: Intake, open_pack: Path, lfw_dir: Path, tmp_path: Path, command: str
) -> None:
    """As if the default pack cannot be fetched; the suggested command is run by a real shell."""
    for photo in sorted(lfw_dir.glob("*/*_0001.jpg"))[:2]:
        shutil.copy2(photo, intake.photos)
    packs = tmp_path / "models" / "models"
    packs.mkdir(parents=True)
    (packs / "open").symlink_to(open_pack)
    env = {"DATABASE_URL": str(intake.place), "FACESETS_MODELS": f"{packs.parent}", "FACESETS_PACK": ""}
    env |= {"FACESETS_INDEX_SKIP_CLIP": "true", "FACESETS_INDEX_STAGES": "detection"}
    line = (command, intake.photos)
    done = run(*line, env=env)
    last = done.out.splitlines()[-1]
    assert "model pack open" in last
    assert "0.992" in last
    commands = re.findall("`facesets ([^`]+)`", last)
    emptied = "DELETE FROM images; DELETE FROM persons; DELETE FROM person_corrections"
    assert shlex.split(commands[0]) == ["db", "psql", "-c", emptied]
    assert shlex.split(commands[1]) == ["index", "PHOTOS", "--pack", "buffalo_l"]
    assert commands[0] in done.err
    # A library with faces has its pack, and no notice about it.
    again = run(*line, env=env)
    assert "model pack" not in again.out + again.err
