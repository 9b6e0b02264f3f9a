import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from tests.fixtures.photo_library import Library

from facesets.errors import WrongUsage
from facesets.imaging.duplicates import close_pairs, fingerprint, hamming
from facesets.inference.local import LocalEmbedder
from facesets.operations.ingest.embed import embed
from facesets.operations.ingest.stages import Stage, metadata_stage
from facesets.operations.options.results import DedupOptions
from facesets.operations.options.start import EmbedOptions
from facesets.operations.reports.dedup import dedup
from facesets.result import Result
from facesets.results.duplicates_report import DuplicatesReport
from facesets.results.manifest_json import read_manifest
from facesets.sources.folders import FolderSource
from facesets.work import Work


def run(library: Library, options: DedupOptions | None = None) -> tuple[Result, Path]:
    report = library.cache.with_name(library.cache.name + ".duplicates.json")
    summary = dedup(library.store, report, options or DedupOptions(), work=Work())
    return summary, report


def test_copies_are_reported_with_the_one_to_keep(library: Library) -> None:
    summary, path = run(library)
    report = read_manifest(path, DuplicatesReport)
    assert [[Path(p).name for p in group.paths] for group in report.identical] == [
        ["Hugo_Chavez_0001.jpg", "the same bytes.jpg"]
    ]
    (group,) = report.near
    best, spare = group.images
    assert Path(best.paths[0]).name == "Hugo_Chavez_0001.jpg"
    assert Path(spare.paths[0]).name == "smaller.jpg"
    assert group.keep == best.sha256
    assert (best.bits, best.width, spare.width) == (0, 250, 200)
    assert 0 <= spare.bits <= DedupOptions().max_bits
    assert (summary.spare_files, summary.spare_images) == (1, 1)


@pytest.fixture
def own(tmp_path: Path, lfw_dir: Path) -> Library:
    """Two photos of the same look, the larger at two paths, in a library that tests may spoil."""
    photos = tmp_path / "own"
    (photos / "album").mkdir(parents=True)
    first = lfw_dir / "Hugo_Chavez" / "Hugo_Chavez_0001.jpg"
    shutil.copy2(first, photos / "a.jpg")
    shutil.copy2(first, photos / "album" / "b.jpg")
    Image.open(first).resize((200, 200)).save(photos / "small.jpg", quality=90)
    return Library(photos, tmp_path / "own.npz")


def embed_it(library: Library, embedder: LocalEmbedder, *stages: Stage) -> Library:
    store = library.store
    source = FolderSource(library.photos)
    with store.writing(embedder.settings):
        embed(source, store, embedder, EmbedOptions(), stages=stages, work=Work())
    return library


def report_of(library: Library) -> tuple[Result, DuplicatesReport]:
    summary, path = run(library)
    return summary, read_manifest(path, DuplicatesReport)


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_missing_or_changed_path_is_never_the_one_to_keep(
    own: Library, embedder: LocalEmbedder, how: str
) -> None:
    embed_it(own, embedder)
    if how == "gone":
        (own.photos / "a.jpg").unlink()
    else:
        (own.photos / "a.jpg").write_bytes(b"something else")
    summary, report = report_of(own)
    assert report.identical == ()
    assert report.near[0].images[0].paths == (str(own.photos / "album" / "b.jpg"),)
    assert summary.left_out == 1
    (own.photos / "album" / "b.jpg").unlink()
    assert report_of(own)[1].near == ()


def test_equal_resolutions_are_compared_even_if_a_path_is_missing(
    own: Library, embedder: LocalEmbedder
) -> None:
    Image.open(own.photos / "a.jpg").save(own.photos / "soft.jpg", quality=30)
    embed_it(own, embedder)
    (own.photos / "a.jpg").unlink()
    summary, report = report_of(own)
    assert summary.failed == 0
    assert all(image.sharpness for image in report.near[0].images if image.width == 250)


def test_of_equal_photos_the_one_taken_first_is_to_keep(own: Library, embedder: LocalEmbedder) -> None:
    picture = Image.open(own.photos / "a.jpg")
    for name, when, more in (
        ("edited", "2019:07:05", 2000),
        ("original", "2019:07:04", 0),
        ("sent", "", 4000),
    ):
        exif = Image.Exif()
        if when:
            exif.get_ifd(0x8769)[0x9003] = f"{when} 15:30:00"
        picture.save(own.photos / f"{name}.jpg", exif=exif, comment=b"." * more)
    for name in ("a.jpg", "album/b.jpg", "small.jpg"):
        (own.photos / name).unlink()
    (group,) = report_of(embed_it(own, embedder, metadata_stage(lambda: np.datetime64("2024-01-01"))))[1].near
    assert [Path(image.paths[0]).stem for image in group.images] == ["original", "edited", "sent"]


def test_links_and_further_names_of_one_file_are_no_copies(own: Library, embedder: LocalEmbedder) -> None:
    real = own.photos / "real.jpg"
    (own.photos / "album" / "b.jpg").rename(real)
    (own.photos / "a.jpg").unlink()
    (own.photos / "a.jpg").symlink_to(real)
    (own.photos / "hard.jpg").hardlink_to(real)
    summary, report = report_of(embed_it(own, embedder))
    assert report.identical == ()
    (group,) = report.near
    assert group.images[0].paths == (str(own.photos / "hard.jpg"),)
    assert summary.left_out == 2
    shutil.copy2(real, own.photos / "z.jpg")
    (identical,) = report_of(embed_it(own, embedder))[1].identical
    assert identical.paths == (str(own.photos / "hard.jpg"), str(own.photos / "z.jpg"))


def test_nothing_is_deleted_and_a_dry_run_writes_no_report(library: Library) -> None:
    before = sorted(library.photos.rglob("*"))
    summary, path = run(library, DedupOptions(dry_run=True))
    assert summary.near_groups == 1
    assert not path.exists()
    run(library)
    assert sorted(library.photos.rglob("*")) == before


def _prints(pictures: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(fingerprint(np.asarray(p)), np.uint8) for p in pictures])


def _recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.slow
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
