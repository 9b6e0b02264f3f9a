"""`facesets index` through the real command: once, by whoever, whatever dies meanwhile."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import psycopg
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.networks_once import unhurried
from tests.fixtures.photos import copy_photos
from tests.fixtures.postgres import Server, close_to_all
from tests.fixtures.program import Result, run
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.operations.ingest.image_reader import ReadResult
from facesets.operations.ingest.intake import Pipeline
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

Vectors = dict[tuple[str, int], bytes]


# Other tests lock in databases of their own on the same server.
_ADVISORY_LOCKS = b"""
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND datname = current_database()
"""


@pytest.fixture
def arguments(pack_dir: Path) -> list[object]:
    return ["--pack", pack_dir, "--provider", "cpu", "--json"]


@pytest.fixture
def index(library_url: str, arguments: list[object]) -> Callable[..., Result]:
    def call(*targets: object) -> Result:
        named = [part for target in targets for part in _target(target)]
        return run("index", *named, *arguments, env={"DATABASE_URL": library_url})

    return call


def _target(target: object) -> list[object]:
    return ["--target", target] if isinstance(target, Path) else [target]


def summary(result: Result) -> dict[str, int]:
    assert result.status in (0, 3), result.err
    parsed: dict[str, int] = json.loads(result.out)
    return parsed


def contents(url: str) -> tuple[Vectors, dict[str, str]]:
    """Every vector by image and ordinal, and the image at every path."""
    session = Database(url)
    try:
        library = Library(session)
        collection = library.load()
        ids = collection.face_ids()
        assert len(ids) == len(set(ids))
        vectors = {
            (digest, int(ordinal)): vector.tobytes()
            for face_id, vector in zip(ids, collection.faces.embedding, strict=True)
            for digest, ordinal in [face_id.split("#")]
        }
        return vectors, {path: record.sha256 for path, record in library.files().items()}
    finally:
        session.close()


def query(url: str, sql: bytes) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


def test_only_new_photos_are_looked_at(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    assert summary(index(photos))["indexed"] == 6
    again = summary(index(photos))
    assert (again["indexed"], again["unchanged"]) == (0, 6)
    shutil.copy2(lfw_photos[6], photos / "new.jpg")
    shutil.copy2(lfw_photos[0], photos / "copy.jpg")
    third = summary(index(photos))
    assert (third["indexed"], third["aliases"], third["unchanged"]) == (1, 1, 6)


def test_photos_with_any_name_are_known_again(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    names = [
        "ü.jpg",
        "a\nb.jpg",
        "tab\there.jpg",
        "back\\slash.jpg",
        "quo'te\".jpg",
        os.fsdecode(b"\xff.jpg"),
    ]
    for photo, name in zip(lfw_photos, names, strict=False):
        shutil.copy2(photo, photos / name)
    assert summary(index(photos))["indexed"] == len(names)
    assert summary(index(photos))["unchanged"] == len(names)


def test_runs_are_recorded(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    index(photos)
    assert query(
        library_url,
        b"""SELECT command, status, options->'targets'->>0, summary->>'indexed', ended_at IS NOT NULL
            FROM runs""",
    ) == [("index", "done", str(photos), "2", True)]


def test_moved_photos_become_paths_of_the_same_image_and_prune_forgets_the_old_ones(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:4], tmp_path / "root" / "a")
    index(tmp_path / "root")
    before, _ = contents(library_url)
    photos.rename(tmp_path / "root" / "b")
    planned = summary(index(tmp_path / "root", "--prune", "--dry-run"))
    assert (planned["to_do"], planned["pruned"]) == (4, 4)
    assert len(contents(library_url)[1]) == 4
    moved = summary(index(tmp_path / "root", "--prune"))
    assert (moved["indexed"], moved["aliases"], moved["pruned"]) == (0, 4, 4)
    after, paths = contents(library_url)
    assert after == before
    assert {Path(path).parent.name for path in paths} == {"b"}


def test_prune_forgets_nothing_when_the_target_is_not_mounted(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    (tmp_path / "other").mkdir()
    index(photos)
    shutil.rmtree(photos)
    for is_empty in (False, True):
        if is_empty:
            photos.mkdir()
        for flags in ([], ["--prune"]):
            result = index(photos, *flags)
            assert result.status == 2
            assert "where the library knows 2. Is it mounted? If it was moved" in result.err
            assert f"gone for good, `facesets relocate {photos} --forget` forgets them." in result.err
    assert len(contents(library_url)[1]) == 2
    assert summary(index(tmp_path, "--prune"))["pruned"] == 2


def test_a_target_that_is_away_hinders_no_other(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    drive = copy_photos(lfw_photos[:2], tmp_path / "drive")
    photos = copy_photos(lfw_photos[2:4], tmp_path / "photos")
    index(drive, photos)
    shutil.rmtree(drive)
    drive.mkdir()
    (photos / lfw_photos[2].name).unlink()
    shutil.copy2(lfw_photos[4], photos)
    for away in (drive, tmp_path / "never"):
        result = index(photos, away, "--prune")
        assert (result.status, str(away) in result.err) == (2, True)
        assert len(json.loads(result.out)["away"]) == 1
    assert {Path(path).name for path in contents(library_url)[1]} == {
        lfw_photos[n].name for n in (0, 1, 3, 4)
    }


def test_a_mistyped_target_is_told_before_models_are_looked_for(library_url: str, tmp_path: Path) -> None:
    result = run("index", "--target", tmp_path / "never", "--pack", "not_here", "--database", library_url)
    assert result.status == 2
    assert f"There is no folder {tmp_path / 'never'} that one can see." in result.err


def test_patterns_that_leave_out_everything_are_named_as_the_cause(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    for _ in range(2):
        for patterns in (["--exclude", "*"], ["--include", "*.xyz"]):
            result = index(photos, *patterns)
            assert result.status == 2
            assert f"No photo below {photos} fits --include and --exclude." in result.err
        assert index(photos).status == 0
    photos.rename(tmp_path / "away")
    photos.mkdir()
    assert "Is it mounted?" in index(photos, "--exclude", "*").err


def test_a_new_empty_target_hinders_neither_indexing_nor_pruning_elsewhere(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    index(photos)
    (photos / lfw_photos[0].name).unlink()
    (photos / "pipe.jpg").symlink_to("nowhere")
    done = summary(index(photos, tmp_path / "empty", "--prune"))
    assert (done["pruned"], done["failed"]) == (1, 1)


def test_galleries_are_found_at_any_depth_and_thumbnails_are_not_photos(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for number, chunk in enumerate(("chunk1/g1", "chunk1/g2", "chunk2/g3")):
        gallery = copy_photos(lfw_photos[number * 2 : number * 2 + 2], root / chunk)
        copy_photos(lfw_photos[20:21], gallery / "tn")
        listed = [{"file": photo.name, "caption": f"Photo {i}"} for i, photo in enumerate(lfw_photos[:1])]
        (gallery / "index.json").write_text(json.dumps({"title": f"Trip {chunk}", "images": listed}))
    (root / "chunk2" / "g3" / "index.json").write_text("{broken")
    result = index(root)
    assert summary(result)["indexed"] == 6
    assert "index.json is passed over" in result.err
    assert query(library_url, b"SELECT title FROM galleries WHERE title <> '' ORDER BY 1") == [
        ("Trip chunk1/g1",),
        ("Trip chunk1/g2",),
    ]
    ((entries,),) = query(library_url, b"SELECT entries FROM galleries WHERE title LIKE '%g1'")
    assert entries == [{"file": lfw_photos[0].name, "caption": "Photo 0"}]


def gallery(root: Path, photos: list[Path], **said: object) -> Path:
    """A gallery whose file says this."""
    (root / "tn").mkdir(parents=True, exist_ok=True)
    (root / "index.json").write_text(json.dumps(said))
    for photo in photos:
        shutil.copy2(photo, root)
    return root


def galleries(url: str) -> dict[str, tuple[object, ...]]:
    """Of every photo with a gallery, by its name: the gallery's folder, its title and its captions."""
    rows = query(
        url,
        b"""SELECT p.path, g.path, g.title, g.entries FROM image_paths p
            JOIN galleries g ON g.id = p.gallery_id""",
    )
    return {
        Path(str(path)).name: (Path(str(folder)).name, title, [entry["caption"] for entry in entries])  # type: ignore[attr-defined]
        for path, folder, title, entries in rows
    }


def test_what_a_gallery_says_anew_is_kept_though_no_photo_is_new(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photo = lfw_photos[0]
    trip = gallery(tmp_path / "trip", [photo], title="Trip", images=[{"file": photo.name, "caption": "Sea"}])
    index(trip)
    assert galleries(library_url) == {photo.name: ("trip", "Trip", ["Sea"])}
    gallery(trip, [], title="Norway", images=[{"file": photo.name, "caption": "Fjord"}])
    assert summary(index(trip, "--dry-run"))["unchanged"] == 1
    assert galleries(library_url) == {photo.name: ("trip", "Trip", ["Sea"])}
    assert summary(index(trip / photo.name))["unchanged"] == 1
    assert galleries(library_url) == {photo.name: ("trip", "Norway", ["Fjord"])}
    (trip / "index.json").write_text("{half writ")
    index(trip)
    assert galleries(library_url) == {photo.name: ("trip", "Norway", ["Fjord"])}
    (trip / "index.json").unlink()
    index(trip)
    assert galleries(library_url) == {photo.name: ("trip", "", [])}


def test_photos_belong_to_the_gallery_that_came_to_be_around_them(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    day = copy_photos(lfw_photos[:1], tmp_path / "trip" / "day")
    name = lfw_photos[0].name
    index(day.parent)
    assert galleries(library_url) == {name: ("day", "", [])}
    gallery(day.parent, [], title="Trip")
    index(day.parent)
    assert galleries(library_url) == {name: ("trip", "Trip", [])}
    # A run on a part knows nothing of the whole.
    index(day)
    assert galleries(library_url) == {name: ("trip", "Trip", [])}
    (day.parent / "index.json").unlink()
    index(day.parent)
    assert galleries(library_url) == {name: ("day", "", [])}


@pytest.mark.parametrize("command", ["index", "check"])
def test_an_empty_address_of_a_service_is_no_wish_to_infer_here(command: str) -> None:
    target = ["--target", "photos"] * (command == "index")
    result = run(command, *target, "--ml-uri", "")
    assert result.status == 2
    assert "--ml-uri is empty" in result.err


def test_include_and_exclude_choose_photos_and_exclude_wins(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    for name in ("2019", "2020", "private"):
        copy_photos(lfw_photos[:1], tmp_path / "root" / name)
    index(
        tmp_path / "root",
        "--include",
        "20*",
        "--include",
        "private",
        "--exclude",
        "private",
        "--exclude",
        "2020/*",
    )
    assert {Path(path).parent.name for path in contents(library_url)[1]} == {"2019"}


def test_a_damaged_photo_costs_itself_only(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    (photos / "torn.jpg").write_bytes(lfw_photos[0].read_bytes()[:500])
    result = index(photos)
    assert result.status == 3
    assert (summary(result)["indexed"], summary(result)["failed"]) == (2, 1)
    assert "torn.jpg" in result.err
    again = summary(index(photos))
    assert (again["listed"], again["unchanged"], again["failed"]) == (3, 2, 1)


def test_where_a_folder_lies_now_a_photo_is_gone(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:1], tmp_path / "photos")
    (photos / "x.jpg").symlink_to("nowhere")
    assert index(photos).status == 3
    (photos / "x.jpg").unlink()
    copy_photos(lfw_photos[1:2], photos / "x.jpg")
    assert summary(index(photos, "--prune"))["pruned"] == 1
    assert set(contents(library_url)[1]) == {str(path) for path in photos.rglob("*.jpg") if path.is_file()}


def test_a_photo_from_a_far_future_is_known_again(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    os.utime(photos / lfw_photos[0].name, ns=(0, 10**19))
    if (photos / lfw_photos[0].name).stat().st_mtime_ns < 2**63:
        pytest.skip("this file system knows no such time")
    assert summary(index(photos))["indexed"] == 2
    assert summary(index(photos))["unchanged"] == 2


def test_a_photo_that_lies_too_deep_to_be_kept_costs_itself_only(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    rng = random.Random(1)
    monkeypatch.chdir(photos)
    for _ in range(14):
        # At random, for PostgreSQL compresses what repeats itself.
        name = "".join(rng.choices(string.ascii_letters, k=250))
        Path(name).mkdir()
        os.chdir(name)
    shutil.copy(lfw_photos[2], "deep.jpg")
    done = index(photos)
    assert done.status == 3
    assert (summary(done)["indexed"], summary(done)["failed"]) == (2, 1)
    assert "its path is too long for a library" in done.err


def test_bounds_end_a_run_and_the_next_goes_on(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:7], tmp_path / "photos")
    first = summary(index(photos, "--max-images", "3"))
    assert (first["indexed"], first["to_do"]) == (3, 4)
    assert summary(index(photos, "--max-minutes", "0"))["indexed"] == 0
    assert summary(index(photos))["indexed"] == 4


@pytest.mark.usefixtures("networks_each_time")
@pytest.mark.slow
def test_vectors_do_not_depend_on_how_the_work_was_divided(
    index: Callable[..., Result],
    library_url: str,
    empty_url: str,
    arguments: list[object],
    lfw_photos: list[Path],
    tmp_path: Path,
) -> None:
    parts = [copy_photos(lfw_photos[i * 6 : i * 6 + 6], tmp_path / "root" / f"g{i}") for i in range(3)]
    assert index(tmp_path / "root", "--concurrency", "1").status == 0
    assert run("migrate", "--database", empty_url).status == 0
    for part in reversed(parts):
        more = ["--concurrency", "3", "--database", empty_url]
        assert run("index", "--target", part, *arguments, *more).status == 0
    assert contents(empty_url) == contents(library_url)


@pytest.mark.slow
def test_four_at_once_do_each_image_exactly_once(
    library_url: str, arguments: list[object], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:30], tmp_path / "photos")
    copy_photos(lfw_photos[:10], tmp_path / "photos" / "copies")
    line = ("index", "--target", photos, *arguments, "--database", library_url)
    with unhurried(), ExitStack() as stack:
        running = [stack.enter_context(forked(*line)) for _ in range(4)]
        ended = [(process.communicate(timeout=2 * PATIENCE_S), process.returncode) for process in running]
    assert [status for _, status in ended] == [0] * 4, ended
    totals = [json.loads(out) for (out, _), _ in ended]
    assert sum(total["indexed"] for total in totals) == 30
    assert sum(total["aliases"] for total in totals) == 10
    vectors, paths = contents(library_url)
    assert (len(paths), len(set(paths.values()))) == (40, 30)
    assert sum(total["faces"] for total in totals) == len(vectors) > 0
    scans = b"SELECT (SELECT count(*) FROM images), count(*), count(DISTINCT image_id) FROM face_scans"
    assert query(library_url, scans) == [(30, 30, 30)]


@pytest.mark.slow
def test_a_killed_index_leaves_only_whole_images_and_the_next_ends_as_an_undisturbed_one(
    library_url: str,
    empty_url: str,
    arguments: list[object],
    lfw_photos: list[Path],
    tmp_path: Path,
) -> None:
    photos = copy_photos(lfw_photos[:24], tmp_path / "photos")
    rng = random.Random(7)
    line = ("index", "--target", photos, *arguments, "--database", library_url)
    kills = 0
    for more, longest_s in ((0, 0.5), (1, 0.1), (1, 0.1), (1, 0.1)):
        kills += was_killed(line, library_url, more, rng.uniform(0.0, longest_s))
        assert_whole(library_url)
    assert kills >= 3
    assert run("index", "--target", photos, *arguments, "--database", library_url).status == 0
    run("migrate", "--database", empty_url)
    run("index", "--target", photos, *arguments, "--database", empty_url)
    assert contents(library_url) == contents(empty_url)


@contextmanager
def storing_every(files: int) -> Iterator[None]:
    """What is forked within this stores after so few files, so that it can be ended between."""
    take = Pipeline._take

    def take_and_store(self: Pipeline, result: ReadResult) -> None:
        take(self, result)
        if self._unflushed >= files:
            self._flush()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "_take", take_and_store)
        yield


def was_killed(line: Sequence[object], url: str, images: int, later_s: float) -> bool:
    """Run this and kill it a while after so many images more were done; False if it had ended by then."""

    def done() -> int:
        return len(query(url, b"SELECT FROM face_scans"))

    wanted = done() + images
    with unhurried(0.2), storing_every(3), forked(*line) as process:
        wait_for(lambda: done() >= wanted or process.poll() is not None)
        time.sleep(later_s)
    return process.returncode == -signal.SIGKILL


def assert_whole(url: str) -> None:
    """Every image with a scan has its faces, and every face its vector."""
    assert query(url, b"SELECT count(*) FROM images WHERE id NOT IN (SELECT image_id FROM face_scans)") == [
        (0,)
    ]
    assert query(
        url, b"SELECT count(*) FROM face_detections WHERE id NOT IN (SELECT face_id FROM face_embeddings)"
    ) == [(0,)]
    assert query(url, b"SELECT count(*) FROM image_paths WHERE image_id IS NULL AND reason = ''") == [(0,)]


@pytest.mark.slow
def test_a_stop_signal_ends_cleanly_and_keeps_what_is_done(
    library_url: str, arguments: list[object], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:30], tmp_path / "photos")
    line = ("index", "--target", photos, *arguments, "--database", library_url)
    with unhurried(), forked(*line) as process:
        wait_for(lambda: query(library_url, _ADVISORY_LOCKS) != [(0,)])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, err
    assert json.loads(out)["stopped"]
    assert_whole(library_url)


@pytest.mark.slow
def test_a_database_that_restarts_under_a_run_does_not_disturb_it(
    lfw_photos: list[Path], arguments: list[object], tmp_path: Path, data_home: dict[str, str]
) -> None:
    photos = copy_photos(lfw_photos[:40], tmp_path / "photos")
    line = ("index", "--target", photos, *arguments)
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
    again = json.loads(run("index", "--target", photos, *arguments, env=data_home).out)
    assert (again["indexed"], again["unchanged"]) == (0, 40)


@pytest.mark.slow
def test_a_run_whose_database_is_gone_ends_when_it_is_told_to(
    server: Server, library_url: str, arguments: list[object], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:30], tmp_path / "photos")
    line = ("index", "--target", photos, *arguments, "--alone", "--database", library_url)
    with unhurried(), forked(*line) as process:
        wait_for(lambda: query(library_url, _ADVISORY_LOCKS) != [(0,)])
        close_to_all(server, library_url)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, err
    assert "did not come back" in err


def test_a_second_run_that_wants_to_be_alone_ends_with_status_75(
    library_url: str, arguments: list[object], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:30], tmp_path / "photos")
    options = ["index", "--target", photos, *arguments, "--alone", "--database", library_url]
    with unhurried(), forked(*options) as first:
        wait_for(lambda: query(library_url, _ADVISORY_LOCKS) != [(0,)])
        # Stopped, so that it is surely still at work when the other one asks.
        first.send_signal(signal.SIGSTOP)
        second = run(*options)
    assert second.status == 75
    assert "Another `facesets index --alone`" in second.err


def test_an_image_deleted_by_hand_is_indexed_again(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:3], tmp_path / "photos")
    index(photos)
    before = contents(library_url)
    with psycopg.connect(library_url) as connection:
        connection.execute("DELETE FROM images WHERE id = (SELECT min(id) FROM images)")
    assert summary(index(photos))["indexed"] == 1
    assert contents(library_url) == before


@pytest.mark.usefixtures("networks_each_time")
def test_faces_are_those_that_embed_finds(
    index: Callable[..., Result], library_url: str, pack_dir: Path, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:5], tmp_path / "photos")
    index(photos)
    run("embed", photos, tmp_path / "c.npz", "--pack", pack_dir, "--provider", "cpu")
    with np.load(tmp_path / "c.npz") as cache:
        expected = sorted(vector.tobytes() for vector in cache["face_embedding"])
    assert sorted(contents(library_url)[0].values()) == expected


def test_faces_get_their_pose_in_the_same_pass(
    index: Callable[..., Result], library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:2], tmp_path / "photos")
    assert summary(index(photos, "--enrich", "--fast-decode"))["faces"] >= 2
    posed = b"SELECT count(*) > 1, bool_and(pose_source > 0 AND enrich_state = 1) FROM face_detections"
    assert query(library_url, posed) == [(True, True)]
    given = b"SELECT options->>'enrich', options->>'fast_decode' FROM runs"
    assert query(library_url, given) == [("true", "true")]


@pytest.mark.parametrize("without_models", [["--ml-uri", "http://127.0.0.1:1"], ["--skip-faces"]])
def test_enriching_needs_the_models_here(
    index: Callable[..., Result], tmp_path: Path, without_models: list[str]
) -> None:
    result = index(tmp_path, "--enrich", *without_models)
    assert result.status == 2
    assert "facesets enrich" in result.err


def test_the_account_of_a_run_tells_where_its_time_went(
    index: Callable[..., Result], lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    shutil.copy2(lfw_photos[0], photos / "copy.jpg")
    account = tmp_path / "p.json"
    assert index(photos, "--profile", str(account)).status == 0
    profile = json.loads(account.read_text())
    counts = {name: stage["count"] for name, stage in profile["stages"].items()}
    # The copy may have been in the hands of another worker at first.
    assert counts["read"] == counts["hash"] >= 7
    assert counts["decode"] == counts["fingerprint"] == 6
    assert {"list and compare", "detect", "align", "recognise", "store"} <= counts.keys()
    assert profile["wall_s"] > 0
    assert profile["workers"] >= 1
    wrong = index(photos, "--profile", str(tmp_path / "p.txt"))
    assert wrong.status == 2
    assert ".json" in wrong.err


def test_a_library_that_began_with_the_open_pack_says_first_and_last_how_to_change_that(
    library_url: str, open_pack: Path, lfw_dir: Path, tmp_path: Path
) -> None:
    """As where the default pack cannot be fetched; what is suggested is run by a real shell."""
    photos = copy_photos(sorted(lfw_dir.glob("*/*_0001.jpg"))[:2], tmp_path / "photos")
    packs = tmp_path / "models" / "models"
    packs.mkdir(parents=True)
    (packs / "open").symlink_to(open_pack)
    env = {"DATABASE_URL": library_url, "FACESETS_MODELS": f"{packs.parent}", "FACESETS_PACK": ""}
    done = run("index", photos, "--skip-clip", "--stages", "detection", env=env)
    last = done.out.splitlines()[-1]
    assert "model pack open" in last
    assert "0.992" in last
    commands = re.findall("`facesets ([^`]+)`", last)
    assert shlex.split(commands[0]) == ["db", "psql", "-c", "DELETE FROM images; DELETE FROM persons"]
    assert shlex.split(commands[1]) == ["index", "PHOTOS", "--pack", "buffalo_l"]
    assert commands[0] in done.err
    # A library that holds faces has its pack, and nothing to say of it.
    again = run("index", photos, "--skip-clip", "--stages", "detection", env=env)
    assert "model pack" not in again.out + again.err
