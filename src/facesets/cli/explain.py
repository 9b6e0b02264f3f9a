"""`facesets explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.words.phrases import name_and_number

if TYPE_CHECKING:
    from facesets.operations.people.review.explaining import Explanation
    from facesets.operations.people.review.verdict import Likeness


def explain(
    face: Annotated[
        str,
        typer.Argument(
            metavar="FACE|PHOTO",
            help="The number of a face, or a photo of the library by its path or its hash: all faces on it.",
            show_default=False,
        ),
    ],
    who: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHO]",
            help="About this person, rather than whose the face is: a name, an id, or a cluster.",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Say why a face is whose it is: whom it is like, who said so, and what would have changed that."""
    from facesets.operations.people.review.explaining import NoSuchFace
    from facesets.operations.people.review.explaining import explain as run

    if face.isdecimal():
        with opened_library(database) as session:
            try:
                found = run(session, int(face), who)
            except NoSuchFace as missing:
                raise NoSuchFace(f"{missing} {_if_a_photo(face)}") from missing
        console.show(found, _lines(found), asked_for=True)
        return
    every = _on_photo(face, who, database)
    parts = ["\n".join(_lines(each)) for each in every]
    nothing = f"No face was found on {printable(face)}."
    console.show_list("faces", every, "\n\n".join(parts) if parts else nothing)


def _if_a_photo(number: str) -> str:
    """What to type where a number that is no face's was meant as a photo."""
    from facesets.operations.library.show_photo import means_photo

    photo = next((f"./{each}" for each in Path().glob(f"{number}.*") if means_photo(each.name)), None)
    if photo is not None:
        return f"If the photo is meant: {Command('explain', printable(photo))}."
    return "A number alone is always taken for that of a face: name a photo by its path."


def _on_photo(text: str, who: str | None, database: str | None) -> "list[Explanation]":
    """All faces on the photo of a path or a hash. Raises `WrongUsage` for what can be neither."""
    from facesets.operations.library.show_photo import faces_of_photo, means_photo
    from facesets.operations.people.review.explaining import explain as run
    from facesets.store.postgres.library import Library

    if not means_photo(text):
        raise WrongUsage(
            f"{printable(text)} is neither the number of a face nor a photo. The numbers are printed by "
            "`facesets people show WHO --faces 20` and `facesets show PHOTO`."
        )
    with opened_library(database) as session:
        return [run(session, each, who) for each in faces_of_photo(Library(session), text)]


def _lines(found: "Explanation") -> list[str]:
    whose = name_and_number(found.name, found.person) if found.person else "nobody"
    how = f", {found.assigned_by} {found.assigned_at}".rstrip() if found.assigned_by else ""
    step = found.step
    limits = ", ".join(f"{name} {value:.2f}" for name, value in found.thresholds.items())
    rows = [
        ("face", f"{found.face} on {printable(found.photo) or '-'}, quality {found.quality:.2f}"),
        ("whose", f"{whose}{how}"),
        ("since", "-" if step is None else f"step {step.id}, {step.what} ({step.who}, {step.made_at})"),
        ("like", _like(found.about)),
        ("runner-up", _like(found.runner_up)),
        ("thresholds", limits),
        *([("head", f"{found.head}: similarities are those of what it projects")] if found.head else []),
        *(("said", said) for said in found.statements),
    ]
    return [*(f"{name:<10} {value}" for name, value in rows), found.verdict]


def _like(likeness: "Likeness | None") -> str:
    if likeness is None:
        return "-"
    nearest = ", ".join(f"{face} ({similarity:.2f})" for face, similarity in likeness.nearest)
    faces = f"; nearest faces {nearest}" if nearest else ""
    who = name_and_number(likeness.name, likeness.person)
    return f"{who}: cosine similarity {likeness.cosine_similarity:.2f}{faces}"
