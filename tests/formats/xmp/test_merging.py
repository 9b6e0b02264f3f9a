"""Our content is added to others' sidecars, changed and removed; everything else stays."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tests.fixtures.foreign_packets import PACKETS, foreign_packets, foreign_parts
from tests.fixtures.soak import examples
from tests.fixtures.xmp_packets import (
    exiftool_reads,
    exiftool_writes,
    exiv2,
    listed,
    packet_of,
    region,
    regions,
)

from facesets.formats.xmp.editing import UnfitSidecar
from facesets.formats.xmp.merging import EditedSince, Merged, WantedSidecar, merged
from facesets.formats.xmp.ownership import NOTHING, Hasher, Ours, from_json, to_json
from facesets.formats.xmp.reading import read_named_regions

_HASHED = Hasher("a library")
_ANNA = ("Anna", (0.4, 0.3, 0.6, 0.7))
_BEN = ("Ben Ångström", (0.1, 0.1, 0.3, 0.3))


def _put(
    data: bytes | None,
    *faces: tuple[str, tuple[float, float, float, float]],
    ours: Ours = NOTHING,
    **how: bool,
) -> Merged:
    wanted = WantedSidecar(faces, 400, 300, how.pop("microsoft", False))
    return merged(data, wanted, () if data is None else (ours,), _HASHED, **how)


def _canonical(data: bytes) -> str:
    """Return a packet's canonical form, without the spaces between elements."""
    return str(etree.canonicalize(data.decode(), strip_text=True, with_comments=True))


def _nodes(data: bytes) -> Counter[tuple[str, ...]]:
    """Everything in a packet: elements with their texts and attributes, comments, instructions."""
    tree = etree.fromstring(data).getroottree()
    return Counter(
        (str(node.tag), (node.text or "").strip(), *sorted(map(str, node.attrib.items())))
        for node in tree.xpath("//node()[not(self::text())]")
    )


@given(foreign_packets(), st.lists(st.sampled_from([_ANNA, _BEN]), unique=True), st.booleans())
@examples(100)
def test_a_foreign_sidecar_differs_only_in_what_is_ours(
    data: bytes, faces: Sequence[tuple[str, tuple[float, float, float, float]]], microsoft: bool
) -> None:
    with_ours = _put(data, *faces, microsoft=microsoft)
    assert with_ours.content is not None
    assert not _nodes(data) - _nodes(with_ours.content)
    assert {name for name, _ in faces} <= {each.name for each in read_named_regions(with_ours.content)}
    again = _put(with_ours.content, *faces, ours=with_ours.ours, microsoft=microsoft)
    assert again == with_ours
    without = _put(with_ours.content, ours=from_json(to_json(with_ours.ours)))
    assert without.content is not None
    assert without.ours.is_nothing
    assert _canonical(without.content) == _canonical(data)


@pytest.mark.parametrize("name", PACKETS)
def test_content_of_other_programs_survives(name: str) -> None:
    data = PACKETS[name]
    with_ours = _put(data, _ANNA, _BEN, microsoft=True, replace=True)
    assert with_ours.content is not None
    assert not _nodes(data) - _nodes(with_ours.content)
    assert {each.name for each in read_named_regions(data)} <= {
        each.name for each in read_named_regions(with_ours.content)
    }
    without = _put(with_ours.content, ours=with_ours.ours)
    assert without.content is not None
    assert _canonical(without.content) == _canonical(data)


def test_exiftool_reads_what_we_wrote(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.xmp"
    sidecar.write_bytes(_put(None, _ANNA, _BEN, microsoft=True).content or b"")
    output = exiftool_reads(sidecar)
    names = ["Anna", "Ben Ångström"]
    assert output["PersonInImage"] == names
    assert output["TagsList"] == [f"People/{name}" for name in names]
    assert output["HierarchicalSubject"] == [f"People|{name}" for name in names]
    assert output["RegionInfo"]["AppliedToDimensions"] == {"W": 400, "H": 300, "Unit": "pixel"}
    anna, ben = output["RegionInfo"]["RegionList"]
    assert (anna["Name"], anna["Type"], ben["Name"]) == ("Anna", "Face", "Ben Ångström")
    assert anna["Area"] == {"X": 0.5, "Y": 0.5, "W": 0.2, "H": 0.4, "Unit": "normalized"}
    assert output["RegionInfoMP"]["Regions"][0] == {
        "PersonDisplayName": "Anna",
        "Rectangle": "0.400000, 0.300000, 0.200000, 0.400000",
    }


def test_exiv2_reads_what_we_wrote_and_what_it_adds_stays(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.xmp"
    first = _put(None, _ANNA, _BEN)
    sidecar.write_bytes(first.content or b"")
    output = exiv2(sidecar)
    region = "Xmp.mwg-rs.Regions/mwg-rs:RegionList[2]/mwg-rs:"
    assert output[f"{region}Name"] == "Ben Ångström"
    assert [float(output[f"{region}Area/stArea:{each}"]) for each in "xywh"] == [0.2, 0.2, 0.2, 0.2]
    assert output["Xmp.iptcExt.PersonInImage"] == "Anna, Ben Ångström"
    exiv2(sidecar, "-M", "set Xmp.dc.subject XmpBag holiday")
    second = _put(sidecar.read_bytes(), _BEN, ours=first.ours)
    sidecar.write_bytes(second.content or b"")
    output = exiv2(sidecar)
    assert (output["Xmp.dc.subject"], output["Xmp.iptcExt.PersonInImage"]) == ("holiday", "Ben Ångström")


def test_additions_of_other_programs_are_not_edits_of_ours(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.xmp"
    first = _put(None, _ANNA, _BEN)
    sidecar.write_bytes(first.content or b"")
    exiftool_writes(sidecar, "-XMP:Rating=4", "-TagsList+=Places/Rome", "-PersonInImage+=Carl")
    second = _put(sidecar.read_bytes(), _BEN, ours=first.ours)
    sidecar.write_bytes(second.content or b"")
    output = exiftool_reads(sidecar)
    assert (output["Rating"], output["PersonInImage"]) == (4, ["Ben Ångström", "Carl"])
    assert output["TagsList"] == ["People/Ben Ångström", "Places/Rome"]
    assert [each["Name"] for each in output["RegionInfo"]["RegionList"]] == ["Ben Ångström"]
    third = _put(second.content, ours=second.ours)
    sidecar.write_bytes(third.content or b"")
    output = exiftool_reads(sidecar)
    assert "RegionInfo" not in output
    assert (output["PersonInImage"], output["TagsList"]) == (["Carl"], ["Places/Rome"])


def test_our_sidecar_is_removed_even_if_another_program_rewrote_it(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.xmp"
    made = _put(None, _ANNA, _BEN, microsoft=True)
    sidecar.write_bytes(made.content or b"")
    exiftool_writes(sidecar, "-XMP:Rating=4")
    rated = _put(sidecar.read_bytes(), ours=made.ours)
    assert (rated.content or b"").count(b"<rdf:Description") == 1
    exiftool_writes(sidecar, "-XMP:Rating=")
    assert sidecar.read_bytes().count(b"<rdf:Description") > 1
    assert _put(sidecar.read_bytes(), ours=made.ours) == Merged(None, NOTHING)
    sidecar.write_bytes(rated.content or b"")
    exiftool_writes(sidecar, "-XMP:Rating=", "-XMP:Label=")
    assert b"Rating" not in sidecar.read_bytes()
    assert _put(sidecar.read_bytes(), ours=rated.ours).content is None


def test_a_sidecar_with_only_our_content_is_removed_with_it() -> None:
    made = _put(None, _ANNA)
    assert _put(made.content, ours=made.ours) == Merged(None, NOTHING)
    assert _put(None) == Merged(None, NOTHING)


_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "elements": lambda data: data,
    "attributes": lambda data: re.sub(
        rb"<rdf:li rdf:parseType=\"Resource\">\s*<mwg-rs:Name>(.*?)</mwg-rs:Name>",
        rb'<rdf:li mwg-rs:Name="\1" rdf:parseType="Resource">',
        data,
    ),
    "values": lambda data: re.sub(
        rb"<mwg-rs:Name>(.*?)</mwg-rs:Name>",
        rb'<mwg-rs:Name rdf:parseType="Resource"><rdf:value>\1</rdf:value><own:a>1</own:a></mwg-rs:Name>',
        data,
    ),
    "descriptions": lambda data: re.sub(
        rb"<rdf:li rdf:parseType=\"Resource\">(\s*<mwg-rs:Name>.*?)</rdf:li>",
        rb"<rdf:li><rdf:Description>\1</rdf:Description></rdf:li>",
        data,
        flags=re.DOTALL,
    ),
    "comments": lambda data: re.sub(rb"<mwg-rs:Name>A", rb"<mwg-rs:Name><!-- first -->A<!-- name -->", data),
}
"""Forms in which other programs rewrite our regions."""


@pytest.mark.parametrize("form", _FORMS)
@given(first=foreign_parts(), second=foreign_parts(), microsoft=st.booleans())
@examples(8)
def test_additions_of_others_to_our_regions_stay(form: str, first: str, second: str, microsoft: bool) -> None:
    made = _put(packet_of(""), _ANNA, _BEN, microsoft=microsoft)
    theirs = _FORMS[form](made.content or b"")
    for place, more in ((b"</mwg-rs:Area>", first), (b"<stArea:unit>", second)):
        theirs = theirs.replace(place, more.encode() + place if b"/" not in place else place + more.encode())
    moved = (0.45, 0.3, 0.65, 0.7)
    renamed = _put(theirs, ("Anna Berg", _ANNA[1]), _BEN, ours=made.ours, microsoft=microsoft)
    again = _put(renamed.content, ("Anna Berg", moved), _BEN, ours=renamed.ours, microsoft=microsoft)
    for step, box in ((renamed, _ANNA[1]), (again, moved)):
        assert step.content is not None
        assert not _foreign(theirs) - _foreign(step.content)
        anna = next(each for each in read_named_regions(step.content) if each.name == "Anna Berg")
        assert anna.box == pytest.approx(box, abs=1e-5)
        assert [each.name for each in read_named_regions(step.content)] == ["Anna Berg", _BEN[0]]
    back = _put(again.content, _ANNA, _BEN, ours=again.ours, microsoft=microsoft)
    assert _foreign(back.content or b"") == _foreign(theirs)
    assert [each.name for each in read_named_regions(back.content or b"")] == ["Anna", _BEN[0]]
    # A list item that is no longer a region is removed with its content.
    without = _put(back.content, _BEN, ours=back.ours, microsoft=microsoft)
    assert [each.name for each in read_named_regions(without.content or b"")] == [_BEN[0]]


def _foreign(data: bytes) -> Counter[tuple[str, ...]]:
    """Return a packet's content without names, coordinates and keywords."""
    changing = ("Name", "x", "y", "w", "h", "li", "value", "Rectangle", "PersonDisplayName")
    nodes = _nodes(data)
    return Counter(
        {
            node: count
            for node, count in nodes.items()
            if not node[0].endswith(tuple(f"}}{each}" for each in changing))
        }
    )


def test_names_of_other_programs_stay_and_are_not_repeated() -> None:
    theirs = packet_of(
        regions(region("anna", 0.51, 0.5, 0.25, 0.4))
        + listed("Iptc4xmpExt:PersonInImage", "Anna")
        + listed("digiKam:TagsList", "People/Anna", kind="Seq")
        + listed("lr:hierarchicalSubject", "People|Anna")
    )
    same = _put(theirs, _ANNA)
    assert (same.content, same.ours) == (theirs, NOTHING)
    both = _put(theirs, _ANNA, _BEN)
    assert [each.name for each in read_named_regions(both.content or b"")] == ["anna", "Ben Ångström"]
    without = _put(both.content, ours=both.ours)
    assert _canonical(without.content or b"") == _canonical(theirs)


@pytest.mark.parametrize(
    ("ours", "edited"),
    [
        (b"<mwg-rs:Name>Anna<", b"<mwg-rs:Name>Hannah<"),
        (b">0.500000</stArea:x>", b">0.700000</stArea:x>"),
        (b">People/Anna<", b">People/Hannah<"),
        (b"<rdf:li>Anna</rdf:li>", b""),
    ],
)
def test_an_edit_of_ours_is_not_overwritten_unless_that_is_wanted(ours: bytes, edited: bytes) -> None:
    made = _put(None, _ANNA)
    assert made.content is not None
    assert ours in made.content
    changed = made.content.replace(ours, edited)
    for faces in ((_ANNA,), (_ANNA, _BEN), ()):
        with pytest.raises(EditedSince, match="someone edited"):
            _put(changed, *faces, ours=made.ours)
    replaced = _put(changed, _ANNA, ours=made.ours, replace=True)
    assert replaced.content is not None
    assert _ANNA[0] in [each.name for each in read_named_regions(replaced.content)]
    assert not _nodes(changed) - _nodes(replaced.content)
    settled = _put(replaced.content, _ANNA, ours=replaced.ours)
    assert settled.content == replaced.content


def test_numbers_that_another_program_rounded_are_no_edit() -> None:
    made = _put(None, ("Anna", (1 / 3, 0.3, 0.6, 0.7)))
    rounded = (made.content or b"").replace(b"0.466667", b"0.467")
    assert rounded != made.content
    assert _put(rounded, ours=made.ours).content is None


def test_content_of_an_interrupted_run_is_ours() -> None:
    before = _put(None, _ANNA)
    after = _put(before.content, _BEN, ours=before.ours)
    more = _put(before.content, _ANNA, _BEN, ours=before.ours)
    for planned, there in ((after, before), (after, after), (more, before), (more, more)):
        done = merged(there.content, WantedSidecar((), 400, 300), (planned.ours, before.ours), _HASHED)
        assert done.content is None


def test_regions_of_a_crop_are_not_mixed_with_those_of_the_whole() -> None:
    theirs = packet_of(regions(region("Carl", 0.5, 0.5, 0.2, 0.2)))
    crop = WantedSidecar((_ANNA,), 300, 300)
    with pytest.raises(UnfitSidecar, match=r"400×300 pixels, but the photo has 300×300"):
        merged(theirs, crop, (), _HASHED)
    assert merged(theirs, crop, (), _HASHED, replace=True).ours.mwg
    smaller = WantedSidecar((_ANNA,), 200, 150)
    assert merged(theirs, smaller, (), _HASHED).ours.mwg
    assert merged(theirs, WantedSidecar((), 300, 300), (), _HASHED).content == theirs


def test_our_own_regions_follow_a_photo_that_was_cropped() -> None:
    made = _put(None, _ANNA)
    crop = merged(made.content, WantedSidecar((_BEN,), 300, 300), (made.ours,), _HASHED)
    assert b"<stDim:w>300</stDim:w>" in (crop.content or b"")
    assert [each.name for each in read_named_regions(crop.content or b"")] == ["Ben Ångström"]


def test_a_name_with_a_separator_is_no_keyword_of_that_kind() -> None:
    made = _put(None, ("AC/DC", _ANNA[1]), ("A|B", _BEN[1]))
    found = read_named_regions(made.content or b"")
    assert [each.name for each in found] == ["AC/DC", "A|B"]
    assert b"People/A|B" in (made.content or b"")
    assert b"People|AC/DC" in (made.content or b"")
    assert b"People/AC" not in (made.content or b"")


@pytest.mark.parametrize(
    "inner",
    [
        "<digiKam:TagsList>one</digiKam:TagsList>",
        '<digiKam:TagsList rdf:parseType="Resource"><own:a/></digiKam:TagsList>',
        "<mwg-rs:Regions>text</mwg-rs:Regions>",
        '<mwg-rs:Regions rdf:resource="x"/>',
    ],
)
def test_sidecars_without_a_place_for_our_content_stay_unchanged(inner: str) -> None:
    with pytest.raises(UnfitSidecar, match=r"its .* is no"):
        _put(packet_of(inner), _ANNA)
    assert _put(packet_of(inner)).content == packet_of(inner)


def test_names_are_stored_as_hashes_only() -> None:
    made = _put(None, _ANNA, _BEN, microsoft=True)
    stored = f"{to_json(made.ours)}"
    assert not any(part in stored for part in ("Anna", "Ben", "ngstr"))
    assert Hasher("another library")("Anna") != _HASHED("Anna")


def test_names_in_another_form_of_unicode_are_the_same() -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    theirs = packet_of(regions(region(decomposed, 0.5, 0.5, 0.2, 0.4)))
    assert not _put(theirs, ("Zoë", _ANNA[1])).ours.mwg
