import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from tests.operations.conftest import Library

from facesets.errors import WrongUsage
from facesets.exports.manifest import DuplicatesReport
from facesets.exports.manifest_files import read_manifest
from facesets.imaging.duplicates import close_pairs, hamming
from facesets.imaging.fingerprint import fingerprint
from facesets.operations.dedup import DedupSummary, dedup
from facesets.operations.options import DedupOptions
from facesets.progress import SilentProgress
from facesets.stop import Stop


def run(library: Library, options: DedupOptions | None = None) -> tuple[DedupSummary, Path]:
    report = library.cache.with_name(library.cache.name + ".duplicates.json")
    summary = dedup(library.store, report, options or DedupOptions(), progress=SilentProgress(), stop=Stop())
    return summary, report


def test_copies_are_reported_with_the_one_to_keep(library: Library) -> None:
    summary, path = run(library)
    report = read_manifest(path, DuplicatesReport)
    assert [[Path(p).name for p in group.paths] for group in report.identical] == [
        ["Hugo_Chavez_0001.jpg", "the same bytes.jpg"]
    ]
    (group,) = report.near
    kept, spare = group.images
    assert Path(kept.paths[0]).name == "Hugo_Chavez_0001.jpg"
    assert Path(spare.paths[0]).name == "smaller.jpg"
    assert group.keep == kept.sha256
    assert (kept.bits, kept.width, spare.width) == (0, 250, 200)
    assert 0 <= spare.bits <= DedupOptions().max_bits
    assert (summary.spare_files, summary.spare_images) == (1, 1)


def test_a_dry_run_writes_no_report(library: Library) -> None:
    summary, path = run(library, DedupOptions(dry_run=True))
    assert summary.near_groups == 1
    assert not path.exists()


def test_nothing_is_deleted(library: Library) -> None:
    before = sorted(library.photos.rglob("*"))
    run(library)
    assert sorted(library.photos.rglob("*")) == before


def _prints(pictures: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(fingerprint(np.asarray(p)), np.uint8) for p in pictures])


def _recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def test_the_limit_finds_every_light_copy_and_no_stranger(lfw_photos: list[Path]) -> None:
    originals = [Image.open(photo).convert("RGB") for photo in lfw_photos[::8]]
    limit = DedupOptions().max_bits
    prints = _prints(originals)
    assert len(close_pairs(prints, max_bits=limit).first) == 0
    copies = {
        "half": [p.resize((125, 125)) for p in originals],
        "q30": [_recompressed(p, 30) for p in originals],
        "q75": [_recompressed(p, 75) for p in originals],
        "brighter": [ImageEnhance.Brightness(p).enhance(1.15) for p in originals],
        "darker": [ImageEnhance.Brightness(p).enhance(0.85) for p in originals],
        "cropped": [p.crop((3, 3, 247, 247)) for p in originals],
    }
    for name, made in copies.items():
        bits = hamming(_prints(made), prints)
        assert (bits <= limit).all(), name


@pytest.mark.parametrize("bits", [-1, 257])
def test_the_limit_is_checked(bits: int) -> None:
    with pytest.raises(WrongUsage, match="max-bits"):
        DedupOptions(max_bits=bits)
