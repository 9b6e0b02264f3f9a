"""Division of work on this machine: as measured, else by default.

`doctor --benchmark` measures, and so does the first long run on a machine.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from facesets.files import write_json
from facesets.inference.packs import ModelPack
from facesets.inference.session import CPU, RUNTIME_VERSION

FILE_NAME = "measured.json"

_LONG_RUN = 3000
"""Number of files that take at least a minute, so that seconds for measuring do not matter."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """One way to divide the work.

    Attributes
    ----------
    workers, threads : int
        Threads that each process files from disk to faces, and threads per network within each.
    images_per_run, faces_per_run : int
        Pictures per call of the detector, and faces per call of the recognizer.
    """

    workers: int
    threads: int
    images_per_run: int
    faces_per_run: int


def usual(provider: str, cpus: int) -> Tuning:
    """Return the default: on a CPU one worker per processor, with one thread and one image each.

    Networks this small scale badly over threads, and batches are no faster on a CPU. A GPU needs batches, and
    all processors to decode the next one in time.
    """
    return Tuning(cpus, 1, 1, 1) if provider == CPU else Tuning(max(2, min(cpus, 16)), 1, 16, 64)


def remember(path: Path, tuning: Tuning, pack: ModelPack, provider: str, cpus: int) -> None:
    """Store the measurement for this pack on this machine. Raises `CannotWrite`."""
    write_json(path, {"tuning": asdict(tuning), "measured_with": _circumstances(pack, provider, cpus)})


def recall(path: Path, pack: ModelPack, provider: str, cpus: int) -> Tuning | None:
    """Return the stored measurement for this pack and machine, if any."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        if stored["measured_with"] == _circumstances(pack, provider, cpus):
            numbers = {name: int(value) for name, value in stored["tuning"].items()}
            if min(numbers.values()) >= 1:
                return Tuning(**numbers)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        # Stored only for speed: if it is damaged, the default is used.
        return None
    return None


def is_long(listing: Iterable[object], known: int) -> bool:
    """Whether a run is long enough for a measurement to pay off.

    Lists only as much as needed: mostly known sources are not listed at all.
    """
    return known < _LONG_RUN and next(islice(listing, known + _LONG_RUN - 1, None), None) is not None


def _circumstances(pack: ModelPack, provider: str, cpus: int) -> dict[str, object]:
    return {
        "detector": os.fspath(pack.detector.path.name),
        "recogniser": pack.recognizer.sha256,
        "provider": provider,
        "processors": cpus,
        "onnxruntime": RUNTIME_VERSION,
    }
