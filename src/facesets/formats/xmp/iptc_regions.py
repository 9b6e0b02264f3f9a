"""Read named IPTC regions of a photo: rectangles, circles and polygons.

References
----------
IPTC Photo Metadata Standard, Image Region (since 2019.1). The radius of a circle is a part of the width.
Whether boundaries measure the stored or the upright picture was not to be found there; programs that write
them (Photini, and exiftool's conversion of MWG's regions) mean the stored one.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeAlias

from facesets.formats.named_photos import Box, box_within
from facesets.formats.xmp.packet import Node, Tree, qualified
from facesets.formats.xmp.rdf import field, items, property_of, text
from facesets.formats.xmp.regions import Region, number

Size: TypeAlias = tuple[float, float] | None

REGIONS, BOUNDARY = qualified("Iptc4xmpExt:ImageRegion"), qualified("Iptc4xmpExt:RegionBoundary")
_SHAPE, _UNIT = qualified("Iptc4xmpExt:rbShape"), qualified("Iptc4xmpExt:rbUnit")
_X, _Y, _W, _H, _RADIUS = (qualified(f"Iptc4xmpExt:rb{each}") for each in ("X", "Y", "W", "H", "Rx"))
_VERTICES = qualified("Iptc4xmpExt:rbVertices")
_PEOPLE, _DETAILS = qualified("Iptc4xmpExt:PersonInImage"), qualified("Iptc4xmpExt:PersonInImageWDetails")
_NAME_OF_PERSON, _NAME = qualified("Iptc4xmpExt:PersonName"), qualified("Iptc4xmpExt:Name")
_KIND, _IDENTIFIER = qualified("Iptc4xmpExt:rCtype"), qualified("xmp:Identifier")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

_HUMAN = frozenset({"human", "face", "headshot", "person"})
"""Kinds of content, as end of an identifier or as a name, for which a region's name is a person's."""
_MAX_ITEMS = 1000
"""Maximum names, kinds and corners read per region."""


def iptc_regions(tree: Tree, size: Callable[[], Size]) -> Iterator[Region]:
    """Return the regions with people's names; people who share a region have no box.

    A region's own name counts as a person's if the region states that it shows a human.

    Parameters
    ----------
    size : callable
        Gives width and height of the stored picture in pixels, if they are known; asked where a region is
        measured so.
    """
    for each in items(property_of(tree, REGIONS)):
        if isinstance(each, str):
            continue
        names = list(dict.fromkeys(filter(None, _names(each))))
        box = _box(field(each, BOUNDARY), size) if len(names) == 1 else None
        for name in names:
            yield Region(each, name, box)


def _names(region: Node) -> Iterator[str]:
    names = [text(each) for each in _some(field(region, _PEOPLE))]
    names += [_in_a_language(field(each, _NAME_OF_PERSON)) for each in _some(field(region, _DETAILS))]
    if any(names):
        yield from names
    elif any(map(_is_human, _some(field(region, _KIND)))):
        yield _in_a_language(field(region, _NAME))


def _some(node: Node | str | None) -> Iterator[Node | str]:
    return islice(items(node), _MAX_ITEMS)


def _is_human(kind: Node | str) -> bool:
    identifiers = [text(each) for each in _some(field(kind, _IDENTIFIER))] + [
        _in_a_language(field(kind, _NAME))
    ]
    return any(each.rpartition("/")[2].casefold() in _HUMAN for each in identifiers)


def _in_a_language(node: Node | str | None) -> str:
    """Return a text that may exist in several languages: the default one, else the first."""
    found = list(_some(node))
    default = (each for each in found if not isinstance(each, str) and each.get(_LANGUAGE) == "x-default")
    return text(next(default, found[0] if found else None))


def _box(boundary: Node | str | None, size: Callable[[], Size]) -> Box | None:
    unit = text(field(boundary, _UNIT)).casefold()
    is_circle = text(field(boundary, _SHAPE)).casefold() == "circle"
    whole = size() if is_circle or unit == "pixel" else None
    width, height = whole or (1.0, 1.0)
    if unit == "pixel" and whole is not None:
        in_parts, roundness = (width, height), 1.0
    elif unit == "relative":
        in_parts, roundness = (1.0, 1.0), width / height
    else:
        return None
    edges = _edges_of_circle(boundary, roundness) if is_circle else _edges(boundary)
    if edges is None:
        return None
    x1, y1, x2, y2 = (edge / of for edge, of in zip(edges, in_parts * 2, strict=True))
    return box_within(x1, y1, x2, y2)


def _edges_of_circle(boundary: Node | str | None, roundness: float) -> Box | None:
    x, y, radius = (number(text(field(boundary, each))) for each in (_X, _Y, _RADIUS))
    if x is None or y is None or radius is None:
        return None
    return x - radius, y - radius * roundness, x + radius, y + radius * roundness


def _edges(boundary: Node | str | None) -> Box | None:
    """Return the edges of a rectangle, or those around all corners of a polygon."""
    x, y, w, h = (number(text(field(boundary, each))) for each in (_X, _Y, _W, _H))
    if x is not None and y is not None and w is not None and h is not None:
        return x, y, x + w, y + h
    corners = list(_some(field(boundary, _VERTICES)))
    across, down = (
        [at for each in corners if (at := number(text(field(each, axis)))) is not None] for axis in (_X, _Y)
    )
    return (min(across), min(down), max(across), max(down)) if across and down else None
