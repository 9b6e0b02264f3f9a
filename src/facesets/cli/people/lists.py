"""`facesets people list | show | log | bodies | prototypes | centroids`: people and their faces, listed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import current_user, opened_library, opened_session, work_on_library
from facesets.cli.params import DatabaseOption, Guesses
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.words import corrections as words
from facesets.words.people import cluster_lines, near_lines
from facesets.words.phrases import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.operations.people.lists.listing import PersonDetails
    from facesets.store.postgres.people.people_list import PersonLine
    from facesets.store.postgres.people.person_ages import PersonAge
    from facesets.store.postgres.people.undoing import StepRow

SEXES = {"M": "male", "F": "female", "U": "unknown"}


def age_lines(age: "PersonAge | None", *, guesses: bool) -> list[tuple[str, str]]:
    """Return rows on when a person was born; with `guesses` on their sex, too."""
    if age is None:
        return []
    lines = []
    if age.set_by_user:
        lines.append(("born", f"{age.set_by_user} (set by you)"))
    if age.birth_year is not None:
        faces = counted(age.dated_faces, "dated face")
        year = f"about {age.birth_year:.0f}" if age.faces_agree else "uncertain"
        lines.append(("looks born", f"{year}, from {faces} with a spread of {age.spread:.1f} years"))
    if guesses and age.sex_probability is not None:
        lines.append(("sex", f"{SEXES[age.sex]}, estimated from the faces"))
    return lines


WhoArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="A name, an id or a cluster.", show_default=False)
]

_Status = Literal["active", "merged", "hidden", "all"]
_Sort = Literal["faces", "name", "new"]


def list_(
    database: DatabaseOption = None,
    status: Annotated[_Status, Option("Only people with this status.")] = "active",
    unnamed: Annotated[bool, Option("Only unnamed people.")] = False,
    sort: Annotated[_Sort, Option("Sort order.")] = "faces",
) -> None:
    """List the people of the library."""
    from facesets.operations.people.lists.listing import people as run

    with opened_session(database) as session:
        found = run(session, status=status, unnamed=unnamed, sort=sort)
    empty_message = "The library has no people yet. Run `facesets index PHOTOS`, then `facesets cluster`."
    if unnamed or status != "active":
        empty_message = "No person matches. To list all people, run `facesets people list --status all`."
    headings = ("id", "name", "faces", "photos", "reference faces", "first", "last")
    text = table(headings, [_row(each) for each in found]) if found else empty_message
    console.show_list("people", found, text)


def _row(line: "PersonLine") -> tuple[object, ...]:
    name = ", ".join(printable(name) for name in line.names) or "-"
    shown = name if line.status == "active" else f"{name} ({line.status})"
    return line.id[:8], shown, line.faces, line.photos, line.prototypes, line.first or "-", line.last or "-"


def show(
    who: WhoArgument,
    database: DatabaseOption = None,
    faces: Annotated[
        int, Option("Number of the best faces to list.", least=0, flag="--limit", synonyms="--faces")
    ] = 0,
    sheet: Annotated[Path | None, Option("Draw the best faces into a PNG.", metavar="FILE.png")] = None,
    guesses: Guesses = False,
) -> None:
    """Show a person or cluster with its faces."""
    from facesets.operations.people.lists.listing import person as run
    from facesets.operations.people.lists.person_sheet import SHOWN, draw_person

    empty = 0
    with work_on_library(database) as work:
        found = run(work.session, who, faces=max(faces, SHOWN if sheet else 0))
        if sheet is not None:
            empty = draw_person(found, sheet, work=work)
    if empty:
        drawn = counted(min(len(found.shown), SHOWN), "face")
        console.notice(
            f"{empty} of {drawn} are empty: their photos cannot be read. Check that the drive is mounted."
        )
    lines = _lines(found, faces, guesses=guesses) + ([f"Contact sheet: {printable(sheet)}"] if sheet else [])
    console.show(found, lines, asked_for=True)


def _lines(found: "PersonDetails", faces: int, *, guesses: bool) -> list[str]:
    line = found.person
    rows = [
        ("id", line.id),
        ("name", ", ".join(map(printable, line.names)) or "-"),
        ("status", line.status),
        (
            "faces",
            f"{line.faces} on {counted(line.photos, 'photo')}; {counted(line.prototypes, 'reference face')}",
        ),
        ("from, to", f"{line.first or '-'}, {line.last or '-'}"),
        ("spread", "-" if found.spread is None else f"{found.spread:.3f} mean cosine distance to the mean"),
    ]
    rows += age_lines(found.age, guesses=guesses)
    lines = [f"{name:<10} {value}" for name, value in rows]
    lines += [f"{'correction':<10} {correction}" for correction in found.corrections]
    lines += [f"{'cluster':<10} {each.cluster} ({counted(each.faces, 'face')})" for each in found.clusters]
    if found.bodies:
        lines.append(f"{'bodies':<10} {found.bodies}; `people bodies` lists photos without a visible face")
    lines += near_lines(found.nearest)
    if found.cluster is not None:
        lines += cluster_lines(found.cluster)
    if faces:
        shown = [
            (
                face.id,
                f"{face.quality:.2f}",
                face.assigned_by,
                face.taken.replace("T", " ") or "-",
                printable(face.paths[0] if face.paths else "-"),
            )
            for face in found.shown[:faces]
        ]
        lines += ["", table(("face", "quality", "by", "taken", "photo"), shown)]
    return lines


def log(
    who: Annotated[str | None, typer.Argument(metavar="[WHO]", show_default=False)] = None,
    database: DatabaseOption = None,
    limit: Annotated[int, Option("Maximum number of changes.", least=1)] = 20,
) -> None:
    """List changes to people, the latest first.

    The count includes faces that changed person, and faces that you confirmed.
    """
    from facesets.operations.people.corrections.history import log as run

    with opened_session(database) as session:
        steps = run(session, who, limit=limit)
    text = log_table(steps, console.terminal_width()) if steps else "No changes yet."
    console.show_list("steps", steps, text)


def log_table(steps: "Sequence[StepRow]", width: int | None) -> str:
    """Return changes as a table that fits the terminal, if there is one."""
    rows = [(s.id, s.made_at, s.faces, s.who, f"{s.what}{' (undone)' if s.undone else ''}") for s in steps]
    return table(("change", "when", "faces", "who", "what"), rows, width=width)


def bodies(
    who: WhoArgument,
    database: DatabaseOption = None,
    limit: Annotated[int, Option("Maximum number of photos.", least=1)] = 20,
) -> None:
    """List photos that may show a person from behind.

    This command changes nothing.
    """
    from facesets.operations.library.nothing_found import stages_to_do
    from facesets.operations.people.lists.listing import bodies_of_person as run

    with opened_library(database) as library:
        found = run(library.database, who, limit=limit)
        missing = [] if found.suggested else stages_to_do(library, ["bodies"])
    console.show(found, words.bodies(found), asked_for=True)
    for each in missing:
        console.notice(each.sentence)


def prototypes(
    who: Annotated[str | None, typer.Argument(metavar="[WHO]", show_default=False)] = None,
    database: DatabaseOption = None,
    pin: Annotated[
        tuple[int, ...], Option("Pin all these faces as reference faces.", metavar="FACE...")
    ] = (),
    drop: Annotated[
        tuple[int, ...],
        Option("Drop all these faces from the reference faces.", metavar="FACE..."),
    ] = (),
) -> None:
    """List, pin or drop a person's reference faces."""
    from facesets.operations.people.assigning.prototypes import prototypes as run

    with opened_session(database) as session:
        found = run(session, who, pin=pin, drop=drop, by=current_user())
    console.show(found, words.prototypes(found), asked_for=True)


def centroids(database: DatabaseOption = None) -> None:
    """Recompute all reference faces (normally automatic)."""
    queueing.begin("people centroids", database)
    console.finish()
