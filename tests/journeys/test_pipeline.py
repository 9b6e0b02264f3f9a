"""`facesets pipeline`: one line in a crontab, whatever happens to its runs."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image
from tests.fixtures.forked import forked
from tests.fixtures.ml_service import ml_service
from tests.fixtures.program import Result, run
from tests.fixtures.waiting import wait_for

from facesets.errors import typed
from facesets.installation import EXTRAS, adding
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

Call = Callable[..., Result]

USUAL = ["index", "cluster", "assign", "centroids", "stats"]


@pytest.fixture
def photos(lfw_dir: Path, tmp_path: Path) -> Path:
    """Two photos of each of three people."""
    several = [sorted(folder.glob("*.jpg")) for folder in sorted(lfw_dir.iterdir())]
    for files in [files for files in several if len(files) >= 2][:3]:
        folder = tmp_path / "photos" / files[0].parent.name
        folder.mkdir(parents=True)
        for file in files[:2]:
            shutil.copy2(file, folder)
    return tmp_path / "photos"


@pytest.fixture
def how(pack_dir: Path) -> dict[str, str]:
    """Settings of `index` by the environment."""
    return {
        "FACESETS_INDEX_PACK": str(pack_dir),
        "FACESETS_INDEX_PROVIDER": "cpu",
        "FACESETS_INDEX_SKIP_CLIP": "1",
        "FACESETS_INDEX_STAGES": "detection",
        "FACESETS_INDEX_DET_SIZE": "320",
    }


@pytest.fixture
def pipeline(library_url: str, how: dict[str, str], tmp_path: Path) -> Call:
    def call(*arguments: object, **more: str) -> Result:
        env = how | {"DATABASE_URL": library_url} | more
        return run("pipeline", *arguments, env=env, cwd=tmp_path)

    return call


def reported(result: Result) -> dict[str, Any]:
    assert result.status in (0, 3), result.err
    parsed: dict[str, Any] = json.loads(result.out)
    return parsed


def left_out(summary: dict[str, Any]) -> list[str]:
    return [step["name"] for step in summary["steps"] if step["left_out"]]


def rows(url: str, sql: bytes) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


def people(url: str) -> set[frozenset[tuple[str, int]]]:
    """Return the faces of each person, by the contents of photos and the places of faces."""
    groups: dict[object, set[tuple[str, int]]] = {}
    found = rows(
        url,
        b"""SELECT i.sha256, f.ordinal, f.person_id FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.person_id IS NOT NULL""",
    )
    for sha256, ordinal, person in found:
        groups.setdefault(person, set()).add((sha256, ordinal))
    return set(map(frozenset, groups.values()))


def test_one_command_makes_people_of_photos_and_reports_in_one_line(
    pipeline: Call, photos: Path, library_url: str
) -> None:
    first = pipeline(photos)
    assert (first.status, first.err) == (0, "")
    (line,) = first.out.splitlines()
    assert "Added 6 photos" in line
    assert "In total 6 photos" in line
    found = people(library_url)
    assert found
    again = reported(pipeline(photos, "--json"))
    assert [step["name"] for step in again["steps"]] == USUAL
    assert (again["new_images"], again["failed"], again["went_on_at"], again["stopped"]) == (0, 0, "", False)
    assert again["library"]["images"] == 6
    assert again["steps"][1]["summary"]["new_persons"] == 0
    assert people(library_url) == found
    assert rows(library_url, b"SELECT count(*) FROM person_prototypes")[0][0] > 0


def test_photos_with_missing_files_count_nowhere_until_they_are_back(
    pipeline: Call, photos: Path, tmp_path: Path, library_url: str
) -> None:
    pipeline(photos)
    before = people(library_url)
    gone = sorted(photos.rglob("*.jpg"))[::2]
    for path in gone:
        path.rename(tmp_path / path.name)
    done = pipeline(photos)
    assert (done.status, done.err) == (0, "")
    assert "3 photos are missing: `facesets check` lists them. In total 3 photos" in done.out
    again = reported(pipeline(photos, "--json"))
    assert (again["missing"], again["library"]["images"], again["library"]["missing"]) == (3, 3, 3)
    for path in gone:
        (tmp_path / path.name).rename(path)
    back = reported(pipeline(photos, "--json"))
    assert (back["missing"], back["library"]["images"]) == (0, 6)
    assert people(library_url) == before


def test_quiet_prints_nothing_and_verbose_the_work_of_each_step(pipeline: Call, photos: Path) -> None:
    quiet = pipeline(photos, "-q")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    reported = pipeline(photos, "-v").err
    places = [reported.index(f"\n{name}: ") for name in USUAL]
    assert places == sorted(places)
    assert "already assigned" in reported


def test_the_targets_are_those_of_the_settings(pipeline: Call, photos: Path, tmp_path: Path) -> None:
    nowhere = pipeline()
    assert nowhere.status == 2
    assert 'targets = ["PHOTOS"] under [pipeline]' in nowhere.err
    one, other = (str(each) for each in sorted(photos.iterdir())[:2])
    settings = tmp_path / "facesets.toml"
    settings.write_text(f"[index]\ntarget = [{json.dumps(one)}]\n")
    assert reported(pipeline("--json"))["new_images"] == 2
    settings.write_text(f"[index]\ntarget = [{json.dumps(one)}]\n[pipeline]\ntargets = {json.dumps(other)}\n")
    assert reported(pipeline("--json"))["new_images"] == 2
    assert reported(pipeline(photos, "--json"))["library"]["images"] == 6


def test_a_photo_that_cannot_be_read_costs_that_photo(pipeline: Call, photos: Path) -> None:
    (photos / "torn.jpg").write_bytes(b"no picture")
    done = pipeline(photos)
    assert done.status == 3
    assert "torn.jpg: not a supported photo format" in done.err
    assert "1 failed." in done.out
    assert "In total 6 photos" in done.out
    assert pipeline(photos).status == 0
    assert pipeline(photos, "--strict").status == 3


def test_photos_without_a_face_are_no_failure(pipeline: Call, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    Image.new("RGB", (200, 200), (9, 99, 9)).save(tmp_path / "plain" / "green.jpg")
    summary = reported(pipeline(tmp_path / "plain", "--json"))
    assert [step["name"] for step in summary["steps"]] == ["index", "stats"]
    assert summary["library"]["faces"] == 0


def test_a_dry_run_stores_nothing(pipeline: Call, photos: Path, library_url: str) -> None:
    planned = pipeline(photos, "--dry-run")
    assert planned.status == 0
    assert "Nothing was stored." in planned.out
    assert rows(library_url, b"SELECT count(*) FROM images") == [(0,)]
    pipeline(photos)
    before = rows(library_url, b"SELECT id, person_id FROM face_detections ORDER BY id")
    summary = reported(pipeline(photos, "--dry-run", "--json"))
    assert [step["name"] for step in summary["steps"]] == ["index", "cluster", "assign", "stats"]
    assert rows(library_url, b"SELECT id, person_id FROM face_detections ORDER BY id") == before
    assert rows(library_url, b"SELECT count(*) FROM runs WHERE command = 'pipeline'") == [(1,)]


def test_known_people_come_first_with_dual(pipeline: Call, photos: Path) -> None:
    summary = reported(pipeline(photos, "--dual", "--json"))
    assert [step["name"] for step in summary["steps"]] == ["index", "dual", "stats"]
    assert summary["steps"][1]["summary"]["unknown"] is not None
    bounded = pipeline(photos, "--dual", FACESETS_INDEX_MAX_IMAGES="1")
    assert (bounded.status, "0 new clusters" in bounded.out) == (0, True)
    assert pipeline(photos, "--dual", "--full").status == 2


def test_no_password_of_a_service_is_stored_with_the_run(
    pipeline: Call, photos: Path, library_url: str
) -> None:
    with ml_service() as service:
        address = service.url.replace("://", "://anna:s3cret@")
        settings = {
            "FACESETS_INDEX_ML_URI": address,
            "FACESETS_INDEX_PACK": "",
            "FACESETS_INDEX_DET_SIZE": "",
        }
        done = pipeline(photos, **settings)
    assert done.status == 0, done.err
    (options,) = rows(library_url, b"SELECT options::text FROM runs WHERE command = 'pipeline'")[0]
    assert "127.0.0.1" in options
    assert "s3cret" not in options


def test_what_training_or_the_engine_of_the_settings_needs_is_asked_for_before_anything_is_done(
    pipeline: Call, photos: Path, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXTRAS, "train", ("no_such_module",))
    monkeypatch.setitem(sys.modules, "distributed", None)
    by = {"FACESETS_CLUSTER_ENGINE": "local", "FACESETS_CLUSTER_METHOD": "components"}
    for refused, extra in ((pipeline(photos, "--full"), "train"), (pipeline(photos, **by), "scale")):
        assert refused.status == 2
        assert typed(adding(extra)) in refused.err
    assert rows(library_url, b"SELECT count(*) FROM images") == [(0,)]
    assert pipeline(photos, "--dual", "--dry-run", **by).status == 0


def test_a_run_that_failed_goes_on_at_that_step(
    pipeline: Call, photos: Path, library_url: str, lfw_photos: list[Path]
) -> None:
    def fails_at_assign() -> None:
        with opened(Database(library_url)) as session, RunLock(session, "assign"):
            refused = pipeline(photos)
        assert (refused.status, "Another `facesets assign`" in refused.err) == (75, True)

    fails_at_assign()
    summary = reported(pipeline(photos, "--json"))
    assert (left_out(summary), summary["went_on_at"]) == (["cluster"], "assign")
    assert [step["name"] for step in summary["steps"]] == USUAL
    assert left_out(reported(pipeline(photos, "--json"))) == []
    fails_at_assign()
    assert left_out(reported(pipeline(photos, "--json", FACESETS_CLUSTER_MIN_SIZE="3"))) == []
    fails_at_assign()
    with psycopg.connect(library_url) as connection:
        connection.execute("UPDATE runs SET ended_at = now() - interval '13 hours'")
    assert left_out(reported(pipeline(photos, "--json"))) == []
    fails_at_assign()
    shutil.copy2(lfw_photos[-1], photos / "new.jpg")
    summary = reported(pipeline(photos, "--json"))
    assert (summary["new_images"], left_out(summary)) == (1, [])


def test_a_killed_run_goes_on_to_the_end_that_it_would_have_had(
    pipeline: Call, photos: Path, library_url: str, empty_url: str, how: dict[str, str]
) -> None:
    assert run("migrate", "--database", empty_url).status == 0
    assert pipeline(photos, DATABASE_URL=empty_url).status == 0
    killed_at = []
    for table in ("images", "steps", "person_prototypes"):
        with psycopg.connect(library_url) as holding:
            holding.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            env = how | {"DATABASE_URL": library_url}
            with forked("pipeline", photos, env=env) as process:
                wait_for(lambda: process.poll() is not None or _waits(library_url))
                assert process.poll() is None
                second = pipeline(photos)
                assert (second.status, "Another `facesets pipeline`" in second.err) == (75, True)
                killed_at.append(
                    rows(library_url, b"SELECT command FROM runs ORDER BY id DESC LIMIT 1")[0][0]
                )
                process.kill()
        # The killed run's session ends when it has what it waits for.
        wait_for(lambda: not _holds(library_url))
    assert killed_at[:2] == ["index", "cluster"]
    assert killed_at[2] != "index"
    assert pipeline(photos).status == 0
    assert people(library_url) == people(empty_url)
    prototypes = b"SELECT count(*), count(DISTINCT person_id) FROM person_prototypes"
    assert rows(library_url, prototypes) == rows(empty_url, prototypes)


def _waits(url: str) -> bool:
    """Whether a session waits for a table."""
    return _has_locks(url, b"NOT granted AND locktype = 'relation'")


def _holds(url: str) -> bool:
    """Whether a session holds the lock of a run."""
    return _has_locks(url, b"locktype = 'advisory'")


def _has_locks(url: str, which: bytes) -> bool:
    of_this = b"""SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND """
    return bool(rows(url, of_this + which))
