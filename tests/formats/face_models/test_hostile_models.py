"""Damaged and hostile face models are read, or refused with one sentence."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load
from safetensors.numpy import save as save_tensors
from tests.fixtures.face_models import made_model
from tests.fixtures.hostile import archive_of, arrays_in, changed_arrays, changed_json, damaged_bytes, hostile

from facesets.errors import FacesetsError
from facesets.formats.bundle import read_bundle
from facesets.formats.face_models.face_model import ModelsRead
from facesets.formats.face_models.kinds import format_of
from facesets.formats.face_models.reactor import reactor_bytes, read_reactor
from facesets.operations.reports.verify_bundle import READERS

KINDS = ("safetensors", "visomaster", "rope", "npz")
Sound = dict[str, Path]


def read(path: Path, kind: str) -> ModelsRead | str:
    """Return a file's content, or the refusing sentence; no content causes a crash."""
    format_of(path)
    try:
        found = READERS[kind](path)  # type: ignore[index]
    except FacesetsError as error:
        assert str(error).isprintable()
        return str(error)
    for person in found.people:
        assert np.isfinite(person.embedding).all()
    assert all(problem.isprintable() for problem in found.problems)
    return found


def problems_of(path: Path, kind: str) -> str:
    """Return all problems of a file."""
    found = read(path, kind)
    return found if isinstance(found, str) else "; ".join(found.problems)


def _damaged(data: st.DataObject, content: bytes) -> bytes:
    return data.draw(damaged_bytes(content))


def _other_json(data: st.DataObject, content: bytes) -> bytes:
    return json.dumps(data.draw(changed_json(json.loads(content)))).encode()


def _other_header(data: st.DataObject, content: bytes) -> bytes:
    length = struct.unpack("<Q", content[:8])[0]
    header = _other_json(data, content[8 : 8 + length])
    claimed = data.draw(st.sampled_from([len(header), len(header) - 1, 0, 2**63, 2**64 - 1, 10**9]))
    return struct.pack("<Q", claimed) + header + content[8 + length :]


def _other_arrays(data: st.DataObject, content: bytes) -> bytes:
    numbers = {name: array for name, array in arrays_in(content).items() if array.dtype.kind == "f"}
    return archive_of(data.draw(changed_arrays(numbers)))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, _damaged) for kind in (*KINDS, "fsz")),
        ("visomaster", _other_json),
        ("safetensors", _other_header),
        ("npz", _other_arrays),
    ],
)
@given(data=st.data())
@hostile
def test_a_file_that_was_changed_is_read_or_refused(
    data: st.DataObject,
    kind: str,
    change: Callable[[st.DataObject, bytes], bytes],
    sound_models: Sound,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"changed_{kind}"
    path.write_bytes(change(data, sound_models[kind].read_bytes()))
    if kind != "fsz":
        read(path, kind)
        return
    format_of(path)
    try:
        _, problems = read_bundle(path)
    except FacesetsError as error:
        problems = [str(error)]
    assert all(problem.isprintable() for problem in problems)


def _header(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _tensor(**changed: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 10**8) + b"{",
        _header(b"{" * 200),
        _header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        _header({"a": _tensor(data_offsets=[0, 2**62])}, bytes(8)),
        _header({"a": _tensor(), "b": _tensor(data_offsets=[4, 12])}, bytes(12)),
        _header({"a": _tensor(shape=[2**40, 2**40])}, bytes(8)),
        _header({"a": _tensor(shape=[-2])}, bytes(8)),
        _header({"a": _tensor(dtype="Q9")}, bytes(8)),
        _header({"a": _tensor()}, bytes(80)),
        _header({"a": _tensor(data_offsets=[8, 0])}, bytes(8)),
        _header({"a": _tensor(dtype="F8_E4M3", shape=[8])}, bytes(8)),
        _header({"__metadata__": {"x": 1}, "a": _tensor()}, bytes(8)),
    ],
    ids=lambda content: content[:24].hex(),
)
def test_a_hostile_header_is_refused_or_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert problems_of(path, "safetensors")


@pytest.mark.slow
def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("embeddings.npy", bytes(400_000_000))
        archive.writestr("mean.npy", b"")
    assert "declares more" in problems_of(path, "npz")


def test_a_file_larger_than_any_model_is_not_read(tmp_path: Path) -> None:
    for kind in KINDS:
        path = tmp_path / kind
        with path.open("wb") as file:
            file.truncate(200_000_000)
        assert "larger than 64 MB" in problems_of(path, kind)


def _spoil(name: str, change: Callable[[np.ndarray], object]) -> Callable[[dict[str, np.ndarray]], None]:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[name] = np.asarray(change(tensors[name]))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda tensors: tensors.pop("pose"), "pose is missing"),
        (_spoil("embedding", lambda e: e[:128].copy()), r"embedding has shape (128,), not (512,)"),
        (_spoil("embedding", lambda e: e * np.nan), "embedding contains NaN or infinity"),
        (_spoil("embedding", lambda e: e * 0), "embedding has length 0"),
        (_spoil("age", lambda a: a.astype(np.float32)), "age has type float32, not integer"),
        (_spoil("gender", lambda g: g + 5), "gender is 6"),
        (_spoil("kps", lambda k: k.astype(np.int32)), "kps has type int32, not floating point"),
        (_spoil("bbox", lambda b: b * np.inf), "bbox contains NaN or infinity"),
    ],
)
def test_problems_for_reactor_are_named(
    tmp_path: Path, spoil: Callable[[dict[str, np.ndarray]], object], expected: str
) -> None:
    tensors = load(reactor_bytes(made_model("Anna")))
    spoil(tensors)
    path = tmp_path / "x.safetensors"
    path.write_bytes(save_tensors(tensors))
    assert expected in problems_of(path, "safetensors")
    assert isinstance(read_reactor(path), ModelsRead)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{}", "not a list of people"),
        ("[]", "not a list of people"),
        ("[1]", "entry 0 is not a person"),
        ('[{"name": 3}]', "entry 0 has no name"),
        ('[{"name": "A"}]', "entry 0 (A) has no embedding_store"),
        ('[{"name": "A", "embedding_store": {"X": [1]}}]', "has no Inswapper128ArcFace"),
        ('[{"name": "A", "embedding_store": {"Inswapper128ArcFace": [1, true]}}]', "not a list of numbers"),
        ('[{"name": "A", "embedding_store": {"Inswapper128ArcFace": [1, 2]}}]', "shape (2,), not (512,)"),
        (
            f'[{{"name": "A", "embedding_store": {{"Inswapper128ArcFace": [{"1e999," * 511}1]}}}}]',
            "NaN or infinity",
        ),
        (f'[{{"name": "A", "embedding_store": {{"Inswapper128ArcFace": [{"9" * 400}]}}}}]', "A"),
        ("[" * 200_000, "it is not JSON"),
        ("[1", "it is not JSON"),
    ],
)
def test_problems_for_visomaster_are_named(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert expected in problems_of(path, "visomaster")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "0 lines"),
        ("Name: A\n" + "1\n" * 511, "512 lines, which is not a multiple of 513"),
        ("Name: A\n\n" + "1\n" * 511, "person 1 (A) is not numeric"),
        ("1\n" * 513, "line 1 is not a person's name"),
        ("Name: A\n" + "nan\n" * 512, "NaN or infinity"),
        ("Name: A\n" + "1\n" * 512 + "\n", "514 lines"),
    ],
)
def test_problems_for_rope_are_named(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "merged_embeddings.txt"
    path.write_text(content)
    assert expected in problems_of(path, "rope")
