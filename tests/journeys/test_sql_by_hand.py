"""Whatever a person does to the library with psql, the next commands go on from there."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.photos import copy_photos
from tests.fixtures.postgres import Server, temporary
from tests.fixtures.program import Result, run

from facesets.store.postgres.connection import Database, opened

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

ANYBODY = "(SELECT min(person_id::text)::uuid FROM face_detections)"
DOCUMENTED = (
    "UPDATE face_detections SET person_id = NULL;",
    "DELETE FROM persons;                                                  -- also clears person_names",
    "UPDATE face_detections SET person_id = NULL WHERE person_id = '<uuid>';",
    "DELETE FROM persons WHERE id = '<uuid>';",
)
NAMING = "INSERT INTO person_names (person_id, name) VALUES ('<uuid>', 'Anna');"
DELETES = (
    "DELETE FROM images WHERE id = (SELECT min(id) FROM images)",
    "DELETE FROM images",
    "TRUNCATE images CASCADE",
    "DELETE FROM galleries",
    "UPDATE galleries SET title = '', entries = '[]'",
    "DELETE FROM runs",
    "DELETE FROM image_paths",
    "DELETE FROM face_scans",
    "DELETE FROM face_scans; DELETE FROM detectors",
    "DELETE FROM person_names; DELETE FROM person_prototypes; DELETE FROM face_candidates",
    "UPDATE image_paths SET image_id = NULL, gallery_id = NULL",
    f"UPDATE persons SET status = 'merged' WHERE id = {ANYBODY}",
    """UPDATE persons p SET status = 'merged',
        merged_into_id = (SELECT id FROM persons WHERE id <> p.id LIMIT 1)""",
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
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def photos(lfw_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = [sorted((lfw_dir / name).glob("*.jpg"))[:3] for name in ("Hugo_Chavez", "Colin_Powell")]
    root = tmp_path_factory.mktemp("by_hand") / "photos"
    for number, some in enumerate(chosen):
        gallery = copy_photos(some, root / f"g{number}")
        (gallery / "tn").mkdir()
        captions = [{"file": photo.name, "caption": f"Number {i}"} for i, photo in enumerate(some)]
        (gallery / "index.json").write_text(json.dumps({"title": f"Trip {number}", "images": captions}))
    return root


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


def galleries(psql: Psql) -> str:
    """Return every gallery with its file's content, and every path with its gallery."""
    return psql("SELECT path, title, description, entries FROM galleries ORDER BY 1") + psql(
        "SELECT p.path, g.path FROM image_paths p LEFT JOIN galleries g ON g.id = p.gallery_id ORDER BY 1"
    )


def people(facesets: Call) -> tuple[int, int]:
    """Return the number of people, and of assigned faces."""
    totals = json.loads(facesets("stats", "--json").out)
    return totals["persons"].get("active", 0), totals["assigned"]


@pytest.fixture
def facesets(url: str, pack_dir: Path) -> Call:
    """Runs a command on that library, to the end that is expected of it."""
    ways: dict[str, tuple[object, ...]] = {
        "index": ("--pack", pack_dir, "--skip-clip"),
        "check": ("--pack", pack_dir),
        "cluster": ("--method", "components", "--threshold", "0.4"),
    }

    def call(*words: object, status: int | None = 0) -> Result:
        result = run(*words, *ways.get(str(words[0]), ()), "--database", url)
        assert status in (None, result.status), result.err
        return result

    return call


@pytest.mark.parametrize("statement", DOCUMENTED)
def test_the_documented_resets_work_verbatim(facesets: Call, psql: Psql, statement: str) -> None:
    before, found = vectors(psql), people(facesets)
    assert found[0] > 0
    psql("INSERT INTO person_names (person_id, name) SELECT id, id::text FROM persons")
    psql(statement.replace("<uuid>", psql(f"SELECT {ANYBODY}")))
    assert psql("SELECT count(*) FROM person_names WHERE person_id NOT IN (SELECT id FROM persons)") == "0"
    assert people(facesets)[1] < found[1]
    facesets("cluster")
    assert people(facesets)[1] == found[1]
    assert vectors(psql) == before
    facesets("check")


def test_the_documented_naming_works_verbatim(facesets: Call, psql: Psql) -> None:
    psql(NAMING.replace("<uuid>", psql(f"SELECT {ANYBODY}")))
    found = json.loads(facesets("search", "--person", "anna", "--json").out)["images"]
    assert len(found) == int(psql(f"SELECT count(*) FROM face_detections WHERE person_id = {ANYBODY}"))
    assert {hit["name"] for hit in found} == {"Anna"}


@pytest.mark.parametrize("statement", DELETES)
def test_what_is_deleted_comes_back(facesets: Call, psql: Psql, photos: Path, statement: str) -> None:
    before, assigned, described = vectors(psql), people(facesets)[1], galleries(psql)
    assert "Trip 1" in described
    psql(statement)
    facesets("cluster", status=None)
    facesets("check", "--fix", status=None)
    facesets("index", photos)
    facesets("cluster")
    assert vectors(psql) == before
    assert galleries(psql) == described
    assert people(facesets)[1] == assigned
    facesets("check")


@pytest.mark.parametrize("statement", LOSSES)
def test_what_is_lost_is_mended_where_a_vector_is_missing_and_nothing_trips(
    facesets: Call, psql: Psql, photos: Path, statement: str, tmp_path: Path
) -> None:
    before = vectors(psql)
    psql(statement)
    facesets("cluster")
    facesets("index", photos)
    facesets("show")
    for line in (["refine", tmp_path / "sets"], ["dedup"], ["export-cache", tmp_path / "c.npz"]):
        facesets(*line, "--dry-run")
    facesets("check", "--fix", status=None)
    facesets("index", photos)
    if "embeddings" in statement:
        assert vectors(psql) == before
    facesets("check")


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("comes_back", [True, False])
def test_problems_that_need_a_missing_photo_are_named_with_a_remedy(
    facesets: Call, psql: Psql, photos: Path, *, is_known: bool, comes_back: bool
) -> None:
    before = vectors(psql)
    image = psql("SELECT image_id FROM face_detections ORDER BY id LIMIT 1")
    psql("DELETE FROM face_embeddings WHERE face_id = (SELECT min(id) FROM face_detections)")
    psql(
        f"UPDATE image_paths SET path = '/gone.jpg' WHERE image_id = {image}"
        if is_known
        else f"DELETE FROM image_paths WHERE image_id = {image}"
    )
    named = f"/gone.jpg: is missing; it was photo {image}" if is_known else f"photo {image}: no file"
    for fix in ([], ["--fix"], ["--fix"], []):
        found = facesets("check", *fix, status=1)
        assert named in found.err
        assert "DELETE FROM images WHERE id" in found.out
        assert "to repair it" not in found.out
    if comes_back:
        facesets("index", photos)
        assert vectors(psql) == before
    else:
        psql(f"DELETE FROM images WHERE id = {image}")
    facesets("check")


def test_a_path_without_an_image_is_forgotten_if_its_file_is_missing(
    facesets: Call, psql: Psql, photos: Path
) -> None:
    psql(
        f"""INSERT INTO image_paths (path, size, mtime_ns, sha256)
            VALUES ('{photos}/gone.jpg', 1, 1, '{"0" * 64}')"""
    )
    assert "gone.jpg: is missing, and its photo" in facesets("check", "--fix", status=1).err
    facesets("index", photos, "--prune")
    facesets("check")


def test_a_photo_that_is_read_again_has_its_time(
    facesets: Call, psql: Psql, photos: Path, tmp_path: Path
) -> None:
    dated = tmp_path / "2019-07-04 15.30.00.jpg"
    with Image.open(min(photos.rglob("*.jpg"))) as photo:
        photo.rotate(180).save(dated)
    facesets("index", tmp_path)
    image = psql(f"SELECT image_id FROM image_paths WHERE path = '{dated}'")
    psql(f"UPDATE image_paths SET image_id = NULL WHERE image_id = {image}")
    psql(f"DELETE FROM images WHERE id = {image}")
    facesets("check", "--fix")
    taken = psql(
        f"SELECT i.taken FROM images i JOIN image_paths p ON p.image_id = i.id WHERE p.path = '{dated}'"
    )
    assert taken == "2019-07-04 15:30:00"
