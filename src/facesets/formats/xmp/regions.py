"""Read regions with people's names, as defined by the Metadata Working Group and by Microsoft.

References
----------
MWG: Guidelines for Handling Image Metadata 2.0, 5.9; Microsoft: People Tagging Overview (WIC).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from facesets.formats.named_photos import Box, box_within
from facesets.formats.xmp.packet import Node, Tree, qualified
from facesets.formats.xmp.rdf import field, items, property_of, text

MWG_REGIONS, MWG_LIST = qualified("mwg-rs:Regions"), qualified("mwg-rs:RegionList")
MWG_DIMENSIONS = qualified("mwg-rs:AppliedToDimensions")
MWG_AREA, MWG_NAME, MWG_TYPE = map(qualified, ("mwg-rs:Area", "mwg-rs:Name", "mwg-rs:Type"))
MS_INFO, MS_LIST = qualified("MP:RegionInfo"), qualified("MPRI:Regions")
MS_NAME, MS_RECTANGLE = qualified("MPReg:PersonDisplayName"), qualified("MPReg:Rectangle")
DIM_W, DIM_H = map(qualified, ("stDim:w", "stDim:h"))
AREA_X, AREA_Y, AREA_W, AREA_H = (qualified(f"stArea:{each}") for each in "xywh")
AREA_D, AREA_UNIT = qualified("stArea:d"), qualified("stArea:unit")

_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Region:
    """A region in a packet.

    Attributes
    ----------
    node
        The item of the list.
    name
        Stripped; empty if it has none.
    box
        Of the stored picture; None if it has no area, or an impossible one.
    """

    node: Node
    name: str
    box: Box | None


def mwg_regions(tree: Tree) -> Iterator[Region]:
    """Return the regions of faces by the Metadata Working Group, without others such as focus points."""
    regions = property_of(tree, MWG_REGIONS)
    size = applied_to(tree)
    for each in items(field(regions, MWG_LIST)):
        if not isinstance(each, str) and text(field(each, MWG_TYPE)).casefold() in ("face", ""):
            yield Region(each, text(field(each, MWG_NAME)), _mwg_box(field(each, MWG_AREA), size))


def applied_to(tree: Tree) -> tuple[float, float] | None:
    """Return width and height of the picture that regions were drawn on, in pixels, if given."""
    dimensions = field(property_of(tree, MWG_REGIONS), MWG_DIMENSIONS)
    width, height = number(text(field(dimensions, DIM_W))), number(text(field(dimensions, DIM_H)))
    return (width, height) if width and height and width > 0 and height > 0 else None


def microsoft_regions(tree: Tree) -> Iterator[Region]:
    """Return Microsoft's regions."""
    for each in items(field(property_of(tree, MS_INFO), MS_LIST)):
        if not isinstance(each, str):
            yield Region(each, text(field(each, MS_NAME)), _ms_box(text(field(each, MS_RECTANGLE))))


def _mwg_box(area: Node | str | None, size: tuple[float, float] | None) -> Box | None:
    x, y, w, h = (number(text(field(area, each))) for each in (AREA_X, AREA_Y, AREA_W, AREA_H))
    if w is None or h is None:
        # A circle's diameter is measured along the shorter edge.
        diameter = number(text(field(area, AREA_D)))
        if diameter is None or size is None:
            return None
        w, h = diameter * min(size) / size[0], diameter * min(size) / size[1]
    if x is None or y is None:
        return None
    if text(field(area, AREA_UNIT)).casefold() in ("pixel", "pixels"):
        if size is None:
            return None
        x, y, w, h = x / size[0], y / size[1], w / size[0], h / size[1]
    return box_within(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def _ms_box(rectangle: str) -> Box | None:
    numbers = [number(each) for each in rectangle.split(",")[:5]]
    if len(numbers) != 4:
        return None
    x, y, w, h = numbers
    if x is None or y is None or w is None or h is None:
        return None
    return box_within(x, y, x + w, y + h)


def number(written: str) -> float | None:
    """Parse a finite number, with a point or a comma as some countries have it; None for anything else."""
    if not written or len(written) > _LONGEST_NUMBER:
        return None
    try:
        value = float(written.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_same_place(a: Box, b: Box) -> bool:
    """Whether two boxes are around one face: the middle of each is in the other."""
    return _holds_middle(a, b) and _holds_middle(b, a)


def _holds_middle(a: Box, b: Box) -> bool:
    x, y = (b[0] + b[2]) / 2, (b[1] + b[3]) / 2
    return a[0] <= x <= a[2] and a[1] <= y <= a[3]
