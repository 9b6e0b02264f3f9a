"""A folder of images with one face each: what facefusion and others take as the sources of one person."""

from pathlib import Path

from facesets.errors import DamagedFile, UnreadableImage
from facesets.files import printable
from facesets.imaging.decode import SUFFIXES, decode
from facesets.records import Pixels


def read_images(folder: Path) -> tuple[list[tuple[str, Pixels]], list[str]]:
    """Read every picture directly in a folder, by name.

    Returns
    -------
    pictures : list of (name, uint8 array of shape (h, w, 3))
        RGB.
    problems : list of str
        Which cannot be read, a sentence each.

    Raises
    ------
    DamagedFile
        The folder cannot be listed.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise DamagedFile(f"Cannot read {printable(folder)} ({error.strerror}). Export it again.") from error
    pictures: list[tuple[str, Pixels]] = []
    problems: list[str] = []
    for file in files:
        try:
            pictures.append((file.name, decode(file).pixels))
        except UnreadableImage as error:
            problems.append(f"cannot read {printable(file.name)} ({error.reason})")
    return pictures, problems
