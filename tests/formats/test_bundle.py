import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesets.errors import DamagedFile, WrongUsage
from facesets.formats.bundle import read_bundle, write_bundle
from facesets.imaging.encode import png_bytes


@pytest.fixture
def pngs(tmp_path: Path) -> list[Path]:
    paths = []
    for i in range(12):
        path = tmp_path / f"{i:03d}.png"
        path.write_bytes(png_bytes(np.full((64, 64, 3), (i, 100, 200), np.uint8)))
        paths.append(path)
    return paths


@pytest.fixture
def bundle(tmp_path: Path, pngs: list[Path]) -> Path:
    path = tmp_path / "set_all.fsz"
    with path.open("wb") as file:
        write_bundle(file, pngs)
    return path


def test_a_bundle_is_a_flat_stored_zip_of_pngs_in_rank_order(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == [f"{i}.png" for i in range(12)]
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        picture = Image.open(io.BytesIO(archive.read("7.png")))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    assert picture.getpixel((3, 3)) == (7, 100, 200)


def test_equal_faces_give_equal_bytes(tmp_path: Path, pngs: list[Path], bundle: Path) -> None:
    with (tmp_path / "again.fsz").open("wb") as file:
        write_bundle(file, pngs)
    assert (tmp_path / "again.fsz").read_bytes() == bundle.read_bytes()


def test_a_good_bundle_reads_without_a_problem(bundle: Path) -> None:
    pictures, problems = read_bundle(bundle)
    assert problems == []
    assert [int(picture[0, 0, 0]) for _, picture in pictures] == list(range(12))


def test_problems_for_the_consumer_are_named(tmp_path: Path, pngs: list[Path]) -> None:
    path = tmp_path / "odd.fsz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(pngs[0], "sub/0.png")
        archive.write(pngs[1], "face.png")
    _, problems = read_bundle(path)
    output = " ".join(problems)
    assert "subfolder" in output
    assert "compressed" in output
    assert "not named by its rank" in output


def test_damage_is_found(tmp_path: Path, bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[120] ^= 0xFF
    bundle.write_bytes(content)
    with pytest.raises(DamagedFile):
        read_bundle(bundle)
    bundle.write_bytes(content[:300])
    with pytest.raises(DamagedFile):
        read_bundle(bundle)
    with pytest.raises(DamagedFile, match="Cannot read"):
        read_bundle(tmp_path)
    with pytest.raises(WrongUsage):
        read_bundle(tmp_path / "nothing.fsz")


def test_an_encrypted_entry_is_damage(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[central + 8] |= 1
    bundle.write_bytes(content)
    with pytest.raises(DamagedFile, match="encrypted"):
        read_bundle(bundle)


@pytest.mark.parametrize("edge", [8_000, 100_000])
def test_a_picture_that_claims_too_many_pixels_is_not_unpacked(tmp_path: Path, edge: int) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(100)), b"IEND"]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )
    path = tmp_path / "large.fsz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", png)
    with pytest.raises(DamagedFile, match="pixels"):
        read_bundle(path)
