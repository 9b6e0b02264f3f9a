"""Tags by CLIP: which texts of a category fit a picture, with the confidence that mathematics says."""

import numpy as np
import pytest
from scipy.special import softmax

from facesets.errors import CannotInfer
from facesets.inference.zero_shot import TagVectors, ZeroShot, text_vectors
from facesets.library_records import SelectionMode, TagCategory, TagWord
from facesets.records import Float32

SCALE = 100.0


def category(
    words: int, mode: SelectionMode = "single", least: float = 0.0, *, none: bool = True
) -> TagCategory:
    return TagCategory(
        "setting",
        "scene",
        mode,
        least,
        ("a photo of {}", "{}"),
        tuple(TagWord(f"w{n}", (f"w{n}",)) for n in range(words)),
        ("none of these",) if none else (),
    )


def unit(seed: int, count: int, dimension: int = 512) -> Float32:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    found: Float32 = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def towards(*cosines: float) -> Float32:
    """A picture with these cosine similarities to the axes."""
    picture = np.zeros(8, np.float32)
    picture[: len(cosines)] = cosines
    picture[-1] = np.sqrt(1 - np.square(picture).sum())
    return picture[None]


def axes(words: int, mode: SelectionMode = "single", least: float = 0.0, *, none: bool = True) -> ZeroShot:
    """A category whose tags, numbered from 10, are the first axes; none of them the next one."""
    about = category(words, mode, least, none=none)
    return ZeroShot(
        [TagVectors(about, tuple(range(10, 10 + words)), np.eye(8, dtype=np.float32)[: words + none])], SCALE
    )


def test_confidences_are_the_softmax_of_each_category_at_the_models_logit_scale() -> None:
    pictures = unit(1, 40)
    sizes = (5, 12, 1)
    categories = [TagVectors(category(size), tuple(range(size)), unit(size, size + 1)) for size in sizes]
    for scale in (1.0, 37.5, 100.0):
        found = ZeroShot(categories, scale).confidences(pictures)
        for size, confidence in zip(sizes, found, strict=True):
            exact = softmax(scale * pictures.astype(float) @ unit(size, size + 1).astype(float).T, axis=1)
            np.testing.assert_allclose(confidence, exact, atol=1e-5)
            np.testing.assert_allclose(confidence.sum(axis=1), 1, atol=1e-12)


def test_a_tag_is_the_mean_of_its_prompts_and_of_unit_length() -> None:
    texts = {"a photo of w0": 0, "w0": 1, "a photo of w1": 2, "w1": 3, "none of these": 4}
    vectors = unit(7, 5)
    made = text_vectors(category(2), lambda text: vectors[texts[text]])
    means = np.array([vectors[:2].mean(axis=0), vectors[2:4].mean(axis=0), vectors[4]])
    np.testing.assert_allclose(made, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-6)
    assert made.dtype == np.float32


def test_prompts_that_cancel_each_other_out_are_refused() -> None:
    opposite = {"a photo of w0": unit(1, 1)[0], "w0": -unit(1, 1)[0]}
    with pytest.raises(CannotInfer):
        text_vectors(category(1), lambda text: opposite[text])


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 300])
def test_what_a_picture_gets_does_not_depend_on_the_others(batch: int) -> None:
    vectors = TagVectors(category(30, "multi", 0.05), tuple(range(30)), unit(3, 31))
    zero_shot = ZeroShot([vectors, TagVectors(category(4), (50, 51, 52, 53), unit(4, 5))], SCALE)
    pictures = unit(5, 300)
    whole = zero_shot.confidences(pictures)
    parts = [zero_shot.confidences(pictures[at : at + batch]) for at in range(0, 300, batch)]
    for place, confidence in enumerate(whole):
        assert np.concatenate([part[place] for part in parts]).tobytes() == confidence.tobytes()


def test_single_keeps_the_best_tag_with_its_confidence() -> None:
    found = axes(3).tags(towards(0.30, 0.32, 0.20))
    assert (found.row.tolist(), found.tag.tolist()) == ([0], [11])
    exact = softmax([30, 32, 20, 0])[1]
    np.testing.assert_allclose(found.confidence, [exact], rtol=1e-5)


def test_multi_keeps_every_tag_that_is_sure_enough() -> None:
    found = axes(3, "multi", 0.2, none=False).tags(towards(0.31, 0.32, 0.20))
    assert found.tag.tolist() == [10, 11]
    np.testing.assert_allclose(found.confidence, softmax([31, 32, 20])[:2], rtol=1e-5)
    assert not len(axes(3, "multi", 0.8, none=False).tags(towards(0.31, 0.32, 0.20)).tag)


def test_a_picture_that_none_of_the_tags_fits_gets_none() -> None:
    assert not len(axes(2).tags(towards(0.20, 0.22, 0.30)).tag)
    assert axes(2).tags(towards(0.20, 0.31, 0.30)).tag.tolist() == [11]


def test_a_best_tag_that_is_not_sure_enough_is_left_out() -> None:
    assert not len(axes(3, least=0.9).tags(towards(0.30, 0.32, 0.20)).tag)


def test_no_picture_gets_no_tag() -> None:
    assert not len(axes(3).tags(np.empty((0, 8), np.float32)).tag)
