"""CLIP tags: the texts of a category that fit a picture, with the expected confidence."""

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
def test_a_pictures_result_does_not_depend_on_the_others(batch: int) -> None:
    vectors = TagVectors(category(30, "multi", 0.05), tuple(range(30)), unit(3, 31))
    zero_shot = ZeroShot([vectors, TagVectors(category(4), (50, 51, 52, 53), unit(4, 5))], SCALE)
    pictures = unit(5, 300)
    whole = zero_shot.confidences(pictures)
    parts = [zero_shot.confidences(pictures[at : at + batch]) for at in range(0, 300, batch)]
    for place, confidence in enumerate(whole):
        assert np.concatenate([part[place] for part in parts]).tobytes() == confidence.tobytes()


@pytest.mark.parametrize(
    ("category", "cosines", "tags"),
    [
        (axes(3), (0.30, 0.32, 0.20), [11]),
        (axes(3, "multi", 0.2, none=False), (0.31, 0.32, 0.20), [10, 11]),
        (axes(3, "multi", 0.8, none=False), (0.31, 0.32, 0.20), []),
        (axes(2), (0.20, 0.22, 0.30), []),
        (axes(2), (0.20, 0.31, 0.30), [11]),
        (axes(3, least=0.9), (0.30, 0.32, 0.20), []),
    ],
    ids=[
        "the best one",
        "of several all that are sure enough",
        "which may be none",
        "none where none of them fits",
        "or the best before that",
        "not the best if it is not sure enough",
    ],
)
def test_a_picture_gets_tags_with_their_confidence(
    category: ZeroShot, cosines: tuple[float, ...], tags: list[int]
) -> None:
    found = category.tags(towards(*cosines))
    assert (found.row.tolist(), found.tag.tolist()) == ([0] * len(tags), tags)
    (confidences,) = category.confidences(towards(*cosines))
    np.testing.assert_allclose(found.confidence, confidences[0, [tag - 10 for tag in tags]], rtol=1e-6)
    assert not len(category.tags(np.empty((0, 8), np.float32)).tag)
