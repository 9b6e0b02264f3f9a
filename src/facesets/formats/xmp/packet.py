"""Parse XMP packets into XML trees and back, refusing hostile ones before they cost anything.

lxml keeps what a round trip needs: prefixes, comments, processing instructions (the `xpacket` around it), and
properties of unknown namespaces. The standard library's parser, and so defusedxml's, renames
prefixes and drops what is outside the first element.
"""

import re
from typing import Any, TypeAlias

from lxml import etree

from facesets.errors import UnreadableXmp
from facesets.joiners import made_printable

Node: TypeAlias = Any
"""An element of lxml."""
Tree: TypeAlias = Any
"""A tree of lxml: an element, with what precedes and follows it."""

MAX_BYTES = 16_000_000
"""Larger packets are refused; Lightroom's masks make some megabytes."""
_MAX_TAGS = 400_000
"""Maximum tags: an element takes thirty times the memory of its text."""

PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}
"""Namespaces that are read or written, by the prefixes that programs usually give them."""

_DECLARATION = re.compile(r"<\?xml\s[^>]*\?>")
_ENCODINGS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
"""First bytes of packets in the encodings that XMP allows; UTF-8 is the default."""


def qualified(name: str) -> str:
    """Return a name such as `rdf:Description` in lxml's form."""
    prefix, _, local = name.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


def parse(data: bytes) -> Tree:
    """Parse a packet into a tree.

    Raises
    ------
    UnreadableXmp
        It is too large, no text, no XML, no XMP, or defines entities.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableXmp(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    text = _text(data)
    if "<!DOCTYPE" in text:
        raise UnreadableXmp("it has a DOCTYPE, which XMP does not allow")
    if text.count("<") > _MAX_TAGS:
        raise UnreadableXmp("it has too many elements")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        strip_cdata=False,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableXmp(f"it is not XML ({_first_line(error)})") from error
    if next(root.iter(qualified("rdf:RDF")), None) is None:
        raise UnreadableXmp("it is XML, but not XMP")
    return root.getroottree()


def serialized(tree: Tree, *, like: bytes = b"") -> bytes:
    """Return a packet in UTF-8, with an XML declaration if `like` has one."""
    root = tree.getroot()
    before, behind = list(root.itersiblings(preceding=True)), list(root.itersiblings())
    parts: list[bytes] = [
        etree.tostring(node, encoding="utf-8", xml_declaration=False, with_tail=False)
        for node in (*reversed(before), root, *behind)
    ]
    if like.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml "):
        parts.insert(0, b'<?xml version="1.0" encoding="UTF-8"?>')
    return b"\n".join(parts) + b"\n"


def _text(data: bytes) -> str:
    encoding = next((name for begin, name in _ENCODINGS if data.startswith(begin)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableXmp(f"it is not {encoding.removesuffix('-sig').upper()} text") from error
    text = text.strip("\0\ufeff \r\n\t")
    if not text:
        raise UnreadableXmp("it is empty")
    return _DECLARATION.sub("", text, count=1).lstrip() if text.startswith("<?xml ") else text


def _first_line(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    line = (message.strip() or type(error).__name__).splitlines()[0][:160]
    return made_printable(line, lambda _: "?")
