"""Damaged or malicious caches: one sentence, or usable content."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy

from facesets.errors import DamagedFile, FacesetsError
from facesets.formats.plain_npz import read_columns
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.store.npz.cache import Cache
from facesets.work import SilentProgress, Stop, Work
from tests.fixtures.hostile import (
    Arrays,
    archive_of,
    arrays_in,
    changed_arrays,
    changed_text,
    damaged_bytes,
    hostile,
)
from tests.fixtures.made_faces import SETTINGS, made_file, made_image


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "c.npz"
    images = [made_image(f"{i}.jpg", faces=1 + i % 3, seed=i) for i in range(4)]
    cache = Cache(path)
    with cache.writing(SETTINGS):
        cache.commit([made_file(f"/photos/{i}.jpg", image) for i, image in enumerate(images)], images)
    return path


@pytest.fixture(scope="module")
def arrays(sound: Path) -> Arrays:
    return arrays_in(sound.read_bytes())


def work_with(path: Path) -> None:
    """Use a cache as commands do, as far as they would get."""
    cache = Cache(path)
    try:
        cache.files()
        collection = cache.load()
        assert len(collection.face_ids()) == len(collection.faces)
        assert np.isfinite(collection.faces.embedding).all()
        silent, stop, out = SilentProgress(), Stop(), path.parent / "out"
        cluster(cache, out, ClusterOptions(dry_run=True), work=Work(progress=silent, stop=stop))
        refine(cache, out, RefineOptions(dry_run=True), work=Work(progress=silent, stop=stop))
        image = made_image("new.jpg", seed=9)
        with cache.writing(SETTINGS):
            cache.commit([made_file("/photos/new.jpg", image)], [image])
        assert image.sha256.encode() in Cache(path).load().images.sha256
    except FacesetsError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda content: changed_arrays(arrays_in(content)).map(archive_of), id="arrays"),
        pytest.param(lambda content: changed_text(arrays_in(content)).map(archive_of), id="texts"),
        pytest.param(damaged_bytes, id="bytes"),
    ],
)
@given(data=st.data())
@hostile
def test_changed_or_damaged_caches_are_used_or_refused(
    data: st.DataObject,
    changed: Callable[[bytes], st.SearchStrategy[bytes]],
    sound: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "c.npz"
    path.write_bytes(data.draw(changed(sound.read_bytes())))
    work_with(path)


def _vector(value: float) -> Callable[[Arrays], Arrays]:
    def change(arrays: Arrays) -> Arrays:
        embedding = arrays["face_embedding"].copy()
        embedding[1] = value
        return {**arrays, "face_embedding": embedding}

    return change


def _text(name: str, text: bytes) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: np.frombuffer(text, np.uint8)}


def _path(path: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: _text(
        "path_text", json.dumps([path, *json.loads(arrays["path_text"].tobytes())[1:]]).encode()
    )(arrays)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_vector(0), id="a zero vector"),
        pytest.param(_vector(np.nan), id="a vector that is no number"),
        pytest.param(_vector(np.inf), id="an infinite vector"),
        pytest.param(_vector(1), id="a vector that is not of unit length"),
        pytest.param(_text("meta", b"[" * 100_000), id="deep nesting"),
        pytest.param(_text("meta", b"[1]"), id="a list for settings"),
        pytest.param(_path("/photos/a\0.jpg"), id="a path with a zero byte"),
        pytest.param(_path("/photos/\ud800.jpg"), id="a path with a lone surrogate"),
        pytest.param(_path(""), id="an empty path"),
        pytest.param(lambda a: {**a, "face_box": a["face_box"][:-1]}, id="a short column"),
        pytest.param(lambda a: {**a, "face_kps": a["face_kps"].astype("f8")}, id="a column of another type"),
        pytest.param(lambda a: {**a, "face_blur": a["face_blur"] + np.float32(1e30)}, id="a huge number"),
        pytest.param(lambda a: {**a, "face_image": a["face_image"][::-1]}, id="faces out of order"),
        pytest.param(lambda a: {**a, "face_image": a["face_image"] + 9}, id="faces of no image"),
        pytest.param(lambda a: {**a, "image_sha256": a["image_sha256"].astype("S3")}, id="short digests"),
        pytest.param(lambda a: {n: c for n, c in a.items() if n != "face_blur"}, id="a missing column"),
    ],
)
def test_each_known_damage_is_reported_in_one_sentence(
    arrays: Arrays, tmp_path: Path, change: Callable[[Arrays], Arrays]
) -> None:
    (tmp_path / "c.npz").write_bytes(archive_of(change(arrays)))
    with pytest.raises(DamagedFile, match="Restore it from a backup"):
        Cache(tmp_path / "c.npz").load()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("meta.npy", "w", force_zip64=True) as out,
    ):
        zeros = bytes(1 << 20)
        for _ in range(100):
            out.write(zeros)

    def unpacked(*_: object) -> None:
        pytest.fail("it was unpacked")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", unpacked)
    with pytest.raises(DamagedFile):
        Cache(bomb).load()
    with pytest.raises(ValueError, match="declares more"):
        read_columns(bomb)


def test_a_shape_that_claims_gigabytes_is_refused(arrays: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as out:
                shape = (10**12, 4) if name == "face_box" else array.shape
                header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(out, header)
                out.write(array.tobytes())
    with pytest.raises(DamagedFile):
        Cache(path).load()
    with pytest.raises(ValueError, match="does not match"):
        read_columns(path)


def test_a_member_with_a_false_position_is_refused(sound: Path, tmp_path: Path) -> None:
    content = bytearray(sound.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, central + 42, len(content) - 3)
    (tmp_path / "c.npz").write_bytes(bytes(content))
    with pytest.raises(DamagedFile):
        Cache(tmp_path / "c.npz").load()


def _one_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "passwd",
            b"root:x:0:0:root:/root:/bin/bash\n",
            "is not a facesets cache but text. Give",
        ),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(60), "is not a facesets cache but a picture. Give"),
        ("other", b"PK\x03\x04" + bytes(60), "is not a facesets cache but an archive"),
        (
            "cache.npz",
            b"root:x:0:0:root:/root:/bin/bash\n",
            "is damaged or not a facesets cache. Restore it from a backup",
        ),
        ("zeros", bytes(600), "is damaged or not a facesets cache. Restore it from a backup"),
        ("x.npy", _one_array(), "not a facesets cache"),
        ("x.npz", _one_array(), "not a facesets cache"),
    ],
)
def test_no_advice_is_given_to_move_a_file_of_another_program(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FacesetsError, match=sentence):
        Cache(tmp_path / name).load()
