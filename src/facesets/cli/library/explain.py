"""Everything known about one photo, for `facesets show`, and `facesets explain`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets.ages import about
from facesets.cli import console
from facesets.cli.opening import opened_library, opened_session
from facesets.cli.params import DatabaseOption
from facesets.cli.people.lists import SEXES
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.words.phrases import ASSIGNED_BY, name_and_number, table, thresholds

if TYPE_CHECKING:
    from facesets.operations.library.show_photo import ShownPhoto
    from facesets.operations.people.review.explaining import Explanation
    from facesets.operations.people.review.verdict import PersonSimilarity

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
    """Print what the library knows about a photo, by path or hash; errors as `show_photo`."""
    from facesets.operations.library.show_photo import show_photo

    with opened_library(database) as library:
        photo = show_photo(library, text)
    console.show(photo, list(_parts(photo, guesses=guesses)), asked_for=True)


def _parts(photo: "ShownPhoto", *, guesses: bool) -> Iterator[str]:
    facts = [("path", printable(each.path), f"{each.size} bytes") for each in photo.paths]
    facts += [("sha256", photo.sha256, ""), ("size", f"{photo.width} x {photo.height}", "pixels")]
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
            yield table(("estimated by a model" if stage == "attributes" else stage, ""), rows)
    yield ""
    yield table(
        ("step", "state", "ended", "version", "reason"),
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
    """Format the estimated age and sex of each face."""
    for each in found:
        yield f"face {each['face']}", f"{about(each['age'])}, sex {SEXES[each['sex']]}"


def _tags(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Format the tags of a photo and its faces, one line each."""
    labelled = [("", found["scene"]), *((f"face {face}: ", tags) for face, tags in found["faces"].items())]
    for of, tags in labelled:
        for each in tags:
            yield of + printable(each["category"]), f"{printable(each['tag'])} {each['confidence']:.2f}"


def _each(found: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Format the results of a step for faces or bodies, one after another."""
    for number, each in enumerate(found, start=1):
        yield from _rows({name: value for name, value in each.items() if name != "raw"}, f"{number}: ")


def _rows(found: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Format the results of a step, one line each, without unknown values."""
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


def explain(
    face: Annotated[
        str,
        typer.Argument(
            metavar="FACE|PHOTO",
            help="A face number, or a photo by its path or hash for all its faces.",
            show_default=False,
        ),
    ],
    who: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHO]",
            help="Explain the match to this person: a name, an id, or a cluster.",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Explain why a face was matched to a person.

    Shows the most similar people, your corrections, and what would have changed the match.
    """
    from facesets.operations.people.review.explaining import NoSuchFace
    from facesets.operations.people.review.explaining import explain as run

    if face.isdecimal():
        with opened_session(database) as session:
            try:
                found = run(session, int(face), who)
            except NoSuchFace as missing:
                raise NoSuchFace(f"{missing} {_if_a_photo(face)}") from missing
        console.show(found, _lines(found, who), asked_for=True)
        return
    every = _on_photo(face, who, database)
    parts = ["\n".join(_lines(each, who)) for each in every]
    nothing = f"No face found in {printable(face)}."
    console.show_list("faces", every, "\n\n".join(parts) if parts else nothing)


def _if_a_photo(number: str) -> str:
    """Advise how to name a photo whose name is a number."""
    from facesets.operations.library.show_photo import means_photo

    photo = next((f"./{each}" for each in Path().glob(f"{number}.*") if means_photo(each.name)), None)
    if photo is not None:
        return f"For the photo, run {Command('explain', printable(photo))}."
    return "A number always means a face. Give a photo by its path."


def _on_photo(text: str, who: str | None, database: str | None) -> "list[Explanation]":
    """Return all faces in a photo, by path or hash. Raises `WrongUsage` for anything else."""
    from facesets.operations.library.show_photo import faces_of_photo, means_photo
    from facesets.operations.people.review.explaining import explain as run

    if not means_photo(text):
        raise WrongUsage(
            f"{printable(text)} is neither a face number nor a photo. To list face numbers, run "
            "`facesets people show WHO --limit 20` or `facesets show PHOTO`."
        )
    with opened_library(database) as library:
        return [run(library.database, each, who) for each in faces_of_photo(library, text)]


def _lines(found: "Explanation", who: str | None) -> list[str]:
    person = name_and_number(found.name, found.person) if found.person else "unassigned"
    how = ASSIGNED_BY.get(found.assigned_by, found.assigned_by)
    step = found.step
    is_best = who is None and not found.person
    rows = [
        ("face", f"{found.face} in {printable(found.photo) or '-'}, quality {found.quality:.2f}"),
        ("person", f"{person}, assigned {how} {found.assigned_at}".rstrip() if how else person),
        ("since", "-" if step is None else f"change {step.id}, {step.what} ({step.who}, {step.made_at})"),
        ("best match" if is_best else "asked about" if who else "similarity", _like(found.about)),
        ("second-best match" if is_best else "best other person", _like(found.runner_up)),
        ("thresholds", thresholds(found.thresholds)),
        *([("head", f"{found.head}: similarities are measured after its projection")] if found.head else []),
        *(("correction", correction) for correction in found.corrections),
    ]
    return [*(f"{name:<17} {value}" for name, value in rows), found.verdict]


def _like(likeness: "PersonSimilarity | None") -> str:
    if likeness is None:
        return "-"
    nearest = ", ".join(f"{face} ({similarity:.2f})" for face, similarity in likeness.nearest)
    faces = f"; nearest faces {nearest}" if nearest else ""
    who = name_and_number(likeness.name, likeness.person)
    return f"{who}: cosine similarity {likeness.cosine_similarity:.2f}{faces}"
