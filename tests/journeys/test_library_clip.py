"""A library with CLIP: every image embedded once, beside its faces, and found again by words and pictures."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_tags", "networks_once")]

Call = Callable[..., Result]


@pytest.fixture
def root(root: Path) -> Path:
    """With a tiny pack for CLIP."""
    make_clip(root / "clip" / "ViT-B-32__openai")
    return root


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A photo of each colour, a year apart, and one without a date."""
    folder = tmp_path / "coloured"
    folder.mkdir()
    colours = {"red": (200, 20, 20), "green": (20, 190, 30), "blue": (10, 20, 220)}
    for year, (name, colour) in enumerate(colours.items(), start=2001):
        exif = Image.Exif()
        exif[0x0132] = f"{year}:05:05 12:00:00"
        exif.get_ifd(0x8769)[0x9003] = f"{year}:05:05 12:00:00"
        Image.new("RGB", (90, 60), colour).save(folder / f"{name}.jpg", exif=exif)
    Image.new("RGB", (60, 90), (210, 205, 15)).save(folder / "yellow.png")
    return folder


@pytest.fixture
def index(facesets: Call) -> Callable[..., tuple[int, ...]]:
    """Indexes a folder; how many new images, completed ones, new faces and new embeddings there are."""

    def call(target: Path, *flags: object) -> tuple[int, ...]:
        summary = json.loads(facesets("index", "--target", target, *flags, "--json").out)
        return tuple(summary[name] for name in ("indexed", "completed", "faces", "embeddings"))

    return call


@pytest.fixture
def search(facesets: Call) -> Callable[..., list[str]]:
    """Searches; the names of the photos that are found."""

    def call(*words: object) -> list[str]:
        images = json.loads(facesets("search", *words, "--json").out)["images"]
        return [Path(hit["path"]).stem for hit in images]

    return call


def query(url: str, statement: bytes) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        done = connection.execute(statement)
        return done.fetchall() if done.description else []


def embeddings(url: str) -> dict[tuple[str, str], str]:
    """Every embedding by the image's hash and the model's name."""
    found = query(
        url,
        b"""SELECT i.sha256, m.name, e.embedding::text FROM image_embeddings e
            JOIN images i ON i.id = e.image_id JOIN models m ON m.id = e.model_id""",
    )
    assert len({(digest, model) for digest, model, _ in found}) == len(found)
    return {(digest, model): vector for digest, model, vector in found}


def test_unsound_embeddings_are_mended_and_photos_found_by_words_likeness_dates_and_people(
    facesets: Call,
    index: Callable[..., tuple[int, ...]],
    search: Callable[..., list[str]],
    coloured: Path,
    library_url: str,
) -> None:
    assert index(coloured, "--skip-faces") == (4, 0, 0, 4)
    before = embeddings(library_url)
    facesets("check")
    query(
        library_url,
        b"UPDATE image_embeddings SET embedding = '[1,2]' WHERE image_id = (SELECT min(id) FROM images)",
    )
    query(library_url, b"DELETE FROM image_embeddings WHERE image_id = (SELECT max(id) FROM images)")
    assert "invalid embedding" in facesets("check", status=1).out
    facesets("check", "--fix")
    assert embeddings(library_url) == before

    for word in ("red", "green", "blue", "yellow"):
        assert search(f"something {word}")[0] == word
    assert search("--like", coloured / "blue.jpg", "--limit", "2")[0] == "blue"
    assert sorted(search("red", "--from", "2002-01-01", "--to", "2003-12-31")) == ["blue", "green"]
    assert "red.jpg" in facesets("search", "red", "--limit", "1").out
    facesets("db", "index")
    assert search("yellow", "--limit", "1") == ["yellow"]

    query(
        library_url,
        b"""WITH p AS (INSERT INTO persons DEFAULT VALUES RETURNING id),
            n AS (INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM p),
            m AS (INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'f', 'f', 3)
                RETURNING id),
            d AS (INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size,
                    min_det_score)
                SELECT id, 'p', 'd', 'd', 1, 0 FROM m RETURNING id)
            INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score,
                quality, face_short, blur, pose, person_id)
            SELECT i.id, d.id, 0, 0, 0, 9, 9, '{}', 1, 1, 9, 9, '{}', p.id FROM d, p, images i
            JOIN image_paths x ON x.image_id = i.id WHERE x.path ~ 'green|blue'""",
    )
    assert sorted(search("red", "--person", "anna")) == ["blue", "green"]
    assert search("blue", "--person", "Anna")[0] == "blue"
    nowhen = ("--person", "Anna", "--to", "1900-01-01")
    none = facesets("search", "red", *nowhen)
    assert (none.out, "No matching photos" in none.err) == ("", True)
    assert search(*nowhen) == []
    assert "not found: Bob" in facesets("search", "red", "--person", "Bob", status=2).err
    for words in (["red", "--like", "x.jpg"], [" "], [], ["red", "--face", "x.jpg"], ["--like", "x.jpg"]):
        assert facesets("search", *words, status=2).err.startswith("facesets: ")


def test_a_later_run_adds_only_what_an_image_lacks(
    facesets: Call,
    index: Callable[..., tuple[int, ...]],
    library_url: str,
    lfw_photos: list[Path],
    tmp_path: Path,
) -> None:
    photos = copy_photos(lfw_photos[:6], tmp_path / "photos")
    new, _, faces, vectors = index(photos, "--skip-clip")
    assert (new, faces > 0, vectors) == (6, True, 0)
    assert index(photos) == (0, 6, 0, 6)
    assert index(photos) == (0, 0, 0, 0)
    more = copy_photos(lfw_photos[6:9], tmp_path / "photos" / "more")
    assert index(photos, "--skip-faces") == (3, 0, 0, 3)
    assert index(photos, "--skip-faces") == (0, 0, 0, 0)
    completed = index(more)
    assert (completed[:2], completed[2] > 0, completed[3]) == ((0, 3), True, 0)
    assert len(embeddings(library_url)) == 9
    totals = json.loads(facesets("stats", "--json").out)
    assert totals["clip"] == [{"model": "ViT-B-32__openai", "images": 9}]


def test_without_a_clip_pack_index_reports_it_once_and_finds_faces(
    facesets: Call, root: Path, lfw_photos: list[Path], tmp_path: Path
) -> None:
    shutil.rmtree(root / "clip")
    line = ("index", "--target", copy_photos(lfw_photos[:3], tmp_path / "photos"))
    result = facesets(*line)
    assert "Added 3 photos" in result.out
    assert result.err.count("models pull ViT-B-32__openai") == 1
    assert facesets(*line, "--skip-clip").err == ""
    facesets(*line, "--skip-faces", status=2)
    facesets(*line, "--skip-faces", "--skip-clip", status=2)
    assert "is embedded yet" in facesets("search", "red", status=2).err


def test_vectors_of_another_model_coexist_and_are_never_compared(
    facesets: Call, search: Callable[..., list[str]], root: Path, library_url: str, coloured: Path
) -> None:
    line = ("index", "--target", coloured, "--skip-faces")
    facesets(*line)
    make_clip(root / "clip" / "other", seed=3, dimension=20)
    second = facesets(*line, "--clip-pack", "other")
    assert "another CLIP model so far (ViT-B-32__openai)" in second.err
    assert len(embeddings(library_url)) == 8
    assert {model for _, model in embeddings(library_url)} == {"ViT-B-32__openai", "other"}
    for name in ("ViT-B-32__openai", "other"):
        assert search("blue", "--clip-pack", name)[0] == "blue"
    foreign = make_clip(root / "clip" / "foreign", seed=4)
    assert "is not the model" in facesets("search", "blue", "--clip-pack", foreign, status=2).err
    shutil.rmtree(root / "clip" / "ViT-B-32__openai")
    shutil.rmtree(root / "clip" / "other")
    assert "models pull ViT-B-32__openai" in facesets("search", "blue", status=2).err


def test_a_service_embeds_searches_and_mends_what_it_found_itself(
    facesets: Call,
    index: Callable[..., tuple[int, ...]],
    search: Callable[..., list[str]],
    coloured: Path,
    library_url: str,
) -> None:
    with ml_service() as service:
        named = ["--ml-uri", service.url]
        assert index(coloured, *named) == (4, 0, 4, 4)
        assert len(search("red", *named, "--limit", "3")) == 3
        assert search("--like", coloured / "yellow.png", *named)[0] == "yellow"
        query(library_url, b"DELETE FROM face_embeddings")
        for local in (("search", "red"), ("check", "--fix")):
            assert "--ml-uri" in facesets(*local, status=2).err
        facesets("check", "--fix", *named)
    assert "is not responding" in facesets("search", "red", *named, status=2).err
    assert json.loads(facesets("check", "--json").out)["problems"] == []
    assert query(library_url, b"SELECT count(*) FROM detectors") == [(1,)]
    assert {model for _, model in embeddings(library_url)} == {"ml-service/ViT-B-32__openai"}


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
