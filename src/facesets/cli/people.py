"""`facesets people …`: who is who in the library."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets.cli import console
from facesets.cli.ages import Guesses, age_lines
from facesets.cli.opening import opened_library, work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.words import corrections as words
from facesets.words.people import cluster_lines, near_lines
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.operations.people.lists.listing import PersonDetails
    from facesets.store.postgres.people.people_list import PersonLine
    from facesets.store.postgres.people.undoing import StepRow

people = typer.Typer(help="Who is who in the library: name, correct, take back.", no_args_is_help=True)

WhoArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="A name, an id as listed, or a cluster.", show_default=False)
]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What the person is called.", show_default=False)
]
_Status = Literal["active", "merged", "hidden", "all"]
_Sort = Literal["faces", "name", "new"]


@people.command("list")
def list_(
    database: DatabaseOption = None,
    status: Annotated[_Status, Option("Only people of this status.")] = "active",
    unnamed: Annotated[bool, Option("Only people without a name.")] = False,
    sort: Annotated[_Sort, Option("In which order.")] = "faces",
) -> None:
    """List the people of the library."""
    from facesets.operations.people.lists.listing import people as run

    with opened_library(database) as session:
        found = run(session, status=status, unnamed=unnamed, sort=sort)
    nobody = "There is nobody yet. `facesets cluster` makes people of the library's faces."
    if unnamed or status != "active":
        nobody = "There is nobody like that. `facesets people list --status all` lists everybody."
    headings = ("id", "name", "faces", "photos", "prototypes", "first", "last")
    text = table(headings, [_row(each) for each in found]) if found else nobody
    console.show_list("people", found, text)


def _row(line: "PersonLine") -> tuple[object, ...]:
    name = ", ".join(printable(name) for name in line.names) or "-"
    shown = name if line.status == "active" else f"{name} ({line.status})"
    return line.id[:8], shown, line.faces, line.photos, line.prototypes, line.first or "-", line.last or "-"


@people.command()
def show(
    who: WhoArgument,
    database: DatabaseOption = None,
    faces: Annotated[int, Option("How many of the best faces to list.", least=0)] = 0,
    sheet: Annotated[Path | None, Option("Draw the best faces into a picture.", metavar="FILE.png")] = None,
    guesses: Guesses = False,
) -> None:
    """Show one person, or a cluster: totals, how alike the faces are, what was said, and faces."""
    from facesets.operations.people.lists.listing import person as run
    from facesets.operations.people.lists.person_sheet import SHOWN, draw_person

    empty = 0
    with work_on_library(database) as work:
        found = run(work.session, who, faces=max(faces, SHOWN if sheet else 0))
        if sheet is not None:
            empty = draw_person(found, sheet, work=work)
    if empty:
        drawn = counted(min(len(found.shown), SHOWN), "face")
        console.notice(f"{empty} of {drawn} are empty: their photos cannot be read. Are they mounted?")
    lines = _lines(found, faces, guesses=guesses) + ([f"Drawn into {printable(sheet)}."] if sheet else [])
    console.show(found, lines, asked_for=True)


def _lines(found: "PersonDetails", faces: int, *, guesses: bool) -> list[str]:
    line = found.person
    rows = [
        ("id", line.id),
        ("name", ", ".join(map(printable, line.names)) or "-"),
        ("status", line.status),
        ("faces", f"{line.faces} on {counted(line.photos, 'photo')}"),
        ("prototypes", line.prototypes),
        ("from, to", f"{line.first or '-'}, {line.last or '-'}"),
        ("spread", "-" if found.spread is None else f"{found.spread:.3f} mean cosine distance to their mean"),
    ]
    rows += age_lines(found.age, guesses=guesses)
    lines = [f"{name:<10} {value}" for name, value in rows]
    lines += [f"{'said':<10} {said}" for said in found.statements]
    lines += [f"{'cluster':<10} {each.cluster} ({counted(each.faces, 'face')})" for each in found.clusters]
    if found.bodies:
        lines.append(f"{'bodies':<10} {found.bodies}; `people bodies` lists photos without the face")
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


@people.command()
def name(
    who: WhoArgument,
    name: NameArgument,
    database: DatabaseOption = None,
    into: Annotated[bool, Option("If somebody has that name already, both are one person.")] = False,
    face: Annotated[bool, Option("WHO is the number of a face.")] = False,
) -> None:
    """Give a person, a cluster or a face a name; a person may have several, `people rename` replaces them.

    If the name exists, both people are shown and you are asked; without a terminal the name is refused.
    `people label` is the same command.
    """
    from facesets.cli.shown_faces import are_one
    from facesets.operations.people.corrections.naming import NameTaken
    from facesets.operations.people.corrections.naming import name as run

    with opened_library(database) as session:
        try:
            summary = run(session, who, name, into=into, face=face, by=current_user())
        except NameTaken as taken:
            if not are_one(session, taken):
                raise
            summary = run(session, who, name, into=True, face=face, by=current_user())
    console.show(summary, words.person(summary))
    if summary.did.startswith("also called"):
        console.remark(f"They still go by {summary.name}: `facesets people rename` replaces names.")


people.command("label", hidden=True)(name)


@people.command()
def rename(
    who: WhoArgument,
    name: NameArgument,
    database: DatabaseOption = None,
) -> None:
    """Call a person otherwise; all former names go."""
    from facesets.cli.shown_faces import are_one
    from facesets.operations.people.corrections.naming import NameTaken
    from facesets.operations.people.corrections.naming import name as add
    from facesets.operations.people.corrections.naming import rename as run

    with opened_library(database) as session:
        try:
            summary = run(session, who, name, by=current_user())
        except NameTaken as taken:
            if not are_one(session, taken):
                raise
            summary = add(session, who, name, into=True, face=False, by=current_user())
    console.show(summary, words.person(summary))


def _hiding(*, hidden: bool) -> Callable[..., None]:
    def command(
        who: WhoArgument,
        database: DatabaseOption = None,
    ) -> None:
        from facesets.operations.people.corrections.naming import set_hidden

        with opened_library(database) as session:
            summary = set_hidden(session, who, hidden=hidden, by=current_user())
        console.show(summary, words.person(summary))

    command.__doc__ = (
        "Hide a person, such as somebody on a poster." if hidden else "Show a hidden person again."
    )
    return command


people.command("hide")(_hiding(hidden=True))
people.command("unhide")(_hiding(hidden=False))


@people.command()
def merge(
    who: Annotated[
        list[str],
        typer.Argument(metavar="WHO...", help="Names, ids as listed, or clusters.", show_default=False),
    ],
    into: Annotated[str, Option("Whom they all are.", metavar="WHO")],
    database: DatabaseOption = None,
    drop_names: Annotated[bool, Option("Their names go, rather than become further names.")] = False,
) -> None:
    """Make several people one."""
    from facesets.operations.people.corrections.cluster_corrections import merge as run

    with opened_library(database) as session:
        summary = run(session, who, into, drop_names=drop_names, by=current_user())
    console.show(summary, words.person(summary))


@people.command()
def move(
    faces: Annotated[
        list[int],
        typer.Argument(
            metavar="FACE...",
            help="Numbers of faces, as `people show WHO --faces 20` prints them.",
            show_default=False,
        ),
    ],
    to: Annotated[str, Option("A person, new, or nobody.", metavar="WHO")],
    database: DatabaseOption = None,
) -> None:
    """Give single faces to another person; `--to nobody` also says that they are not whom they were."""
    from facesets.operations.people.corrections.correcting import move as run

    with opened_library(database) as session:
        summary = run(session, faces, to, by=current_user())
    console.show(summary, words.move(summary))


def _saying(*, same: bool) -> Callable[..., None]:
    def command(
        first: Annotated[str, typer.Argument(metavar="A", show_default=False)],
        second: Annotated[str, typer.Argument(metavar="B", show_default=False)],
        database: DatabaseOption = None,
        faces: Annotated[bool, Option("A and B are numbers of faces.")] = False,
    ) -> None:
        from facesets.operations.people.corrections import cluster_corrections, correcting

        run = correcting.same if same else cluster_corrections.different
        with opened_library(database) as session:
            summary = run(session, first, second, faces=faces, by=current_user())
        console.show(summary, words.said(summary))

    command.__doc__ = (
        "Say that two people, or two faces, are one person."
        if same
        else "Say that two people, or two faces, are not one person."
    )
    return command


people.command("same")(_saying(same=True))
people.command("different")(_saying(same=False))


@people.command()
def log(
    who: Annotated[str | None, typer.Argument(metavar="[WHO]", show_default=False)] = None,
    database: DatabaseOption = None,
    limit: Annotated[int, Option("How many steps.", least=1)] = 20,
) -> None:
    """List what humans and runs changed, and of how many faces, the latest first.

    A face counts where whose it is changed, or who says so.
    """
    from facesets.operations.people.corrections.history import log as run

    with opened_library(database) as session:
        steps = run(session, who, limit=limit)
    text = log_table(steps, console.terminal_width()) if steps else "Nothing was changed yet."
    console.show_list("steps", steps, text)


def log_table(steps: "Sequence[StepRow]", width: int | None) -> str:
    """Steps as a table that is no wider than the terminal, where there is one."""
    rows = [
        (s.id, s.made_at, s.faces, s.who, f"{s.what}{' (taken back)' if s.undone else ''}") for s in steps
    ]
    return table(("step", "when", "changed", "who", "what"), rows, width=width)


@people.command()
def undo(
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="[STEP]", help="The number of a step, as `people log` prints it.", show_default=False
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Take a step back, by default the latest."""
    from facesets.operations.people.corrections.history import undo as run

    with opened_library(database) as session:
        step = run(session, number, by=current_user())
    _taken_back(step, "Taken back")


@people.command()
def redo(database: DatabaseOption = None) -> None:
    """Do again what was taken back last."""
    from facesets.operations.people.corrections.history import redo as run

    with opened_library(database) as session:
        step = run(session, by=current_user())
    _taken_back(step, "Done again")


def _taken_back(step: "StepRow", how: str) -> None:
    console.show(step, [f"{how}: step {step.id}, {step.what} ({counted(step.faces, 'face')} changed)."])
