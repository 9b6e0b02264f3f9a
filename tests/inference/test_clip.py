"""CLIP packs as Immich lays them out: pictures and texts to vectors of one space."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.clip import COLOURS, CONTEXT, MEAN, SIZE, STD, make_clip

from facesets.errors import CannotInfer, DamagedFile, MissingModelPack
from facesets.inference.clip_image import ClipVisual, Preparation, prepared
from facesets.inference.clip_packs import find_clip, read_clip
from facesets.inference.clip_text import ClipTextual
from facesets.records import Pixels


@pytest.fixture(scope="module")
def pack_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("models") / "clip" / "tiny")


def plain(colour: tuple[int, int, int], height: int = 40, width: int = 60) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


RED, GREEN, BLUE = plain((220, 20, 30)), plain((10, 200, 20)), plain((20, 10, 210))


@pytest.fixture
def photo(lfw_photos: list[Path]) -> Pixels:
    return np.asarray(Image.open(lfw_photos[0]).convert("RGB"))[:, :180]


def test_texts_and_pictures_meet_in_one_space(pack_path: Path) -> None:
    pack = read_clip(pack_path)
    pictures = ClipVisual(pack).embeddings([RED, GREEN, BLUE])
    textual = ClipTextual(pack)
    texts = np.array([textual.embedding(text) for text in ("red", "a GREEN thing", " blue\n")])
    np.testing.assert_allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    assert (texts @ pictures.T).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (33, 500), (20, 20), (251, 250), (32, 32)])
def test_pictures_are_prepared_as_open_clip_prepares_them(photo: Pixels, size: tuple[int, int]) -> None:
    image = Image.fromarray(photo).resize(size)
    how = Preparation(SIZE, SIZE, tuple(MEAN), tuple(STD))
    short = min(image.size)
    scaled = image.resize(
        (int(SIZE * image.width / short), int(SIZE * image.height / short)), Image.Resampling.BICUBIC
    )
    left, top = (round((edge - SIZE) / 2) for edge in scaled.size)
    cropped = scaled.crop((left, top, left + SIZE, top + SIZE))
    reference = ((np.asarray(cropped) / 255 - MEAN) / STD).transpose(2, 0, 1)
    made = prepared(np.asarray(image), how)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, reference, atol=2e-6)


def test_squash_distorts_and_longest_pads_with_the_fill_colour(photo: Pixels) -> None:
    wide = np.asarray(Image.fromarray(photo).resize((200, 100)))
    squashed = prepared(wide, Preparation(SIZE, SIZE, (0, 0, 0), (1, 1, 1), resize_mode="squash"))
    reference = np.asarray(Image.fromarray(wide).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(squashed, reference.transpose(2, 0, 1) / 255, atol=1e-6)
    longest = Preparation(SIZE, SIZE, (0, 0, 0), (1, 1, 1), resize_mode="longest", fill=255)
    padded = prepared(wide, longest)
    assert (padded[:, : SIZE // 4] == 1).all()
    assert (padded[:, -SIZE // 4 :] == 1).all()
    inner = np.asarray(Image.fromarray(wide).resize((SIZE, SIZE // 2), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(padded[:, SIZE // 4 : -SIZE // 4], inner.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_very_long_picture_is_accepted(pack_path: Path) -> None:
    visual = ClipVisual(read_clip(pack_path))
    assert visual.embeddings([plain((9, 9, 9), 1, 20_000_000)]).shape == (1, 48)
    # Cropped parts have no effect, however large.
    short, long = plain((9, 99, 9), 500, 3), plain((9, 99, 9), 700, 3)
    np.testing.assert_allclose(visual.embeddings([short]), visual.embeddings([long]), atol=1e-6)


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_a_vector_does_not_depend_on_its_neighbours(tmp_path: Path, batch: int | str, photo: Pixels) -> None:
    visual = ClipVisual(read_clip(make_clip(tmp_path / "tiny", batch=batch)))
    alone = visual.embeddings([photo])[0].tobytes()
    together = visual.embeddings([RED, photo, BLUE, GREEN, photo])
    assert [together[1].tobytes(), together[4].tobytes()] == [alone, alone]
    assert visual.embeddings([]).shape[0] == 0


def test_half_precision_gives_nearly_the_same_vectors_as_float32(tmp_path: Path, pack_path: Path) -> None:
    half = ClipVisual(read_clip(make_clip(tmp_path / "half", half=True))).embeddings([RED])
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, ClipVisual(read_clip(pack_path)).embeddings([RED]), atol=1e-2)


def test_models_with_ids_and_mask_are_fed_by_the_names_of_their_inputs(
    tmp_path: Path, pack_path: Path
) -> None:
    other = ClipTextual(read_clip(make_clip(tmp_path / "xlm", style="mclip")))
    ours = ClipTextual(read_clip(pack_path))
    for text in COLOURS:
        np.testing.assert_allclose(other.embedding(text), ours.embedding(text), atol=1e-3)


def test_texts_of_any_length_fill_the_context(pack_path: Path) -> None:
    textual = ClipTextual(read_clip(pack_path))
    for text in ("", "red", "green " * 100):
        ids, mask = textual.tokens(text)
        assert (len(ids), len(mask)) == (CONTEXT, CONTEXT)
    short, short_mask = textual.tokens("red")
    assert short_mask.sum() == 3
    assert (short[3:] == short[-1]).all()
    long, _ = textual.tokens("green " * 100)
    assert long[-1] == short[2], "a text that is cut still ends with the end token"


def test_canonical_texts_lose_case_and_punctuation(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "tiny")
    (path / "config.json").write_text('{"text_cfg": {"tokenizer_kwargs": {"clean": "canonicalize"}}}')
    textual = ClipTextual(read_clip(path))
    assert textual.tokens("A red, RED thing!")[0].tolist() == textual.tokens("a red red thing")[0].tolist()


def test_packs_are_found_by_name_and_by_path(pack_path: Path) -> None:
    root = pack_path.parent.parent
    assert find_clip("tiny", [root]).path == pack_path
    assert find_clip(str(pack_path), []).name == "tiny"
    with pytest.raises(MissingModelPack, match=r"models pull ViT-B-32__openai.*clip_pack .*tiny"):
        find_clip("ViT-B-32__openai", [root])


def test_the_identity_of_a_model_is_its_weights(tmp_path: Path, pack_path: Path) -> None:
    shutil.copytree(pack_path, tmp_path / "other name")
    model = read_clip(pack_path).model
    assert read_clip(tmp_path / "other name").model.sha256 == model.sha256
    assert read_clip(make_clip(tmp_path / "seed", seed=1)).model.sha256 != model.sha256
    (tmp_path / "other name" / "visual" / "weights.bin").write_bytes(b"beside")
    # Identities are cached by path, as hashing takes a second.
    shutil.copytree(tmp_path / "other name", tmp_path / "large")
    assert read_clip(tmp_path / "large").model.sha256 != model.sha256


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        '{"size": "large"}',
        '{"size": 32, "resize_mode": "melt"}',
        '{"size": 32, "std": [0, 0, 0]}',
    ],
)
def test_a_damaged_pack_is_reported(tmp_path: Path, content: str | None) -> None:
    path = make_clip(tmp_path / "tiny")
    (path / "visual" / "preprocess_cfg.json").unlink()
    if content is not None:
        (path / "visual" / "preprocess_cfg.json").write_text(content)
    with pytest.raises(DamagedFile, match="preprocess_cfg"):
        ClipVisual(read_clip(path))


def test_a_damaged_part_for_texts_is_named(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "tiny")
    (path / "textual" / "tokenizer.json").write_text("{}")
    with pytest.raises(DamagedFile, match=r"tokenizer\.json"):
        ClipTextual(read_clip(path))
    shutil.rmtree(path / "textual")
    with pytest.raises(MissingModelPack, match="no text encoder"):
        ClipTextual(read_clip(path))
    assert ClipVisual(read_clip(path)).embeddings([RED]).shape == (1, 48)


def test_a_model_of_another_type_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "tiny")
    shutil.copy(path / "textual" / "model.onnx", path / "visual" / "model.onnx")
    with pytest.raises(CannotInfer, match="does not accept images"):
        ClipVisual(read_clip(path))
    (path / "visual" / "model.onnx").write_bytes(b"rubbish")
    with pytest.raises(CannotInfer, match="cannot be loaded"):
        ClipVisual(read_clip(path))


def test_the_logit_scale_is_the_packs_or_100(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "tiny")
    assert read_clip(path).logit_scale == 100
    # The initial scale of training is not the final one.
    (path / "config.json").write_text('{"init_logit_scale": 2.65, "logit_scale_init_value": 2.65}')
    assert read_clip(path).logit_scale == 100
    (path / "config.json").write_text('{"logit_scale": 117.33}')
    assert read_clip(path).logit_scale == 117.33
    for wrong in ("0", "-3", "true", '"100"', "Infinity", "NaN"):
        (path / "config.json").write_text(f'{{"logit_scale": {wrong}}}')
        with pytest.raises(DamagedFile, match=r"config\.json"):
            read_clip(path).logit_scale  # noqa: B018 - it is read by being asked for
