"""Where on this machine packs were used from that lie outside of the usual places.

A cache or a library names its pack and the digests of its models. Where the files are is a matter of the
machine, so it is kept here, by those digests: whatever was made with a pack finds it again.
"""

import json
from pathlib import Path

from facesets.errors import FacesetsError
from facesets.files import write_json
from facesets.inference.packs import ModelPack, read_pack
from facesets.records import CacheSettings

FILE_NAME = "packs.json"


def remember_pack(file: Path, pack: ModelPack) -> None:
    """Keep where a pack is. Raises `CannotWrite`."""
    known, here = _known(file), str(pack.path.resolve())
    key = _key(pack.recogniser.sha256, pack.detector.sha256)
    if known.get(key) != here:
        write_json(file, {**known, key: here})


def recall_pack(file: Path, models: CacheSettings) -> ModelPack | None:
    """The pack that faces come from, if it was used on this machine and still is where it was."""
    path = _known(file).get(_key(models.recogniser_sha256, models.detector_sha256))
    if path is None or not Path(path).is_dir():
        return None
    try:
        pack = read_pack(Path(path))
    except FacesetsError:
        # It is another by now: what looks for it by name says what is wrong.
        return None
    return pack if is_pack_of(pack, models) else None


def is_pack_of(pack: ModelPack, models: CacheSettings) -> bool:
    """Whether faces come from the models of a pack."""
    found = pack.recogniser.sha256, pack.detector.sha256
    return found == (models.recogniser_sha256, models.detector_sha256)


def _key(recogniser: str, detector: str) -> str:
    return f"{recogniser} {detector}"


def _known(file: Path) -> dict[str, str]:
    """What is kept; a damaged file counts as nothing."""
    try:
        kept = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    texts = kept.items() if isinstance(kept, dict) else ()
    return {key: value for key, value in texts if isinstance(value, str)}
