"""Read names from Picasa's `.picasa.ini`, one per folder of photos, and from its contacts.

A line `faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;…` in the section of a photo has a box, four times 16
bits as fractions of the picture as stored, and a contact, whose name is in `[Contacts2]` or contacts.xml.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from facesets.errors import WrongUsage
from facesets.formats.named_photos import Box, NamedRegion, box_within, plain_name

INI_NAMES = (".picasa.ini", "Picasa.ini")
"""Early versions used the second name."""
CONTACTS_NAME = "contacts.xml"

_UNNAMED = "ffffffffffffffff"
_FACE = re.compile(r"rect64\(([0-9a-fA-F]{1,16})\),([0-9a-fA-F]{1,32})")
_LARGEST = 0xFFFF


@dataclass(frozen=True, slots=True)
class PicasaFolder:
    """Content of a folder's `.picasa.ini`.

    Attributes
    ----------
    faces
        By the folded name of the photo: boxes and their contacts.
    contacts
        Names by the contact.
    """

    faces: dict[str, list[tuple[Box, str]]] = field(default_factory=dict)
    contacts: dict[str, str] = field(default_factory=dict)

    def regions_of(self, photo: str, contacts: Mapping[str, str]) -> tuple[NamedRegion, ...]:
        """Return the regions of a photo; contacts that neither the folder nor `contacts` has are unnamed."""
        return tuple(
            NamedRegion(name, box, "stored", "picasa")
            for box, contact in self.faces.get(photo.casefold(), [])
            if (name := self.contacts.get(contact) or contacts.get(contact, ""))
        )

    def nameless(self, contacts: Mapping[str, str]) -> int:
        """Count the faces without a name."""
        shown = [contact for faces in self.faces.values() for _, contact in faces]
        return sum(contact not in self.contacts and contact not in contacts for contact in shown)


def read_picasa_ini(content: bytes) -> PicasaFolder:
    """Read the file of a folder; lines without faces and contacts are ignored.

    Raises
    ------
    WrongUsage
        The file has no section at all.
    """
    folder = PicasaFolder()
    section = ""
    for line in decoded(content).splitlines():
        text = line.strip()
        if text.startswith("[") and "]" in text:
            section = text[1 : text.rfind("]")]
            continue
        key, _, value = text.partition("=")
        if section.casefold() == "contacts2":
            if name := plain_name(value.partition(";")[0]):
                folder.contacts[_contact(key)] = name
        elif key.strip().casefold() == "faces":
            folder.faces.setdefault(section.casefold(), []).extend(_faces(value))
    if content.strip() and not section:
        raise WrongUsage(
            "It has no section in brackets, so it is not a .picasa.ini. Remove it, or restore it."
        )
    return folder


def decoded(content: bytes) -> str:
    """Decode the text of a file: UTF-8, or older Windows encodings; never fails."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_contacts(content: bytes) -> dict[str, str]:
    """Read names by contact from Picasa's contacts.xml.

    Raises
    ------
    WrongUsage
        The file is not XML, or defines entities.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError) as error:
        raise WrongUsage("It is not Picasa's XML. Give Picasa's own contacts.xml.") from error
    found: dict[str, str] = {}
    for contact in root.iter("contact"):
        name = plain_name(contact.get("name")) or plain_name(contact.get("display"))
        if name and contact.get("id"):
            found[_contact(contact.get("id", ""))] = name
    return found


def rect64(digits: str) -> Box | None:
    """Parse a box of up to 16 hexadecimal digits, without leading zeros; None if it has no area."""
    value = int(digits, 16)
    x1, y1, x2, y2 = ((value >> shift & _LARGEST) / _LARGEST for shift in (48, 32, 16, 0))
    return box_within(x1, y1, x2, y2)


def _faces(value: str) -> Iterator[tuple[Box, str]]:
    for digits, contact in _FACE.findall(value):
        box = rect64(digits)
        if box is not None and _contact(contact) != _UNNAMED:
            yield box, _contact(contact)


def _contact(text: str) -> str:
    """Normalize a contact for comparing: some places omit leading zeros."""
    return text.strip().casefold().lstrip("0")
