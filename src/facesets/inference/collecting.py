"""Collect images of many readers into batches for few models.

Readers wait for disks and networks, so many are needed; models take memory per thread, so few run. Each
reader asks for its own pictures and waits for their answers. A thread that runs the models takes all waiting
images.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from facesets.errors import FacesetsError
from facesets.interfaces import Describer
from facesets.records import CacheSettings, ClipModel, Description, Pixels, Wanted


@dataclass(frozen=True, slots=True)
class _Request:
    """A waiting image, its time, and the place for its answer."""

    pixels: Pixels
    wanted: Wanted
    since: float = field(default_factory=time.monotonic)
    answer: "Future[Description]" = field(default_factory=Future)


class CollectingDescriber:
    """A `Describer` for many threads, on top of one for few threads.

    The answer for a picture is that of the other describer, whatever else is in its batch. Its threads end
    with it.
    """

    def __init__(
        self,
        describer: Describer,
        *,
        readers: int,
        runners: int,
        max_batch: int = 32,
        max_wait_s: float = 0.05,
    ) -> None:
        """Wrap another describer.

        Parameters
        ----------
        readers : int
            Number of reading threads. If all of them wait, no further picture can arrive, so a batch starts.
        runners : int
            Batches that the other describer works on at a time, each in a thread of its own.
        max_batch : int
            Most pictures in a batch.
        max_wait_s : float
            So long the first picture of a batch waits for others.
        """
        self.runners = runners
        self._describer = describer
        self._readers = readers
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._pool = ThreadPoolExecutor(runners, thread_name_prefix="models")
        self._waiting: deque[_Request] = deque()
        self._arrived = threading.Condition()
        self._asking = 0
        # Two collectors at once would share the images, and both batches would be small.
        self._collecting = threading.Lock()

    @property
    def faces_from(self) -> CacheSettings | None:
        """Return the models of the faces."""
        return self._describer.faces_from

    @property
    def clip_from(self) -> ClipModel | None:
        """Return the model that embeds whole images."""
        return self._describer.clip_from

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:
        """Describe each image. Raises what the other describer raises."""
        asked = [_Request(pixels, each) for pixels, each in zip(pictures, wanted, strict=True)]
        with self._arrived:
            self._asking += 1
            self._waiting.extend(asked)
            self._arrived.notify_all()
        try:
            # Each batch holds at least one picture, so as many runners as pictures are enough.
            for _ in asked:
                self._pool.submit(self._run_batch)
            return [each.answer.result() for each in asked]
        finally:
            with self._arrived:
                self._asking -= 1

    def _run_batch(self) -> None:
        with self._collecting:
            batch = self._collected()
        if batch:
            self._answer(batch)

    def _collected(self) -> list[_Request]:
        """Return the longest waiting images, once there are enough or the time is up."""
        with self._arrived:
            while self._waiting and len(self._waiting) < self._max_batch and self._asking < self._readers:
                left = self._waiting[0].since + self._max_wait_s - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    break
            count = min(len(self._waiting), self._max_batch)
            return [self._waiting.popleft() for _ in range(count)]

    def _answer(self, batch: Sequence[_Request]) -> None:
        """Process a batch; if it fails, process its images one by one."""
        try:
            described = self._describer.describe(
                [each.pixels for each in batch], [each.wanted for each in batch]
            )
            answers = list(zip(batch, described, strict=True))
        except FacesetsError as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for each in batch:
                self._answer([each])
        except BaseException as error:  # noqa: BLE001 - passed to the waiting thread, which raises it
            for each in batch:
                each.answer.set_exception(error)
        else:
            for each, description in answers:
                each.answer.set_result(description)
