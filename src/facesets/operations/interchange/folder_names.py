"""Names that lie in a folder of photos: in sidecars, the photos, and the files of Picasa and Takeout."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from facesets.errors import FacesetsError, UnreadableImage
from facesets.files import open_regular_file, printable, read_regular_file
from facesets.formats.named_photos import NamedPhoto, NamedRegion
from facesets.formats.picasa import CONTACTS_NAME, INI_NAMES, PicasaFolder, read_contacts, read_picasa_ini
from facesets.formats.takeout import read_takeout, takeout_file
from facesets.formats.xmp.reading import is_of_a_video, read_named_regions
from facesets.imaging.metadata.extended_xmp import extended_packet
from facesets.imaging.metadata.reader import packet_in
from facesets.imaging.stored_frame import stored_frame
from facesets.operations.interchange.sidecar_names import has_video, sidecars_to_read
from facesets.sources.patterns import Patterns
from facesets.sources.walking import Listed, walk

if TYPE_CHECKING:
    from os import DirEntry

FolderKind = Literal["xmp", "picasa", "takeout"]
T = TypeVar("T")

_LARGEST_BYTES = 1 << 24
_NAMING = (b"Region", b"PersonInImage", b"TagsList", b"hierarchicalSubject")
"""One of these is in each packet that names somebody."""


@dataclass(slots=True)
class FilesRead:
    """What reading files of names came to.

    Attributes
    ----------
    contacts : dict
        What Picasa's contacts are called.
    nameless : int
        Faces that Picasa gives to contacts of whom no file says the name.
    failed : list of str
        Files that could not be read, and why.
    empty : set of Path
        Sidecars without a byte, which say as much as none; one may be of two photos.
    """

    contacts: dict[str, str] = field(default_factory=dict)
    nameless: int = 0
    failed: list[str] = field(default_factory=list)
    empty: set[Path] = field(default_factory=set)

    def read_contacts(self, path: Path) -> None:
        """Take over the names of Picasa's contacts.xml."""
        self.contacts |= self.parsed(path, read_contacts) or {}

    def parsed(self, path: Path, read: Callable[[bytes], T]) -> T | None:
        """What is in a file; None where it cannot be read."""
        return self.tried(path, lambda: read(read_regular_file(path, max_bytes=_LARGEST_BYTES)))

    def tried(self, path: Path | str, work: Callable[[], T]) -> T | None:
        """What comes of work with a file; None where that cannot be read, which is noted."""
        try:
            return work()
        except OSError as error:
            self.failed.append(f"{printable(path)}: {error.strerror}")
        except FacesetsError as error:
            self.failed.append(f"{printable(path)}: {error.sentence!s}")
        return None


def photos_in_folder(root: Path, kinds: Collection[FolderKind], read: FilesRead) -> Iterator[NamedPhoto]:
    """The photos below a folder for which files there have names, in the order of their paths.

    Of a photo with a sidecar that names somebody, the XMP within is not looked at: it is older.

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
    """Who is named on a photo, those without a place only where they have none anywhere."""
    placed = {each.name.casefold() for each in regions if each.box is not None}
    return tuple(
        dict.fromkeys(each for each in regions if each.box is not None or each.name.casefold() not in placed)
    )


def _picasa_folder(listed: Listed, read: FilesRead) -> PicasaFolder:
    """What Picasa says of a folder; its contacts are those of later folders, too."""
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

    def said(sidecar: Path, content: bytes) -> tuple[NamedRegion, ...]:
        if not content:
            read.empty.add(sidecar)
        return named(content) if content else ()

    for name in sidecars_to_read(entry.name, listed.names):
        sidecar = Path(listed.directory, name)
        may_be_of_a_video = not name.startswith(entry.name) and has_video(entry.name, listed.names)
        found = read.parsed(sidecar, partial(said, sidecar))
        if found and not (may_be_of_a_video and read.parsed(sidecar, is_of_a_video)):
            return found
    return tuple(
        region
        for packet in _packets_in(entry.path, read)
        for region in read.tried(entry.path, partial(named, packet)) or ()
    )


def _packets_in(photo: str, read: FilesRead) -> list[bytes]:
    """The XMP in a photo, as far as it names anybody."""
    packets: list[bytes] = []

    def find() -> None:
        with open_regular_file(photo) as file:
            packets.append(packet_in(file))
            packets.append(extended_packet(file, packets[0]))

    read.tried(photo, find)
    return [packet for packet in packets if any(word in packet for word in _NAMING)]


def _pixels(photo: str) -> tuple[int, int] | None:
    """Width and height of the stored picture, where its file can tell."""
    try:
        frame = stored_frame(Path(photo))
    except UnreadableImage:
        return None
    return frame.width, frame.height


def _size(entry: "DirEntry[str]") -> int:
    with suppress(OSError):
        return entry.stat().st_size
    return -1
