"""Read RDF in any of its forms: fields are attributes or elements, structures have several forms."""

from collections.abc import Iterator

from facesets.formats.xmp.packet import Node, Tree, qualified

_RDF, _DESCRIPTION = qualified("rdf:RDF"), qualified("rdf:Description")
_ARRAYS = (qualified("rdf:Bag"), qualified("rdf:Seq"), qualified("rdf:Alt"))
_ITEM, _VALUE = qualified("rdf:li"), qualified("rdf:value")


def descriptions(tree: Tree) -> Iterator[Node]:
    """Return the elements that hold a packet's properties."""
    for rdf in tree.getroot().iter(_RDF):
        yield from rdf.iterchildren(_DESCRIPTION)


def property_of(tree: Tree, name: str) -> Node | str | None:
    """Return the first property of a qualified name: an element, or an attribute's text."""
    return next(
        (found for each in descriptions(tree) if (found := _of_holder(each, name)) is not None),
        None,
    )


def field(node: Node | str | None, name: str) -> Node | str | None:
    """Return a structure's field by its qualified name: an element, or an attribute's text."""
    if node is None or isinstance(node, str):
        return None
    found = _of_holder(node, name)
    if found is None and len(node):
        inner = node.iterchildren(_DESCRIPTION)
        found = next((held for each in inner if (held := _of_holder(each, name)) is not None), None)
    return found


def _of_holder(holder: Node, name: str) -> Node | str | None:
    attribute: str | None = holder.get(name)
    return attribute if attribute is not None else next(holder.iterchildren(name), None)


def text(node: Node | str | None) -> str:
    """Return a simple value; empty if there is none or it has parts."""
    if node is None or isinstance(node, str):
        return (node or "").strip()
    value = field(node, _VALUE)
    if value is not None:
        return text(value)
    if not len(node):
        return (node.text or "").strip()
    if any(isinstance(child.tag, str) for child in node):
        return ""
    # A comment may split the text.
    return "".join(node.xpath("text()")).strip()


def array(node: Node | str | None) -> Node | None:
    """Return the element that holds the items of a list, if any."""
    if node is None or isinstance(node, str):
        return None
    return next(node.iterchildren(*_ARRAYS), None)


def items(node: Node | str | None) -> list[Node | str]:
    """Return the items of a list; a single value counts as a list of one."""
    held = array(node)
    if held is not None:
        return list(held.iterchildren(_ITEM))
    return [node] if text(node) and node is not None else []
