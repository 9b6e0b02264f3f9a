"""Body detectors in every layout give boxes exact to the pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.fixtures.body_networks import Finds, Made, drawn, make_body_network

from facesets.errors import DamagedFile, WrongUsage
from facesets.imaging.bodies import SeenBodies
from facesets.inference.bodies import BodyDetector
from facesets.records import Pixels

PERSON_AND_FACE = (Finds("red", 0, 0.9), Finds("green", 1, 0.8), Finds("blue", 0, 0.7))
LAYOUTS = ("v8", "v8 rows", "v5", "v5 columns", "yolox", "nms")


def seen(path: Path, made: Made, *pictures: Pixels, images_per_run: int = 1) -> list[SeenBodies]:
    network = make_body_network(path / "bodies.onnx", made)
    return BodyDetector(network, images_per_run=images_per_run).detect_all(pictures)


def people(found: SeenBodies) -> list[list[float]]:
    rounded: list[list[float]] = found.people.box.round(3).tolist()
    return rounded


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("edge", "half"), [(64, False), (None, False), (64, True)], ids=["fixed", "free", "half precision"]
)
def test_every_layout_gives_people_and_faces_to_the_pixel(
    tmp_path: Path, layout: str, edge: int | None, half: bool
) -> None:
    if layout == "yolox" and edge is None:
        edge = 128
    made = Made(PERSON_AND_FACE, layout, ("person", "face"), edge, edge, half=half)
    off = 0.2 if half else 1e-3
    picture = drawn(128, 128, red=(10, 20, 50, 100), green=(20, 24, 36, 44), blue=(70, 30, 120, 126))
    (found,) = seen(tmp_path, made, picture)
    np.testing.assert_allclose(found.people.box, [[10, 20, 50, 100], [70, 30, 120, 126]], atol=off)
    np.testing.assert_allclose(found.people.score, [0.9, 0.7], atol=off)
    np.testing.assert_allclose(found.faces.box, [[20, 24, 36, 44]], atol=off)
    np.testing.assert_allclose(found.faces.score, [0.8], atol=off)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("width", "height"), [(128, 32), (32, 128), (37, 91), (640, 48), (100, 1000)])
def test_images_of_any_shape_are_letterboxed_and_boxes_mapped_back(
    tmp_path: Path, layout: str, width: int, height: int
) -> None:
    box = (width // 4, height // 4, width - width // 8, height - height // 8)
    (found,) = seen(tmp_path, Made(layout=layout), drawn(width, height, red=box))
    scale = 64 / max(width, height)
    pixel = max(edge / round(edge * scale) for edge in (width, height))
    assert np.abs(found.people.box - np.array([box])).max() <= pixel / 2 + 1e-3


def test_an_input_that_is_not_square_is_filled_as_it_is(tmp_path: Path) -> None:
    made = Made(width=96, height=32)
    box = (8, 10, 40, 60)
    (found,) = seen(tmp_path, made, drawn(192, 64, red=box))
    assert people(found) == [list(box)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_uncertain_and_overlapping_boxes_are_left_out(tmp_path: Path, layout: str) -> None:
    # Boxes 40 wide: 10 to the right is an overlap of 0.6, 24 to the right of 0.25.
    finds = [Finds("red", 0, 0.6, 24), Finds("red", 0, 0.8, 10), Finds("red", 0, 0.9), Finds("blue", 0, 0.49)]
    picture = drawn(64, 64, red=(0, 10, 40, 50), blue=(10, 52, 30, 60))
    (found,) = seen(tmp_path, Made(finds, layout), picture)
    assert people(found) == [[0, 10, 40, 50], [24, 10, 64, 50]]


def test_a_face_box_is_not_counted_as_a_person(tmp_path: Path) -> None:
    finds = [Finds("red", 0, 0.9), Finds("red", 1, 0.95)]
    (found,) = seen(tmp_path, Made(finds, names=("person", "face")), drawn(64, 64, red=(10, 10, 30, 40)))
    assert (people(found), found.faces.box.tolist()) == ([[10, 10, 30, 40]], [[10, 10, 30, 40]])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("names", "person", "other", "face"),
    [(("dog", "Face", "Person"), 2, 0, 1), (None, 0, 16, None)],
    ids=["by name, wherever they are", "or as COCO numbers them"],
)
def test_classes_are_known(
    tmp_path: Path, layout: str, names: tuple[str, ...] | None, person: int, other: int, face: int | None
) -> None:
    finds = [Finds("red", person), Finds("blue", other), *([Finds("green", face)] if face else [])]
    picture = drawn(96, 96, red=(1, 2, 10, 20), blue=(20, 2, 40, 20), green=(2, 30, 12, 40))
    (found,) = seen(tmp_path, Made(finds, layout, names, 96, 96), picture)
    assert people(found) == [[1, 2, 10, 20]]
    assert found.faces.box.round(3).tolist() == ([[2, 30, 12, 40]] if face else [])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("batch", "images_per_run"), [(1, 1), (4, 1), (None, 1), (None, 3), (None, 16)])
def test_detections_do_not_depend_on_the_rest_of_the_batch(
    tmp_path: Path, layout: str, batch: int | None, images_per_run: int
) -> None:
    shapes = [(64, 64), (128, 40), (40, 128), (64, 64), (200, 200)]
    boxes = [(w // 8 + i, h // 8, w // 2 + i, h // 2) for i, (w, h) in enumerate(shapes)]
    pictures = [drawn(*shape, red=box) for shape, box in zip(shapes, boxes, strict=True)]
    pictures.insert(2, drawn(64, 64))
    made = Made(layout=layout, batch=batch)
    together = seen(tmp_path, made, *pictures, images_per_run=images_per_run)
    alone = [seen(tmp_path, replace(made, batch=1), picture)[0] for picture in pictures]
    assert [people(each) for each in together] == [people(each) for each in alone]
    assert [len(each.people.box) for each in together] == [1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "made",
    [
        Made([Finds("red")] * 60, "v8", task="pose", extra=51),
        Made([Finds("red")] * 60, "v8 rows", task="pose", extra=51),
        Made([Finds("red")] * 5, "nms", task="pose", extra=51, metadata=[("end2end", "True")]),
        Made(
            [Finds("red")] * 5, "nms", task="pose", extra=51, metadata=[("args", "{'batch': 1, 'nms': True}")]
        ),
        Made(metadata=[("args", "{{'nms': True}}"), ("end2end", "perhaps")]),
    ],
    ids=["poses", "poses by rows", "poses, suppressed", "poses, suppressed by argument", "rubbish is said"],
)
def test_networks_with_more_metadata_find_people(tmp_path: Path, made: Made) -> None:
    (found,) = seen(tmp_path, made, drawn(64, 64, red=(8, 16, 24, 48)))
    assert people(found) == [[8, 16, 24, 48]]


def test_boxes_too_thin_for_a_person_are_left_out(tmp_path: Path) -> None:
    finds = [Finds("red", 0, 0.9, 300)]
    assert people(seen(tmp_path, Made(finds), drawn(64, 64, red=(8, 16, 24, 48)))[0]) == []


def refused(path: Path) -> str:
    with pytest.raises(DamagedFile) as raised:
        BodyDetector(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not a network", "not an ONNX model"),
        (b"", "the file is empty"),
        (b"PK\x03\x04and so on", "PyTorch checkpoint"),
    ],
)
def test_a_file_without_a_network_is_reported(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert expected in refused(tmp_path / "a.onnx")
    with pytest.raises(WrongUsage, match="Body model not found"):
        BodyDetector(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, "COCO's 80 classes"),
        ("{0: 'cat', 1: 'dog', 2: 'cow'}", "called person: cat, dog, cow"),
        # None of them is run.
        ("__import__('os').getcwd()", "class"),
        ("{", "class"),
        ("42", "class"),
        ("{'a': 'person'}", "class"),
        ("{{'person': 0}}", "class"),
    ],
)
def test_classes_that_do_not_fit_are_refused(tmp_path: Path, names: str | None, expected: str) -> None:
    path = make_body_network(tmp_path / "odd.onnx", Made(names=("person", "a", "b"), width=96))
    model = onnx.load(str(path))
    del model.metadata_props[:]
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    assert expected in refused(path)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([("a", TensorProto.FLOAT, [1, 3, 64, 64]), ("b", TensorProto.FLOAT, [1])], "2 inputs"),
        ([("a", TensorProto.UINT8, [1, 3, 64, 64])], "floating-point"),
        ([("a", TensorProto.FLOAT, [1, 64, 64, 3])], "is not images"),
        ([("a", TensorProto.FLOAT, [1, 3, 64, 64])], "has the shape"),
    ],
)
def test_inputs_and_outputs_that_do_not_fit_are_named(
    tmp_path: Path, inputs: list[tuple[str, int, list[int]]], expected: str
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["out"])],
        "other",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("out", inputs[0][1], inputs[0][2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "other.onnx"))
    assert expected in refused(tmp_path / "other.onnx")


def test_the_identity_names_the_file_and_the_settings(tmp_path: Path) -> None:
    one = make_body_network(tmp_path / "one.onnx")
    other = make_body_network(tmp_path / "other.onnx", Made(width=96))
    names = {
        BodyDetector(one).identity,
        BodyDetector(other).identity,
        BodyDetector(one, min_score=0.6).identity,
    }
    assert len(names) == 3
    assert BodyDetector(one).identity in names
