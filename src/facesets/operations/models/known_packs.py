"""Remember the locations of packs outside the usual folders.

A cache or a library names its pack and the digests of its models. The location of the files depends on the
machine, so it is stored here, by those digests, and results made with a pack find it again.
"""

import json
import time
from pathlib import Path

from facesets.errors import FacesetsError
from facesets.files import FileLock, printable, write_json
from facesets.inference.catalog import PUBLISHED
from facesets.inference.packs import ModelPack, read_pack
from facesets.records import CacheSettings

FILE_NAME = "packs.json"
_POLL_S = 0.05
_TRIES = 100


def remember_pack(file: Path, pack: ModelPack) -> None:
    """Remember the location of a pack.

    Raises
    ------
    CannotWrite
        The file cannot be written.
    AlreadyRunning
        Another command keeps it locked for seconds.
    """
    key, here = _key(pack.recognizer.sha256, pack.detector.sha256), str(pack.path.resolve())
    if _known(file).get(key) == here:
        return
    tries = iter(range(_TRIES))

    def waits() -> bool:
        time.sleep(_POLL_S)
        return next(tries, None) is not None

    with FileLock(file.with_suffix(".lock"), what=printable(file), waits=waits):
        write_json(file, {**_known(file), key: here})


def recall_pack(file: Path, models: CacheSettings) -> ModelPack | None:
    """Return the pack of some faces, if it was used on this machine and is still there."""
    path = _known(file).get(_key(models.recognizer_sha256, models.detector_sha256))
    if path is None or not Path(path).is_dir():
        return None
    try:
        pack = read_pack(Path(path))
    except FacesetsError:
        # The pack was replaced: the search by name reports the problem.
        return None
    return pack if is_pack_of(pack, models) else None


def is_pack_of(pack: ModelPack, models: CacheSettings) -> bool:
    """Whether faces come from the models of a pack."""
    found = pack.recognizer.sha256, pack.detector.sha256
    return found == (models.recognizer_sha256, models.detector_sha256)


def _key(recognizer: str, detector: str) -> str:
    return f"{recognizer} {detector}"


def _known(file: Path) -> dict[str, str]:
    """Read the stored data; a damaged file counts as empty."""
    try:
        stored = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    texts = stored.items() if isinstance(stored, dict) else ()
    return {key: value for key, value in texts if isinstance(value, str)}


PACK, RECOGNIZER = "buffalo_l", "w600k_r50.onnx"
"""The model whose embeddings inswapper_128 was trained on; later face swappers expect the same."""


def is_of_swappers(models: CacheSettings) -> bool:
    """Whether these models give the embeddings that face swappers expect, by sha256."""
    return models.recognizer_sha256 == PUBLISHED[PACK].files[RECOGNIZER]
