"""Merge people's names into a sidecar: add, change and remove ours, and leave the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lxml import etree

from facesets.errors import Changed
from facesets.formats.named_photos import Box
from facesets.formats.xmp.editing import (
    NEW_PACKET,
    UnfitSidecar,
    add,
    holder_of,
    list_in,
    remove,
    remove_empty,
    structure_in,
)
from facesets.formats.xmp.ownership import NOTHING, WHOLE_FILE, Hasher, OurRegion, Ours, is_near
from facesets.formats.xmp.packet import Node, Tree, parse, qualified, serialized
from facesets.formats.xmp.rdf import array, items, property_of, text
from facesets.formats.xmp.rdf import field as field_of
from facesets.formats.xmp.reading import ROOT_OF_PEOPLE, tidy
from facesets.formats.xmp.region_writing import write_microsoft, write_mwg
from facesets.formats.xmp.regions import (
    MWG_DIMENSIONS,
    MWG_REGIONS,
    Region,
    applied_to,
    is_same_place,
    microsoft_regions,
    mwg_regions,
)

_SAME_SHAPE = 0.01
"""Maximum relative difference, by rounding, between two pictures' ratios of width and height."""

_SIZE = "mwg-rs:AppliedToDimensions"


@dataclass(frozen=True, slots=True)
class WantedSidecar:
    """The wanted content of a sidecar.

    Attributes
    ----------
    faces
        Names, and boxes of the stored picture.
    width, height
        Of that, in pixels.
    microsoft
        Whether Microsoft's regions are wanted, too.
    """

    faces: tuple[tuple[str, Box], ...]
    width: int
    height: int
    microsoft: bool = False

    @property
    def names(self) -> list[str]:
        """Return each name once."""
        return list(dict.fromkeys(name for name, _ in self.faces))


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge.

    Attributes
    ----------
    content
        The sidecar's bytes; None if it is no longer needed.
    ours
        Our content now.
    found
        Our content before.
    """

    content: bytes | None
    ours: Ours
    found: Ours = field(default=NOTHING, compare=False)


class EditedSince(Changed):
    """Someone changed or removed our content in a sidecar."""


@dataclass(slots=True)
class _Work:
    """A tree being changed."""

    tree: Tree
    hashed: Hasher
    made: set[str]
    texts: set[str]
    changed: bool = False


def merged(
    data: bytes | None,
    wanted: WantedSidecar,
    candidates: Sequence[Ours],
    hashed: Hasher,
    *,
    replace: bool = False,
) -> Merged:
    """Return a sidecar with the wanted content, without ours that is no longer wanted.

    If nothing has to change, the same bytes are returned.

    Parameters
    ----------
    data
        Content of the sidecar; None if it does not exist.
    candidates
        Possible states of our content: as last written, and as an interrupted run may have written it.
    replace
        Overwrite changes by others to ours, and add regions even if existing ones are for another size.

    Raises
    ------
    EditedSince
        Our content was changed.
    UnreadableXmp
        It cannot be read.
    UnfitSidecar
        Its regions are of another picture, or something in it has a form into which nothing can be added.
    """
    if data is None:
        tree, ours = parse(NEW_PACKET), Ours(made=frozenset({WHOLE_FILE}))
    else:
        tree = parse(data)
        ours = _intact(tree, candidates, hashed, replace=replace)
    found = NOTHING if data is None else ours
    work = _Work(tree, hashed, set(ours.made), set(ours.texts))
    _require_same_picture(work, wanted, ours, replace=replace)
    mwg = _merge_regions(work, list(mwg_regions(tree)), wanted.faces, ours.mwg, write_mwg)
    if mwg:
        _set_size(work, wanted)
    theirs = wanted.faces if wanted.microsoft else ()
    microsoft = _merge_regions(work, list(microsoft_regions(tree)), theirs, ours.microsoft, write_microsoft)
    for name, kind, texts in _lists(wanted.names):
        _merge_texts(work, name, kind, texts)
    remove_empty(tree, work.made)
    now = Ours(mwg, microsoft, frozenset(work.texts), frozenset(work.made))
    if WHOLE_FILE in work.made and not any(len(each) for each in _rdf(tree)):
        return Merged(None, NOTHING, found)
    if not work.changed:
        return Merged(data, now, found)
    if data is None:
        etree.indent(tree, " ")
    return Merged(serialized(tree, like=data or b""), now, found)


def is_intact(data: bytes, ours: Ours, hashed: Hasher) -> bool:
    """Whether a sidecar holds all of our content of another, if there is any.

    Raises
    ------
    UnreadableXmp
        It cannot be read.
    """
    content = ours.mwg or ours.microsoft or ours.texts
    return bool(content) and _remaining(_possibly_ours(parse(data), hashed), ours) == ours


def _lists(names: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Return the keyword lists, their kinds, and their wanted names, without names with a separator."""
    yield "Iptc4xmpExt:PersonInImage", "rdf:Bag", list(names)
    for name, kind, separator in (
        ("digiKam:TagsList", "rdf:Seq", "/"),
        ("lr:hierarchicalSubject", "rdf:Bag", "|"),
    ):
        yield name, kind, [f"{ROOT_OF_PEOPLE}{separator}{each}" for each in names if separator not in each]


def _rdf(tree: Tree) -> list[Node]:
    return list(tree.getroot().iter(qualified("rdf:RDF")))


def _intact(tree: Tree, candidates: Sequence[Ours], hashed: Hasher, *, replace: bool) -> Ours:
    """Return the candidate that is completely present. Raises `EditedSince` if there is none."""
    present = _possibly_ours(tree, hashed)
    # The content before an interrupted run and the content it wrote may include each other.
    intact = [ours for ours in candidates if _remaining(present, ours) == ours]
    if intact:
        return max(intact, key=lambda ours: len(ours.mwg) + len(ours.microsoft) + len(ours.texts))
    if not candidates:
        return NOTHING
    if not replace:
        raise EditedSince("someone edited what facesets wrote")
    return _remaining(present, candidates[0])


def _possibly_ours(tree: Tree, hashed: Hasher) -> Ours:
    """Return everything in a sidecar that could be ours."""

    def digests(found: Iterable[Region]) -> tuple[OurRegion, ...]:
        return tuple((hashed(tidy(each.name)), each.box) for each in found if each.box is not None)

    texts = {
        hashed(name, text(item))
        for name, _, _ in _lists(())
        for item in items(property_of(tree, qualified(name)))
    }
    return Ours(digests(mwg_regions(tree)), digests(microsoft_regions(tree)), frozenset(texts))


def _remaining(present: Ours, ours: Ours) -> Ours:
    """Return our content that is still present."""

    def remaining(some: Sequence[OurRegion], among: Sequence[OurRegion]) -> tuple[OurRegion, ...]:
        return tuple(
            (digest, box)
            for digest, box in some
            if any(digest == other and is_near(box, place) for other, place in among)
        )

    return Ours(
        remaining(ours.mwg, present.mwg),
        remaining(ours.microsoft, present.microsoft),
        ours.texts & present.texts,
        ours.made,
    )


def _require_same_picture(work: _Work, wanted: WantedSidecar, ours: Ours, *, replace: bool) -> None:
    """Refuse to mix regions of two pictures: a crop has its faces elsewhere."""
    size = applied_to(work.tree)
    only_ours = _SIZE in work.made and sum(1 for _ in mwg_regions(work.tree)) <= len(ours.mwg)
    if size is None or not wanted.faces or replace or only_ours:
        return
    a, b = size[0] * wanted.height, size[1] * wanted.width
    if abs(a - b) > _SAME_SHAPE * max(a, b):
        raise UnfitSidecar(
            f"its regions are for a photo of {size[0]:g}×{size[1]:g} pixels, but the photo has "
            f"{wanted.width}×{wanted.height}"
        )


def _merge_regions(
    work: _Work,
    regions: Sequence[Region],
    wanted: Sequence[tuple[str, Box]],
    ours: Sequence[OurRegion],
    write: Callable[[Tree, set[str], str, Box, Region | None], None],
) -> tuple[OurRegion, ...]:
    """Remove our unwanted regions, add wanted ones that no program has; return ours."""
    hashed = work.hashed
    open_ours, left = list(ours), list(wanted)
    now: list[OurRegion] = []
    foreign: list[Region] = []
    untrue: list[Region] = []
    for region in regions:
        own = next((each for each in open_ours if _is(region, each, hashed)), None)
        if own is None:
            foreign.append(region)
            continue
        open_ours.remove(own)
        same = next((each for each in left if _is(region, (hashed(tidy(each[0])), each[1]), hashed)), None)
        if same is None:
            untrue.append(region)
        else:
            left.remove(same)
            now.append(own)
    left = [each for each in left if not any(_has_name(region, *each) for region in foreign)]
    for name, box in left:
        # Additions by others to our region stay in it if the name changes or the box moves.
        reused = _reusable(untrue, name, box)
        if reused is not None:
            untrue.remove(reused)
        write(work.tree, work.made, name, box, reused)
        now.append((hashed(tidy(name)), box))
    for region in untrue:
        remove(region.node)
    work.changed = work.changed or bool(left or untrue)
    return tuple(now)


def _reusable(untrue: Sequence[Region], name: str, box: Box) -> Region | None:
    """Return the region of ours to reuse: the one at the same place, else the one with the same name."""
    placed = (each for each in untrue if each.box is not None and is_same_place(each.box, box))
    called = (each for each in untrue if tidy(each.name) == tidy(name))
    return next(placed, next(called, None))


def _is(region: Region, own: OurRegion, hashed: Hasher) -> bool:
    digest, box = own
    return region.box is not None and is_near(region.box, box) and hashed(tidy(region.name)) == digest


def _has_name(region: Region, name: str, box: Box) -> bool:
    same_name = tidy(region.name).casefold() == tidy(name).casefold()
    return same_name and region.box is not None and is_same_place(region.box, box)


def _set_size(work: _Work, wanted: WantedSidecar) -> None:
    """Write the picture's size for regions, if it is missing, or ours."""
    size, dimensions = applied_to(work.tree), field_of(property_of(work.tree, MWG_REGIONS), MWG_DIMENSIONS)
    if size is not None and size[0] == wanted.width and size[1] == wanted.height:
        return
    if dimensions is not None:
        if _SIZE not in work.made or isinstance(dimensions, str):
            return
        remove(dimensions)
    regions = structure_in(holder_of(work.tree, "mwg-rs:Regions", work.made), "mwg-rs:Regions", work.made)
    size_node = add(regions, _SIZE, structure=True)
    for key, value in {"w": wanted.width, "h": wanted.height, "unit": "pixel"}.items():
        add(size_node, f"stDim:{key}", text=str(value))
    work.made.add(_SIZE)
    work.changed = True


def _merge_texts(work: _Work, name: str, kind: str, wanted: Sequence[str]) -> None:
    """Remove our unwanted texts from a list, and add the missing ones."""
    held = array(property_of(work.tree, qualified(name)))
    present = set()
    for item in list(held) if held is not None else []:
        if not isinstance(item.tag, str):
            continue
        digest = work.hashed(name, text(item))
        if digest in work.texts and text(item) not in wanted:
            remove(item)
            work.texts.discard(digest)
            work.changed = True
        else:
            present.add(text(item))
    for each in wanted:
        if each not in present:
            holder = holder_of(work.tree, name, work.made)
            add(list_in(holder, name, kind, work.made), "rdf:li", text=each)
            work.texts.add(work.hashed(name, each))
            work.changed = True
