"""Face models that facesets writes are read as their consumers do, and by our own reader."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from tests.fixtures.face_models import LEAD, MODELS, made_model

from facesets.errors import WrongUsage
from facesets.formats.face_models.archive import read_archive, write_archive
from facesets.formats.face_models.kinds import format_of, seen_in
from facesets.formats.face_models.reactor import reactor_bytes, read_reactor
from facesets.formats.face_models.rope import read_rope, rope_bytes
from facesets.formats.face_models.visomaster import read_visomaster, visomaster_bytes

MODEL = made_model("Anna Öz")


def test_reactor_gets_every_tensor_of_a_face_in_the_shape_that_insightface_gives(tmp_path: Path) -> None:
    path = tmp_path / "Anna.safetensors"
    path.write_bytes(reactor_bytes(MODEL))
    with safe_open(path, framework="np") as file:
        face = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    shapes = {name: tensor.shape for name, tensor in face.items()}
    assert shapes == {
        "bbox": (4,),
        "kps": (5, 2),
        "det_score": (),
        "landmark_3d_68": (68, 3),
        "pose": (3,),
        "landmark_2d_106": (106, 2),
        "embedding": (512,),
        "gender": (),
        "age": (),
    }
    assert {str(face[name].dtype) for name in shapes if name not in ("gender", "age")} == {"float32"}
    assert (face["gender"].dtype, face["age"].dtype) == (np.int64, np.int64)
    assert (int(face["gender"]), int(face["age"])) == (1, 33)
    assert np.array_equal(face["bbox"], LEAD.box[0])
    assert np.array_equal(face["landmark_3d_68"], LEAD.landmark_3d_68[0])  # type: ignore[index]
    # ReActor's blended model: the mean of all.
    assert np.allclose(face["embedding"], MODEL.embeddings.mean(axis=0), atol=1e-6)
    read = read_reactor(path)
    assert (read.problems, read.faces) == ([], 1)
    assert np.array_equal(read.people[0].embedding, MODEL.mean)


def test_a_woman_is_gender_0(tmp_path: Path) -> None:
    lead = replace(LEAD, male=np.array([0.2], np.float32))
    (tmp_path / "x.safetensors").write_bytes(reactor_bytes(replace(MODEL, lead=lead)))
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        assert int(file.get_tensor("gender")) == 0


def test_visomaster_gets_a_list_of_names_with_an_embedding_store(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(visomaster_bytes([("Anna Öz", MODEL.mean), ("Ben\udcff", -MODEL.mean)]))
    entries = json.loads(path.read_text("utf-8"))
    assert [entry["name"] for entry in entries] == ["Anna Öz", "Ben\udcff"]
    store = {name: np.array(numbers) for name, numbers in entries[0]["embedding_store"].items()}
    assert {name: array.shape for name, array in store.items()} == {"Inswapper128ArcFace": (512,)}
    assert np.array_equal(store["Inswapper128ArcFace"].astype(np.float32), MODEL.mean)
    read = read_visomaster(path)
    assert (read.problems, [person.name for person in read.people]) == ([], ["Anna Öz", "Ben\udcff"])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "utf-8"])
def test_visomaster_reads_every_name_in_the_encoding_of_its_system(tmp_path: Path, encoding: str) -> None:
    path, called = tmp_path / "x", ["Ángel Öz", "\u6e21\u8fba", "\U0001f600" * 63]
    path.write_bytes(visomaster_bytes([(name, MODEL.mean) for name in reversed(called)]))
    with path.open(encoding=encoding) as file:
        assert [entry["name"] for entry in json.load(file)] == [*reversed(called)]
    assert format_of(path) == "visomaster"


def test_rope_gets_513_lines_a_person_whatever_is_in_the_name(tmp_path: Path) -> None:
    path = tmp_path / "merged_embeddings.txt"
    path.write_bytes(rope_bytes([("Anna\nÖz\x85\u2028two", MODEL.mean), ("Ben", -MODEL.mean)]))
    lines = path.read_text("utf-8").splitlines()
    people = [
        (lines[i][6:], np.array(lines[i + 1 : i + 513], dtype="float32")) for i in range(0, len(lines), 513)
    ]
    assert [name for name, _ in people] == ["Anna Öz two", "Ben"]
    assert np.array_equal(people[0][1], MODEL.mean)
    assert np.array_equal(people[1][1], -MODEL.mean)
    read = read_rope(path)
    assert (read.problems, [person.name for person in read.people]) == ([], ["Anna Öz two", "Ben"])


def test_numpy_gets_embeddings_mean_names_and_scores_without_pickles(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    files = []
    for _ in range(2):
        file = io.BytesIO()
        write_archive(file, MODEL, MODELS)
        files.append(file.getvalue())
    assert files[0] == files[1]
    path.write_bytes(files[0])
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["embeddings"], MODEL.embeddings)
        assert np.allclose(arrays["mean"], MODEL.embeddings.mean(axis=0), atol=1e-6)
        assert arrays["names"].tolist() == list(MODEL.files)
        assert np.array_equal(arrays["scores"], MODEL.scores)
        assert (str(arrays["person"]), str(arrays["recogniser"])) == ("Anna Öz", MODELS.recognizer)
    read = read_archive(path)
    assert (read.problems, read.faces, read.people[0].name) == ([], 3, "Anna Öz")
    assert read.least_cosine_similarity is not None
    assert read.least_cosine_similarity > 0.3


def test_a_format_is_known_by_its_content_whatever_the_file_is_called(
    tmp_path: Path, sound_models: dict[str, Path]
) -> None:
    for kind, path in sound_models.items():
        other = tmp_path / kind
        other.write_bytes(path.read_bytes())
        assert format_of(other) == kind
    assert format_of(tmp_path) == "images"
    plain = tmp_path / "notes"
    plain.write_text("nothing of these")
    assert (format_of(plain), seen_in(plain)) == (None, None)
    damaged = tmp_path / "x.npz"
    damaged.write_bytes(b"PK\x03\x04")
    assert format_of(damaged) == "npz"


@pytest.mark.parametrize("read", [read_reactor, read_visomaster, read_rope, read_archive])
def test_a_missing_file_is_a_usage_error(tmp_path: Path, read: object) -> None:
    with pytest.raises(WrongUsage, match="Face model not found"):
        read(tmp_path / "nothing")  # type: ignore[operator]
