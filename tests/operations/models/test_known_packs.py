"""What was made with a pack at some path finds it again on this machine."""

import shutil
from pathlib import Path

from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.models.known_packs import FILE_NAME, recall_pack, remember_pack
from facesets.records import CacheSettings


def models_of(path: Path) -> CacheSettings:
    return LocalEmbedder(read_pack(path), det_size=64, min_det_score=0.5).settings


def test_a_pack_that_was_replaced_or_is_gone_is_not_found_again(
    insightface_pack: Path, open_pack: Path, tmp_path: Path
) -> None:
    here = tmp_path / "pack"
    shutil.copytree(insightface_pack, here)
    models, file = models_of(here), tmp_path / FILE_NAME
    remember_pack(file, read_pack(here))
    assert recall_pack(file, models) is not None
    shutil.rmtree(here)
    assert recall_pack(file, models) is None
    shutil.copytree(open_pack, here)
    assert recall_pack(file, models) is None
    for damaged in (b"\xff", b"[]", b'{"a": 1}', b"[" * 100_000):
        file.write_bytes(damaged)
        assert recall_pack(file, models) is None
