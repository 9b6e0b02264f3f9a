"""Where names come from: folders of photos, and what digiKam and Apple Photos keep or print."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from facesets.errors import Field, SourceGone, WrongUsage
from facesets.files import is_there, open_regular_file, plain_path, printable
from facesets.formats.digikam import HEADER, read_digikam
from facesets.formats.named_photos import NamedPhoto
from facesets.formats.osxphotos import read_osxphotos
from facesets.formats.picasa import CONTACTS_NAME
from facesets.operations.interchange.folder_names import FilesRead, FolderKind, photos_in_folder

NamesFrom = Literal["auto", "xmp", "picasa", "digikam", "osxphotos", "takeout"]

_DIGIKAM = "digikam4.db"
_OF_FOLDERS: dict[NamesFrom, tuple[FolderKind, ...]] = {
    "auto": ("xmp", "picasa", "takeout"),
    "xmp": ("xmp",),
    "picasa": ("picasa",),
    "takeout": ("takeout",),
}


def named_photos(sources: Sequence[Path], kind: NamesFrom, read: FilesRead) -> Iterator[NamedPhoto]:
    """The photos of some sources with the names that are given to them, one after another.

    Raises
    ------
    SourceGone
        There is nothing at a path.
    WrongUsage
        What is there holds no names, or not those of the kind.
    """
    places = [plain_path(source) for source in sources]
    for place in places:
        if not is_there(place):
            raise SourceGone(
                f"There is nothing at {printable(place)} that one can see. Check the path, or mount it."
            )
        if place.name == CONTACTS_NAME:
            read.read_contacts(place)
    for place in places:
        if place.name != CONTACTS_NAME:
            yield from _of_place(place, kind, read)


def _of_place(place: Path, kind: NamesFrom, read: FilesRead) -> Iterator[NamedPhoto]:
    if not place.is_dir():
        yield from _of_file(place, kind)
        return
    if kind == "osxphotos":
        raise WrongUsage(f"{printable(place)} is a folder. Give the JSON file that osxphotos wrote.")
    if kind in _OF_FOLDERS:
        yield from photos_in_folder(place, _OF_FOLDERS[kind], read)
    if kind in {"auto", "digikam"} and (place / _DIGIKAM).is_file():
        yield from _of_file(place / _DIGIKAM, kind)
    elif kind == "digikam":
        raise WrongUsage(f"There is no {_DIGIKAM} in {printable(place)}. Give the file itself.")


def _of_file(path: Path, kind: NamesFrom) -> Iterator[NamedPhoto]:
    if kind in _OF_FOLDERS and kind != "auto":
        raise WrongUsage(
            f"{printable(path)} is a file. Give the folder of photos, for {Field('from', kind)}."
        )
    try:
        if kind == "digikam" or (kind == "auto" and _begins_with(path, HEADER)):
            yield from read_digikam(path)
        elif kind == "osxphotos" or path.suffix.lower() == ".json":
            yield from read_osxphotos(path)
        else:
            raise WrongUsage(
                f"{printable(path)} holds no names that are known. Give a folder of photos, digiKam's "
                f"{_DIGIKAM}, or the JSON that osxphotos wrote."
            )
    except OSError as error:
        raise WrongUsage(f"Cannot read {printable(path)} ({error.strerror}).") from error


def _begins_with(path: Path, header: bytes) -> bool:
    with open_regular_file(path) as file:
        return file.read(len(header)) == header


def mapped(path: str, places: Mapping[str, str]) -> str:
    """A path of another machine as it is here: below the longest of these folders that it is below."""
    for old in sorted(places, key=len, reverse=True):
        before = old.rstrip("/\\")
        if path == before or (path.startswith(before) and path[len(before)] in "/\\"):
            rest = path[len(before) :].replace("\\", "/").strip("/")
            return f"{places[old].rstrip('/')}/{rest}" if rest else places[old]
    return path


def read_places(given: Sequence[str]) -> dict[str, str]:
    """Where folders of another machine are here, each given as `OLD=NEW`. Raises `WrongUsage`."""
    places: dict[str, str] = {}
    for each in given:
        old, separator, new = each.partition("=")
        if not separator or not old.strip() or not new.strip():
            raise WrongUsage(
                f"{Field('map', printable(each))} does not say OLD=NEW: a folder there, and here."
            )
        places[old] = str(plain_path(Path(new)))
    return places
