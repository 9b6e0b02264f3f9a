"""Sources of names: photo folders, and files of digiKam and Apple Photos."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from facesets.errors import FacesetsError, Field, SourceGone, UnreadableImage, WrongUsage
from facesets.files import is_there, open_regular_file, plain_path, printable, read_regular_file
from facesets.formats.digikam import HEADER, read_digikam
from facesets.formats.named_photos import NamedPhoto, NamedRegion
from facesets.formats.osxphotos import read_osxphotos
from facesets.formats.picasa import CONTACTS_NAME, INI_NAMES, PicasaFolder, read_contacts, read_picasa_ini
from facesets.formats.takeout import read_takeout, takeout_file
from facesets.formats.xmp.reading import is_of_a_video, read_named_regions
from facesets.imaging.metadata.extended_xmp import extended_packet
from facesets.imaging.metadata.reader import packet_in
from facesets.imaging.stored_frame import stored_frame
from facesets.operations.interchange.sidecar_files import has_video, sidecars_to_read
from facesets.sources.patterns import Patterns
from facesets.sources.walking import Listed, walk

if TYPE_CHECKING:
    from os import DirEntry

NamesFrom = Literal["auto", "xmp", "picasa", "digikam", "osxphotos", "takeout"]

_DIGIKAM = "digikam4.db"
FolderKind = Literal["xmp", "picasa", "takeout"]


_OF_FOLDERS: dict[NamesFrom, tuple[FolderKind, ...]] = {
    "auto": ("xmp", "picasa", "takeout"),
    "xmp": ("xmp",),
    "picasa": ("picasa",),
    "takeout": ("takeout",),
}


T = TypeVar("T")


@dataclass(slots=True)
class FilesRead:
    """The result of reading files of names.

    Attributes
    ----------
    contacts : dict
        The names of Picasa's contacts.
    nameless : int
        Faces of Picasa contacts without a name in any file.
    failed : list of str
        Files that could not be read, and why.
    empty : set of Path
        Sidecars without a byte, which count as none; one may belong to two photos.
    """

    contacts: dict[str, str] = field(default_factory=dict)
    nameless: int = 0
    failed: list[str] = field(default_factory=list)
    empty: set[Path] = field(default_factory=set)

    def read_contacts(self, path: Path) -> None:
        """Read the names of Picasa's contacts.xml."""
        self.contacts |= self.parsed(path, read_contacts) or {}

    def parsed(self, path: Path, read: Callable[[bytes], T]) -> T | None:
        """Parse a file; None if it cannot be read."""
        return self.tried(path, lambda: read(read_regular_file(path, max_bytes=_LARGEST_BYTES)))

    def tried(self, path: Path | str, work: Callable[[], T]) -> T | None:
        """Run work on a file; None, with the failure recorded, if it cannot be read."""
        try:
            return work()
        except OSError as error:
            self.failed.append(f"{printable(path)}: {error.strerror}")
        except FacesetsError as error:
            self.failed.append(f"{printable(path)}: {error.sentence!s}")
        return None


def named_photos(sources: Sequence[Path], kind: NamesFrom, read: FilesRead) -> Iterator[NamedPhoto]:
    """Yield the photos of some sources with their names.

    Raises
    ------
    SourceGone
        A path does not exist.
    WrongUsage
        A source holds no names, or none of the kind.
    """
    places = [plain_path(source) for source in sources]
    for place in places:
        if not is_there(place):
            raise SourceGone(
                f"File or folder not found: {printable(place)}. Check the path, or mount its drive."
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
        raise WrongUsage(f"{printable(path)} is a file. Give the photo folder for {Field('from', kind)}.")
    try:
        if kind == "digikam" or (kind == "auto" and _begins_with(path, HEADER)):
            yield from read_digikam(path)
        elif kind == "osxphotos" or path.suffix.lower() == ".json":
            yield from read_osxphotos(path)
        else:
            raise WrongUsage(
                f"{printable(path)} is not a known source of names. Give a photo folder, digiKam's "
                f"{_DIGIKAM}, or the JSON that osxphotos wrote."
            )
    except OSError as error:
        raise WrongUsage(f"Cannot read {printable(path)} ({error.strerror}).") from error


def _begins_with(path: Path, header: bytes) -> bool:
    with open_regular_file(path) as file:
        return file.read(len(header)) == header


def mapped(path: str, places: Mapping[str, str]) -> str:
    """Map a path of another machine to this one, by the longest matching folder."""
    for old in sorted(places, key=len, reverse=True):
        before = old.rstrip("/\\")
        if path == before or (path.startswith(before) and path[len(before)] in "/\\"):
            rest = path[len(before) :].replace("\\", "/").strip("/")
            return f"{places[old].rstrip('/')}/{rest}" if rest else places[old]
    return path


def read_places(given: Sequence[str]) -> dict[str, str]:
    """Parse folder mappings, each given as `OLD=NEW`. Raises `WrongUsage`."""
    places: dict[str, str] = {}
    for each in given:
        old, separator, new = each.partition("=")
        if not separator or not old.strip() or not new.strip():
            raise WrongUsage(
                f"{Field('map', printable(each))} is not OLD=NEW: the folder on the other machine, and here."
            )
        places[old] = str(plain_path(Path(new)))
    return places


_LARGEST_BYTES = 1 << 24
_NAMING = (b"Region", b"PersonInImage", b"TagsList", b"hierarchicalSubject")
"""Each packet with a name contains one of these."""


def photos_in_folder(root: Path, kinds: Collection[FolderKind], read: FilesRead) -> Iterator[NamedPhoto]:
    """Yield the photos below a folder with names in files there, ordered by path.

    If a sidecar has names, the XMP within the photo is ignored, because it is older.

    Raises
    ------
    WrongUsage
        An ignore file cannot be used.
    """
    if "picasa" in kinds and (root / CONTACTS_NAME).is_file():
        read.read_contacts(root / CONTACTS_NAME)
    picasa, directory = PicasaFolder(), ""
    for listed in walk(str(root), Patterns(), ignored=set()):
        if "picasa" in kinds and listed.directory != directory:
            directory, picasa = listed.directory, _picasa_folder(listed, read)
        for entry in listed.photos:
            regions: list[NamedRegion] = []
            if "xmp" in kinds:
                regions += _of_xmp(entry, listed, read)
            regions += picasa.regions_of(entry.name, read.contacts)
            if "takeout" in kinds and (file := takeout_file(entry.name, listed.names)):
                regions += read.parsed(Path(listed.directory, file), read_takeout) or ()
            if regions:
                yield NamedPhoto(entry.path, without_repeated(regions), entry.name, _size(entry))


def without_repeated(regions: Collection[NamedRegion]) -> tuple[NamedRegion, ...]:
    """Return the names in a photo; a name without a place only if it has no place elsewhere."""
    placed = {each.name.casefold() for each in regions if each.box is not None}
    return tuple(
        dict.fromkeys(each for each in regions if each.box is not None or each.name.casefold() not in placed)
    )


def _picasa_folder(listed: Listed, read: FilesRead) -> PicasaFolder:
    """Read Picasa's file of a folder; its contacts apply to later folders, too."""
    for name in INI_NAMES:
        if name in listed.names:
            folder = read.parsed(Path(listed.directory, name), read_picasa_ini)
            if folder is not None:
                read.contacts = {**folder.contacts, **read.contacts}
                read.nameless += folder.nameless(read.contacts)
                return folder
    return PicasaFolder()


def _of_xmp(entry: "DirEntry[str]", listed: Listed, read: FilesRead) -> tuple[NamedRegion, ...]:
    def named(content: bytes) -> tuple[NamedRegion, ...]:
        return read_named_regions(content, partial(_pixels, entry.path))

    def in_sidecar(sidecar: Path, content: bytes) -> tuple[NamedRegion, ...]:
        if not content:
            read.empty.add(sidecar)
        return named(content) if content else ()

    for name in sidecars_to_read(entry.name, listed.names):
        sidecar = Path(listed.directory, name)
        may_be_of_a_video = not name.startswith(entry.name) and has_video(entry.name, listed.names)
        found = read.parsed(sidecar, partial(in_sidecar, sidecar))
        if found and not (may_be_of_a_video and read.parsed(sidecar, is_of_a_video)):
            return found
    return tuple(
        region
        for packet in _packets_in(entry.path, read)
        for region in read.tried(entry.path, partial(named, packet)) or ()
    )


def _packets_in(photo: str, read: FilesRead) -> list[bytes]:
    """Return the XMP in a photo that contains names."""
    packets: list[bytes] = []

    def find() -> None:
        with open_regular_file(photo) as file:
            packets.append(packet_in(file))
            packets.append(extended_packet(file, packets[0]))

    read.tried(photo, find)
    return [packet for packet in packets if any(word in packet for word in _NAMING)]


def _pixels(photo: str) -> tuple[int, int] | None:
    """Return width and height of the stored image, if the file can be read."""
    try:
        frame = stored_frame(Path(photo))
    except UnreadableImage:
        return None
    return frame.width, frame.height


def _size(entry: "DirEntry[str]") -> int:
    with suppress(OSError):
        return entry.stat().st_size
    return -1
