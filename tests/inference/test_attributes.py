"""Attribute models receive the input that their contract states."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.made_networks import face_and_body

from facesets.errors import DamagedFile
from facesets.inference.attributes import Attributes, attribute_model
from facesets.inference.packs import read_pack
from facesets.records import Float32, Pixels


def picture() -> Pixels:
    """Black, with a red face, and a body that is blue below it."""
    pixels = np.zeros((400, 300, 3), np.uint8)
    pixels[100:300, 100:200] = (0, 0, 250)
    pixels[100:150, 120:180] = (200, 0, 0)
    return pixels


FACE = np.array([[120, 100, 180, 150]], np.float32)
BODY = np.array([[100, 150, 200, 300]], np.float32)


def pack_with_bodies(folder: Path, small_pack: Path, text: str = "") -> Path:
    shutil.copytree(small_pack, folder)
    face_and_body(folder / "mivolo.onnx", edge=64)
    if text:
        (folder / "pack.toml").write_text(text, "utf-8")
    return folder


def test_a_network_of_faces_and_bodies_gets_both_crops_letterboxed(tmp_path: Path, small_pack: Path) -> None:
    model = attribute_model(read_pack(pack_with_bodies(tmp_path / "pack", small_pack)))
    assert model is not None
    assert model.task == "mivolo"
    found = Attributes(model).of(picture(), np.repeat(FACE, 2, axis=0), np.concatenate([BODY, BODY * np.nan]))
    # The network says how red the face is and how blue the body.
    # A face of 60 x 50 fills 53 of 64 rows, a body of 100 x 150 fills 43 of 64 columns.
    red, blue = 200 / 255 * 53 / 64, 250 / 255 * 43 / 64
    assert found.says == ("male", "female", "age")
    assert found.raw[:, 0] == pytest.approx([red, red], abs=1e-3)
    assert found.raw[:, 1] == pytest.approx([blue, 0], abs=1e-3)
    # Age 0.1 of the span from 1 to 95, about the middle.
    assert found.age == pytest.approx([48 + 9.4, 48 + 9.4], abs=1e-3)
    assert found.male == pytest.approx(1 / (1 + np.exp([blue - red, -red])), abs=1e-3)


def test_a_pack_states_the_ages_its_network_was_trained_on(tmp_path: Path, small_pack: Path) -> None:
    folder = pack_with_bodies(
        tmp_path / "pack", small_pack, '[mivolo]\nfile = "mivolo.onnx"\nages = [21, 60]\n'
    )
    plain = attribute_model(read_pack(pack_with_bodies(tmp_path / "plain", small_pack)))
    model = attribute_model(read_pack(folder))
    assert model is not None
    assert plain is not None
    assert Attributes(model).of(picture(), FACE).age == pytest.approx([40.5 + 3.9], abs=1e-3)
    assert Attributes(model).version != Attributes(plain).version
    (folder / "pack.toml").write_text('[mivolo]\nfile = "mivolo.onnx"\nages = [60, 21]\n', "utf-8")
    with pytest.raises(DamagedFile, match=r"`ages` in \[mivolo\] must be two ages"):
        read_pack(folder)


def test_a_face_at_the_edge_of_a_picture_and_no_face_at_all_are_looked_at(small_pack: Path) -> None:
    model = attribute_model(read_pack(small_pack))
    assert model is not None
    attributes = Attributes(model)
    beside: Float32 = np.array([[-30, -30, 10, 10], [290, 390, 340, 460]], np.float32)
    assert np.isfinite(attributes.of(picture(), beside).age).all()
    assert attributes.of(picture(), np.empty((0, 4), np.float32)).age.shape == (0,)
