"""A library with a body model: who is on photos, and who may be though their face is not seen."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from PIL import Image
from tests.fixtures.body_networks import COLOURS, Finds, Made, make_body_network
from tests.fixtures.notices import KeptNotices
from tests.fixtures.program import Result

from facesets.assembly.stages import StageModels, make_bodies_stage
from facesets.inference.bodies import BodyDetector
from facesets.settings import load
from facesets.work import Work

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

Call = Callable[..., Result]
BODY = [96.0, 8.0, 416.0, 504.0]
JUMPER = (40, 60, 160)


@pytest.fixture
def root(root: Path, pack_dir: Path) -> Path:
    """With a pack of its own, which a test may add to."""
    pack = root / "models" / "buffalo_l"
    pack.unlink()
    shutil.copytree(pack_dir, pack)
    return root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Finds a person between two yellow marks."""
    made = Made([Finds("yellow", 0, 0.875)], width=512, height=512)
    return make_body_network(tmp_path / "yellow.onnx", made)


def photo(path: Path, face: Path | None, taken: str) -> None:
    """A person in a blue jumper between two yellow marks, with a face or from behind."""
    picture = Image.new("RGB", (512, 512), (100, 100, 100))
    if face is not None:
        picture.paste(Image.open(face).convert("L").convert("RGB"), (131, 20))
    picture.paste(JUMPER, (120, 205 if face is not None else 100, 390, 512))
    for corner in ((96, 8), (408, 496)):
        picture.paste(
            tuple(255 * part for part in COLOURS["yellow"]), (*corner, corner[0] + 8, corner[1] + 8)
        )
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    picture.save(path, lossless=True, exif=exif)


@pytest.fixture
def photos(lfw_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    faces = sorted((lfw_dir / "Colin_Powell").glob("*.jpg"))[:3]
    for number, face in enumerate(faces):
        photo(folder / f"front{number}.webp", face, f"2024:05:01 10:0{number}:00")
    photo(folder / "back.webp", None, "2024:05:01 17:00:00")
    photo(folder / "another day.webp", None, "2024:05:09 17:00:00")
    return folder


def counts(call: Call) -> tuple[int, int]:
    """Photos that were looked at for bodies, and pending ones."""
    stages = json.loads(call("stats", "--stages", "--json").out)["stages"]
    (row,) = (each for each in stages if each["stage"] == "bodies")
    return row["completed"], row["pending"]


def test_a_day_with_a_body_model(facesets: Call, photos: Path, model: Path) -> None:
    facesets("index", "--target", photos, "--skip-clip", "--body-model", model)
    assert counts(facesets) == (5, 0)
    facesets("cluster")
    (number,) = [person["id"] for person in json.loads(facesets("people", "list", "--json").out)["people"]]
    facesets("people", "name", number, "Colin")
    found = json.loads(facesets("people", "bodies", "Colin", "--json").out)
    (suggested,) = found["suggested"]
    assert (found["bodies"], Path(suggested["path"]).name, suggested["why"]) == (3, "back.webp", "colours")
    assert suggested["box"] == BODY
    text = facesets("people", "bodies", "Colin").out
    assert "1 photo that may show them" in text
    assert "same colours that day" in text
    assert json.loads(facesets("people", "show", "Colin", "--json").out)["bodies"] == 3
    assert "people bodies" in facesets("people", "show", "Colin").out
    # No face was assigned.
    assert json.loads(facesets("people", "show", "Colin", "--json").out)["person"]["faces"] == 3


def test_photos_of_a_library_without_a_body_model_get_it_later(
    facesets: Call, photos: Path, model: Path, root: Path, library_url: str
) -> None:
    facesets("index", "--target", photos, "--skip-clip")
    assert counts(facesets)[0] == 0
    assert "no model for the analysis step bodies" in facesets("index", "--stage", "bodies", status=2).err
    facesets("cluster", "--method", "components", "--min-size", "1")
    somebody = json.loads(facesets("people", "list", "--json").out)["people"][0]["id"]
    not_looked_for = "5 photos cannot be found by this yet: run `facesets index --stage bodies`"
    assert not_looked_for in facesets("people", "bodies", somebody).err
    pack = root / "models" / "buffalo_l"
    (pack / "body").mkdir()
    shutil.copy(model, pack / "body" / "yellow.onnx")
    facesets("index", "--stage", "bodies")
    assert counts(facesets) == (5, 0)
    with psycopg.connect(library_url) as connection:
        found = connection.execute("SELECT count(*), count(face_id) FROM bodies").fetchone()
    assert found == (5, 3)
    # A model that is another makes all photos pending; one beside the packs does as well.
    shutil.rmtree(pack / "body")
    make_body_network(root / "models" / "body" / "red.onnx", Made(width=512, height=512))
    facesets("index", "--stage", "bodies", "--max-images", "2")
    assert "red" not in facesets("models", "path").out
    assert counts(facesets)[0] in (2, 3)


def test_a_file_that_is_no_body_model_ends_index_before_it_begins(
    facesets: Call, photos: Path, root: Path
) -> None:
    file = root / "notes.onnx"
    file.write_text("not a network")
    error = facesets("index", "--target", photos, "--skip-clip", "--body-model", file, status=1).err
    assert "cannot be used as a body model: it is not an ONNX model" in error
    assert "not found" in facesets("index", "--target", photos, "--body-model", "nowhere", status=2).err
    # A model that was not named does not keep photos from being added.
    shutil.copytree(root, root / "models" / "body", ignore=shutil.ignore_patterns("models"))
    assert "Body detection is skipped" in facesets("index", "--target", photos, "--skip-clip").err
    assert counts(facesets) == (0, 5)


def test_the_settings_name_a_body_model_and_stages_switch_it_off(
    facesets: Call, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESETS_CONFIG", str(tmp_path / "facesets.toml"))
    (tmp_path / "facesets.toml").write_text(f'[index]\nbody-model = "{model}"\n')
    facesets("index", "--target", photos, "--skip-clip", "--stages", "metadata,detection")
    assert counts(facesets)[0] == 0
    facesets("index", "--stage", "bodies")
    assert counts(facesets) == (5, 0)
    stage = make_bodies_stage(StageModels(), load(), KeptNotices(), Work())
    assert stage is not None
    assert BodyDetector(model).identity in stage.version


def test_doctor_and_models_list_describe_body_models_and_why_one_does_not_fit(
    facesets: Call, model: Path, root: Path
) -> None:
    good = facesets("doctor", "--body-model", model).out
    assert f"ok  body model {model}: finds people in 512 x 512 pixels (YOLOv8's layout)" in good
    assert "body model yolox_s: missing; body detection is not available" in facesets("doctor").out
    listed = facesets("models", "list").out
    assert "models pull yolox_s`. YOLOX is under the Apache License 2.0" in listed
    folder = root / "models" / "body"
    cats = make_body_network(folder / "cats.onnx", Made(names=("cat",)))
    bad = facesets("doctor", status=1).out
    assert f"!!  body model {cats}" in bad
    assert "none of its classes is called person: cat" in bad
    cats.unlink()
    shutil.copy(model, folder / "yellow.onnx")
    (folder / "broken.onnx").write_text("not a network")
    packs = {pack["name"]: pack for pack in json.loads(facesets("models", "list", "--json").out)["packs"]}
    assert packs.keys() == {"buffalo_l", "yellow", "broken"}
    assert packs["yellow"]["tasks"] == ["bodies"]
    assert "not an ONNX model" in packs["broken"]["problem"]
    assert facesets("models", "path", "yellow").out.strip() == str(folder / "yellow.onnx")
    assert "unknown" in facesets("models", "verify", "yellow").out
