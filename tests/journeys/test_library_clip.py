"""A library with CLIP: every image embedded once, beside its faces, and found again by words and pictures."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pytest
from PIL import Image
from tests.fixtures.clip import make_clip
from tests.fixtures.forked import forked
from tests.fixtures.ml_service import ml_service
from tests.fixtures.networks_once import unhurried
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import Result, run
from tests.fixtures.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("few_tags", "networks_once")

Call = Callable[..., Result]


@pytest.fixture
def root(pack_dir: Path, tmp_path: Path) -> Path:
    """Model packs under their published names: one for faces, a tiny one for CLIP."""
    (tmp_path / "root" / "models").mkdir(parents=True)
    (tmp_path / "root" / "models" / "buffalo_l").symlink_to(pack_dir)
    make_clip(tmp_path / "root" / "clip" / "ViT-B-32__openai")
    return tmp_path / "root"


@pytest.fixture
def facesets(root: Path, library_url: str) -> Call:
    def call(*arguments: object) -> Result:
        return run(*arguments, env={"FACESETS_MODELS": str(root), "DATABASE_URL": library_url})

    return call


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A photo of each colour, a year apart, and one without a date."""
    folder = tmp_path / "coloured"
    folder.mkdir()
    for year, (name, colour) in enumerate(
        {"red": (200, 20, 20), "green": (20, 190, 30), "blue": (10, 20, 220)}.items(), start=2001
    ):
        exif = Image.Exif()
        exif[0x0132] = f"{year}:05:05 12:00:00"
        exif.get_ifd(0x8769)[0x9003] = f"{year}:05:05 12:00:00"
        Image.new("RGB", (90, 60), colour).save(folder / f"{name}.jpg", exif=exif)
    Image.new("RGB", (60, 90), (210, 205, 15)).save(folder / "yellow.png")
    return folder


def indexed(result: Result) -> tuple[int, ...]:
    """New images, completed ones, new faces, new embeddings."""
    assert result.status == 0, result.err
    summary = json.loads(result.out)
    return tuple(summary[name] for name in ("indexed", "completed", "faces", "embeddings"))


def names(result: Result) -> list[str]:
    assert result.status == 0, result.err
    return [Path(hit["path"]).stem for hit in json.loads(result.out)["images"]]


def embeddings(url: str) -> dict[tuple[str, str], str]:
    """Every embedding by the image's hash and the model's name."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            """SELECT i.sha256, m.name, e.embedding::text FROM image_embeddings e
                JOIN images i ON i.id = e.image_id JOIN models m ON m.id = e.model_id"""
        ).fetchall()
    assert len({(digest, model) for digest, model, _ in rows}) == len(rows)
    return {(digest, model): vector for digest, model, vector in rows}


def test_photos_are_found_by_words_by_likeness_and_within_dates(facesets: Call, coloured: Path) -> None:
    assert indexed(facesets("index", "--target", coloured, "--json"))[::3] == (4, 4)
    for word in ("red", "green", "blue", "yellow"):
        assert names(facesets("search", f"something {word}", "--json"))[0] == word
    assert names(facesets("search", "--like", coloured / "blue.jpg", "--json", "--limit", "2"))[0] == "blue"
    dated = facesets("search", "red", "--from", "2002-01-01", "--to", "2003-12-31", "--json")
    assert sorted(names(dated)) == ["blue", "green"]
    assert "red.jpg" in facesets("search", "red", "--limit", "1").out
    assert facesets("db", "index").status == 0
    assert names(facesets("search", "yellow", "--json", "--limit", "1")) == ["yellow"]


def test_a_later_run_adds_only_what_an_image_lacks(
    facesets: Call, library_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    new, _, faces, vectors = indexed(facesets("index", "--target", photos, "--skip-clip", "--json"))
    assert (new, faces > 0, vectors) == (6, True, 0)
    assert indexed(facesets("index", "--target", photos, "--json")) == (0, 6, 0, 6)
    assert indexed(facesets("index", "--target", photos, "--json")) == (0, 0, 0, 0)
    more = copy_photos(lfw_photos[6:9], tmp_path / "photos" / "more")
    assert indexed(facesets("index", "--target", photos, "--skip-faces", "--json")) == (3, 0, 0, 3)
    assert indexed(facesets("index", "--target", photos, "--skip-faces", "--json")) == (0, 0, 0, 0)
    completed = indexed(facesets("index", "--target", more, "--json"))
    assert (completed[:2], completed[2] > 0, completed[3]) == ((0, 3), True, 0)
    assert len(embeddings(library_url)) == 9
    totals = json.loads(facesets("stats", "--json").out)
    assert totals["clip"] == [{"model": "ViT-B-32__openai", "images": 9}]


def test_without_a_clip_pack_index_says_so_once_and_finds_faces_all_the_same(
    facesets: Call, root: Path, lfw_photos: list[Path], tmp_path: Path
) -> None:
    shutil.rmtree(root / "clip")
    photos = copy_photos(lfw_photos[:3], tmp_path / "photos")
    result = facesets("index", "--target", photos, "--json")
    assert indexed(result)[::3] == (3, 0)
    assert result.err.count("models pull ViT-B-32__openai") == 1
    assert facesets("index", "--target", photos, "--skip-clip").err == ""
    assert facesets("index", "--target", photos, "--skip-faces").status == 2
    assert facesets("index", "--target", photos, "--skip-faces", "--skip-clip").status == 2
    missing = facesets("search", "red")
    assert missing.status == 2
    assert "has an embedding yet" in missing.err


def test_vectors_of_another_model_lie_beside_and_are_never_compared(
    facesets: Call, root: Path, library_url: str, coloured: Path
) -> None:
    facesets("index", "--target", coloured, "--skip-faces")
    make_clip(root / "clip" / "other", seed=3, dimension=20)
    second = facesets("index", "--target", coloured, "--skip-faces", "--clip-pack", "other", "--json")
    assert indexed(second) == (0, 4, 0, 4)
    assert "another CLIP model (ViT-B-32__openai)" in second.err
    assert {model for _, model in embeddings(library_url)} == {"ViT-B-32__openai", "other"}
    for name in ("ViT-B-32__openai", "other"):
        assert names(facesets("search", "blue", "--clip-pack", name, "--json"))[0] == "blue"
    foreign = make_clip(root / "clip" / "foreign", seed=4)
    refused = facesets("search", "blue", "--clip-pack", foreign)
    assert (refused.status, "is not the model" in refused.err) == (2, True)
    shutil.rmtree(root / "clip" / "ViT-B-32__openai")
    shutil.rmtree(root / "clip" / "other")
    gone = facesets("search", "blue")
    assert (gone.status, "models pull ViT-B-32__openai" in gone.err) == (2, True)


def test_a_service_embeds_and_searches_too(facesets: Call, coloured: Path, library_url: str) -> None:
    with ml_service() as service:
        named = ["--ml-uri", service.url]
        assert indexed(facesets("index", "--target", coloured, *named, "--json")) == (4, 0, 4, 4)
        assert len(names(facesets("search", "red", *named, "--json", "--limit", "3"))) == 3
        assert names(facesets("search", "--like", coloured / "yellow.png", *named, "--json"))[0] == "yellow"
        local = facesets("search", "red")
        assert (local.status, "--ml-uri" in local.err) == (2, True)
    away = facesets("search", "red", *named)
    assert (away.status, "does not answer" in away.err) == (2, True)
    assert {model for _, model in embeddings(library_url)} == {"ml-service/ViT-B-32__openai"}


def test_what_a_service_found_is_mended_by_that_service_only(
    facesets: Call, coloured: Path, library_url: str
) -> None:
    with ml_service() as service:
        named = ["--ml-uri", service.url]
        facesets("index", "--target", coloured, *named)
        with psycopg.connect(library_url) as connection:
            connection.execute("DELETE FROM face_embeddings")
        here = facesets("check", "--fix")
        assert (here.status, "--ml-uri" in here.err) == (2, True)
        assert facesets("check", "--fix", *named).status == 0
    assert json.loads(facesets("check", "--json").out)["problems"] == []
    with psycopg.connect(library_url) as connection:
        assert connection.execute("SELECT count(*) FROM detectors").fetchone() == (1,)


def test_words_go_together_with_a_person(facesets: Call, coloured: Path, library_url: str) -> None:
    facesets("index", "--target", coloured, "--skip-faces")
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO persons DEFAULT VALUES")
        connection.execute("INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons")
        connection.execute(
            """WITH m AS (INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'f', 'f', 3)
                    RETURNING id),
                d AS (INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size,
                        min_det_score)
                    SELECT id, 'p', 'd', 'd', 1, 0 FROM m RETURNING id)
                INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score,
                    quality, face_short, blur, pose, person_id)
                SELECT i.id, d.id, 0, 0, 0, 9, 9, '{}', 1, 1, 9, 9, '{}', p.id FROM d, persons p, images i
                JOIN image_paths x ON x.image_id = i.id WHERE x.path ~ 'green|blue'"""
        )
    assert sorted(names(facesets("search", "red", "--person", "anna", "--json"))) == ["blue", "green"]
    assert names(facesets("search", "blue", "--person", "Anna", "--json"))[0] == "blue"
    none = facesets("search", "red", "--person", "Anna", "--to", "1900-01-01")
    assert (none.status, none.out, "No images" in none.err) == (0, "", True)
    assert json.loads(facesets("search", "--person", "Anna", "--to", "1900-01-01", "--json").out) == {
        "images": []
    }
    nobody = facesets("search", "red", "--person", "Bob")
    assert (nobody.status, "called Bob" in nobody.err) == (2, True)


@pytest.mark.parametrize(
    "arguments", [["red", "--like", "x.jpg"], [" "], [], ["red", "--face", "x.jpg"], ["--like", "x.jpg"]]
)
def test_what_cannot_be_searched_for_is_refused(facesets: Call, coloured: Path, arguments: list[str]) -> None:
    facesets("index", "--target", coloured, "--skip-faces")
    refused = facesets("search", *arguments)
    assert refused.status == 2
    assert refused.err.startswith("facesets: ")


@pytest.mark.slow
def test_embeddings_do_not_depend_on_how_the_work_was_divided_or_killed(
    facesets: Call, root: Path, library_url: str, empty_url: str, lfw_photos: list[Path], tmp_path: Path
) -> None:
    for number in range(3):
        copy_photos(lfw_photos[number * 5 : number * 5 + 5], tmp_path / "photos" / str(number))
    env = {"FACESETS_MODELS": str(root)}
    assert run("migrate", "--database", empty_url).status == 0
    line = ("index", "--target", tmp_path / "photos", "--database", empty_url, "--concurrency", "3")
    rng = random.Random(3)
    for least in (0, 1, 4):
        with unhurried(), forked(*line, env=env) as process:
            while len(embeddings(empty_url)) < least and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.1))
    with unhurried(), forked(*line, env=env) as one, forked(*line, env=env) as other:
        assert [process.wait(timeout=PATIENCE_S) for process in (one, other)] == [0, 0]
    for number in reversed(range(3)):
        facesets("index", "--target", tmp_path / "photos" / str(number), "--concurrency", "1")
    whole = embeddings(library_url)
    assert len(whole) == 15
    assert embeddings(empty_url) == whole


def test_check_finds_unsound_embeddings_and_mends_them(
    facesets: Call, library_url: str, coloured: Path
) -> None:
    facesets("index", "--target", coloured, "--skip-faces")
    before = embeddings(library_url)
    assert facesets("check").status == 0
    with psycopg.connect(library_url) as connection:
        connection.execute(
            "UPDATE image_embeddings SET embedding = '[1,2]' WHERE image_id = (SELECT min(id) FROM images)"
        )
        connection.execute("DELETE FROM image_embeddings WHERE image_id = (SELECT max(id) FROM images)")
    found = facesets("check")
    assert found.status == 1
    assert "unsound embedding" in found.out
    assert facesets("check", "--fix").status == 0
    assert embeddings(library_url) == before
    assert np.isfinite(json.loads(next(iter(before.values())))).all()
