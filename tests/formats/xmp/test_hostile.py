"""Damaged and hostile packets: read, merged, or refused with a sentence; never a crash, never slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.foreign_packets import PACKETS
from tests.fixtures.hostile import damaged_bytes, hostile
from tests.fixtures.xmp_packets import boundary, iptc_region, listed, packet_of, region, regions

from facesets.errors import FacesetsError, UnreadableXmp
from facesets.files import printable
from facesets.formats.xmp.merging import WantedSidecar, merged
from facesets.formats.xmp.ownership import NOTHING, Hasher
from facesets.formats.xmp.packet import MAX_BYTES, parse
from facesets.formats.xmp.reading import read_named_regions

_HASHED = Hasher("a library")
_WANTED = WantedSidecar(
    (("Anna", (0.4, 0.3, 0.6, 0.7)), ("Ben", (0.1, 0.1, 0.2, 0.2))), 400, 300, microsoft=True
)
_OURS = merged(None, _WANTED, (), _HASHED)
_SHAPES = (
    boundary("rectangle", "pixel", X=160, Y=90, W=80, H=120),
    boundary("circle", "relative", X=0.5, Y=0.5, Rx=0.1),
    boundary("polygon", "relative", corners=[(0.4, 0.5), (0.5, 0.3), (0.6, 0.5)]),
)
_BY_IPTC = [iptc_region(each, listed("Iptc4xmpExt:PersonInImage", "Anna"), "a/human") for each in _SHAPES]
_ALL = (
    *(*PACKETS.values(), _OURS.content or b"", packet_of(regions(region("Anna", 0.5, 0.5, 0.2, 0.4)))),
    packet_of(listed("Iptc4xmpExt:ImageRegion", items=_BY_IPTC)),
)
_PARTS = st.sampled_from(
    [
        *(b"<rdf:li>", b"</rdf:li>", b"<rdf:Bag>", b"</rdf:Bag>", b"rdf:Description"),
        b'rdf:parseType="Resource"',
        *(b"rbShape", b"rbX", b"rbVertices", b"pixel", b"circle", b"polygon", b"Iptc4xmpExt:Name", b"-1e308"),
        *(b"mwg-rs:Regions", b"mwg-rs:Name", b"stArea:x", b"rdf:value", b"rdf:about", b"0.5", b"xmlns:rdf="),
        *(b'"', b"<", b">", b"&", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b"?>", b"\0", b"\xff", b"/"),
    ]
)


@st.composite
def swapped_parts(draw: st.DrawFn, content: bytes) -> bytes:
    """Return the bytes with some parts of XMP replaced by others."""
    for _ in range(draw(st.integers(1, 4))):
        old, new = draw(_PARTS), draw(_PARTS)
        places = [at for at in range(len(content)) if content.startswith(old, at)]
        if places:
            at = draw(st.sampled_from(places))
            content = content[:at] + new + content[at + len(old) :]
    return content


@pytest.mark.parametrize(
    ("name", "expected"),
    [("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"), ("an\u200dna", "an[?]na")],
)
def test_invalid_xml_is_reported(name: str, expected: str) -> None:
    with pytest.raises(UnreadableXmp, match=f"tag mismatch: {expected} line 1"):
        parse(f"<a><{name}></a>".encode())


def _is_survived(data: bytes) -> None:
    try:
        read_named_regions(data, lambda: (400, 300))
    except FacesetsError as error:
        assert printable(str(error)) == str(error)
    for candidates in ((), (_OURS.ours, NOTHING)):
        try:
            done = merged(data, _WANTED, candidates, _HASHED, replace=bool(candidates))
        except FacesetsError as error:
            assert printable(str(error)) == str(error)
        else:
            if done.content is not None:
                parse(done.content)


@given(st.sampled_from(_ALL).flatmap(damaged_bytes))
@hostile
def test_damaged_packets_are_survived(data: bytes) -> None:
    _is_survived(data)


@given(st.sampled_from(_ALL).flatmap(swapped_parts))
@hostile
def test_packets_with_another_meaning_are_survived(data: bytes) -> None:
    _is_survived(data)


_LARGE = {
    "deep": packet_of("<own:a>" * 250 + "</own:a>" * 250),
    "many": packet_of("<own:a/>" * 300_000),
    "prefixes": packet_of(" ".join(f'<own:a xmlns:p{n}="u{n}"/>' for n in range(60_000))),
    "bindings": packet_of("", "".join(f' xmlns:p{n}="u{n}"' for n in range(60_000))),
    "attributes": packet_of("", "".join(f' own:p{n}="{n}"' for n in range(60_000))),
    "keywords": packet_of(listed("Iptc4xmpExt:PersonInImage", *(f"Person {n}" for n in range(60_000)))),
    "regions": packet_of(regions(*(region("Anna", 0.5 + n * 1e-6, 0.5, 1e-7, 1e-7) for n in range(20_000)))),
    "iptc": packet_of(listed("Iptc4xmpExt:ImageRegion", items=_BY_IPTC * 8_000)),
    "long": packet_of("A" * (MAX_BYTES - 2000)),
    "references": packet_of("&#65;" * 1_000_000),
}


@pytest.mark.parametrize("of", _LARGE)
@pytest.mark.slow
def test_large_packets_take_seconds_at_most(of: str) -> None:
    began = time.process_time()
    _is_survived(_LARGE[of])
    assert time.process_time() - began < 20
