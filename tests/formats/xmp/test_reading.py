"""Names in XMP are read in every form, standard and unit that programs write."""

import io
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.tagged_photos import FORMATS, photo
from tests.fixtures.xmp_packets import (
    boundary,
    exiftool_writes,
    iptc_region,
    listed,
    microsoft_region,
    packet_of,
    region,
    regions,
)

from facesets.errors import UnreadableXmp
from facesets.formats.named_photos import NamedRegion
from facesets.formats.xmp.packet import MAX_BYTES
from facesets.formats.xmp.reading import read_named_regions
from facesets.imaging.metadata.reader import packet_in

_ANNA = NamedRegion("Anna", pytest.approx((0.4, 0.3, 0.6, 0.7)), "stored", "mwg")  # type: ignore[arg-type]
_AREA = {"x": "0.5", "y": "0.5", "w": "0.2", "h": "0.4", "unit": "normalized"}
_ELEMENTS = "".join(f"<stArea:{name}>{value}</stArea:{name}>" for name, value in _AREA.items())
_PLAIN = f'<mwg-rs:Area rdf:parseType="Resource">{_ELEMENTS}</mwg-rs:Area><mwg-rs:Type>Face</mwg-rs:Type>'


_FORMS = (
    region("Anna", 0.5, 0.5, 0.2, 0.4),
    f'<rdf:li rdf:parseType="Resource">{_PLAIN}<mwg-rs:Name> Anna </mwg-rs:Name></rdf:li>',
    f"<rdf:li><rdf:Description>{_PLAIN}<mwg-rs:Name>An<!-- -->na</mwg-rs:Name></rdf:Description></rdf:li>",
    f'<rdf:li mwg-rs:Name="Anna"><rdf:Description>{_PLAIN}</rdf:Description></rdf:li>',
    """<rdf:li mwg-rs:Name="Anna" mwg-rs:Type="Face">
        <mwg-rs:Area stArea:x="200" stArea:y="150" stArea:w="80" stArea:h="120" stArea:unit="pixel"/>
        </rdf:li>""",
    """<rdf:li mwg-rs:Name="Anna">
        <mwg-rs:Area stArea:x="0,5" stArea:y="0,5" stArea:w="0,2" stArea:h="0,4"/></rdf:li>""",
    f"""<rdf:li rdf:parseType="Resource">{_PLAIN}<mwg-rs:Name rdf:parseType="Resource">
        <rdf:value>Anna</rdf:value></mwg-rs:Name></rdf:li>""",
)


@pytest.mark.parametrize("item", _FORMS)
def test_a_region_is_read_in_every_form_that_xmp_allows(item: str) -> None:
    assert read_named_regions(packet_of(regions(item))) == (_ANNA,)


def test_a_circle_is_measured_along_the_shorter_edge() -> None:
    item = '<rdf:li mwg-rs:Name="Anna"><mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:d="0.4"/></rdf:li>'
    (found,) = read_named_regions(packet_of(regions(item)))
    assert found.box == pytest.approx((0.35, 0.3, 0.65, 0.7))


def test_microsofts_regions_are_read_once_with_those_of_mwg() -> None:
    both = regions(region("Anna", 0.5, 0.5, 0.2, 0.4)) + microsoft_region("Anna", "0.4, 0.3, 0.2, 0.4")
    assert read_named_regions(packet_of(both)) == (_ANNA,)
    other = microsoft_region("Ben", "0.1, 0.1, 0.2, 0.2")
    (found,) = read_named_regions(packet_of(other))
    assert (found.name, found.program, found.frame) == ("Ben", "microsoft", "stored")
    assert found.box == pytest.approx((0.1, 0.1, 0.3, 0.3))


def test_names_without_a_place_are_given_where_no_region_has_them() -> None:
    found = read_named_regions(
        packet_of(
            regions(region("Anna", 0.5, 0.5, 0.2, 0.4))
            + listed("Iptc4xmpExt:PersonInImage", "anna", "Ben")
            + listed("digiKam:TagsList", "People/Family/Carl", "People/Family", "Places/Rome", kind="Seq")
            + listed("lr:hierarchicalSubject", "People|Dora", "people|Ben", "Holiday")
        )
    )
    assert [(each.name, each.box is None, each.program) for each in found] == [
        ("Anna", False, "mwg"),
        ("Ben", True, "mwg"),
        ("Carl", True, "digikam"),
        ("Dora", True, "digikam"),
    ]


def test_regions_that_name_no_person_are_left_out() -> None:
    items = [
        region("", 0.5, 0.5, 0.2, 0.2),
        region("  ", 0.5, 0.5, 0.2, 0.2),
        region("Rex", 0.5, 0.5, 0.2, 0.2, kind="Pet"),
        region("", 0.2, 0.2, 0.1, 0.1, kind="Focus"),
    ]
    assert read_named_regions(packet_of(regions(*items) + listed("dc:subject", "Anna"))) == ()


@pytest.mark.parametrize("x", ["nan", "inf", "-1e400", "5", "-5", "", "half", "1" * 50])
def test_an_impossible_area_leaves_a_name_without_a_place(x: str) -> None:
    item = region("Anna", 0.5, 0.5, 0.2, 0.4).replace('stArea:x="0.5"', f'stArea:x="{x}"')
    assert read_named_regions(packet_of(regions(item))) == (NamedRegion("Anna", None, "stored", "mwg"),)


def test_boxes_are_clipped_to_the_picture() -> None:
    (found,) = read_named_regions(packet_of(regions(region("Anna", 0.05, 0.95, 0.2, 0.2))))
    assert found.box == pytest.approx((0, 0.85, 0.15, 1))


def test_names_are_in_one_form_of_unicode() -> None:
    (found,) = read_named_regions(packet_of(listed("Iptc4xmpExt:PersonInImage", "Zoe\u0308  Müller\n")))
    assert found.name == unicodedata.normalize("NFC", "Zoë Müller")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_every_encoding_of_xmp_is_read(encoding: str) -> None:
    data = packet_of(listed("Iptc4xmpExt:PersonInImage", "Zoë")).decode().encode(encoding)
    assert [each.name for each in read_named_regions(data + b"\0" * 8)] == ["Zoë"]


_INNER = '<x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
_BOMB = f"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "{"&a;" * 10}">]>{_INNER}"""
_OUTSIDE = f"""<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY b SYSTEM "file:///etc/passwd">]>{_INNER}"""
_TWICE = packet_of("").replace(b"xmlns:own=", b'xmlns:own="http://example.org/other/" xmlns:own=', 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_BOMB.encode(), "DOCTYPE"),
        (_BOMB.encode("utf-16"), "DOCTYPE"),
        (_OUTSIDE.encode(), "DOCTYPE"),
        (packet_of("&a;"), "not XML"),
        (_TWICE, "not XML"),
        (packet_of("A").replace(b">A<", b">\xff<"), "not UTF-8 text"),
        (packet_of("<own:a>" * 5000 + "</own:a>" * 5000), "not XML"),
        (packet_of("<own:a/>" * 400_000), "too many elements"),
        (b" " * (MAX_BYTES + 1), "larger than"),
        (b"", "empty"),
        (b"\0\0 \n", "empty"),
        (b"\xff\xd8\xff\xe0", "not UTF-8 text"),
        (packet_of("")[:-90], "not XML"),
        (b"<html><body>Not found</body></html>", "not XMP"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_hostile_and_broken_packets_are_reported(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableXmp, match=why) as refused:
        read_named_regions(data)
    assert str(refused.value).isprintable()


_SMALL = packet_of(regions(region("Anna", 0.5, 0.5, 0.2, 0.4)))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_packet_in_a_photo_is_found(kind: str) -> None:
    assert read_named_regions(packet_in(io.BytesIO(photo(kind, xmp=_SMALL)))) == (_ANNA,)
    assert packet_in(io.BytesIO(photo(kind))) == b""


_LARGE = packet_of(regions(region("Anna", 0.5, 0.5, 0.2, 0.4)) + f"<own:a>{'x' * 5_000_000}</own:a>")


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "JPEG"])
def test_a_packet_of_megabytes_in_a_photo_is_found_and_a_larger_one_named(kind: str) -> None:
    assert read_named_regions(packet_in(io.BytesIO(photo(kind, xmp=_LARGE)))) == (_ANNA,)
    larger = photo(kind, xmp=_LARGE + b" " * 12_000_000)
    with pytest.raises(UnreadableXmp, match="exceeds 16 MB"):
        packet_in(io.BytesIO(larger))


def png_with(packet: bytes, *, zipped: bool = False, before: bytes = b"") -> bytes:
    """Return a picture with a text after its pixels; its checksum is wrong if other parts precede it."""
    text = b"XML:com.adobe.xmp\0" + bytes([zipped, 0, 0, 0]) + (zlib.compress(packet) if zipped else packet)
    chunk = (
        struct.pack(">I", len(text))
        + b"iTXt"
        + text
        + struct.pack(">I", 0 if before else zlib.crc32(b"iTXt" + text))
    )
    whole = photo("PNG")
    return whole[:-12] + before + chunk + whole[-12:]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_large_packet_behind_the_pixels_of_a_png_file_is_found(zipped: bool) -> None:
    noise = np.random.default_rng(1).integers(32, 127, 100_000, np.uint8).tobytes()
    packet = _SMALL + b"<!--" + noise.replace(b"-", b"") + b"-->"
    assert packet_in(io.BytesIO(png_with(packet, zipped=zipped))) == packet


def test_a_small_text_that_unpacks_to_a_large_packet_is_named() -> None:
    with pytest.raises(UnreadableXmp, match="exceeds 16 MB"):
        packet_in(io.BytesIO(png_with(b" " * 17_000_000, zipped=True)))


def test_names_behind_many_pixels_are_found_and_excess_is_reported() -> None:
    some = bytes(4) + b"IDAT" + bytes(4)
    many, too_many = (png_with(_SMALL, before=some * number) for number in (40_000, 100_001))
    assert read_named_regions(packet_in(io.BytesIO(many))) == (_ANNA,)
    with pytest.raises(UnreadableXmp, match="more than 100 000 parts"):
        packet_in(io.BytesIO(too_many))


def test_exiftools_regions_are_read(tmp_path: Path) -> None:
    size, area = "{W=400,H=300,Unit=pixel}", "{X=0.5,Y=0.5,W=0.2,H=0.4,Unit=normalized}"
    tags = [
        f"-RegionInfo={{AppliedToDimensions={size},RegionList=[{{Name=Anna,Type=Face,Area={area}}}]}}",
        "-RegionInfoMP={Regions=[{PersonDisplayName=Ben,Rectangle=0.1|, 0.1|, 0.2|, 0.2}]}",
        "-PersonInImage=Carl",
        "-TagsList=People/Dora",
        "-HierarchicalSubject=People|Zoë",
    ]
    sidecar, picture = tmp_path / "a.xmp", tmp_path / "a.jpg"
    picture.write_bytes(photo("JPEG"))
    for file in (sidecar, picture):
        exiftool_writes(file, *tags)
    found = read_named_regions(sidecar.read_bytes())
    assert found[0] == _ANNA
    assert found[1].box == pytest.approx((0.1, 0.1, 0.3, 0.3))
    assert [each.name for each in found] == ["Anna", "Ben", "Carl", "Dora", "Zoë"]
    with picture.open("rb") as opened:
        assert read_named_regions(packet_in(opened)) == found


_PLACE = pytest.approx((0.4, 0.3, 0.6, 0.7))
_FOUND = NamedRegion("Anna", _PLACE, "stored", "iptc")  # type: ignore[arg-type]
_NAMED = listed("Iptc4xmpExt:PersonInImage", "Anna")
_RECTANGLE = boundary("rectangle", "relative", X=0.4, Y=0.3, W=0.2, H=0.4)


def _read(*items: str, size: tuple[int, int] | None = (400, 300)) -> tuple[NamedRegion, ...]:
    return read_named_regions(packet_of(listed("Iptc4xmpExt:ImageRegion", items=items)), lambda: size)


@pytest.mark.parametrize(
    "shape",
    [
        _RECTANGLE,
        boundary("rectangle", "pixel", X=160, Y=90, W=80, H=120),
        boundary("polygon", "relative", corners=[(0.4, 0.5), (0.5, 0.3), (0.6, 0.5), (0.5, 0.7)]),
        boundary("polygon", "pixel", corners=[(160, 90), (240, 210)]),
    ],
)
def test_a_place_of_any_shape_and_unit_is_read(shape: str) -> None:
    assert _read(iptc_region(shape, _NAMED)) == (_FOUND,)


def test_a_circle_is_round_and_its_radius_a_part_of_the_width() -> None:
    (found,) = _read(iptc_region(boundary("circle", "relative", X=0.5, Y=0.5, Rx=0.1), _NAMED))
    assert found.box == pytest.approx((0.4, 0.5 - 40 / 300, 0.6, 0.5 + 40 / 300))
    (found,) = _read(iptc_region(boundary("circle", "pixel", X=200, Y=150, Rx=30), _NAMED))
    assert found.box == pytest.approx((170 / 400, 120 / 300, 230 / 400, 180 / 300))


def test_pixel_boxes_need_a_known_picture_size() -> None:
    pixels = iptc_region(boundary("rectangle", "pixel", X=160, Y=90, W=80, H=120), _NAMED)
    assert _read(pixels, size=None) == (NamedRegion("Anna", None, "stored", "iptc"),)
    both = packet_of(listed("Iptc4xmpExt:ImageRegion", items=[pixels]) + regions(region("", 0.5, 0.5, 1, 1)))
    # The size stated by another program helps.
    assert read_named_regions(both)[0].box == _PLACE


@pytest.mark.parametrize(
    "outline",
    [
        boundary("rectangle", "relative", X="half", Y=0.3, W=0.2, H=0.4),
        boundary("rectangle", "relative", X=0.4, Y=0.3, W=0, H=0.4),
        boundary("rectangle", "miles", X=0.4, Y=0.3, W=0.2, H=0.4),
        boundary("circle", "relative", X=0.4, Y=0.3, Rx="nan"),
        boundary("circle", "relative", X=5, Y=5, Rx=0.1),
        boundary("polygon", "relative", corners=[(0.5, 0.5)]),
        boundary("polygon", "relative", corners=[]),
        boundary("polygon", "relative", corners=[("inf", "1e999"), (0.1, 0.1)]),
        "",
    ],
)
def test_an_impossible_place_leaves_a_name_without_one(outline: str) -> None:
    assert _read(iptc_region(outline, _NAMED)) == (NamedRegion("Anna", None, "stored", "iptc"),)


def test_people_who_share_a_region_have_no_box() -> None:
    couple = listed("Iptc4xmpExt:PersonInImage", "Anna", "Ben")
    found = _read(iptc_region(_RECTANGLE, couple))
    assert [(each.name, each.box) for each in found] == [("Anna", None), ("Ben", None)]


def test_a_region_s_own_name_is_a_person_s_where_it_shows_a_human() -> None:
    name = listed("Iptc4xmpExt:Name", "Anna", kind="Alt")
    human = iptc_region(_RECTANGLE, name, kind="http://cv.iptc.org/newscodes/imageregiontype/human")
    assert _read(human) == (_FOUND,)
    assert _read(iptc_region(_RECTANGLE, name, kind="http://cv.iptc.org/newscodes/imageregiontype/dog")) == ()
    assert _read(iptc_region(_RECTANGLE, name)) == ()
    (ben,) = _read(iptc_region(_RECTANGLE, name + listed("Iptc4xmpExt:PersonInImage", "Ben")))
    assert ben.name == "Ben"


def test_a_name_in_several_languages_is_the_default_one() -> None:
    details = """<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource">
        <Iptc4xmpExt:PersonName><rdf:Alt><rdf:li xml:lang="de">Wien</rdf:li>
        <rdf:li xml:lang="x-default">Anna</rdf:li></rdf:Alt></Iptc4xmpExt:PersonName></rdf:li></rdf:Bag>
        </Iptc4xmpExt:PersonInImageWDetails>"""
    assert [each.name for each in _read(iptc_region(_RECTANGLE, details))] == ["Anna"]


def test_the_same_place_in_two_standards_is_read_once() -> None:
    both = regions(region("Anna", 0.5, 0.5, 0.2, 0.4)) + listed(
        "Iptc4xmpExt:ImageRegion", items=[iptc_region(_RECTANGLE, _NAMED)]
    )
    (found,) = read_named_regions(packet_of(both))
    assert found.program == "mwg"


def test_exiftools_iptc_regions_are_read(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.xmp"
    first = "RbShape=rectangle,RbUnit=relative,RbX=0.4,RbY=0.3,RbW=0.2,RbH=0.4"
    second = "RbShape=polygon,RbUnit=pixel,RbVertices=[{RbX=40,RbY=30},{RbX=80,RbY=30},{RbX=60,RbY=60}]"
    kind = "{Identifier=[http://cv.iptc.org/newscodes/imageregiontype/human]}"
    exiftool_writes(
        sidecar,
        f"-ImageRegion=[{{RegionBoundary={{{first}}},PersonInImage=[Anna]}},"
        f"{{RegionBoundary={{{second}}},RCtype=[{kind}],Name=Ben}}]",
    )
    found = read_named_regions(sidecar.read_bytes(), lambda: (400, 300))
    assert [each.name for each in found] == ["Anna", "Ben"]
    assert found[0].box == _PLACE
    assert found[1].box == pytest.approx((0.1, 0.1, 0.2, 0.2))
