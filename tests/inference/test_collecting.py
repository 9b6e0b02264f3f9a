"""Many readers share few models, and each receives its own results."""

import gc
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.waiting import wait_for

from facesets.errors import CannotInfer
from facesets.imaging.decode import decode
from facesets.inference.collecting import CollectingDescriber
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.interfaces import Describer
from facesets.records import CacheSettings, ClipModel, Description, Pixels, Wanted

WANTED = Wanted(faces=True, clip=True)


class Counting:
    """Describes a picture by its first pixel, and records batch sizes."""

    faces_from: CacheSettings | None = None
    clip_from: ClipModel | None = None

    def __init__(self, refused: int = -1, error: Exception | None = None) -> None:
        self.batches: list[int] = []
        self.at_once = 0
        self.most_at_once = 0
        self._refused = refused
        self._error = error or CannotInfer("no")
        self._lock = threading.Lock()

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        with self._lock:
            self.batches.append(len(pictures))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.001)
        with self._lock:
            self.at_once -= 1
        numbers = [int(pixels[0, 0, 0]) for pixels in pictures]
        if self._refused in numbers:
            raise self._error
        return [
            Description(clip=np.array([number], np.float32)) if each.clip else Description()
            for number, each in zip(numbers, wanted, strict=True)
        ]


def picture(number: int) -> Pixels:
    return np.full((2, 2, 3), number, np.uint8)


def asked_for(
    describer: Describer, pictures: Sequence[Pixels], sizes: Sequence[int]
) -> list[list[Description]]:
    """Pictures in calls of these sizes, each from a thread of its own, all at once."""
    ends = np.cumsum([0, *sizes]).tolist()
    parts = [pictures[start:end] for start, end in pairwise(ends)]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(lambda part: describer.describe(part, [WANTED] * len(part)), parts))


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    max_batch=st.integers(1, 12),
    runners=st.integers(1, 4),
    readers=st.integers(1, 20),
)
@settings(max_examples=50)
def test_each_reader_gets_the_answers_to_its_own_images(
    sizes: list[int], max_batch: int, runners: int, readers: int
) -> None:
    inner = Counting()
    describer = CollectingDescriber(
        inner, readers=readers, runners=runners, max_batch=max_batch, max_wait_s=0.005
    )
    answers = asked_for(describer, [picture(number) for number in range(sum(sizes))], sizes)
    reported = [int(each.clip[0]) for part in answers for each in part if each.clip is not None]
    assert [len(part) for part in answers] == sizes
    assert reported == list(range(sum(sizes)))
    assert sum(inner.batches) == sum(sizes)
    assert max(inner.batches, default=0) <= max_batch
    assert inner.most_at_once <= runners


@pytest.mark.slow
def test_vectors_are_the_same_to_the_last_bit_whatever_comes_together(
    pack_dir: Path, lfw_photos: Sequence[Path]
) -> None:
    pictures = [decode(path).pixels for path in lfw_photos[:6]]
    inner = LocalDescriber(LocalEmbedder(read_pack(pack_dir), det_size=320, min_det_score=0.5), None)
    alone = [inner.describe([pixels], [WANTED])[0].faces for pixels in pictures]
    for sizes, max_batch in (([1] * 6, 6), ([1] * 6, 4), ([2, 1, 3], 5), ([6], 2)):
        describer = CollectingDescriber(inner, readers=len(sizes), runners=2, max_batch=max_batch)
        together = [each.faces for part in asked_for(describer, pictures, sizes) for each in part]
        for ours, theirs in zip(together, alone, strict=True):
            assert ours is not None
            assert theirs is not None
            assert len(ours) == len(theirs) > 0
            assert ours.embedding.tobytes() == theirs.embedding.tobytes()
            assert ours.box.tobytes() == theirs.box.tobytes()


def test_many_readers_make_full_batches() -> None:
    inner = Counting()
    describer = CollectingDescriber(inner, readers=64, runners=1, max_batch=32, max_wait_s=60)
    asked_for(describer, [picture(number) for number in range(64)], [1] * 64)
    assert inner.batches == [32, 32]


def test_a_batch_starts_once_all_readers_wait() -> None:
    describer = CollectingDescriber(Counting(), readers=3, runners=1, max_wait_s=600)
    assert len(asked_for(describer, [picture(number) for number in range(3)], [1, 1, 1])) == 3


def test_a_picture_waits_for_others_for_a_limited_time() -> None:
    inner = Counting()
    describer = CollectingDescriber(inner, readers=2, runners=1, max_wait_s=0.2)
    began = time.monotonic()
    describer.describe([picture(1)], [WANTED])
    assert 0.19 < time.monotonic() - began < 10
    assert inner.batches == [1]


class Faulty(Counting):
    """Fails for several pictures together, and for the first one with another reason."""

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        if len(pictures) > 1:
            raise CannotInfer("too many at once")
        if pictures[0][0, 0, 0] == 0:
            raise ValueError("bug")
        return super().describe(pictures, wanted)


@pytest.mark.parametrize(
    ("inner", "answers"),
    [
        (Counting(refused=2), ["answer", "answer", "CannotInfer", "answer"]),
        (Counting(refused=0, error=ValueError("bug")), ["ValueError"]),
        (Faulty(), ["ValueError", "answer", "answer"]),
    ],
    ids=["as it is known", "as nobody expects it", "each for another reason"],
)
def test_a_failure_affects_only_its_image_and_blocks_no_reader(inner: Counting, answers: list[str]) -> None:
    describer = CollectingDescriber(inner, readers=len(answers), runners=1, max_wait_s=60)
    heard: dict[int, str] = {}

    def ask(number: int) -> None:
        try:
            describer.describe([picture(number)], [WANTED])
            heard[number] = "answer"
        except (CannotInfer, ValueError) as error:
            heard[number] = type(error).__name__

    for number in range(len(answers)):
        threading.Thread(target=ask, args=(number,), daemon=True).start()
    wait_for(lambda: len(heard) == len(answers))
    assert [heard[number] for number in range(len(answers))] == answers


def test_threads_end_with_the_describer() -> None:
    def threads() -> int:
        return sum(thread.name.startswith("models") for thread in threading.enumerate())

    before = threads()
    describer = CollectingDescriber(Counting(), readers=1, runners=2)
    describer.describe([picture(1)], [WANTED])
    assert threads() > before
    del describer
    gc.collect()
    wait_for(lambda: threads() <= before)
