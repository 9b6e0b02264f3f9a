"""`facesets show IMAGE`: all that is known of one photo."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from facesets.ages import about
from facesets.cli import console
from facesets.cli.ages import SEXES
from facesets.cli.opening import opened_library
from facesets.files import printable
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.operations.library.show_photo import ShownPhoto

_UNITS = {
    "latitude": "°",
    "longitude": "°",
    "altitude_m": " m",
    "gps_accuracy_m": " m",
    "exposure_s": " s",
    "focal_length_mm": " mm",
    "utc_offset_min": " min",
}


def show_of_library(database: str | None, text: str, *, guesses: bool) -> None:
    """Print what the library knows of the photo of a path or a hash; errors as `show_photo`."""
    from facesets.operations.library.show_photo import show_photo
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        photo = show_photo(Library(session), text)
    console.show(photo, list(_parts(photo, guesses=guesses)), asked_for=True)


def _parts(photo: "ShownPhoto", *, guesses: bool) -> Iterator[str]:
    facts = [("path", printable(each.path), f"{each.size} bytes") for each in photo.paths]
    facts += [("content", photo.sha256, ""), ("size", f"{photo.width} x {photo.height}", "pixels")]
    facts += [("taken", photo.taken or "unknown", ""), ("added", photo.added_at, "")]
    yield table(("photo", "", ""), facts)
    for stage, found in photo.found.items():
        if stage == "attributes":
            rows = list(_guesses(found)) if guesses else []
        elif stage == "tags":
            rows = list(_tags(found))
        else:
            rows = list(_each(found) if isinstance(found, list) else _rows(found))
        if rows:
            yield ""
            yield table(("guessed by a model" if stage == "attributes" else stage, ""), rows)
    yield ""
    yield table(
        ("stage", "state", "ended", "version", "reason"),
        [(s.stage, s.status, s.ended_at or "-", s.version or "-", printable(s.reason)) for s in photo.stages],
    )
    if photo.faces:
        yield ""
        yield table(
            ("face", "person", "age", "by", "quality", "norm", "box"),
            [
                (
                    f.face,
                    printable(f.name) or f.person[:8] or "-",
                    f.age or "-",
                    f.assigned_by or "-",
                    f"{f.quality:.2f}",
                    "-" if f.norm is None else f"{f.norm:.1f}",
                    ",".join(f"{edge:.0f}" for edge in f.box),
                )
                for f in photo.faces
            ],
        )


def _guesses(found: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """How old each face looks to a model, and of which sex."""
    for each in found:
        yield f"face {each['face']}", f"{about(each['age'])}, sex {SEXES[each['sex']]}"


def _tags(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The tags of a photo and of the faces on it, one line each."""
    whose = [("", found["scene"]), *((f"face {face}: ", tags) for face, tags in found["faces"].items())]
    for of, tags in whose:
        for each in tags:
            yield of + printable(each["category"]), f"{printable(each['tag'])} {each['confidence']:.2f}"


def _each(found: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What a stage found about faces or bodies: those of one after the other."""
    for number, each in enumerate(found, start=1):
        yield from _rows({name: value for name, value in each.items() if name != "raw"}, f"{number}: ")


def _rows(found: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """What a stage found, one line each; what is unknown is left out."""
    from facesets.imaging.metadata.record import exposure

    for name, value in found.items():
        title = f"{within}{name.rpartition('_')[0] if name in _UNITS and '_' in name else name}"
        if value is None or value in ("", [], {}):
            continue
        if isinstance(value, Mapping):
            yield from _rows(value, f"{title}: ")
        else:
            text = exposure(value) if name == "exposure_s" else _text(value)
            yield printable(title.replace("_", " ")), printable(f"{text}{_UNITS.get(name, '')}")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)
