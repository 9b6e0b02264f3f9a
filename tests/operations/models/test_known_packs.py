"""What was made with a pack at some path finds it again on this machine."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facesets.inference.local import LocalEmbedder
from facesets.inference.model_files import DETECTION, RECOGNITION, ModelFile
from facesets.inference.packs import ModelPack, read_pack
from facesets.operations.models.known_packs import FILE_NAME, recall_pack, remember_pack
from facesets.records import CacheSettings


def models_of(path: Path) -> CacheSettings:
    return LocalEmbedder(read_pack(path), det_size=64, min_det_score=0.5).settings


def test_a_pack_that_was_replaced_or_is_gone_is_not_found_again(
    small_pack: Path, open_pack: Path, tmp_path: Path
) -> None:
    here = tmp_path / "pack"
    shutil.copytree(small_pack, here)
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


def made_up_pack(folder: Path) -> ModelPack:
    """A pack whose files hold nothing but its name."""
    folder.mkdir()
    models = {}
    for task in (DETECTION, RECOGNITION):
        path = folder / f"{task}.onnx"
        path.write_text(folder.name)
        models[task] = ModelFile(path, task, None, 0.0, 1.0)
    return ModelPack(folder.name, folder, models)


def test_commands_that_keep_packs_at_the_same_time_lose_none(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    packs = [made_up_pack(tmp_path / f"pack{number}") for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pack: remember_pack(file, pack), packs))
    assert sorted(json.loads(file.read_text()).values()) == sorted(str(pack.path) for pack in packs)
    assert not list(tmp_path.glob("*.lock"))
