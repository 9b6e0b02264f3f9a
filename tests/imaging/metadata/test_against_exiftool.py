"""Metadata equals exiftool's, or is refused with a reason."""

import sysconfig
from pathlib import Path

import pytest
from tests.fixtures.exiftool import differences, exiftool
from tests.fixtures.reading import NOW
from tests.fixtures.tagged_photos import made_photos

from facesets.imaging.decode import SUFFIXES
from facesets.imaging.metadata.reader import read_metadata
from facesets.imaging.metadata.record import PhotoMetadata

# Here we read more: a broken part costs no tags in front of it, and some programs name the block twice.
MORE = {
    "torn.jpg": ["iso: 400 in place of None"],
    "twice.jpg": [
        "make: 'Maker' in place of None",
        "model: 'Model 1' in place of None",
        "lens: '35mm F2' in place of None",
        "iso: 400 in place of None",
        "aperture: 2.8 in place of None",
        "exposure_s: 0.004 in place of None",
        "focal_length_mm: 35.0 in place of None",
        "orientation: 6 in place of None",
        "taken: '2019:07:04 15:30:00' in place of None",
    ],
}


def read(path: Path) -> PhotoMetadata:
    with path.open("rb") as file:
        return read_metadata(file, "", now=NOW)


def disagreements(files: list[Path]) -> dict[str, list[str]]:
    found = {
        file.name: differences(read(file), expected)
        for file, expected in zip(files, exiftool(files), strict=True)
    }
    return {name: lines for name, lines in found.items() if lines}


def test_metadata_of_made_photos(tmp_path: Path) -> None:
    for name, content in made_photos().items():
        (tmp_path / name).write_bytes(content)
    assert disagreements(sorted(tmp_path.iterdir())) == MORE


@pytest.mark.slow
def test_metadata_of_photos_in_installed_packages() -> None:
    packages = Path(sysconfig.get_path("purelib"))
    files = sorted(path for path in packages.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        pytest.skip("no installed package brings a picture")
    assert disagreements(files) == {}
