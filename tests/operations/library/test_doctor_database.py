"""`doctor` checks the library's database, starts no server, and names the remedy of each fault."""

import re
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from tests.fixtures.program import run

from facesets import settings
from facesets.assembly.stores import database_findings
from facesets.cli import console
from facesets.operations.library.doctor_database import look_at
from facesets.operations.library.migrate import migrate
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.migrate import migrate as migrate_schema
from facesets.store.postgres.migrate import shipped_migrations

Levels = dict[str, str]


def levels(url: str) -> Levels:
    return {finding.subject: finding.level for finding in look_at(url)}


def state(url: str, subject: str) -> str:
    return next(finding.state for finding in look_at(url) if finding.subject == subject)


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def notices(sentence: str) -> str:
    """The statement in a sentence."""
    return str(re.findall("`(.+;)`", sentence)[0])


def as_other_role(url: str) -> str:
    """The same database for a role that every server has, and that owns nothing."""
    return conninfo.make_conninfo(url, options="-c role=pg_monitor")


def test_a_sound_library_is_described_with_its_minimum_requirements(library_url: str) -> None:
    with opened(Database(library_url)) as database:
        migrate(database)
    assert set(levels(library_url).values()) == {"ok"}
    found = {finding.subject: finding.state for finding in look_at(library_url)}
    assert re.match(r"PostgreSQL \d+\.\d+ \(15 or later is needed\), the database \w+ at ", found["database"])
    assert re.match(r"pgvector 0\.\d+\.\d+ \(0.7 or later is needed\)", found["extension vector"])
    assert (found["schema"], found["job queue"]) == (
        f"up to date ({len(shipped_migrations())} migrations)",
        "up to date",
    )
    assert "can use and migrate" in found["rights"]
    # A queue that the user may not see hides no other finding.
    nobody = {finding.subject: finding for finding in look_at(as_other_role(library_url))}
    of_other_role = [nobody[subject].level for subject in ("database", "rights", "job queue")]
    assert of_other_role == ["ok", "problem", "problem"]
    assert "permission denied for schema queue" in nobody["job queue"].state


def test_rights_that_lack_are_those_that_the_sentence_gives(library_url: str) -> None:
    nobody = as_other_role(library_url)
    execute(library_url, "GRANT SELECT ON schema_migrations TO pg_monitor")
    assert levels(nobody)["rights"] == "problem"
    execute(library_url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO pg_monitor")
    assert levels(nobody)["rights"] == "problem"
    execute(library_url, "GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO pg_monitor")
    assert "(such as models_id_seq)" in state(nobody, "rights")
    execute(library_url, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM pg_monitor")
    execute(library_url, notices(state(nobody, "rights")))
    for statement in (
        "SELECT nextval('images_id_seq')",
        "SELECT nextval('unknown_cluster_numbers')",
        "TRUNCATE unfinished_forgetting",
    ):
        execute(nobody, statement)
    assert levels(nobody)["rights"] == "note"
    execute(library_url, notices(state(nobody, "rights")))
    assert "not migrate the library" in state(nobody, "rights")
    read_only = conninfo.make_conninfo(library_url, options="-c default_transaction_read_only=on")
    assert state(read_only, "rights").endswith("is read-only. Use the primary server.")


def test_an_empty_database_is_reported_with_the_command_that_sets_it_up(empty_url: str) -> None:
    nobody = as_other_role(empty_url)
    assert levels(empty_url) == {
        "database": "ok",
        "extension vector": "problem",
        "schema": "problem",
        "rights": "ok",
    }
    assert "Create it with `migrate`." in state(empty_url, "extension vector")
    execute(empty_url, notices(state(nobody, "extension vector")))
    assert levels(nobody)["extension vector"] == "ok"
    assert levels(nobody)["rights"] == "problem"
    execute(empty_url, notices(state(nobody, "rights")))
    assert levels(nobody)["rights"] == "ok"


def test_an_extension_that_the_search_path_does_not_find_is_named(empty_url: str) -> None:
    execute(empty_url, "CREATE SCHEMA tools")
    execute(empty_url, "CREATE EXTENSION vector SCHEMA tools")
    for reported in (state(empty_url, "extension vector"), run("migrate", "--database", empty_url).err):
        assert "in the schema tools, which is not in this user's search path" in reported
    execute(empty_url, notices(state(empty_url, "extension vector")))
    assert levels(empty_url)["extension vector"] == "ok"


def test_older_and_newer_schemas_are_distinguished(empty_url: str) -> None:
    with opened(Database(empty_url)) as database:
        migrate_schema(database, shipped_migrations()[:16])
    assert "migrations pending. Run `migrate`." in state(empty_url, "schema")
    with opened(Database(empty_url)) as database:
        migrate_schema(database, shipped_migrations())
    execute(
        empty_url, "INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, '9999_later', '')"
    )
    assert "made by a newer facesets (migration 9999_later). Upgrade facesets." in state(empty_url, "schema")


@pytest.mark.parametrize("way", ["flag", "file"])
def test_a_database_that_does_not_answer_is_a_fault_however_it_is_named(tmp_path: Path, way: str) -> None:
    url = "postgresql://anna:secret@127.0.0.1:1/photos"
    (tmp_path / "facesets.toml").write_text(f'database = "{url}"\n' if way == "file" else "")
    done = run("doctor", *(["--database", url] if way == "flag" else []), cwd=tmp_path)
    assert done.status == 1
    assert "!!  database: Cannot connect to the database photos at 127.0.0.1:1." in done.out
    assert "ok  cv2" in done.out
    assert "secret" not in done.out + done.err


@pytest.mark.slow
def test_the_embedded_server_is_looked_at_and_not_started(
    data_home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def notices() -> str:
        return "\n".join(
            f"{finding.level} {finding.subject}: {finding.state}"
            for finding in database_findings(None, settings.load(), console)
        )

    monkeypatch.delenv("DATABASE_URL", raising=False)
    for name, value in data_home.items():
        monkeypatch.setenv(name, value)
    place = Path(data_home["FACESETS_DATA"]) / "postgres"
    assert notices() == ""
    assert not place.exists()
    assert run("migrate", env=data_home).status == 0
    assert run("db", "url", env=data_home).status == 0
    running = notices()
    assert f"the embedded server in {place}, running" in running
    assert "ok schema: up to date" in running
    assert run("db", "stop", env=data_home).status == 0
    assert f"the embedded server in {place}; not running, commands start it" in notices()
    assert "was not running" in run("db", "stop", env=data_home).out
    (place / "data" / "PG_VERSION").write_text("17\n")
    other = run("doctor", env=data_home)
    assert (
        other.status,
        "!!  database: The library in" in other.out,
        "made by PostgreSQL 17" in other.out,
    ) == (1, True, True)
    (place / "data" / "PG_VERSION").write_text("18\n")
