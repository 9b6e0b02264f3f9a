"""A newcomer's day with a library and no server, and its owner's way to the database."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import Result, command, environment, run
from tests.fixtures.waiting import PATIENCE_S

from facesets.files import FileLock
from facesets.store.postgres.server.embedded import EmbeddedServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


def of_two(lfw_dir: Path, wanted: slice) -> list[Path]:
    """Photos of two people."""
    several = [sorted((lfw_dir / name).glob("*.jpg"))[wanted] for name in ("Ariel_Sharon", "Hugo_Chavez")]
    return [photo for photos in several for photo in photos]


@pytest.fixture
def photos(lfw_dir: Path, tmp_path: Path) -> Path:
    """Four photos of each of two people."""
    return copy_photos(of_two(lfw_dir, slice(4)), tmp_path / "photos")


def test_a_library_without_a_server_is_filled_looked_into_and_restored_elsewhere(
    photos: Path,
    pack_dir: Path,
    data_home: dict[str, str],
    library_url: str,
    empty_url: str,
    tmp_path: Path,
) -> None:
    def facesets(*arguments: object, status: int = 0) -> Result:
        done = run(*arguments, env=data_home)
        assert done.status == status, done.err
        return done

    def counts(url: str | None = None) -> dict[str, int]:
        totals = json.loads(facesets("stats", "--json", *(("--database", url) if url else ())).out)
        return {name: totals[name] for name in ("images", "faces", "assigned", "persons")}

    facesets("index", "--target", photos, "--pack", pack_dir)
    assert json.loads(facesets("cluster", "--threshold", "0.4", "--json").out)["new_persons"] >= 1
    before = counts()
    assert before["images"] == 8
    assert before["assigned"] > 0
    facesets("check")

    backup = tmp_path / "b.dump"
    facesets("db", "backup", backup)
    first = backup.read_bytes()
    for flags in ([], ["--dry-run"]):
        assert "already" in facesets("db", "backup", backup, *flags, status=2).err
    assert backup.read_bytes() == first
    facesets("db", "backup", backup, "--replace")
    assert "already" in facesets("db", "restore", backup, status=2).err
    facesets("db", "restore", backup, "--database", empty_url)
    facesets("db", "restore", backup, "--database", library_url, "--replace")
    assert counts(empty_url) == counts(library_url) == before

    with psycopg.connect(library_url) as connection:
        connection.execute("DROP TABLE face_detections CASCADE")
    at = ("--database", library_url)
    assert "db restore FILE --replace" in facesets("stats", *at, status=2).err
    facesets("db", "restore", backup, "--replace", *at)
    facesets("check", *at)

    for statement in ("UPDATE face_detections SET person_id = NULL;", "DELETE FROM persons;"):
        facesets("db", "psql", "-c", statement)
    facesets("db", "psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nonsense", status=1)
    url = facesets("db", "url").out.strip()
    psql = str(EmbeddedServer(Path(data_home["FACESETS_DATA"]) / "postgres").programs().path("psql"))
    line = [psql, "-X", "-At", url, "-c", "SELECT count(*), count(person_id) > 0 FROM face_detections"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.endswith("|f\n")
    assert "Stopped the embedded server" in facesets("db", "stop").out
    assert subprocess.run(line, capture_output=True, check=False).returncode != 0
    assert json.loads(facesets("db", "stop", "--json").out) == {"stopped": False}

    with ExitStack() as stack:
        running = [stack.enter_context(forked("stats", "--json", env=data_home)) for _ in range(4)]
        ended = [(process.communicate(timeout=PATIENCE_S), process.returncode) for process in running]
    assert [status for _, status in ended] == [0] * 4, ended


def test_index_assign_gives_new_photos_to_the_people_on_them(
    lfw_dir: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    def indexed(photos: Sequence[Path], name: str, *flags: str) -> Result:
        target = copy_photos(photos, tmp_path / name)
        done = run("index", "--target", target, "--pack", pack_dir, "--assign", *flags, env=named)
        assert done.status == 0, done.err
        return done

    named = {"DATABASE_URL": library_url}
    assert "0 faces matched to people, 0 for review." in indexed(of_two(lfw_dir, slice(5)), "first").out
    assert run("cluster", "--threshold", "0.4", env=named).status == 0
    summary = json.loads(indexed(of_two(lfw_dir, slice(5, 8))[:3], "later", "--json").out)
    assert (summary["indexed"], summary["assigned"] + summary["to_review"]) == (3, 3)
    assert summary["assigned"] >= 2
    assert f"{summary['assigned']} faces assigned" in run("people", "log", env=named).out
    assert run("index", "--target", tmp_path, "--assign", "--skip-faces", env=named).status == 2


def test_ctrl_c_cancels_a_line_of_psql_and_does_not_end_it(library_url: str) -> None:
    line = command("db", "psql", "-X", "-P", "pager=off", "--database", library_url)
    pid, terminal = pty.fork()
    if not pid:
        os.execve(line[0], line, environment())

    def read_until(what: bytes, *, within_s: float = PATIENCE_S) -> bool:
        reported = b""
        while what not in reported and select.select([terminal], [], [], within_s)[0]:
            reported += os.read(terminal, 4096)
        return what in reported

    try:
        assert read_until(b"=# ")
        os.write(terminal, b"SELECT nonsense\x03")
        # It prints the prompt a moment before it can be interrupted; then it wants to be told again.
        for _ in range(12):
            if read_until(b"=# ", within_s=5):
                break
            os.write(terminal, b"\x03")
        # Python waits half as long for a child that was interrupted with it.
        time.sleep(0.5)
        os.write(terminal, b"SELECT 6 * 7 AS answer;\r")
        assert read_until(b"42")
        os.write(terminal, b"\\q\r")
        assert read_until(b"q")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)


def test_a_user_who_cannot_make_the_extension_is_told_who_can(empty_url: str) -> None:
    with psycopg.connect(empty_url) as superuser:
        superuser.execute("CREATE EXTENSION vector")
        superuser.execute("GRANT ALL ON SCHEMA public TO pg_monitor")
    # A role that every server has, and that may do little.
    migrated = run("migrate", "--database", empty_url, env={"PGOPTIONS": "-c role=pg_monitor"})
    assert migrated.status == 0, migrated.err
    assert "GRANT CREATE ON DATABASE" in migrated.out + migrated.err


@pytest.mark.parametrize(
    ("words", "status", "reported"),
    [
        ("restore nosuch", 2, "File not found"),
        ("restore text --replace", 1, "is not a backup"),
        ("backup text --replace", 1, "is not a backup"),
        ("backup mnt/b.dump", 2, "Mount its disk"),
        ("backup mnt/b.dump --dry-run", 2, "Mount its disk"),
        ("restore half.dump --replace", 1, "half.dump is incomplete or damaged. Nothing was restored"),
        ("restore half.dump --replace", 1, "Copy the file again, or use another backup."),
    ],
)
def test_an_invalid_backup_is_reported_and_nothing_is_changed(
    library_url: str, tmp_path: Path, words: str, status: int, reported: str
) -> None:
    at = ("--database", library_url)
    (tmp_path / "text").write_text("hello")
    run("db", "backup", tmp_path / "half.dump", *at)
    whole = (tmp_path / "half.dump").read_bytes()
    (tmp_path / "half.dump").write_bytes(whole[: len(whole) // 4])
    result = run("db", *words.split(), *at, cwd=tmp_path)
    assert (result.status, reported in result.err) == (status, True), result.err
    assert (tmp_path / "text").read_text() == "hello"
    assert not (tmp_path / "mnt").exists()
    assert run("check", *at).status == 0


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    for line in (("stats",), ("db", "backup", tmp_path / "b.dump")):
        result = run(*line, "--database", "postgresql://me:s3cr3t@127.0.0.1:1/photos")
        assert result.status == 2
        assert result.err.startswith("facesets: Cannot connect to the database photos at 127.0.0.1:1")
        assert "s3cr3t" not in result.err + result.out


def test_no_backup_is_made_of_nothing_or_gives_way_to_an_empty_one(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "b.dump"
    assert run("db", "backup", backup, "--database", library_url).status == 0
    stored = backup.read_bytes()
    for flags in (["--replace"], ["--replace", "--dry-run"]):
        for url, reported in ((empty_url, "There is no library in"), (library_url, "There are no photos in")):
            refused = run("db", "backup", backup, "--database", url, *flags)
            assert (refused.status, reported in refused.err) == (2, True)
    assert run("db", "backup", tmp_path / "new.dump", "--database", empty_url).status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b.dump"]
    assert backup.read_bytes() == stored


def test_a_backup_belongs_to_its_owner_and_cleans_up_after_a_killed_one(
    library_url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "b.dump"
    (tmp_path / ".b.dump.half.tmp").write_text("half")
    with FileLock(tmp_path / "b.dump.lock", what="it"):
        assert run("db", "backup", backup, "--database", library_url).status == 75
    assert run("db", "backup", backup, "--database", library_url).status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["b.dump"]
    assert backup.stat().st_mode & 0o777 == 0o600


def test_commands_about_the_database_speak_json_and_can_be_rehearsed(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    def answer(*words: object, url: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(run(*words, "--json", "--database", url).out)
        return answer

    backup = tmp_path / "b.dump"
    assert answer("db", "backup", backup, "--dry-run", url=library_url)["dry_run"]
    assert list(tmp_path.glob("*.dump")) == []
    assert answer("db", "backup", backup, url=library_url)["megabytes"]
    assert "dbname=" in str(answer("db", "url", url=library_url)["url"])
    pending = answer("migrate", "--dry-run", url=empty_url)["pending"]
    assert answer("db", "restore", backup, "--dry-run", url=empty_url)["dry_run"]
    assert answer("migrate", "--status", url=empty_url)["pending"] == pending != 0
    assert not answer("db", "restore", backup, url=empty_url)["replaced"]
    assert answer("migrate", "--status", url=empty_url)["pending"] == 0


def test_a_database_may_be_named_in_the_configuration_file(library_url: str, tmp_path: Path) -> None:
    (tmp_path / "facesets.toml").write_text(f'database = "{library_url}"\n')
    assert run("stats", cwd=tmp_path).status == 0


def test_faces_of_several_models_coexist_only_until_there_are_people(
    photos: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    def facesets(*words: object, status: int = 0) -> Result:
        env = {"DATABASE_URL": library_url, "FACESETS_MODELS": str(pack_dir.parent)}
        done = run(*words, env=env)
        assert done.status == status, done.err
        return done

    def people() -> Any:
        return json.loads(facesets("people", "list", "--json").out)["people"]

    first = ["index", "--target", photos, "--pack", pack_dir.name, "--skip-clip"]
    for det_size in ("320", "640"):
        facesets(*first, "--det-size", det_size)
    with psycopg.connect(library_url) as connection:
        scans = connection.execute("SELECT count(*) FROM face_scans GROUP BY detector_id").fetchall()
        assert scans == [(8,), (8,)]
    assert json.loads(facesets("cluster", "--threshold", "0.4", "--json").out)["new_persons"] > 0
    # The documented remedy.
    facesets("db", "psql", "-c", "DELETE FROM images; DELETE FROM persons")
    facesets(*first, "--det-size", "320")
    facesets("cluster", "--threshold", "0.4")
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, id::text FROM persons")
    known = json.loads(facesets("stats", "--json").out)
    assert "--det-size 320" in facesets(*first, "--det-size", "640", status=2).err
    cache = tmp_path / "c.npz"
    facesets("embed", photos, cache, "--pack", pack_dir.name, "--det-size", "640")
    facesets("import-cache", cache, status=2)
    # Without an option the library's own models are used, and all people stay.
    again = json.loads(facesets("index", "--target", photos, "--skip-clip", "--json").out)
    assert (again["indexed"], again["completed"]) == (0, 0)
    assert json.loads(facesets("cluster", "--threshold", "0.4", "--json").out)["new_persons"] == 0
    stats = json.loads(facesets("stats", "--json").out)
    assert known["named"] > 0
    for count in ("named", "persons", "faces", "assigned", "models"):
        assert stats[count] == known[count]
    facesets("people", "name", people()[0]["id"], "Anna")
    facesets("db", "psql", "-c", "DELETE FROM images; DELETE FROM persons; DELETE FROM person_corrections")
    facesets(*first, "--det-size", "640")
    facesets("cluster", "--threshold", "0.4")
    assert [each for each in people() if each["names"]] == []
