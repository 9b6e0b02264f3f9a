"""Packs that are described by a `pack.toml`."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesets.errors import DamagedFile
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, read_pack
from facesets.inference.recognizer import Recognizer
from facesets.inference.rewrite import PixelInput, rewritten
from facesets.inference.session import CPU
from facesets.records import Float32, Pixels


def tiny(path: Path, *, edge: int = 64, declared: int | str = 6) -> Path:
    """A network whose vector is the mean of each channel of the upper and of the lower half."""
    halves = np.zeros((2, 1, 1, edge, 1), np.float32)
    halves[0, ..., : edge // 2, :] = halves[1, ..., edge // 2 :, :] = 2
    nodes = [
        *(helper.make_node("Mul", ["image", f"half{i}"], [f"part{i}"]) for i in range(2)),
        *(helper.make_node("GlobalAveragePool", [f"part{i}"], [f"mean{i}"]) for i in range(2)),
        helper.make_node("Concat", ["mean0", "mean1"], ["means"], axis=1),
        helper.make_node("Flatten", ["means"], ["vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, edge, edge])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", declared])],
        [numpy_helper.from_array(halves[i], f"half{i}") for i in range(2)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def described(folder: Path, text: str, *, declared: int | str = 6) -> ModelPack:
    """Make a pack of two tiny networks; the detector is never run."""
    folder.mkdir(exist_ok=True)
    for name in ("finder.onnx", "tiny.onnx"):
        tiny(folder / name, declared=declared)
    (folder / "pack.toml").write_text(f'{text}\n[detection]\nfile = "finder.onnx"\n', "utf-8")
    return read_pack(folder)


@pytest.fixture
def crop() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def expected(crop: Pixels, mean: list[float], std: list[float], *, bgr: bool) -> Float32:
    scaled = (crop.astype(np.float32) - mean) / std
    halves = [scaled[:32].mean(axis=(0, 1)), scaled[32:].mean(axis=(0, 1))]
    means: Float32 = np.concatenate([half[::-1] if bgr else half for half in halves])
    return means


@pytest.mark.parametrize("declared", [6, "d"])
@pytest.mark.parametrize(
    ("lines", "mean", "std", "bgr"),
    [
        ("mean = [10, 20, 30]\nstd = [2, 4, 8]", [10, 20, 30], [2, 4, 8], False),
        ('mean = [10, 20, 30]\nstd = [2, 4, 8]\nchannels = "bgr"', [10, 20, 30], [2, 4, 8], True),
        ('mean = 5\nstd = 2\nchannels = "bgr"', [5] * 3, [2] * 3, True),
    ],
)
def test_a_recognizer_gets_the_input_that_its_pack_states(
    tmp_path: Path,
    crop: Pixels,
    declared: int | str,
    lines: str,
    mean: list[float],
    std: list[float],
    bgr: bool,
) -> None:
    text = f'[recognition]\nfile = "tiny.onnx"\ninput_size = 64\n{lines}\n'
    recognizer = Recognizer(described(tmp_path / "pack", text, declared=declared).recognizer)
    assert (recognizer.input_size, recognizer.dimension) == (64, 6)
    vector = recognizer.raw_embeddings([crop, crop[::-1]])[0]
    assert vector == pytest.approx(expected(crop, mean, std, bgr=bgr), abs=1e-3)


@pytest.mark.parametrize("bgr", [False, True])
def test_pixels_scaled_on_the_device_follow_the_pack(tmp_path: Path, crop: Pixels, bgr: bool) -> None:
    import onnxruntime

    pixels = PixelInput(64, (10.0, 20.0, 30.0), (2.0, 4.0, 8.0), bgr=bgr)
    session = onnxruntime.InferenceSession(rewritten(tiny(tmp_path / "tiny.onnx"), pixels=pixels))
    (vector,) = session.run(None, {session.get_inputs()[0].name: crop[None]})
    assert vector[0] == pytest.approx(expected(crop, [10, 20, 30], [2, 4, 8], bgr=bgr), abs=1e-3)


def test_the_same_file_with_another_input_is_another_recognizer(tmp_path: Path) -> None:
    base = '[recognition]\nfile = "tiny.onnx"\ninput_size = 64\n'
    points = "keypoints = [[1, 1], [9, 1], [5, 5], [2, 9], [8, 9]]\n"
    texts = [base, f"{base}mean = 1\n", f"{base}std = 1\n", f'{base}channels = "bgr"\n', base + points]
    packs = [described(tmp_path / str(i), text) for i, text in enumerate(texts)]
    assert len({pack.recognizer.sha256 for pack in packs}) == len(packs)
    assert len({pack.recognizer.file_sha256 for pack in packs}) == 1
    again = described(tmp_path / "again", f'{base}licence = "MIT"\nsource = "mine"\n')
    assert again.recognizer.sha256 == packs[0].recognizer.sha256


def test_a_description_that_repeats_the_graph_keeps_the_identity(small_pack: Path, tmp_path: Path) -> None:
    plain = read_pack(small_pack)
    folder = tmp_path / "pack"
    shutil.copytree(small_pack, folder)
    text = '[recognition]\nfile = "w600k_mbf.onnx"\nlicence = "research only"\n'
    (folder / "pack.toml").write_text(text, "utf-8")
    pack = read_pack(folder)
    assert pack.recognizer.licence == "research only"
    assert pack.recognizer.sha256 == plain.recognizer.sha256
    assert sorted(pack.models) == sorted(plain.models)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[recognition", "Expected|Unclosed|at line"),
        (f"x = {'[' * 30_000}", "recursion"),
        ("note = 1", "`note` is not a text"),
        ("[recogniton]\nfile = 'tiny.onnx'", "`recogniton` is neither"),
        ("[recognition]\nfile = 'tiny.onnx'\nmaen = 1", "no `maen` in"),
        ("[recognition]\nfile = '../tiny.onnx'", "is not a file"),
        ("[recognition]\nfile = 'none.onnx'", "is not a file"),
        ("[recognition]\nfile = 1", "`file` in .* is not a text"),
        ("[recognition]\nfile = 'tiny.onnx'\ninput_size = -3", "`input_size`"),
        ("[recognition]\nfile = 'tiny.onnx'\nmean = [1, 2]", "`mean`"),
        ("[recognition]\nfile = 'tiny.onnx'\nstd = 0", "`std`"),
        ("[recognition]\nfile = 'tiny.onnx'\nmean = nan", "`mean`"),
        ("[recognition]\nfile = 'tiny.onnx'\nchannels = 'grey'", "`channels`"),
        ("[recognition]\nfile = 'tiny.onnx'\nkeypoints = [[1, 2]]", "`keypoints`"),
        (
            "[recognition]\nfile = 'tiny.onnx'\nkeypoints = [[1, 2], [3, 2], [3, 2], [1, 4], [3, 4]]",
            "five different points",
        ),
        ("[recognition]\nfile = 'tiny.onnx'\ndecoder = 'yolo'", "`decoder`"),
    ],
)
def test_a_wrong_description_is_named_in_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DamagedFile, match=rf"pack\.toml does not describe a model pack: .*{complaint}"):
        described(tmp_path / "pack", text)


def test_a_note_is_one_line_that_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    text = 'note = "Good.\\u001b[2J\\nBetter."\n[recognition]\nfile = "tiny.onnx"\ninput_size = 64\n'
    assert described(tmp_path / "pack", text).note == r"Good.\x1b[2J\nBetter."


def test_a_detector_takes_the_mean_and_order_of_its_pack(
    small_pack: Path, lfw_dir: Path, tmp_path: Path
) -> None:
    photo = decode(sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[0]).pixels
    folder = tmp_path / "swapped"
    shutil.copytree(small_pack, folder)
    text = '[detection]\nfile = "det_500m.onnx"\nchannels = "bgr"\nmean = [127.5, 127.5, 127.5]\nstd = 128\n'
    (folder / "pack.toml").write_text(text, "utf-8")
    plain = LocalEmbedder(read_pack(small_pack), det_size=320, min_det_score=0.5, provider=CPU)
    swapped = LocalEmbedder(read_pack(folder), det_size=320, min_det_score=0.5, provider=CPU)
    turned = np.ascontiguousarray(photo[:, :, ::-1])
    assert np.array_equal(swapped.detect(turned).box, plain.detect(photo).box)
