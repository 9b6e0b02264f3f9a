"""Read the people named in a packet, for regions of the photo or the whole of it."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from facesets.formats.named_photos import Box, NamedRegion
from facesets.formats.xmp.iptc_regions import Size, iptc_regions
from facesets.formats.xmp.packet import Tree, parse, qualified
from facesets.formats.xmp.rdf import items, property_of, text
from facesets.formats.xmp.regions import (
    Region,
    applied_to,
    is_same_place,
    microsoft_regions,
    mwg_regions,
)
from facesets.imaging.decode import VIDEO_SUFFIXES

PERSON_IN_IMAGE = qualified("Iptc4xmpExt:PersonInImage")
DIGIKAM_TAGS, LIGHTROOM_TAGS = qualified("digiKam:TagsList"), qualified("lr:hierarchicalSubject")
_ENDING, _KIND = qualified("photoshop:SidecarForExtension"), qualified("dc:format")
ROOT_OF_PEOPLE = "People"
"""The keyword under which programs store people."""

_MAX_ITEMS = 1000
"""Maximum regions or keywords of a kind that are read."""


def _unknown() -> Size:
    return None


def read_named_regions(data: bytes, size: Callable[[], Size] = _unknown) -> tuple[NamedRegion, ...]:
    """Return the people that an XMP packet names, those with a stored picture's box first.

    MWG's, Microsoft's and IPTC's regions; then people of `PersonInImage`, and of digiKam's and Lightroom's
    keywords below `People`, who have no region. A name at the same place is returned once.

    Parameters
    ----------
    data : bytes
        Content of a sidecar, or of a packet in a photo.
    size : callable
        Gives width and height of the stored picture in pixels, or None; called only if needed.

    Raises
    ------
    UnreadableXmp
        The content is not XMP, or hostile.
    """
    tree = parse(data)
    found: list[NamedRegion] = []
    boxes: dict[str, list[Box | None]] = {}
    for region, program in sorted(_regions(tree, size), key=lambda each: each[0].box is None):
        name = tidy(region.name)
        known = boxes.setdefault(name, [])
        if name and not any(_is_same(box, region.box) for box in known):
            known.append(region.box)
            found.append(NamedRegion(name, region.box, "stored", program))
    named = {each.name.casefold() for each in found}
    for name, program in _names(tree):
        if name and name.casefold() not in named:
            named.add(name.casefold())
            found.append(NamedRegion(name, None, "stored", program))
    return tuple(found)


def tidy(name: str) -> str:
    """Normalize a name for comparing and storing."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def is_of_a_video(data: bytes) -> bool:
    """Whether a sidecar is about a video, by its suffix or its kind. Raises `UnreadableXmp`."""
    tree = parse(data)
    ending, kind = (text(property_of(tree, each)).casefold() for each in (_ENDING, _KIND))
    return kind.startswith("video/") or f".{ending}" in VIDEO_SUFFIXES


def _regions(tree: Tree, size: Callable[[], Size]) -> Iterator[tuple[Region, str]]:
    for regions, program in (
        (mwg_regions(tree), "mwg"),
        (microsoft_regions(tree), "microsoft"),
        (iptc_regions(tree, lambda: size() or applied_to(tree)), "iptc"),
    ):
        for region in islice(regions, _MAX_ITEMS):
            yield region, program


def _is_same(known: Box | None, box: Box | None) -> bool:
    return box is None or (known is not None and is_same_place(known, box))


def _names(tree: Tree) -> Iterator[tuple[str, str]]:
    for name in list_of_texts(tree, PERSON_IN_IMAGE):
        yield tidy(name), "mwg"
    for place, separator in ((DIGIKAM_TAGS, "/"), (LIGHTROOM_TAGS, "|")):
        for name in _people_among(list_of_texts(tree, place), separator):
            yield tidy(name), "digikam"


def list_of_texts(tree: Tree, name: str) -> list[str]:
    """Return the texts of a list of keywords."""
    return [text(each) for each in islice(items(property_of(tree, name)), _MAX_ITEMS)]


def _people_among(keywords: Iterable[str], separator: str) -> list[str]:
    """Return the last part of each keyword of people; keywords with others below them are groups."""
    paths = [tuple(part.strip() for part in keyword.split(separator)) for keyword in keywords]
    groups = {path[:length] for path in paths for length in range(1, min(len(path), 20))}
    return [
        path[-1]
        for path in paths
        if len(path) > 1 and path[0].casefold() == ROOT_OF_PEOPLE.casefold() and path not in groups
    ]
