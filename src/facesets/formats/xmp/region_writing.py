"""Write our regions into a packet: new ones, or into existing ones with others' additions."""

from facesets.formats.named_photos import Box
from facesets.formats.xmp.editing import add, holder_of, list_in, set_text, structure_in
from facesets.formats.xmp.ownership import is_near
from facesets.formats.xmp.packet import Tree
from facesets.formats.xmp.rdf import field
from facesets.formats.xmp.regions import MWG_AREA, Region


def write_mwg(tree: Tree, made: set[str], name: str, box: Box, region: Region | None) -> None:
    """Write a person's name in the MWG's form, into an existing region or a new one.

    Raises
    ------
    UnfitSidecar
        Something in the packet has a form into which nothing can be added.
    """
    if region is None:
        regions = structure_in(holder_of(tree, "mwg-rs:Regions", made), "mwg-rs:Regions", made)
        item = add(list_in(regions, "mwg-rs:RegionList", "rdf:Bag", made), "rdf:li", structure=True)
        set_text(item, "mwg-rs:Name", name)
        set_text(item, "mwg-rs:Type", "Face")
        area = add(item, "mwg-rs:Area", structure=True)
    else:
        set_text(region.node, "mwg-rs:Name", name)
        area = field(region.node, MWG_AREA)
        if region.box is not None and is_near(region.box, box):
            return
    x1, y1, x2, y2 = box
    for key, value in {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "w": x2 - x1, "h": y2 - y1}.items():
        set_text(area, f"stArea:{key}", f"{value:.6f}")
    set_text(area, "stArea:unit", "normalized")


def write_microsoft(tree: Tree, made: set[str], name: str, box: Box, region: Region | None) -> None:
    """Write a person's name as Microsoft's programs do. Raises `UnfitSidecar`."""
    if region is None:
        info = structure_in(holder_of(tree, "MP:RegionInfo", made), "MP:RegionInfo", made)
        item = add(list_in(info, "MPRI:Regions", "rdf:Bag", made), "rdf:li", structure=True)
    else:
        item = region.node
    if region is None or region.box is None or not is_near(region.box, box):
        x1, y1, x2, y2 = box
        set_text(item, "MPReg:Rectangle", f"{x1:.6f}, {y1:.6f}, {x2 - x1:.6f}, {y2 - y1:.6f}")
    set_text(item, "MPReg:PersonDisplayName", name)
