"""Add elements to an XML tree and remove them, leaving everything around them as it was."""

from lxml import etree

from facesets.errors import FacesetsError
from facesets.formats.xmp.packet import PREFIXES, Node, Tree, qualified
from facesets.formats.xmp.rdf import array, descriptions, field, items, property_of

_ABOUT, _PARSE_TYPE = qualified("rdf:about"), qualified("rdf:parseType")
_STRUCTURE = "Resource"

NEW_PACKET = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="facesets">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


_BRINGS = {"mwg-rs:Regions": ("mwg-rs", "stArea", "stDim"), "MP:RegionInfo": ("MP", "MPRI", "MPReg")}
"""Prefixes that an element declares for its content."""


class UnfitSidecar(FacesetsError):
    """Our content cannot be added to the sidecar as it is."""


def add(parent: Node, name: str, *, text: str = "", structure: bool = False) -> Node:
    """Append and return a new child element, by a name such as `rdf:li`."""
    prefixes = _BRINGS.get(name, (name.partition(":")[0],))
    last = parent[-1] if len(parent) else None
    node = etree.SubElement(parent, qualified(name), nsmap={each: PREFIXES[each] for each in prefixes})
    if last is None:
        node.tail = parent.text
    else:
        node.tail = last.tail
        if _is_space(parent.text) and _is_space(last.tail):
            last.tail = parent.text
    if text:
        node.text = text
    if structure:
        node.set(_PARSE_TYPE, _STRUCTURE)
    return node


def set_text(node: Node, name: str, content: str) -> None:
    """Set a simple field of a structure, in its present form; a new one becomes an element."""
    key = qualified(name)
    for holder in (node, *node.iterchildren(qualified("rdf:Description"))):
        if key in holder.attrib:
            holder.set(key, content)
            return
        found = next(holder.iterchildren(key), None)
        if found is None:
            continue
        if field(found, qualified("rdf:value")) is not None:
            set_text(found, "rdf:value", content)
            return
        found.text = content
        for comment in found:
            comment.tail = None
        return
    inner = next(node.iterchildren(qualified("rdf:Description")), None)
    add(node if inner is None else inner, name, text=content)


def remove(node: Node) -> None:
    """Remove an element; text behind it that is not blank stays."""
    parent, before, tail = node.getparent(), node.getprevious(), node.tail
    parent.remove(node)
    if before is None:
        parent.text = parent.text if _is_space(tail) else (parent.text or "") + tail
    elif _is_space(tail):
        before.tail = tail if _is_space(before.tail) else before.tail
    else:
        before.tail = (before.tail or "") + tail


def _is_space(text: str | None) -> bool:
    return not text or not text.strip()


def holder_of(tree: Tree, name: str, made: set[str]) -> Node:
    """Return the description for a property: the one with it, else the first, else a new one."""
    found = list(descriptions(tree))
    for each in found:
        if each.get(qualified(name)) is not None or each.find(qualified(name)) is not None:
            return each
    if found:
        return found[0]
    made.add("rdf:Description")
    rdf = next(tree.getroot().iter(qualified("rdf:RDF")))
    description = add(rdf, "rdf:Description")
    description.set(_ABOUT, "")
    return description


def list_in(holder: Node, name: str, kind: str, made: set[str]) -> Node:
    """Return the list in an element's field, created if missing.

    Raises
    ------
    UnfitSidecar
        The field is not a list.
    """
    found = field(holder, qualified(name))
    if found is None:
        made.add(name)
        return add(add(holder, name), kind)
    held = array(found)
    if held is not None:
        return held
    if isinstance(found, str) or len(found) or (found.text or "").strip() or _PARSE_TYPE in found.attrib:
        raise UnfitSidecar(f"its {name} is not a list")
    made.add(f"{name}#list")
    return add(found, kind)


def structure_in(holder: Node, name: str, made: set[str]) -> Node:
    """Return the element for the fields of a structure in an element, created if missing.

    Raises
    ------
    UnfitSidecar
        The field is not a structure.
    """
    found = field(holder, qualified(name))
    if found is None:
        made.add(name)
        return add(holder, name, structure=True)
    if not isinstance(found, str):
        if found.get(_PARSE_TYPE) == _STRUCTURE:
            return found
        inner = found.find(qualified("rdf:Description"))
        if inner is not None:
            return inner
    raise UnfitSidecar(f"its {name} is not a structure")


def remove_empty(tree: Tree, made: set[str]) -> None:
    """Remove lists and structures of our own that have become empty."""
    regions = property_of(tree, qualified("mwg-rs:Regions"))
    info = property_of(tree, qualified("MP:RegionInfo"))
    _remove_empty_list(regions, "mwg-rs:RegionList", made)
    _remove_empty_list(info, "MPRI:Regions", made)
    size = "mwg-rs:AppliedToDimensions"
    dimensions = field(regions, qualified(size))
    is_list_empty = not items(field(regions, qualified("mwg-rs:RegionList")))
    if size in made and is_list_empty and _is_node(dimensions):
        remove(dimensions)
        made.discard(size)
    for name in ("Iptc4xmpExt:PersonInImage", "digiKam:TagsList", "lr:hierarchicalSubject"):
        for each in descriptions(tree):
            _remove_empty_list(each, name, made)
    for name in ("mwg-rs:Regions", "MP:RegionInfo"):
        _remove_empty_element(property_of(tree, qualified(name)), name, made)
    if "rdf:Description" in made:
        # exiftool splits one structure into several elements, one per namespace.
        for each in list(descriptions(tree)):
            if _is_empty(each):
                remove(each)
        if not any(True for _ in descriptions(tree)):
            made.discard("rdf:Description")


def _is_node(found: Node | str | None) -> bool:
    return found is not None and not isinstance(found, str)


def _remove_empty_list(holder: Node | str | None, name: str, made: set[str]) -> None:
    found = field(holder, qualified(name))
    held = array(found)
    if held is None or len(held):
        return
    if name in made:
        remove(found)
    elif f"{name}#list" in made:
        remove(held)
    else:
        return
    made.difference_update({name, f"{name}#list"})


def _remove_empty_element(node: Node | str | None, name: str, made: set[str]) -> None:
    if name in made and node is not None and not isinstance(node, str) and _is_empty(node):
        remove(node)
        made.discard(name)


def _is_empty(node: Node) -> bool:
    is_bare = not len(node) and not (node.text or "").strip()
    return is_bare and set(node.attrib) <= {_ABOUT, _PARSE_TYPE}
