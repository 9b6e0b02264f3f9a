"""Tags by the commands: listed, changed by a file, run over the library, and searched for."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.fixtures.clip import make_clip
from tests.fixtures.ml_service import Service, ml_service
from tests.fixtures.program import Result

from facesets.operations.options.index import IndexOptions

pytestmark = pytest.mark.usefixtures("networks_once")

Call = Callable[..., Result]

COLOURS = """
[colour]
target = "scene"
none = ["yellow"]
words = ["red", "green"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tiny pack for CLIP, and none for faces."""
    make_clip(tmp_path / "root" / "clip" / "ViT-B-32__openai")
    return tmp_path / "root"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in {"red": (200, 20, 20), "green": (20, 190, 30)}.items():
        Image.new("RGB", (60, 40), colour).save(folder / f"{name}.png")
    return folder


def test_tags_are_listed_changed_run_and_searched(
    facesets: Call, photos: Path, root: Path, tmp_path: Path
) -> None:
    listed = json.loads(facesets("tags", "list", "--json").out)
    assert listed["is_shipped"]
    assert len(listed["categories"]) == 9
    (tmp_path / "tags.toml").write_text(COLOURS)
    tried = facesets("tags", "set", tmp_path / "tags.toml", "--only", "--dry-run")
    assert "colour added; mood, setting" in tried.out
    assert "`facesets index --stage scene`" not in tried.err
    assert "`facesets index --stage scene`" in facesets("tags", "set", tmp_path / "tags.toml", "--only").err
    assert "is embedded yet" in facesets("tags", "run", status=2).err
    part, elsewhere = root / "clip" / "ViT-B-32__openai" / "textual", tmp_path / "elsewhere"
    part.rename(elsewhere)
    facesets("index", "--target", photos, "--skip-faces")
    assert "has no text encoder" in facesets("tags", "run", status=2).err
    elsewhere.rename(part)
    assert "on 2 photos" in facesets("tags", "run").out
    assert "red 1, green 1" in facesets("tags", "list").out
    assert facesets("search", "--tag", "red").out.strip() == str(photos / "red.png")
    assert re.search(r"colour +red 1\.00", facesets("show", photos / "red.png").out)
    assert facesets("search", "--tag", "red", "--tag", "green").out == ""
    words = facesets("search", "something green", "--tag", "colour:red", "--json")
    assert [Path(hit["path"]).stem for hit in json.loads(words.out)["images"]] == ["red"]
    assert "Did you mean green?" in facesets("search", "--tag", "gren", status=2).err

    edited = facesets("tags", "list", "--toml").out.replace('"a photo of {}"', '"{}"')
    (tmp_path / "tags.toml").write_text(edited)
    assert facesets("tags", "set", tmp_path / "tags.toml").out.startswith("Categories: colour changed.")
    stages = json.loads(facesets("stats", "--stages", "--json").out)["stages"]
    assert [each["pending"] for each in stages if each["stage"] == "scene"] == [2]
    assert "on 2 photos" in facesets("tags", "run").out
    assert "on 0 photos" in facesets("index", "--stage", "scene").out
    assert json.loads(facesets("tags", "run", "--force", "--json").out)["stages"][0]["completed"] == 2

    (tmp_path / "tags.toml").write_text(COLOURS.replace('"scene"', '"scenery"'))
    assert facesets("tags", "set", tmp_path / "tags.toml", status=2).err.count("\n") == 1
    assert "no tag category for faces" in facesets("tags", "run", "--faces", status=2).err


def texts(service: Service) -> int:
    """How many texts a service embedded."""
    return sum("textual" in json.dumps(entry) for entry in service.asked)


@pytest.mark.parametrize("words", [(), ("--concurrency", "2")])
def test_a_service_is_asked_for_several_texts_at_a_time(
    facesets: Call, photos: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    words_of_colours = ", ".join(f'"shade {number}"' for number in range(12))
    (tmp_path / "tags.toml").write_text(COLOURS.replace('"red", "green"', words_of_colours))
    facesets("tags", "set", tmp_path / "tags.toml", "--only")
    (photos / "green.png").unlink()
    with ml_service() as service:
        service.latency_s = 0.05
        asked = ("index", "--target", photos, "--ml-uri", service.url, "--skip-faces", *words)
        facesets(*asked)
        # One text a request, each once.
        assert texts(service) == 13
        assert service.most_at_once == (2 if words else IndexOptions().concurrency)


def test_a_pack_beside_a_service_is_the_model_that_the_service_names(facesets: Call, photos: Path) -> None:
    with ml_service() as service:
        service.models = ("antelopev2",)
        # Of a published pack: were it looked for here, it would be fetched.
        asked = ("index", "--target", photos, "--ml-uri", service.url, "--skip-clip", "--pack", "antelopev2")
        assert "fetching" not in facesets(*asked).err
        assert len(service.pictures) == 2


def test_a_service_tags_too(facesets: Call, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.toml").write_text(COLOURS)
    facesets("tags", "set", tmp_path / "tags.toml", "--only")
    with ml_service() as service:
        facesets("index", "--target", photos, "--ml-uri", service.url, "--skip-faces")
        assert texts(service) == 3
        assert "on 0 photos" in facesets("tags", "run", "--ml-uri", service.url).out
        again = facesets("tags", "run", "--ml-uri", service.url, "--force")
        assert "on 2 photos" in again.out
        assert texts(service) == 3
