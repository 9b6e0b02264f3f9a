"""The detector's own promises, beside its parity with insightface."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.fixtures.soak import mostly_slow

from facesets.imaging.decode import decode
from facesets.inference.detector import Detector
from facesets.inference.model_files import ModelFile
from facesets.inference.packs import read_pack


def detector(model: ModelFile, images_per_run: int) -> Detector:
    return Detector(model, det_size=640, min_det_score=0.5, images_per_run=images_per_run)


@pytest.fixture
def usual(small_pack: Path) -> ModelFile:
    return read_pack(small_pack).detector


@pytest.fixture
def other(shared_dir: Path) -> ModelFile:
    path = shared_dir / "models" / "extra" / "scrfd_2.5g_bnkps.onnx"
    return ModelFile(path, "detection", None, 127.5, 128.0)


@pytest.fixture
def centerface(open_pack: Path) -> ModelFile:
    return read_pack(open_pack).detector


@pytest.mark.parametrize("name", mostly_slow(["usual", "other", "centerface"], quick=1))
def test_several_pictures_in_one_run_give_what_each_gives_alone(
    request: pytest.FixtureRequest, lfw_photos: Sequence[Path], name: str
) -> None:
    model = request.getfixturevalue(name)
    pictures = [decode(path).pixels for path in lfw_photos[:7]]
    alone, together = detector(model, 1), detector(model, 3)
    assert (alone.images_per_run, together.images_per_run) == (1, 3)
    for one, many in zip(map(alone.detect, pictures), together.detect_all(pictures), strict=True):
        assert len(one) == len(many) > 0
        assert np.abs(one.box - many.box).max() < 1e-2
        assert np.abs(one.kps - many.kps).max() < 1e-2
        assert np.abs(one.det_score - many.det_score).max() < 1e-5


def test_a_network_with_another_order_of_results_gets_one_image_at_a_time(
    small_pack: Path, usual: ModelFile, lfw_photos: Sequence[Path], tmp_path: Path
) -> None:
    graph = onnx.load(str(small_pack / "det_500m.onnx"))
    for node in graph.graph.node:
        if node.op_type == "Transpose":
            node.attribute[0].ints[:] = [0, 2, 3, 1]
    onnx.save(graph, str(tmp_path / "images_first.onnx"))
    images_first = ModelFile(tmp_path / "images_first.onnx", "detection", None, 127.5, 128.0)
    careful = detector(images_first, 4)
    assert careful.images_per_run == 1
    pixels = decode(lfw_photos[0]).pixels
    found = careful.detect(pixels).box
    assert np.array_equal(found, detector(usual, 1).detect(pixels).box)
    assert len(found)


def test_a_network_without_batches_gets_one_image_at_a_time(small_pack: Path, tmp_path: Path) -> None:
    graph = onnx.load(str(small_pack / "det_500m.onnx"))
    # All but the first five rows of each output are cut off: as if it knew one picture's size only.
    for output in graph.graph.output:
        last = next(node for node in graph.graph.node if output.name in node.output)
        last.output[0] = f"{output.name}_whole"
        ends = [
            onnx.helper.make_tensor(f"{output.name}_{n}", onnx.TensorProto.INT64, [1], [v])
            for n, v in (("from", 0), ("to", 5), ("axis", 0))
        ]
        graph.graph.initializer.extend(ends)
        graph.graph.node.append(
            onnx.helper.make_node("Slice", [last.output[0], *(end.name for end in ends)], [output.name])
        )
    onnx.save(graph, str(tmp_path / "cut.onnx"))
    assert detector(ModelFile(tmp_path / "cut.onnx", "detection", None, 127.5, 128.0), 4).images_per_run == 1
