"""A newcomer's day with a library and no server, and its owner's way to the database."""

import json
import os
import pty
import select
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from tests.fixtures.forked import forked
from tests.fixtures.photos import copy_photos
from tests.fixtures.postgres import Server
from tests.fixtures.program import Result, command, environment, run
from tests.fixtures.waiting import PATIENCE_S

from facesets.files import FileLock
from facesets.store.postgres.server.embedded import EmbeddedServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

Home = dict[str, str]


@pytest.fixture
def photos(lfw_dir: Path, tmp_path: Path) -> Path:
    """Two people with four photos each, and one with one."""
    chosen = [sorted((lfw_dir / name).glob("*.jpg"))[:4] for name in ("Ariel_Sharon", "Hugo_Chavez")]
    return copy_photos([photo for photos in chosen for photo in photos], tmp_path / "photos")


def facesets(home: Home, *arguments: object) -> Result:
    return run(*arguments, env=home)


def test_index_cluster_stats_need_no_server_and_no_preparation(
    photos: Path, pack_dir: Path, data_home: Home
) -> None:
    assert facesets(data_home, "index", "--target", photos, "--pack", pack_dir).status == 0
    clustered = facesets(data_home, "cluster", "--threshold", "0.4", "--json")
    assert clustered.status == 0, clustered.err
    assert json.loads(clustered.out)["new_persons"] >= 1
    totals = json.loads(facesets(data_home, "stats", "--json").out)
    assert totals["images"] == len(list(photos.iterdir()))
    assert totals["assigned"] > 0
    assert facesets(data_home, "check").status == 0


def test_index_assign_gives_new_photos_to_the_people_on_them(
    lfw_dir: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    named = {"DATABASE_URL": library_url}
    of_anybody = [sorted((lfw_dir / name).glob("*.jpg")) for name in ("Ariel_Sharon", "Hugo_Chavez")]
    first = copy_photos([photo for photos in of_anybody for photo in photos[:5]], tmp_path / "first")
    nobody_yet = run("index", "--target", first, "--pack", pack_dir, "--assign", env=named)
    assert nobody_yet.status == 0, nobody_yet.err
    assert "0 given to people, 0 to be asked about." in nobody_yet.out
    assert run("cluster", "--threshold", "0.4", env=named).status == 0
    later = copy_photos(of_anybody[0][5:8], tmp_path / "later")
    found = run("index", "--target", later, "--pack", pack_dir, "--assign", "--json", env=named)
    summary = json.loads(found.out)
    assert (summary["indexed"], summary["assigned"] + summary["to_review"]) == (3, 3)
    assert summary["assigned"] >= 2
    log = run("people", "log", env=named).out
    assert f"{summary['assigned']} faces assigned" in log
    refused = run("index", "--target", later, "--assign", "--skip-faces", env=named)
    assert refused.status == 2


def test_refine_makes_the_same_sets_of_the_library_as_of_a_cache(
    photos: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    named = {"DATABASE_URL": library_url}
    gates = ["--min-faces", "2", "--min-short", "0", "--min-blur", "0", "--no-sheet"]
    assert run("index", "--target", photos, "--pack", pack_dir, env=named).status == 0
    assert run("export-cache", tmp_path / "c.npz", env=named).status == 0
    of_library = run("refine", tmp_path / "library", *gates, env=named)
    of_cache = run("refine", tmp_path / "c.npz", tmp_path / "cache", *gates)
    assert (of_library.status, of_cache.status) == (0, 0), of_library.err + of_cache.err
    listed = [
        sorted(str(p.relative_to(root)) for p in root.rglob("*.jpg"))
        for root in (tmp_path / "library", tmp_path / "cache")
    ]
    assert listed[0] == listed[1]
    assert listed[0]


@pytest.mark.slow
def test_sorted_folders_and_eras_are_the_same_of_the_library_as_of_a_cache(
    photos: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    named = {"DATABASE_URL": library_url}
    assert run("index", "--target", photos, "--pack", pack_dir, env=named).status == 0
    assert run("export-cache", tmp_path / "c.npz", env=named).status == 0
    rules = ("--min-face-short", 0, "--out-size", 128, "--no-sheet", "--pack", pack_dir)
    loose = ("--recover-threshold", 1.2, "--recentre-threshold", 1.2, "--min-short", 0, "--min-blur", 0)
    eras = ("--set", "us", *loose, "--split-threshold", 0.6, "--min-era-faces", 3, "--force")
    trees = []
    for out, cache in ((tmp_path / "library", ()), (tmp_path / "cache", (tmp_path / "c.npz",))):
        folder = ("--folder", f"us={photos}", "--first-threshold", 1, "--second-threshold", 1)
        imported = run("import-folders", *cache, out, *folder, *rules, "--outlier-threshold", 1, env=named)
        assert imported.status == 0, imported.err
        split = run("split-eras", *cache, out, *eras, "--years", tmp_path / "y.npz", *rules, env=named)
        assert split.status == 0, split.err
        trees.append({str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.fsz")})
    assert trees[0] == trees[1]
    assert {"us/us_all.fsz"} < set(trees[0])


@pytest.mark.slow
def test_psql_and_url_reach_the_embedded_library_and_resets_work_there(
    photos: Path, pack_dir: Path, data_home: Home
) -> None:
    facesets(data_home, "index", "--target", photos, "--pack", pack_dir)
    facesets(data_home, "cluster", "--threshold", "0.4")
    for statement in ("UPDATE face_detections SET person_id = NULL;", "DELETE FROM persons;"):
        assert facesets(data_home, "db", "psql", "-c", statement).status == 0
    url = facesets(data_home, "db", "url").out.strip()
    psql = str(EmbeddedServer(Path(data_home["FACESETS_DATA"]) / "postgres").programs().path("psql"))
    line = [psql, "-X", "-At", url, "-c", "SELECT count(*), count(person_id) > 0 FROM face_detections"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.endswith("|f\n")
    assert "is stopped" in facesets(data_home, "db", "stop").out
    assert subprocess.run(line, capture_output=True, check=False).returncode != 0


def test_psql_that_fails_gives_its_status(data_home: Home) -> None:
    assert facesets(data_home, "db", "psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nonsense").status == 1


def test_ctrl_c_cancels_a_line_of_psql_and_does_not_end_it(library_url: str) -> None:
    line = command("db", "psql", "-X", "-P", "pager=off", "--database", library_url)
    pid, terminal = pty.fork()
    if not pid:
        os.execve(line[0], line, environment())

    def read_until(what: bytes, *, within_s: float = PATIENCE_S) -> bool:
        said = b""
        while what not in said and select.select([terminal], [], [], within_s)[0]:
            said += os.read(terminal, 4096)
        return what in said

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


@pytest.mark.slow
def test_a_backup_restores_the_library_as_it_was(
    photos: Path, pack_dir: Path, data_home: Home, library_url: str, empty_url: str, tmp_path: Path
) -> None:
    facesets(data_home, "index", "--target", photos, "--pack", pack_dir)
    facesets(data_home, "cluster", "--threshold", "0.4")
    before = json.loads(facesets(data_home, "stats", "--json").out)
    assert facesets(data_home, "db", "backup", tmp_path / "b.dump").status == 0
    first = (tmp_path / "b.dump").read_bytes()
    for flags in ([], ["--dry-run"]):
        kept = facesets(data_home, "db", "backup", tmp_path / "b.dump", *flags)
        assert (kept.status, "already" in kept.err) == (2, True)
    assert (tmp_path / "b.dump").read_bytes() == first
    assert facesets(data_home, "db", "backup", tmp_path / "b.dump", "--replace").status == 0
    again = facesets(data_home, "db", "restore", tmp_path / "b.dump")
    assert (again.status, "already" in again.err) == (2, True)
    assert run("db", "restore", tmp_path / "b.dump", "--database", empty_url).status == 0
    for extra in ([empty_url], [library_url, "--replace"]):
        url, *flags = extra
        if flags:
            assert run("db", "restore", tmp_path / "b.dump", "--database", url, *flags).status == 0
        after = json.loads(run("stats", "--database", url, "--json").out)
        assert {k: after[k] for k in ("images", "faces", "assigned", "persons")} == {
            k: before[k] for k in ("images", "faces", "assigned", "persons")
        }


def test_who_is_no_superuser_restores_a_library_whose_extension_a_superuser_made(
    empty_url: str, tmp_path: Path
) -> None:
    def make_room() -> None:
        with psycopg.connect(empty_url) as superuser:
            superuser.execute("DROP SCHEMA public CASCADE")
            superuser.execute("CREATE SCHEMA public")
            superuser.execute("CREATE EXTENSION vector")
            superuser.execute("GRANT ALL ON SCHEMA public TO pg_monitor")

    make_room()
    # A role that every server has, and that may do little.
    named = ("--database", conninfo.make_conninfo(empty_url, options="-c role=pg_monitor"))
    migrated = run("migrate", *named)
    assert migrated.status == 0, migrated.err
    assert "GRANT CREATE ON DATABASE" in migrated.out + migrated.err
    assert run("db", "backup", tmp_path / "b.dump", *named).status == 0
    replaced = run("db", "restore", tmp_path / "b.dump", "--replace", *named)
    assert replaced.status == 0, replaced.err
    make_room()
    restored = run("db", "restore", tmp_path / "b.dump", *named)
    assert restored.status == 0, restored.err
    assert run("stats", *named).status == 0


def test_a_file_that_is_no_backup_changes_nothing(library_url: str, tmp_path: Path) -> None:
    (tmp_path / "b.dump").write_text("hello")
    result = run("db", "restore", tmp_path / "b.dump", "--database", library_url, "--replace")
    assert (result.status, "is no backup" in result.err) == (1, True)
    result = run("db", "backup", tmp_path / "b.dump", "--database", library_url, "--replace")
    assert (result.status, "is no backup" in result.err) == (1, True)
    assert (tmp_path / "b.dump").read_text() == "hello"


def test_a_backup_brings_back_a_table_that_was_dropped_by_hand(library_url: str, tmp_path: Path) -> None:
    named = ("--database", library_url)
    assert run("db", "backup", tmp_path / "b.dump", *named).status == 0
    with psycopg.connect(library_url) as connection:
        connection.execute("DROP TABLE face_detections CASCADE")
    refused = run("stats", *named)
    assert (refused.status, "db restore FILE --replace" in refused.err) == (2, True)
    assert run("db", "restore", tmp_path / "b.dump", "--replace", *named).status == 0
    assert run("check", *named).status == 0


def test_no_backup_is_made_of_nothing_or_gives_way_to_an_empty_one(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "b.dump"
    assert run("db", "backup", backup, "--database", library_url).status == 0
    kept = backup.read_bytes()
    for flags in (["--replace"], ["--replace", "--dry-run"]):
        for url, said in ((empty_url, "There is no library in"), (library_url, "holds no images")):
            refused = run("db", "backup", backup, "--database", url, *flags)
            assert (refused.status, said in refused.err) == (2, True)
    assert run("db", "backup", tmp_path / "new.dump", "--database", empty_url).status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b.dump"]
    assert backup.read_bytes() == kept


def test_the_backup_of_another_program_takes_no_library_away(
    server: Server, library_url: str, empty_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE mine (text text)")
    pg_dump = str(Path(server.psql()).with_name("pg_dump"))
    subprocess.run([pg_dump, "-Fc", "-f", str(tmp_path / "b.dump"), empty_url], check=True)
    refused = run("db", "restore", tmp_path / "b.dump", "--database", library_url, "--replace")
    assert (refused.status, "holds no library" in refused.err) == (1, True)
    assert run("stats", "--database", library_url).status == 0


def test_a_backup_belongs_to_its_owner_and_clears_up_after_one_that_was_killed(
    library_url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "b.dump"
    (tmp_path / ".b.dump.half.tmp").write_text("half")
    with FileLock(tmp_path / "b.dump.lock", what="it"):
        assert run("db", "backup", backup, "--database", library_url).status == 75
    assert run("db", "backup", backup, "--database", library_url).status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["b.dump"]
    assert backup.stat().st_mode & 0o777 == 0o600


def test_what_is_wrong_with_a_backup_or_a_server_is_said_as_everywhere(
    library_url: str, tmp_path: Path
) -> None:
    missing = run("db", "restore", tmp_path / "nosuch", "--database", library_url)
    assert (missing.status, "There is no file" in missing.err) == (2, True)
    nowhere = run("db", "backup", tmp_path / "b.dump", "--database", "postgresql://127.0.0.1:1/photos")
    assert (nowhere.status, "Cannot reach" in nowhere.err) == (2, True)


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_a_backup_to_a_disk_that_is_not_mounted_makes_no_folder(
    library_url: str, tmp_path: Path, flags: list[str]
) -> None:
    place = tmp_path / "mnt" / "b.dump"
    result = run("db", "backup", place, "--database", library_url, *flags)
    assert (result.status, "Is its disk mounted?" in result.err) == (2, True)
    assert not place.parent.exists()


def test_half_a_backup_and_one_into_tables_that_are_in_its_way_change_nothing(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    backup = tmp_path / "b.dump"
    assert run("db", "backup", backup, "--database", library_url).status == 0
    (tmp_path / "half.dump").write_bytes(backup.read_bytes()[: backup.stat().st_size // 4])
    half = run("db", "restore", tmp_path / "half.dump", "--database", empty_url)
    assert half.status == 1
    assert f"{tmp_path / 'half.dump'} is incomplete or damaged, and nothing was restored" in half.err
    assert "Copy it again from where it was made, or choose another backup." in half.err
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE runs (mine text)")
    taken = run("db", "restore", backup, "--database", empty_url)
    assert (taken.status, "already exists" in taken.err) == (1, True)
    with psycopg.connect(empty_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert tables.fetchall() == [("runs",)]


def test_every_command_about_the_database_speaks_json_and_can_be_rehearsed(
    data_home: Home, library_url: str, empty_url: str, tmp_path: Path
) -> None:
    named = ["--json", "--database", library_url]
    rehearsed = json.loads(run("db", "backup", tmp_path / "b.dump", "--dry-run", *named).out)
    assert (rehearsed["dry_run"], list(tmp_path.glob("*.dump"))) == (True, [])
    assert json.loads(run("db", "backup", tmp_path / "b.dump", *named).out)["megabytes"] > 0
    assert "dbname=" in json.loads(run("db", "url", *named).out)["url"]
    elsewhere = ["--json", "--database", empty_url]
    pending = json.loads(run("migrate", "--dry-run", *elsewhere).out)["pending"]
    assert json.loads(run("db", "restore", tmp_path / "b.dump", "--dry-run", *elsewhere).out)["dry_run"]
    assert json.loads(run("migrate", "--status", *elsewhere).out)["pending"] == pending > 0
    assert not json.loads(run("db", "restore", tmp_path / "b.dump", *elsewhere).out)["replaced"]
    assert json.loads(run("migrate", "--status", *elsewhere).out)["pending"] == 0
    assert json.loads(facesets(data_home, "db", "stop", "--json").out) == {"stopped": False}


def test_under_cron_the_library_says_nothing_but_what_is_wrong(
    photos: Path, pack_dir: Path, library_url: str
) -> None:
    named = {"DATABASE_URL": library_url}
    run("index", "--target", photos, "--pack", pack_dir, env=named)
    clustered = run("cluster", "--threshold", "0.4", "-q", env=named)
    assert (clustered.status, clustered.out, clustered.err) == (0, "", "")
    assert json.loads(run("cluster", "--json", env=named).out)["kept"] > 0
    assert "had a person" in run("cluster", "--dry-run", env=named).out


@pytest.mark.slow
def test_commands_at_the_same_time_share_the_server(data_home: Home) -> None:
    with ExitStack() as stack:
        running = [stack.enter_context(forked("stats", "--json", env=data_home)) for _ in range(4)]
        ended = [(process.communicate(timeout=PATIENCE_S), process.returncode) for process in running]
    assert [status for _, status in ended] == [0] * 4, ended


def test_a_named_database_wants_to_be_migrated_first(empty_url: str) -> None:
    outdated = run("stats", "--database", empty_url)
    assert outdated.status == 2
    assert "Run `facesets migrate`" in outdated.err
    assert json.loads(run("migrate", "--status", "--json", "--database", empty_url).out)["pending"] > 0
    assert run("migrate", "--database", empty_url).status == 0
    assert run("stats", "--database", empty_url).status == 0


def test_an_unreachable_database_is_a_sentence_without_its_password() -> None:
    result = run("stats", "--database", "postgresql://me:s3cr3t@127.0.0.1:1/photos")
    assert result.status == 2
    assert result.err.startswith("facesets: Cannot reach the database photos at 127.0.0.1:1")
    assert "s3cr3t" not in result.err + result.out


def test_a_database_may_be_named_in_the_configuration_file(library_url: str, tmp_path: Path) -> None:
    (tmp_path / "facesets.toml").write_text(f'database = "{library_url}"\n')
    assert run("stats", cwd=tmp_path).status == 0


@pytest.mark.slow
def test_faces_found_otherwise_never_come_beside_the_people_of_a_library(
    photos: Path, pack_dir: Path, library_url: str, tmp_path: Path
) -> None:
    named = {"DATABASE_URL": library_url, "FACESETS_MODELS": str(pack_dir.parent)}
    first = ["index", "--target", photos, "--pack", pack_dir.name, "--skip-clip"]
    assert run(*first, "--det-size", "320", env=named).status == 0
    assert run("cluster", "--threshold", "0.4", env=named).status == 0
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, id::text FROM persons")
    before = run("stats", "--json", env=named).out
    refused = run(*first, "--det-size", "640", env=named)
    assert refused.status == 2
    assert "--det-size 320" in refused.err
    cache = tmp_path / "c.npz"
    assert run("embed", photos, cache, "--pack", pack_dir.name, "--det-size", "640", env=named).status == 0
    assert run("import-cache", cache, env=named).status == 2
    # Without a word about it the library's own way goes on, and everybody stays who they are.
    again = json.loads(run("index", "--target", photos, "--skip-clip", "--json", env=named).out)
    assert (again["indexed"], again["completed"]) == (0, 0)
    kept = json.loads(run("cluster", "--threshold", "0.4", "--json", env=named).out)
    assert kept["new_persons"] == 0
    stats, known = json.loads(run("stats", "--json", env=named).out), json.loads(before)
    assert known["named"] > 0
    for count in ("named", "persons", "faces", "assigned", "models"):
        assert stats[count] == known[count]
    # The documented way out.
    with psycopg.connect(library_url) as connection:
        connection.execute("DELETE FROM images")
        connection.execute("DELETE FROM persons")
    assert run(*first, "--det-size", "640", env=named).status == 0


def test_until_there_are_people_faces_found_otherwise_lie_beside_each_other(
    photos: Path, pack_dir: Path, library_url: str
) -> None:
    named = {"DATABASE_URL": library_url, "FACESETS_MODELS": str(pack_dir.parent)}
    first = ["index", "--target", photos, "--pack", pack_dir.name, "--skip-clip"]
    for det_size in ("320", "640"):
        assert run(*first, "--det-size", det_size, env=named).status == 0
    with psycopg.connect(library_url) as connection:
        scans = connection.execute("SELECT count(*) FROM face_scans GROUP BY detector_id").fetchall()
        images = connection.execute("SELECT count(*) FROM images").fetchall()
    assert scans == images * 2
    clustered = run("cluster", "--threshold", "0.4", "--json", env=named)
    assert clustered.status == 0
    assert json.loads(clustered.out)["new_persons"] > 0
