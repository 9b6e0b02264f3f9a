"""Regions by IPTC: every shape in every unit, and which of their names are people's."""

from pathlib import Path

import pytest
from tests.fixtures.xmp_packets import (
    boundary,
    exiftool_writes,
    iptc_region,
    listed,
    packet_of,
    region,
    regions,
)

from facesets.formats.named_photos import NamedRegion
from facesets.formats.xmp.reading import read_named_regions

_PLACE = pytest.approx((0.4, 0.3, 0.6, 0.7))
_FOUND = NamedRegion("Anna", _PLACE, "stored", "iptc")  # type: ignore[arg-type]
_ANNA = listed("Iptc4xmpExt:PersonInImage", "Anna")
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
    assert _read(iptc_region(shape, _ANNA)) == (_FOUND,)


def test_a_circle_is_round_and_its_radius_a_part_of_the_width() -> None:
    (found,) = _read(iptc_region(boundary("circle", "relative", X=0.5, Y=0.5, Rx=0.1), _ANNA))
    assert found.box == pytest.approx((0.4, 0.5 - 40 / 300, 0.6, 0.5 + 40 / 300))
    (found,) = _read(iptc_region(boundary("circle", "pixel", X=200, Y=150, Rx=30), _ANNA))
    assert found.box == pytest.approx((170 / 400, 120 / 300, 230 / 400, 180 / 300))


def test_pixels_of_a_picture_of_unknown_size_are_no_place() -> None:
    pixels = iptc_region(boundary("rectangle", "pixel", X=160, Y=90, W=80, H=120), _ANNA)
    assert _read(pixels, size=None) == (NamedRegion("Anna", None, "stored", "iptc"),)
    both = packet_of(listed("Iptc4xmpExt:ImageRegion", items=[pixels]) + regions(region("", 0.5, 0.5, 1, 1)))
    # What others say of the size helps.
    assert read_named_regions(both)[0].box == _PLACE


@pytest.mark.parametrize(
    "said",
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
def test_an_impossible_place_leaves_a_name_without_one(said: str) -> None:
    assert _read(iptc_region(said, _ANNA)) == (NamedRegion("Anna", None, "stored", "iptc"),)


def test_who_shares_a_region_has_no_place() -> None:
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
        "Iptc4xmpExt:ImageRegion", items=[iptc_region(_RECTANGLE, _ANNA)]
    )
    (found,) = read_named_regions(packet_of(both))
    assert found.program == "mwg"


def test_what_exiftool_wrote_is_read(tmp_path: Path) -> None:
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
