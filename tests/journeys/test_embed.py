"""`facesets embed` through the real command: features of a cache alone."""

import json
import os
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.intake import Intake
from tests.fixtures.networks_once import unhurried
from tests.fixtures.photos import copy_photos, wide_picture
from tests.fixtures.program import run, run_apart
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.operations.models import tuning
from facesets.records import Collection
from facesets.store.npz.cache import Cache

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


@pytest.fixture
def kind() -> str:
    return "cache"


@pytest.fixture
def cache(intake: Intake) -> Path:
    """Where the cache will be."""
    assert isinstance(intake.place, Path)
    return intake.place


def loaded(cache: Path) -> Collection:
    return Cache(cache).load()


def test_a_cache_is_plain_arrays_and_json(intake: Intake, cache: Path, pack_dir: Path) -> None:
    photos = intake.put(12)
    assert intake.take().status == 0
    with np.load(cache, allow_pickle=False) as arrays:
        meta = json.loads(arrays["meta"].tobytes())
        assert meta["format"] == "facesets/cache"
        assert meta["settings"]["pack"] == pack_dir.name
        assert arrays["face_embedding"].dtype == np.float32
        assert np.allclose(np.linalg.norm(arrays["face_embedding"], axis=1), 1, atol=1e-5)
        assert json.loads(arrays["path_text"].tobytes()) == sorted(map(str, photos))
    assert [path.name for path in cache.parent.iterdir() if path.is_file()] == ["c.npz"]


@pytest.mark.usefixtures("networks_each_time")
def test_a_cache_does_not_depend_on_workers_batches_or_flushes(intake: Intake, cache: Path) -> None:
    intake.put(12)
    caches = []
    for flags in ("--workers 1", "--workers 4 --batch-size 3", "--workers 2 --flush-every 1"):
        assert intake.take(*flags.split()).status == 0
        caches.append(cache.read_bytes())
        cache.unlink()
    assert caches[0] == caches[1] == caches[2]


def test_enriching_in_the_same_pass_gives_what_enriching_later_gives(
    intake: Intake, undisturbed: Intake, landmark_pack: Path
) -> None:
    intake.put(6)
    pack = ("--pack", landmark_pack, "--provider", "cpu")
    assert replace(intake, models=pack).take("--enrich").status == 0
    assert replace(undisturbed, models=pack).take().status == 0
    assert run("enrich", undisturbed.place, *pack).status == 0
    with np.load(intake.place) as at_once, np.load(undisturbed.place) as later:
        assert {"face_landmark_2d_106", "face_pose"} <= set(at_once.files)
        assert set(at_once.files) == set(later.files)
        for name in at_once.files:
            np.testing.assert_array_equal(at_once[name], later[name])


@pytest.mark.parametrize(("flush_every", "limit_kb"), [(20, 30), (5, 60)], ids=["at a flush", "at the end"])
def test_no_space_left_ends_with_a_sentence_and_keeps_what_was_flushed(
    intake: Intake, undisturbed: Intake, flush_every: int, limit_kb: int
) -> None:
    intake.put(60)
    room = (limit_kb * 1024, resource.RLIM_INFINITY)
    line = intake.line("--flush-every", flush_every)
    with forked(*line, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, room)) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "No space left" in err
    assert "Traceback" not in err
    stored = len(intake.files())
    assert intake.counts()[0] == 60 - stored
    undisturbed.take()
    assert intake.contents() == undisturbed.contents()


def test_a_source_that_vanishes_mid_run_loses_nothing(intake: Intake, undisturbed: Intake) -> None:
    intake.put(40)
    undisturbed.take()
    with unhurried(), forked(*intake.line("--flush-every", 1)) as process:
        wait_for(intake.is_under_way, every_s=0.01)
        away = intake.photos.rename(intake.photos.with_name("unmounted"))
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "disappeared" in err
    assert "Traceback" not in err
    away.rename(intake.photos)
    assert intake.take().status == 0
    assert intake.contents() == undisturbed.contents()


def test_another_pack_is_not_fetched_for_a_cache_that_has_one(
    intake: Intake, cache: Path, pack_dir: Path
) -> None:
    another = "buffalo_l" if pack_dir.name == "open" else "open"
    intake.put(2)
    intake.take()
    before = cache.read_bytes()
    for command in (("embed", intake.photos, cache), ("enrich", cache)):
        absent = run(*command, "--pack", another, env={"HOME": str(cache.parent)})
        assert (absent.status, "is not downloaded" in absent.err) == (2, True)
    assert cache.read_bytes() == before


def test_a_later_run_takes_over_the_settings_of_its_cache(
    intake: Intake, cache: Path, pack_dir: Path
) -> None:
    def embedded(*flags: object) -> tuple[int, str]:
        env = {"FACESETS_MODELS": str(pack_dir.parent)}
        done = run("embed", intake.photos, cache, *flags, env=env)
        return done.status, done.err

    intake.put(2)
    assert embedded("--pack", pack_dir.name, "--det-size", 320)[0] == 0
    intake.put(1, begin=2)
    assert embedded()[0] == 0
    status, reported = embedded("--det-size", 640)
    assert (status, "--det-size 320" in reported) == (2, True)


def test_a_damaged_or_foreign_cache_is_named_and_left_alone(intake: Intake, cache: Path) -> None:
    intake.put(1)
    np.savez(cache, x=np.zeros(3))
    for content in (cache.read_bytes(), b"hello", b""):
        cache.write_bytes(content)
        result = intake.take()
        assert (result.status, cache.read_bytes()) == (1, content)
        assert "not a facesets cache" in result.err


@pytest.mark.usefixtures("insightface_pack")
def test_fast_decoding_finds_the_same_faces_in_pixels_of_the_whole_picture(
    intake: Intake, undisturbed: Intake
) -> None:
    for i in range(3):
        picture = wide_picture(intake.examples[i * 3 : i * 3 + 2], 4000, 3000)
        picture.save(intake.photos / f"{i}.jpg", quality=90)
    assert intake.take("--enrich").status == undisturbed.take("--enrich", "--fast-decode").status == 0
    caches = [Cache(Path(each.place)).load() for each in (intake, undisturbed)]
    whole, fast = (cache.faces for cache in caches)
    assert np.array_equal(caches[0].images.width, caches[1].images.width)
    assert len(whole) == len(fast) > 3
    assert np.abs(whole.box - fast.box).max() < 0.05 * whole.face_short.min()
    assert np.abs(whole.face_short - fast.face_short).max() < 0.05 * whole.face_short.min()
    assert whole.landmark_2d_106 is not None
    assert fast.landmark_2d_106 is not None
    assert np.abs(whole.landmark_2d_106 - fast.landmark_2d_106).mean() < 0.05 * whole.face_short.min()
    similarity = (whole.embedding * fast.embedding).sum(axis=1)
    assert similarity.min() > 0.95
    assert similarity.max() < 1


def test_the_time_of_a_files_last_change_counts_where_that_is_asked_for(
    intake: Intake, undisturbed: Intake
) -> None:
    intake.put(1)
    assert intake.take().status == undisturbed.take("--trust-mtime").status == 0
    unknown = [bool(np.isnat(loaded(Path(each.place)).images.taken[0])) for each in (intake, undisturbed)]
    assert unknown == [True, False]


def test_a_moved_photo_is_found_at_its_new_place_and_forgotten_at_the_old(
    intake: Intake, cache: Path
) -> None:
    old, *others = intake.put(3)
    intake.take()
    new = intake.photos / "sub" / "moved.jpg"
    new.parent.mkdir()
    old.rename(new)
    report = intake.summary()
    assert (report["gone"], report["aliases"], report["failed"]) == (1, 1, 0)
    assert intake.files().keys() == {str(path) for path in (new, *others)}
    assert intake.summary()["gone"] == 0
    new.rename(old)
    assert intake.counts()[0] == 0
    assert len(loaded(cache).images) == 3


def test_an_unmounted_source_forgets_nothing(intake: Intake, cache: Path) -> None:
    photos = intake.put(2)
    intake.take()
    for photo in photos:
        photo.unlink()
    result = intake.take()
    assert (result.status, "Check that it is mounted." in result.err) == (2, True)
    assert len(loaded(cache).images) == 2


def test_nothing_is_written_over_photos_or_among_them(intake: Intake, cache: Path, tmp_path: Path) -> None:
    photo = intake.put(2)[0]
    before = photo.read_bytes()
    intake.take()
    run("cluster", cache, tmp_path / "raw")
    for over in (
        intake.line("--profile", str(photo)),
        ("evaluate", cache, "--sheet", photo),
        ("sheet", tmp_path / "raw" / "manifest.json", photo),
    ):
        assert run(*over).status == 2
    for among in (intake.photos, tmp_path):
        result = run("cluster", cache, among)
        assert (result.status, "Choose another folder" in result.err) == (2, True)
    assert photo.read_bytes() == before
    assert len(list(intake.photos.iterdir())) == 2


def test_the_last_copy_of_a_photo_stays_apart_from_other_people(
    intake: Intake, cache: Path, lfw_dir: Path, tmp_path: Path
) -> None:
    for name in ("Andre_Agassi", "Colin_Powell"):
        copy_photos(sorted((lfw_dir / name).iterdir())[:5], intake.photos / name)
    out = tmp_path / "raw"
    intake.take()
    run("cluster", cache, out)
    shutil.rmtree(intake.photos / "Andre_Agassi")
    intake.take()
    result = run("cluster", cache, out)
    assert result.status == 0, result.err
    assert "_without_original" in result.err
    stored = {path.name.rpartition("+")[2] for path in (out / "_without_original").iterdir()}
    assert len([name for name in stored if name.startswith("Andre_Agassi")]) == 5
    elsewhere = [path.name for path in out.rglob("*.jpg") if path.parent.name != "_without_original"]
    assert not any("Andre_Agassi" in name for name in elsewhere)


def test_what_makes_no_sense_makes_no_cache(intake: Intake, cache: Path) -> None:
    empty = intake.take()
    assert (empty.status, "no photos" in empty.err) == (2, True)
    intake.put(1)
    assert intake.take("--det-size", 100).status == 2
    missing = {"FACESETS_MODELS": f"{cache.parent}/models"}
    # Missing packs are not fetched in a dry run.
    result = run("embed", intake.photos, cache, "--dry-run", env=missing)
    assert (result.status, "models pull buffalo_l" in result.err) == (2, True)
    assert {path.name for path in cache.parent.iterdir()} <= {"photos", "home"}


def test_the_home_directory_stays_as_it_is(intake: Intake) -> None:
    intake.put(1)
    home = Path(os.environ["HOME"])
    home.mkdir()
    # Libraries may write there as they are loaded. Only the pack's place is remembered.
    assert run_apart(*intake.line()).status == 0
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["packs.json"]


def test_the_first_long_run_measures_how_work_is_best_divided_here(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_LONG_RUN", 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    measured = tmp_path / "home" / "facesets" / "measured.json"
    links = [intake.photos / f"{i:04d}.jpg" for i in range(100)]
    for link in links:
        link.symlink_to(intake.examples[0])
    run("embed", links[0], tmp_path / "small.npz", *intake.models)
    assert not measured.exists()
    assert intake.counts() == (1, 99, 0)
    when = measured.stat().st_mtime_ns
    assert json.loads(measured.read_bytes())["tuning"]["workers"] >= 1
    run("embed", intake.photos, tmp_path / "again.npz", *intake.models)
    assert measured.stat().st_mtime_ns == when


@pytest.mark.usefixtures("networks_each_time")
@pytest.mark.parametrize("batch_size", [1, 8])
def test_copies_that_lie_side_by_side_are_looked_into_once(
    intake: Intake, undisturbed: Intake, tmp_path: Path, batch_size: int
) -> None:
    for i in range(30):
        shutil.copy2(intake.examples[i % 2], intake.photos / f"{i:02d}.jpg")
    for name in ("x1.jpg", "x2.jpg"):
        (intake.photos / name).write_bytes(b"no picture")
    account = tmp_path / "p.json"
    done = intake.summary("--workers", "4", "--batch-size", batch_size, "--profile", str(account))
    assert (done["new"], done["aliases"], done["failed"]) == (2, 28, 2)
    stages = json.loads(account.read_text())["stages"]
    assert stages["fingerprint"]["count"] < 12  # a worker may begin with a later copy before the first
    undisturbed.take("--workers", "1")
    assert intake.contents() == undisturbed.contents()
