"""Whatever a person does to the library with psql, the next commands go on from there."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fixtures.postgres import Server, temporary
from tests.photos import copy_photos
from tests.program import Result, run

from facesets.store.postgres.connection import Database, opened

ANYBODY = "(SELECT min(person_id::text)::uuid FROM face_detections)"
DOCUMENTED = (
    "UPDATE face_detections SET person_id = NULL;",
    "DELETE FROM persons;                                                  -- also clears person_names",
    "UPDATE face_detections SET person_id = NULL WHERE person_id = '<uuid>';",
    "DELETE FROM persons WHERE id = '<uuid>';",
)
DELETES = (
    "DELETE FROM images WHERE id = (SELECT min(id) FROM images)",
    "DELETE FROM images",
    "TRUNCATE images CASCADE",
    "DELETE FROM galleries",
    "DELETE FROM runs",
    "DELETE FROM image_paths",
    "DELETE FROM face_scans",
    "DELETE FROM face_scans; DELETE FROM detectors",
    "DELETE FROM person_names; DELETE FROM person_prototypes; DELETE FROM face_candidates",
    "UPDATE image_paths SET image_id = NULL, gallery_id = NULL",
    f"UPDATE persons SET status = 'merged' WHERE id = {ANYBODY}",
    f"UPDATE face_detections SET person_id = {ANYBODY}",
)
"""After these `index` and `cluster` bring back what there was."""

LOSSES = (
    "DELETE FROM face_detections",
    "DELETE FROM face_detections WHERE id = (SELECT min(id) FROM face_detections)",
    "DELETE FROM face_embeddings",
    "UPDATE face_embeddings SET embedding = '[1,2,3]'",
)
"""After these `check --fix` does, or nothing: faces that were deleted stay so."""

Psql = Callable[[str], str]


@pytest.fixture(scope="module")
def photos(lfw_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = [sorted((lfw_dir / name).glob("*.jpg"))[:3] for name in ("Hugo_Chavez", "Colin_Powell")]
    root = tmp_path_factory.mktemp("by_hand") / "photos"
    return copy_photos([photo for some in chosen for photo in some], root)


@pytest.fixture(scope="module")
def filled(server: Server, template: str, photos: Path, pack_dir: Path) -> Iterator[str]:
    """The name of a library with people in it, to clone."""
    for url in temporary(server, template):
        assert run("index", "--target", photos, "--pack", pack_dir, "--database", url).status == 0
        assert run("cluster", "--threshold", "0.4", "--database", url).status == 0
        with opened(Database(url)) as database:
            name = database.run(lambda connection: connection.info.dbname)
        yield name


@pytest.fixture
def url(server: Server, filled: str) -> Iterator[str]:
    yield from temporary(server, filled)


@pytest.fixture
def psql(server: Server, url: str) -> Psql:
    def call(statement: str) -> str:
        line = [server.psql(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url]
        done = subprocess.run([*line, "-c", statement], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return call


def vectors(psql: Psql) -> str:
    """Every face's place and vector."""
    return psql(
        """SELECT i.sha256, f.ordinal, md5(e.embedding::text) FROM face_detections f
            JOIN images i ON i.id = f.image_id JOIN face_embeddings e ON e.face_id = f.id ORDER BY 1, 2"""
    )


def sound(url: str, *arguments: object, statuses: tuple[int, ...] = (0,)) -> Result:
    result = run(*arguments, "--database", url)
    assert result.status in statuses, result.err
    assert "Traceback" not in result.err
    return result


def people(url: str) -> tuple[int, int]:
    totals = json.loads(sound(url, "stats", "--json").out)
    return totals["persons"].get("active", 0), totals["assigned"]


@pytest.mark.parametrize("statement", DOCUMENTED)
def test_the_documented_resets_work_verbatim(url: str, psql: Psql, statement: str) -> None:
    before, found = vectors(psql), people(url)
    assert found[0] > 0
    psql("INSERT INTO person_names (person_id, name) SELECT id, id::text FROM persons")
    psql(statement.replace("<uuid>", psql(f"SELECT {ANYBODY}")))
    assert psql("SELECT count(*) FROM person_names WHERE person_id NOT IN (SELECT id FROM persons)") == "0"
    assert people(url)[1] < found[1] or statement.startswith("DELETE")
    sound(url, "cluster", "--threshold", "0.4")
    assert people(url)[1] == found[1]
    assert vectors(psql) == before
    sound(url, "check")


@pytest.mark.parametrize("statement", DELETES)
def test_what_is_deleted_comes_back(
    url: str, psql: Psql, photos: Path, pack_dir: Path, statement: str
) -> None:
    before, assigned = vectors(psql), people(url)[1]
    psql(statement)
    sound(url, "cluster", "--threshold", "0.4", statuses=(0, 2))
    sound(url, "check", "--fix", "--pack", pack_dir, statuses=(0, 1))
    sound(url, "index", "--target", photos, "--pack", pack_dir)
    sound(url, "cluster", "--threshold", "0.4")
    assert vectors(psql) == before
    assert people(url)[1] == assigned
    sound(url, "check")


@pytest.mark.parametrize("statement", LOSSES)
def test_what_is_lost_is_lost_or_mended_and_nothing_trips(
    url: str, psql: Psql, photos: Path, pack_dir: Path, statement: str, tmp_path: Path
) -> None:
    before = vectors(psql)
    psql(statement)
    for line in (["cluster"], ["show"], ["stats"], ["index", "--target", photos, "--pack", pack_dir]):
        sound(url, *line)
    for line in (["refine", tmp_path / "sets"], ["dedup"], ["export-cache", tmp_path / "c.npz"]):
        sound(url, *line, "--dry-run")
    sound(url, "check", "--fix", "--pack", pack_dir)
    if "embeddings" in statement:
        assert vectors(psql) == before
    sound(url, "check")


def test_an_emptied_library_is_a_sentence_or_nothing_to_do(url: str, psql: Psql, tmp_path: Path) -> None:
    psql("DELETE FROM images")
    for line in (
        ["cluster"],
        ["cluster", tmp_path / "raw"],
        ["refine", tmp_path / "sets"],
        ["dedup", "--out", tmp_path / "d.json"],
        ["show"],
        ["evaluate"],
        ["export-cache", tmp_path / "c.npz"],
        ["search", "--face", tmp_path / "nothing.jpg"],
    ):
        sound(url, *line, statuses=(0, 2))
