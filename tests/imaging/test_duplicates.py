from pathlib import Path

import numpy as np
import pytest

from facesets.imaging import duplicates
from facesets.imaging.decode import decode
from facesets.imaging.duplicates import close_pairs, fingerprint, hamming, has_detail


@pytest.mark.parametrize("block", [3, 64, 4096])
def test_every_close_pair_is_found_and_no_other(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    rng = np.random.default_rng(1)
    prints = rng.integers(0, 256, (60, 32), np.uint8)
    prints[40:] = prints[:20]
    prints[40:, 0] ^= rng.integers(0, 256, 20, np.uint8)
    found = close_pairs(prints, max_bits=100)
    distance = np.array([hamming(prints, one) for one in prints])
    first, second = np.nonzero(np.triu(distance <= 100, 1))
    assert found.first.tolist() == first.tolist()
    assert found.second.tolist() == second.tolist()
    assert found.bits.tolist() == distance[first, second].tolist()


def test_even_surfaces_have_no_detail(lfw_photos: list[Path]) -> None:
    even = [np.full((90, 120, 3), grey, np.uint8) for grey in (0, 90, 255)]
    pictures = [decode(str(path)).pixels for path in lfw_photos[::100]]
    prints = np.stack([np.frombuffer(fingerprint(p), np.uint8) for p in [*even, *pictures]])
    assert has_detail(prints).tolist() == [False] * 3 + [True] * len(pictures)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_have_no_pairs(count: int) -> None:
    assert len(close_pairs(np.zeros((count, 32), np.uint8), max_bits=10).first) == 0
