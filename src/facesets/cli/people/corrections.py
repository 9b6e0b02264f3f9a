"""The commands of `facesets people` that make and undo corrections."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import current_user, opened_session, work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people.lists import WhoArgument
from facesets.files import printable
from facesets.operations.options.declaration import Option, day
from facesets.operations.options.people import SplitOptions
from facesets.plurals import counted
from facesets.words import corrections as words

if TYPE_CHECKING:
    from facesets.store.postgres.people.undoing import StepRow

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The person's name.", show_default=False)]
FirstArgument = Annotated[str, typer.Argument(metavar="A", show_default=False)]
SecondArgument = Annotated[str, typer.Argument(metavar="B", show_default=False)]
FacesOption = Annotated[bool, Option("A and B are face numbers.")]


def name(
    who: WhoArgument,
    name: NameArgument,
    database: DatabaseOption = None,
    into: Annotated[bool, Option("If the name exists, merge both into one person.")] = False,
    face: Annotated[bool, Option("WHO is a face number.")] = False,
) -> None:
    """Name a person, a cluster or a face.

    A person may have several names; `people rename` replaces them all. If the name exists, both people are
    shown and you are asked; without a terminal the name is refused.
    """
    from facesets.cli.people.face_picture import are_one
    from facesets.operations.people.corrections.naming import NameTaken
    from facesets.operations.people.corrections.naming import name as run

    with opened_session(database) as session:
        try:
            summary = run(session, who, name, into=into, face=face, by=current_user())
        except NameTaken as taken:
            if not are_one(session, taken):
                raise
            summary = run(session, who, name, into=True, face=face, by=current_user())
    console.show(summary, words.person(summary))
    if summary.did.startswith("also named"):
        console.remark(
            f"{summary.name} stays the main name. To replace all names, run `facesets people rename`."
        )


def rename(
    who: WhoArgument,
    name: NameArgument,
    database: DatabaseOption = None,
) -> None:
    """Rename a person, replacing all names."""
    from facesets.cli.people.face_picture import are_one
    from facesets.operations.people.corrections.naming import NameTaken
    from facesets.operations.people.corrections.naming import name as add
    from facesets.operations.people.corrections.naming import rename as run

    with opened_session(database) as session:
        try:
            summary = run(session, who, name, by=current_user())
        except NameTaken as taken:
            if not are_one(session, taken):
                raise
            summary = add(session, who, name, into=True, face=False, by=current_user())
    console.show(summary, words.person(summary))


def hide(who: WhoArgument, database: DatabaseOption = None) -> None:
    """Hide a person, such as a face on a poster."""
    _set_hidden(who, database, hidden=True)


def unhide(who: WhoArgument, database: DatabaseOption = None) -> None:
    """Show a hidden person again."""
    _set_hidden(who, database, hidden=False)


def _set_hidden(who: str, database: str | None, *, hidden: bool) -> None:
    from facesets.operations.people.corrections.naming import set_hidden

    with opened_session(database) as session:
        summary = set_hidden(session, who, hidden=hidden, by=current_user())
    console.show(summary, words.person(summary))


def merge(
    who: Annotated[
        list[str],
        typer.Argument(metavar="WHO...", help="Names, ids or clusters.", show_default=False),
    ],
    into: Annotated[str, Option("The person to merge into.", metavar="WHO", flag="--to", synonyms="--into")],
    database: DatabaseOption = None,
    drop_names: Annotated[bool, Option("Drop the names of the merged people.")] = False,
) -> None:
    """Merge several people into one."""
    from facesets.operations.people.corrections.cluster_corrections import merge as run

    with opened_session(database) as session:
        summary = run(session, who, into, drop_names=drop_names, by=current_user())
    console.show(summary, words.person(summary))


def move(
    faces: Annotated[
        list[int],
        typer.Argument(
            metavar="FACE...",
            help="Face numbers, as `people show WHO --limit 20` prints them.",
            show_default=False,
        ),
    ],
    to: Annotated[str, Option("A person, new, or nobody.", metavar="WHO")],
    database: DatabaseOption = None,
) -> None:
    """Move faces to another person.

    `--to nobody` denies that they show their person.
    """
    from facesets.operations.people.corrections.correcting import move as run

    with opened_session(database) as session:
        summary = run(session, faces, to, by=current_user())
    console.show(summary, words.move(summary))


def same(
    first: FirstArgument, second: SecondArgument, database: DatabaseOption = None, faces: FacesOption = False
) -> None:
    """Confirm that two people or faces are one person."""
    from facesets.operations.people.corrections.correcting import same as run

    with opened_session(database) as session:
        summary = run(session, first, second, faces=faces, by=current_user())
    console.show(summary, words.same(summary))


def different(
    first: FirstArgument, second: SecondArgument, database: DatabaseOption = None, faces: FacesOption = False
) -> None:
    """Confirm that two people or faces are not one person."""
    from facesets.operations.people.corrections.cluster_corrections import different as run

    with opened_session(database) as session:
        summary = run(session, first, second, faces=faces, by=current_user())
    console.show(summary, words.same(summary))


def undo(
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="[CHANGE]", help="The number of a change, as `people log` prints it.", show_default=False
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Undo a change, by default the latest."""
    from facesets.operations.people.corrections.history import undo as run

    with opened_session(database) as session:
        step = run(session, number, by=current_user())
    _report(step, "Undid")


def redo(database: DatabaseOption = None) -> None:
    """Redo what was undone last."""
    from facesets.operations.people.corrections.history import redo as run

    with opened_session(database) as session:
        step = run(session, by=current_user())
    _report(step, "Redid")


def _report(step: "StepRow", did: str) -> None:
    console.show(step, [f"{did} change {step.id}: {step.what} ({counted(step.faces, 'face')})."])


def set_(
    who: WhoArgument,
    database: DatabaseOption = None,
    birth_year: Annotated[int | None, Option("The year of birth.", metavar="YEAR")] = None,
    birth_date: Annotated[date | None, Option("The day of birth.", metavar="DATE", parse=day)] = None,
    birth_unknown: Annotated[bool, Option("Remove the birth date or year.")] = False,
) -> None:
    """Set when a person was born.

    A birth date counts for more than the apparent age.
    """
    from facesets.operations.people.corrections.births import Birth, set_birth

    birth = Birth(birth_year, birth_date, birth_unknown)
    with opened_session(database) as session:
        summary = set_birth(session, who, birth, by=current_user(), today=date.today())  # noqa: DTZ011 - as the user has it
    console.show(summary, words.person(summary))


def split(
    who: WhoArgument,
    database: DatabaseOption = None,
    sheet: Annotated[Path | None, Option("Draw the parts into a PNG.", metavar="FILE.png")] = None,
    apply: Annotated[bool, Option("Make a person of each part.")] = False,
    *,
    options: SplitOptions,
) -> None:
    """Suggest how to split a person; --apply does it."""
    from facesets.operations.people.corrections.splitting import apply_split, draw_split, propose_split

    with work_on_library(database) as work:
        if apply:
            summary = apply_split(work.session, who, options, by=current_user())
        else:
            summary = propose_split(work.session, who, options)
        if sheet is not None:
            draw_split(work.session, summary, sheet, work=work)
    lines = words.split(summary, parts=options.parts, min_size=options.min_size, apply=apply)
    lines += [f"Contact sheet: {printable(sheet)}"] if sheet else []
    console.show(summary, lines, asked_for=True)
