"""`facesets embed` through the real command: incremental, unbreakable, and the same every time."""

import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.forked import forked
from tests.fixtures.networks_once import unhurried
from tests.fixtures.photos import bomb, copy_photos, wide_picture
from tests.fixtures.program import Result, run, run_apart
from tests.fixtures.soak import soaking
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.ingest.embed import embed as run_embed
from facesets.operations.models import tuning
from facesets.operations.options.start import EmbedOptions
from facesets.records import Faces, Pixels
from facesets.sources.folders import FolderSource
from facesets.store.npz.cache import Cache
from facesets.work import SilentProgress, Stop, Work

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

Embed = Callable[..., Result]


@pytest.fixture
def embed(pack_dir: Path) -> Embed:
    def call(*arguments: object) -> Result:
        return run("embed", *arguments, "--pack", pack_dir, "--provider", "cpu")

    return call


def summary(result: Result) -> dict[str, object]:
    assert result.status in (0, 3), result.err
    parsed: dict[str, object] = json.loads(result.out)
    return parsed


def test_a_cache_is_plain_arrays_and_json(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:12], tmp_path / "photos")
    assert embed(photos, tmp_path / "c.npz").status == 0
    with np.load(tmp_path / "c.npz", allow_pickle=False) as cache:
        meta = json.loads(cache["meta"].tobytes())
        assert meta["format"] == "facesets/cache"
        assert meta["settings"]["pack"] == pack_dir.name
        assert cache["face_embedding"].dtype == np.float32
        assert np.allclose(np.linalg.norm(cache["face_embedding"], axis=1), 1, atol=1e-5)
        assert json.loads(cache["path_text"].tobytes()) == sorted(str(p) for p in photos.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["c.npz"]


def test_only_new_files_are_looked_at(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    cache = tmp_path / "c.npz"
    assert summary(embed(photos, cache, "--json"))["embedded"] == 6
    before = cache.read_bytes()
    again = summary(embed(photos, cache, "--json"))
    assert (again["embedded"], again["unchanged"]) == (0, 6)
    assert cache.read_bytes() == before
    shutil.copy2(lfw_photos[6], photos / "new.jpg")
    shutil.copy2(lfw_photos[0], photos / "copy.jpg")
    third = summary(embed(photos, cache, "--json"))
    assert (third["embedded"], third["aliases"], third["unchanged"]) == (1, 1, 6)


def test_a_photo_from_a_far_future_is_known_again(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    os.utime(photos / lfw_photos[0].name, ns=(0, 10**19))
    if (photos / lfw_photos[0].name).stat().st_mtime_ns < 2**63:
        pytest.skip("this file system knows no such time")
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 2
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["unchanged"] == 2


def test_a_file_that_only_looks_changed_is_hashed_but_not_embedded_again(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:3], tmp_path / "photos")
    embed(photos, tmp_path / "c.npz")
    os.utime(photos / lfw_photos[0].name, (1, 1))
    again = summary(embed(photos, tmp_path / "c.npz", "--json"))
    assert (again["embedded"], again["aliases"], again["unchanged"]) == (0, 1, 2)


def test_dry_run_says_what_is_to_do_and_writes_nothing(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:3], tmp_path / "photos")
    assert summary(embed(photos, tmp_path / "c.npz", "--json", "--dry-run"))["to_do"] == 3
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == []


@pytest.mark.usefixtures("networks_each_time")
@pytest.mark.slow
def test_a_cache_does_not_depend_on_workers_batches_or_flushes(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:12], tmp_path / "photos")
    caches = []
    for i, flags in enumerate(
        (
            ["--workers", "1"],
            ["--workers", "4", "--batch-size", "3"],
            ["--workers", "2", "--flush-every", "1"],
        )
    ):
        assert embed(photos, tmp_path / f"{i}.npz", *flags).status == 0
        caches.append((tmp_path / f"{i}.npz").read_bytes())
    assert caches[0] == caches[1] == caches[2]


def rubbish(folder: Path, photo: Path) -> set[str]:
    """Fill a folder with everything that a photo collection should not hold; names of what must fail."""
    data = photo.read_bytes()
    folder.mkdir()
    bad = {
        "truncated.jpg": data[: len(data) // 2],
        "text.jpg": b"I am a text.",
        "empty.jpg": b"",
        "zeros.png": bytes(5000),
        "lies.heic": b"\0\0\0\x18ftypheic" + bytes(100),
        "noise.tiff": b"II*\0" + np.random.default_rng(0).bytes(5000),
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "bomb.png").write_bytes(bomb(50_000, 50_000))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    return {*bad, "bomb.png", "pipe.jpg", "loop.jpg", "dangling.jpg"}


def harmless(folder: Path, photo: Path) -> int:
    """Add what looks odd and is fine; how many images that is."""
    strange = ["new\nline.jpg", "quote'\".jpg", "x" * 250 + ".jpg", "ümläut €.JPG", "  .jpg"]
    for i, name in enumerate(strange):
        (folder / name).write_bytes(photo.read_bytes() + bytes(i + 1))
    foreign = folder / os.fsdecode(b"not utf-8 \xff\xfe.jpg")
    foreign.write_bytes(photo.read_bytes() + bytes(50))
    (folder / "directory.jpg").mkdir()
    (folder / "directory.jpg" / "up").symlink_to("..")
    Image.new("RGB", (1, 1)).save(folder / "directory.jpg" / "one.png")
    Image.new("RGB", (30_000, 1)).save(folder / "long.png")
    Image.open(photo).convert("CMYK").save(folder / "cmyk.jpg")
    Image.open(photo).convert("P").save(folder / "palette.gif")
    (folder / "notes.txt").write_text("not an image by name")
    return len(strange) + 1 + 4


@pytest.mark.slow
def test_rubbish_costs_only_itself(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    failing = rubbish(tmp_path / "photos", lfw_photos[0])
    fine = harmless(tmp_path / "photos", lfw_photos[0])
    result = embed(tmp_path / "photos", tmp_path / "c.npz", "--json")
    assert result.status == 3
    report = summary(result)
    failures = {Path(f["path"]).name: f["reason"] for f in report["failures"]}  # type: ignore[attr-defined]
    assert set(failures) == failing
    assert all(failures.values())
    assert report["embedded"] == fine
    assert "Traceback" not in result.err


def test_what_failed_is_remembered_until_it_changes_or_is_asked_for(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"rubbish")
    cache = tmp_path / "c.npz"
    assert len(summary(embed(photos, cache, "--json"))["failures"]) == 1  # type: ignore[arg-type]
    again = embed(photos, cache, "--json")
    assert again.status == 0
    assert (summary(again)["unchanged"], summary(again)["failed"]) == (1, 1)
    assert len(summary(again)["failures"]) == 1  # type: ignore[arg-type]
    retried = embed(photos, cache, "--json", "--retry-failed")
    assert retried.status == 0
    assert len(summary(retried)["failures"]) == 1  # type: ignore[arg-type]
    assert embed(photos, cache, "--strict").status == 3
    (photos / "b.jpg").symlink_to("nowhere")
    another = embed(photos, cache)
    assert another.status == 3
    assert "2 unreadable (1 as before)" in another.out
    assert "b.jpg: cannot be read" in another.err
    assert "a.jpg" not in another.err
    last = embed(photos, cache, "-v")
    assert last.status == 0
    assert "2 unreadable (2 as before)" in last.out
    assert "a.jpg: not a picture" in last.err
    assert last.err.count("Models: ") == 1
    (photos / "b.jpg").unlink()
    shutil.copy(lfw_photos[0], photos / "a.jpg")
    assert summary(embed(photos, cache, "--json"))["embedded"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_tried_again_when_it_is_allowed(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    forbidden = photos / lfw_photos[0].name
    forbidden.chmod(0)
    assert embed(photos, tmp_path / "c.npz").status == 3
    forbidden.chmod(0o644)
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 1


def images_in(path: Path) -> int:
    """How many a cache holds, flushed or not yet."""
    return len(Cache(path).load().images) if Cache(path).exists() else 0


def killed(arguments: Sequence[object], cache: Path, images: int, later_s: float) -> bool:
    """Run this and kill it a while after the cache has so many images more; False if it had ended by then."""
    wanted = images_in(cache) + images
    with unhurried(), forked(*arguments) as process:
        wait_for(lambda: images_in(cache) >= wanted or process.poll() is not None, every_s=0.02)
        time.sleep(later_s)
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_runs_end_with_the_cache_of_an_undisturbed_one(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:40], tmp_path / "photos")
    (photos / "bad.jpg").write_bytes(b"rubbish")
    shutil.copy2(lfw_photos[5], photos / "alias.jpg")
    assert embed(photos, tmp_path / "whole.npz").status == 3
    chance = random.Random(7)
    flags = ["--pack", pack_dir, "--provider", "cpu", "--flush-every", "2"]
    arguments = ("embed", photos, tmp_path / "cut.npz", *flags)
    kills, kept = 0, []
    for more in (0, 2, 4, 8):
        kills += killed(arguments, tmp_path / "cut.npz", more, chance.uniform(0.0, 0.1))
        kept.append(images_in(tmp_path / "cut.npz"))
        assert not kept[-1] or run("show", tmp_path / "cut.npz").status == 0
    assert kills >= 2
    assert kept == sorted(kept)
    assert 0 < kept[1] < 40
    assert embed(photos, tmp_path / "cut.npz", "--strict").status == 3
    assert (tmp_path / "cut.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["cut.npz", "whole.npz"]


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_loses_nothing(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:24], tmp_path / "photos")
    flags = ("--pack", pack_dir, "--json", "--flush-every", "1")
    with unhurried(), forked("embed", photos, tmp_path / "c.npz", *flags) as process:
        wait_for((tmp_path / "c.npz.journal").exists, every_s=0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["stopped"]
    assert 0 < report["embedded"] < 24
    rest = summary(embed(photos, tmp_path / "c.npz", "--json"))
    assert rest["embedded"] == 24 - report["embedded"]


@pytest.mark.slow
def test_a_second_run_on_the_same_cache_is_turned_away(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:12], tmp_path / "photos")
    flags = ["--pack", pack_dir, "--flush-every", "1"]
    with unhurried(), forked("embed", photos, tmp_path / "c.npz", *flags) as first:
        # The lock's file is there a moment before the lock is taken; a flush comes after both.
        wait_for((tmp_path / "c.npz.journal").exists, every_s=0.005)
        first.send_signal(signal.SIGSTOP)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.npz")}
        second = embed(photos, tmp_path / "c.npz")
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.npz")} == before
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=PATIENCE_S) == 0
    assert second.status == 75
    assert "Another run" in second.err
    assert second.out == ""
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["unchanged"] == 12


def test_enriching_in_the_same_pass_gives_what_enriching_later_gives(
    lfw_photos: list[Path], landmark_pack: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    pack = ("--pack", landmark_pack, "--provider", "cpu")
    assert run("embed", photos, tmp_path / "at_once.npz", "--enrich", *pack).status == 0
    assert run("embed", photos, tmp_path / "later.npz", *pack).status == 0
    assert run("enrich", tmp_path / "later.npz", *pack).status == 0
    with np.load(tmp_path / "at_once.npz") as at_once, np.load(tmp_path / "later.npz") as later:
        assert {"face_landmark_2d_106", "face_pose"} <= set(at_once.files)
        assert set(at_once.files) == set(later.files)
        for name in at_once.files:
            np.testing.assert_array_equal(at_once[name], later[name])


@pytest.mark.slow
@pytest.mark.parametrize(("flush_every", "limit_kb"), [(20, 30), (5, 60)], ids=["at a flush", "at the end"])
def test_no_space_left_ends_with_a_sentence_and_keeps_what_was_flushed(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path, flush_every: int, limit_kb: int
) -> None:
    photos = copy_photos(lfw_photos[:60], tmp_path / "photos")
    embed(photos, tmp_path / "whole.npz")
    flags = ["--pack", pack_dir, "--flush-every", flush_every]
    room = (limit_kb * 1024, resource.RLIM_INFINITY)
    arguments = ("embed", photos, tmp_path / "c.npz", *flags)
    with forked(*arguments, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, room)) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "No space left" in err
    assert "Traceback" not in err
    kept = images_in(tmp_path / "c.npz")
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 60 - kept
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.slow
def test_a_source_that_vanishes_mid_run_loses_nothing(
    embed: Embed, lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:40], tmp_path / "photos")
    embed(photos, tmp_path / "whole.npz")
    flags = ("--pack", pack_dir, "--flush-every", "1")
    with unhurried(), forked("embed", photos, tmp_path / "c.npz", *flags) as process:
        wait_for((tmp_path / "c.npz.journal").exists, every_s=0.01)
        photos.rename(tmp_path / "unmounted")
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "vanished" in err
    assert "Traceback" not in err
    (tmp_path / "unmounted").rename(photos)
    assert embed(photos, tmp_path / "c.npz").status == 0
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_vectors_of_different_recognisers_never_mix(
    embed: Embed, lfw_photos: list[Path], shared_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    embed(photos, tmp_path / "c.npz")
    before = (tmp_path / "c.npz").read_bytes()
    other = tmp_path / "pack"
    other.mkdir()
    for name in ("scrfd_2.5g_bnkps.onnx", "foamliu_mobilefacenet_pixamatch.onnx"):
        shutil.copy(shared_dir / "models" / "extra" / name, other)
    refused = run("embed", photos, tmp_path / "c.npz", "--pack", other)
    assert refused.status == 2
    assert "never mix" in refused.err
    for command in (("embed", photos, tmp_path / "c.npz"), ("enrich", tmp_path / "c.npz")):
        absent = run(*command, "--pack", "open", env={"HOME": str(tmp_path)})
        assert (absent.status, "is another, so it is not fetched" in absent.err) == (2, True)
    assert (tmp_path / "c.npz").read_bytes() == before
    fresh = run("embed", photos, tmp_path / "other.npz", "--pack", other, "--json")
    assert summary(fresh)["embedded"] == 2


def test_a_later_run_takes_over_the_settings_of_its_cache(
    lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    env = {"FACESETS_MODELS": str(pack_dir.parent)}
    assert (
        run("embed", photos, tmp_path / "c.npz", "--pack", pack_dir.name, "--det-size", 320, env=env).status
        == 0
    )
    shutil.copy(lfw_photos[2], photos)
    assert run("embed", photos, tmp_path / "c.npz", env=env).status == 0
    refused = run("embed", photos, tmp_path / "c.npz", "--det-size", 640, env=env)
    assert refused.status == 2
    assert "--det-size 320" in refused.err


@pytest.mark.soak
def test_an_unchanged_tree_of_thousands_of_files_is_neither_read_nor_decoded(
    embed: Embed, tmp_path: Path
) -> None:
    files = soaking(20_000, else_=2_000)
    tiny = Image.new("RGB", (2, 2))
    photos = tmp_path / "photos"
    for i in range(20):
        (photos / f"{i:02d}").mkdir(parents=True)
    tiny.save(tmp_path / "tiny.png")
    data = (tmp_path / "tiny.png").read_bytes()
    for i in range(files):
        # Trailing bytes make each a content of its own; most share a few, so that the first run is short.
        (photos / f"{i % 20:02d}" / f"{i}.png").write_bytes(data + bytes(i % 7))
    first = summary(embed(photos, tmp_path / "c.npz", "--json", "--flush-every", files // 10))
    assert (first["embedded"], first["aliases"]) == (7, files - 7)
    for path in photos.rglob("*.png"):
        stat = path.stat()
        path.write_bytes(b"x" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = summary(embed(photos, tmp_path / "c.npz", "--json"))
    assert (again["unchanged"], again["failed"]) == (files, 0)


def test_results_below_the_source_are_not_taken_for_photos(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    copy_photos(lfw_photos[2:4], photos / "result")
    (photos / "result" / "manifest.json").write_text('{\n  "format": "facesets/cluster"\n}')
    copy_photos(lfw_photos[4:6], photos / "other")
    (photos / "other" / "manifest.json").write_text('{"name": "somebody else\'s"}')
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 4


def test_a_damaged_or_foreign_cache_is_named_and_left_alone(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    for path, content in (
        (tmp_path / "foreign.npz", (tmp_path / "foreign.npz").read_bytes()),
        (tmp_path / "text.npz", b"hello"),
        (tmp_path / "empty.npz", b""),
    ):
        path.write_bytes(content)
        result = embed(photos, path)
        assert (result.status, path.read_bytes()) == (1, content)
        assert "not a facesets cache" in result.err


def test_twelve_megapixels_work_as_small_photos_do(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    wide_picture(lfw_photos[:3], 4000, 3000).save(tmp_path / "photos" / "large.jpg", quality=90)
    report = summary(embed(tmp_path / "photos", tmp_path / "c.npz", "--json"))
    assert report["faces"] == 3


@pytest.mark.slow
@pytest.mark.usefixtures("insightface_pack")
def test_fast_decoding_finds_the_same_faces_in_pixels_of_the_whole_picture(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        wide_picture(lfw_photos[i * 3 : i * 3 + 2], 4000, 3000).save(photos / f"{i}.jpg", quality=90)
    caches = []
    for flags in ([], ["--fast-decode"]):
        assert embed(photos, tmp_path / f"{len(flags)}.npz", "--enrich", *flags).status == 0
        caches.append(Cache(tmp_path / f"{len(flags)}.npz").load())
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
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    for flags in ([], ["--trust-mtime"]):
        cache = tmp_path / f"{len(flags)}.npz"
        assert embed(photos, cache, *flags).status == 0
        assert np.isnat(Cache(cache).load().images.taken[0]) == (not flags)


@pytest.mark.usefixtures("networks_each_time")
def test_a_profile_says_where_the_time_went(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:4], tmp_path / "photos")
    result = embed(photos, tmp_path / "c.npz", "--profile", tmp_path / "p.json", "--workers", "1")
    assert result.status == 0
    profile = json.loads((tmp_path / "p.json").read_text())
    stages = profile["stages"]
    assert {"read", "hash", "decode", "detect", "align", "recognise", "store"} <= set(stages)
    assert stages["decode"]["count"] == 4
    # One worker does one thing at a time, and waiting for it is not work.
    busy = sum(stage["wall_s"] for name, stage in stages.items() if not name.startswith("wait"))
    assert 0 < busy <= profile["wall_s"]
    assert "detect" in result.err


def test_a_moved_photo_is_found_at_its_new_place_and_forgotten_at_the_old(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:3], tmp_path / "photos")
    cache = tmp_path / "c.npz"
    embed(photos, cache)
    (photos / "sub").mkdir()
    moved = photos / lfw_photos[0].name
    moved.rename(photos / "sub" / "moved.jpg")
    report = summary(embed(photos, cache, "--json"))
    assert (report["gone"], report["aliases"], report["failed"]) == (1, 1, 0)
    paths = {path for of_image in Cache(cache).load().images.paths for path in of_image}
    assert str(photos / "sub" / "moved.jpg") in paths
    assert str(moved) not in paths
    assert summary(embed(photos, cache, "--json"))["gone"] == 0
    (photos / "sub" / "moved.jpg").rename(moved)
    assert summary(embed(photos, cache, "--json"))["embedded"] == 0
    assert len(Cache(cache).load().images) == 3


def test_an_unmounted_source_forgets_nothing(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    embed(photos, tmp_path / "c.npz")
    for photo in photos.iterdir():
        photo.unlink()
    result = embed(photos, tmp_path / "c.npz")
    assert (result.status, "Is it mounted?" in result.err) == (2, True)
    assert len(Cache(tmp_path / "c.npz").load().images) == 2


def test_a_version_pinned_in_the_environment_changes_nothing(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    monkeypatch.setenv("FACESETS_VERSION", "1")
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 1


def test_no_photo_is_overwritten_by_a_report(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    photo = photos / lfw_photos[0].name
    before = photo.read_bytes()
    embed(photos, tmp_path / "c.npz")
    assert embed(photos, tmp_path / "c.npz", "--profile", photo).status == 2
    assert run("evaluate", tmp_path / "c.npz", "--sheet", photo).status == 2
    run("cluster", tmp_path / "c.npz", tmp_path / "raw")
    assert run("sheet", tmp_path / "raw" / "manifest.json", photo).status == 2
    assert photo.read_bytes() == before


def test_results_are_not_put_among_the_photos(embed: Embed, lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    embed(photos, tmp_path / "c.npz")
    for out in (photos, tmp_path):
        result = run("cluster", tmp_path / "c.npz", out)
        assert (result.status, "Choose a folder" in result.err) == (2, True)
    assert len(list(photos.iterdir())) == 2


def test_the_last_copy_of_a_photo_is_kept_apart_from_other_people(
    embed: Embed, lfw_dir: Path, tmp_path: Path
) -> None:
    for name in ("Andre_Agassi", "Colin_Powell"):
        copy_photos(sorted((lfw_dir / name).iterdir())[:5], tmp_path / "photos" / name)
    cache, out = tmp_path / "c.npz", tmp_path / "raw"
    embed(tmp_path / "photos", cache)
    run("cluster", cache, out)
    shutil.rmtree(tmp_path / "photos" / "Andre_Agassi")
    embed(tmp_path / "photos", cache)
    result = run("cluster", cache, out)
    assert result.status == 0, result.err
    assert "_without_original" in result.err
    kept = {path.name.rpartition("+")[2] for path in (out / "_without_original").iterdir()}
    assert len([name for name in kept if name.startswith("Andre_Agassi")]) == 5
    elsewhere = [path.name for path in out.rglob("*.jpg") if path.parent.name != "_without_original"]
    assert not any("Andre_Agassi" in name for name in elsewhere)


def test_a_folder_without_photos_is_wrong_usage(embed: Embed, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    result = embed(tmp_path / "photos", tmp_path / "c.npz")
    assert (result.status, "no photos" in result.err) == (2, True)


@pytest.mark.parametrize("flags", ["--min-det-score 5", "--min-det-score nan", "--det-size 100"])
def test_impossible_settings_make_no_cache(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path, flags: str
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    assert embed(photos, tmp_path / "c.npz", *flags.split()).status == 2
    assert not (tmp_path / "c.npz").exists()


def test_the_home_directory_stays_as_it_is(lfw_photos: list[Path], pack_dir: Path, tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    home = Path(os.environ["HOME"])
    home.mkdir()
    # Libraries may write there as they are loaded. Only where the pack was is kept in mind.
    assert run_apart("embed", photos, tmp_path / "c.npz", "--pack", pack_dir).status == 0
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["packs.json"]


def test_an_unfinished_result_below_the_source_is_not_taken_for_photos(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    copy_photos(lfw_photos[2:4], photos / "result")
    (photos / "result" / ".facesets-writing.json").write_text("{}")
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["embedded"] == 2


def test_a_missing_pack_is_not_fetched_in_a_dry_run(lfw_photos: list[Path], tmp_path: Path) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    result = run(
        "embed", photos, tmp_path / "c.npz", "--dry-run", env={"FACESETS_MODELS": str(tmp_path / "m")}
    )
    assert result.status == 2
    assert "models pull buffalo_l" in result.err
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_the_first_long_run_measures_how_work_is_best_divided_here(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_LONG_RUN", 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    measured = tmp_path / "home" / "facesets" / "measured.json"
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(100):
        (photos / f"{i:04d}.jpg").symlink_to(lfw_photos[0])
    embed(photos / "0000.jpg", tmp_path / "small.npz")
    assert not measured.exists()
    assert summary(embed(photos, tmp_path / "c.npz", "--json"))["aliases"] == 99
    when = measured.stat().st_mtime_ns
    assert json.loads(measured.read_bytes())["tuning"]["workers"] >= 1
    embed(photos, tmp_path / "again.npz")
    assert measured.stat().st_mtime_ns == when


@pytest.mark.usefixtures("networks_each_time")
@pytest.mark.parametrize("batch_size", [1, 8])
def test_copies_that_lie_side_by_side_are_looked_into_once(
    embed: Embed, lfw_photos: list[Path], tmp_path: Path, batch_size: int
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(30):
        shutil.copy2(lfw_photos[i % 2], photos / f"{i:02d}.jpg")
    (photos / "x1.jpg").write_bytes(b"no picture")
    (photos / "x2.jpg").write_bytes(b"no picture")
    account = tmp_path / "p.json"
    flags = ("--workers", "4", "--batch-size", batch_size, "--profile", account, "--json")
    done = summary(embed(photos, tmp_path / "c.npz", *flags))
    assert (done["embedded"], done["aliases"], done["failed"]) == (2, 28, 2)
    stages = json.loads(account.read_text())["stages"]
    assert stages["fingerprint"]["count"] < 12  # a worker may begin with a later copy before the first
    embed(photos, tmp_path / "alone.npz", "--workers", "1")
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()


class StopAtFirst(SilentProgress):
    """Asks for the end as soon as one file is done."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def advance(self, count: int = 1) -> None:
        assert count
        self.stop.request()


class Thorough(LocalEmbedder):
    """Takes a while for a batch, as large batches do."""

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        time.sleep(0.5)
        return super().embed(pictures)


@pytest.mark.slow
def test_a_stop_drops_what_has_not_begun(pack_dir: Path, lfw_photos: list[Path], tmp_path: Path) -> None:
    source = FolderSource(copy_photos(lfw_photos[:100], tmp_path / "photos"))
    embedder = LocalEmbedder(read_pack(pack_dir), det_size=160, min_det_score=0.5)
    cache, stop = Cache(tmp_path / "c.npz"), Stop()
    options = EmbedOptions(workers=2, batch_size=10)
    slowly = Thorough(read_pack(pack_dir), det_size=160, min_det_score=0.5)
    with cache.writing(embedder.settings):
        first = run_embed(source, cache, slowly, options, work=Work(progress=StopAtFirst(stop), stop=stop))
    # Of the six batches that were handed out, the first is done, and of the others those that had begun.
    assert first.stopped
    assert 10 <= first.embedded <= 40
    with cache.writing(embedder.settings):
        rest = run_embed(source, cache, embedder, options, work=Work())
    assert first.embedded + rest.embedded == 100
